use crate::script::Script;

/// A change to the octets in transit, by an attacker that knows the protocol.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    Flip { at: usize, bits: u8 },
    Insert { at: usize, octets: Vec<u8> },
    Delete { at: usize, count: usize },
    Duplicate { at: usize, count: usize },
    Truncate { at: usize },
    Swap { at: usize, count: usize },
}

/// How many kinds of edits there are.
pub(crate) const EDITS: u8 = 7;

/// The size beyond which a piece is not duplicated.
const MOST: usize = 256 << 10;

/// Pieces worth inserting.
const PIECES: &[&[u8]] = &[
    b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\x01NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\x00PLAIN\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    &[0; 31],
    b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03SUB",
    b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03PUB",
    b"\x04\x1A\x05READY\x0BSocket-Type\0\0\0\x04PULL",
    b"\x04\x12\x05HELLO\x04user\x06secret",
    b"\x04\x11\x05HELLO\x04user\x05wrong",
    b"\x04\x08\x07WELCOME",
    b"\x04\x1C\x08INITIATE\x0BSocket-Type\0\0\0\x03SUB",
    b"\x04\x0A\x05ERROR\x03400",
    b"\x04\x0B\x09SUBSCRIBEa",
    b"\x04\x08\x06CANCELa",
    b"\x04\x0A\x09SUBSCRIBE",
    b"\x00\x02\x01a",
    b"\x00\x02\x00a",
    b"\x00\x03abc",
    b"\x01\x01a",
    b"\x04\x07\x04PING\0\x01",
    b"\x04\x09\x04PING\0\0hi",
    b"\x04\x05\x04PONG",
    b"\x04\x09\x08UNHEARD1",
    b"\x02\0\0\0\0\0\0\x01\x00",
    b"\x02\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
    b"\x06\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
    b"\x08\x01a",
];

impl Edit {
    pub(crate) fn next(kind: u8, script: &mut Script<'_>) -> Self {
        let at = usize::from(script.octet());
        match kind % EDITS {
            0 => Self::Flip { at, bits: script.octet() },
            1 => {
                let count = usize::from(script.octet()) % 16;
                Self::Insert { at, octets: script.take(count).to_vec() }
            }
            2 => Self::Delete { at, count: usize::from(script.octet()) },
            3 => Self::Duplicate { at, count: usize::from(script.octet()) },
            4 => Self::Truncate { at },
            5 => Self::Swap { at, count: usize::from(script.octet()) },
            _ => {
                let piece = usize::from(script.octet()) % PIECES.len();
                Self::Insert { at, octets: PIECES[piece].to_vec() }
            }
        }
    }

    /// Edits the octets. A count of 0 means all the rest, and an offset past the end wraps around.
    pub(crate) fn apply(&self, octets: &mut Vec<u8>) {
        let len = octets.len();
        let within = |at: usize| at % (len + 1);
        let end = |from: usize, count: usize| match count {
            0 => len,
            _ => (from + count).min(len),
        };
        match *self {
            Self::Flip { at, bits } => {
                if let Some(octet) = octets.get_mut(within(at)) {
                    *octet ^= bits;
                }
            }
            Self::Insert { at, octets: ref new } => {
                let at = within(at);
                octets.splice(at..at, new.iter().copied());
            }
            Self::Delete { at, count } => {
                let at = within(at);
                octets.drain(at..end(at, count));
            }
            Self::Duplicate { at, count } => {
                let at = within(at);
                let piece = octets[at..end(at, count)].to_vec();
                if len + piece.len() <= MOST {
                    octets.splice(at..at, piece);
                }
            }
            Self::Truncate { at } => octets.truncate(within(at)),
            Self::Swap { at, count } => {
                let at = within(at);
                let piece = &mut octets[at..end(at, 2 * count)];
                piece.rotate_left(count.min(piece.len()));
            }
        }
    }
}
