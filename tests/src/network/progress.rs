//! The progress of a conversation, read from the wire. It knows only where a greeting and a frame of
//! ZMTP end, and shares no code with the code that it observes.

use super::fault::Spot;

const GREETING: u64 = 64;

/// The last command of each side's handshake: with NULL or of a PLAIN server, and of a PLAIN client.
const LAST_WORDS: [&[u8]; 2] = [b"\x05READY", b"\x08INITIATE"];

/// The longest header, and the longest beginning of a command that has its name.
const HEADER: u64 = 9;
const NAME: u64 = 9;

/// The octets of one side that have arrived.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    octets: u64,
    /// The number of octets that had arrived when the handshake was over.
    handshake: Option<u64>,
    messages: u64,
    /// The octets of the present frame that have arrived, its length once its header has, and its first
    /// octets.
    frame: u64,
    length: Option<u64>,
    head: [u8; (HEADER + NAME) as usize],
}

impl Progress {
    /// The octets of the greeting that have arrived, while some are still to come.
    pub fn in_greeting(&self) -> Option<u64> {
        (self.octets < GREETING).then_some(self.octets)
    }

    /// Whether the greeting has arrived and the handshake is not over.
    pub fn is_in_handshake(&self) -> bool {
        self.octets >= GREETING && self.handshake.is_none()
    }

    /// Octets that have arrived since the handshake was over.
    pub fn in_traffic(&self) -> Option<u64> {
        self.handshake.map(|end| self.octets - end)
    }

    /// Whether everything that has begun to arrive after the handshake has arrived whole.
    pub fn is_between_frames(&self) -> bool {
        self.handshake.is_some() && self.frame == 0
    }

    /// Whether a message has arrived in part.
    pub fn is_in_message(&self) -> bool {
        self.handshake.is_some() && self.frame > 0 && !self.is_command()
    }

    /// Octets that have arrived.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// Counts the first of `octets`, up to where something ends. Returns their number.
    pub(super) fn follow(&mut self, octets: &[u8]) -> usize {
        let Some(first) = octets.first() else { return 0 };
        let here = octets.len() as u64;
        if self.octets < GREETING {
            let taken = here.min(GREETING - self.octets);
            self.octets += taken;
            return taken as usize;
        }
        let taken = match self.length {
            Some(length) if self.frame >= self.known() => here.min(length - self.frame),
            _ => {
                self.head[self.frame as usize] = *first;
                1
            }
        };
        self.octets += taken;
        self.frame += taken;
        if self.frame == self.header() {
            let size = &self.head[1..self.frame as usize];
            let size = size.iter().fold(0, |size, octet| size << 8 | u64::from(*octet));
            self.length = Some(self.frame + size);
        }
        if self.length == Some(self.frame) {
            self.end_frame();
        }
        taken as usize
    }

    /// The number of octets missing to `spot`, as far as is known now.
    pub(super) fn distance(&self, spot: Spot) -> Option<u64> {
        match spot {
            Spot::Octet(at) => at.checked_sub(self.octets),
            Spot::Traffic(at) => at.checked_sub(self.in_traffic()?),
            Spot::Message { whole, octets } => {
                if self.messages != whole || !self.is_in_message() || self.frame < self.header() {
                    return None;
                }
                let body = self.length? - self.header();
                (self.header() + octets % body.max(1)).checked_sub(self.frame)
            }
        }
    }

    fn end_frame(&mut self) {
        let body = &self.head[self.header() as usize..];
        if !self.is_command() {
            self.messages += 1;
        } else if LAST_WORDS.iter().any(|words| body.starts_with(words)) {
            self.handshake.get_or_insert(self.octets);
        }
        (self.frame, self.length) = (0, None);
        self.head = Default::default();
    }

    fn is_command(&self) -> bool {
        self.head[0] & 4 != 0
    }

    fn header(&self) -> u64 {
        if self.head[0] & 2 == 0 { 2 } else { HEADER }
    }

    /// The number of octets of the present frame that are kept: for a command of the handshake, its name
    /// too.
    fn known(&self) -> u64 {
        match self.handshake {
            Some(_) => self.header(),
            None => self.header() + NAME,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READY: &[u8] = b"\x04\x19\x05READY\x0BSocket-Type\x00\x00\x00\x03PUB";
    const PING: &[u8] = b"\x04\x07\x04PING\x00\x00";
    const SHORT: &[u8] = b"\x00\x03abc";
    const LONG: &[u8] = b"\x02\x00\x00\x00\x00\x00\x00\x00\x1Eabcdefghijabcdefghijabcdefghij";

    /// Follows these octets, in pieces of at most so many.
    fn followed(said: &[&[u8]], piece: usize) -> Progress {
        let mut progress = Progress::default();
        for octets in said.concat().chunks(piece) {
            let mut rest = octets;
            while !rest.is_empty() {
                let taken = progress.follow(rest);
                rest = &rest[taken..];
            }
        }
        progress
    }

    #[test]
    fn it_knows_where_greeting_handshake_and_messages_end_however_they_come() {
        let greeting: &[u8] = &[0; 64];
        for piece in [1, 2, 7, 1000] {
            let progress = followed(&[&greeting[1..]], piece);
            assert_eq!(progress.in_greeting(), Some(63));
            let progress = followed(&[greeting, &READY[1..]], piece);
            assert_eq!((progress.in_greeting(), progress.in_traffic()), (None, None));
            let progress = followed(&[greeting, &READY[..26]], piece);
            assert!(progress.is_in_handshake() && !progress.is_in_message());
            let progress = followed(&[greeting, READY], piece);
            assert!(!progress.is_in_handshake() && progress.is_between_frames());
            let progress = followed(&[greeting, READY, PING, SHORT, LONG], piece);
            assert_eq!((progress.in_traffic(), progress.messages), (Some(53), 2));
            assert!(progress.is_between_frames());
            let progress = followed(&[greeting, READY, PING, &LONG[..38]], piece);
            assert!(progress.is_in_message() && !progress.is_between_frames());
        }
    }

    #[test]
    fn a_spot_in_a_message_is_before_its_end() {
        let begun = followed(&[&[0; 64], READY, SHORT, &LONG[..9]], 1000);
        for (octets, distance) in [(0, 0), (29, 29), (30, 0), (31, 1)] {
            assert_eq!(begun.distance(Spot::Message { whole: 1, octets }), Some(distance));
        }
        assert_eq!(begun.distance(Spot::Message { whole: 0, octets: 0 }), None);
    }
}
