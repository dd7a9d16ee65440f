//! A peer with CURVE, made by hand.

use std::sync::LazyLock;

use zmtp_codec::{Config, CurveKeyPair, CurveSecretKey, Mechanism, Randomness};

use crate::boxes::{Shared, nonce, public};

/// The secret keys of a connection, and those of the peer made by hand: first the permanent one,
/// then the transient one, which is drawn first of the fixed octets.
const KEYS: [[u8; 32]; 2] = [[1; 32], [7; 32]];
const PEERS: [[u8; 32]; 2] = [[2; 32], [3; 32]];

/// The same configuration with CURVE, as the server or the client of [`CurvePeer::known`].
pub(crate) fn with_curve(config: Config, is_server: bool) -> Config {
    let keys = CurveKeyPair::from(CurveSecretKey::from(KEYS[0]));
    let mechanism = match is_server {
        true => Mechanism::CurveServer { keys },
        false => Mechanism::CurveClient { server_key: public(PEERS[0]).into(), keys },
    };
    Config { mechanism, randomness: Randomness::fixed(KEYS[1].to_vec()), ..config }
}

/// The length of a cookie, whose content only the server knows.
const COOKIE: usize = 96;

/// A client or a server, made of the secret keys of both sides. Of two keys, the first is the
/// permanent one and the second the transient one.
#[derive(Clone)]
pub(crate) struct CurvePeer {
    is_server: bool,
    /// Our public keys, and those of the other side.
    ours: [[u8; 32]; 2],
    theirs: [[u8; 32]; 2],
    /// The keys of traffic, of the first command of our side, and of the vouch.
    shared: Shared,
    opening: Shared,
    vouching: Shared,
    /// The cookie of the server, if we are the client.
    cookie: Vec<u8>,
    /// The number of the last frame that was opened.
    opened: u64,
    /// The metadata that we announce.
    pub(crate) metadata: Vec<u8>,
}

/// A frame with these flags, in the short form if that is enough.
pub(crate) fn frame(flags: u8, body: &[u8]) -> Vec<u8> {
    match u8::try_from(body.len()) {
        Ok(size) => [&[flags & !2, size], body].concat(),
        Err(_) => [&[flags | 2][..], &(body.len() as u64).to_be_bytes(), body].concat(),
    }
}

impl CurvePeer {
    /// The server or the client that a connection [`with_curve`] expects. Key agreements take most
    /// of the time, so they are done once.
    pub(crate) fn known(is_server: bool) -> &'static Self {
        static KNOWN: LazyLock<[CurvePeer; 2]> =
            LazyLock::new(|| [false, true].map(|is_server| CurvePeer::new(is_server, PEERS, KEYS)));
        &KNOWN[usize::from(is_server)]
    }

    fn new(is_server: bool, ours: [[u8; 32]; 2], theirs: [[u8; 32]; 2]) -> Self {
        let (our_publics, their_publics) = (ours.map(public), theirs.map(public));
        let opening = match is_server {
            true => Shared::agree(ours[0], their_publics[1]),
            false => Shared::agree(ours[1], their_publics[0]),
        };
        Self {
            is_server,
            ours: our_publics,
            theirs: their_publics,
            shared: Shared::agree(ours[1], their_publics[1]),
            opening,
            vouching: Shared::agree(ours[0], their_publics[1]),
            cookie: Vec::new(),
            opened: 0,
            metadata: Vec::new(),
        }
    }

    /// The same peer, as a socket of this type.
    pub(crate) fn of_type(&self, socket_type: &str) -> Self {
        let size = (socket_type.len() as u32).to_be_bytes();
        let metadata = [b"\x0BSocket-Type", &size[..], socket_type.as_bytes()].concat();
        Self { metadata, ..self.clone() }
    }

    /// The permanent public key, which the other side judges.
    pub(crate) fn public_key(&self) -> [u8; 32] {
        self.ours[0]
    }

    pub(crate) fn is_client(&self) -> bool {
        !self.is_server
    }

    /// Takes the output of the other side in the handshake, of which only the cookie of a WELCOME
    /// matters.
    pub(crate) fn hear(&mut self, said: &[u8]) {
        let Some((random, boxed)) =
            said.strip_prefix(b"\x04\xA8\x07WELCOME").and_then(|rest| rest.split_at_checked(16))
        else {
            return;
        };
        let opened = self.opening.open(nonce(b"WELCOME-", random), boxed).expect("a good box");
        assert_eq!(opened[..32], self.theirs[1]);
        self.cookie = opened[32..].to_vec();
    }

    /// The keys in a client's vouch.
    pub(crate) fn vouched(&self) -> Vec<u8> {
        [self.ours[1], self.theirs[0]].concat()
    }

    /// The content of the box of our first or second command of the handshake.
    pub(crate) fn inside(&self, second: bool, vouched: &[u8]) -> Vec<u8> {
        match (self.is_server, second) {
            (true, false) => [&self.ours[1][..], &[9; COOKIE]].concat(),
            (true, true) => self.metadata.clone(),
            (false, false) => vec![0; 64],
            (false, true) => {
                let vouch = self.vouching.seal(nonce(b"VOUCH---", &[5; 16]), vouched);
                [&self.ours[0][..], &[5; 16], &vouch, &self.metadata].concat()
            }
        }
    }

    /// Where the part of that content begins that the other side must take as it is: a cookie or
    /// properties.
    pub(crate) fn own_affair(&self, second: bool) -> usize {
        match (self.is_server, second) {
            (true, false) => 32,
            (true, true) => 0,
            (false, false) => 64,
            (false, true) => 32 + 96,
        }
    }

    /// Our first or second command of the handshake, with this content in its box.
    pub(crate) fn command(&self, second: bool, inside: &[u8]) -> Vec<u8> {
        match (self.is_server, second) {
            (true, false) => {
                let boxed = self.opening.seal(nonce(b"WELCOME-", &[4; 16]), inside);
                [b"\x07WELCOME", &[4; 16][..], &boxed].concat()
            }
            (true, true) => {
                let number = 1_u64.to_be_bytes();
                let boxed = self.shared.seal(nonce(b"CurveZMQREADY---", &number), inside);
                [b"\x05READY", &number[..], &boxed].concat()
            }
            (false, false) => {
                let number = 1_u64.to_be_bytes();
                let boxed = self.opening.seal(nonce(b"CurveZMQHELLO---", &number), inside);
                let clear = [b"\x05HELLO\x01\0", &[0; 72][..], &self.ours[1]].concat();
                [&clear, &number[..], &boxed].concat()
            }
            (false, true) => {
                let number = 2_u64.to_be_bytes();
                let boxed = self.shared.seal(nonce(b"CurveZMQINITIATE", &number), inside);
                [b"\x08INITIATE", &self.cookie[..], &number, &boxed].concat()
            }
        }
    }

    /// A sealed frame of traffic, without the outer frame.
    pub(crate) fn message(&self, number: u64, flags: u8, body: &[u8]) -> Vec<u8> {
        let (ours, number) = (self.prefixes()[0], number.to_be_bytes());
        let boxed = self.shared.seal(nonce(ours, &number), &[&[flags], body].concat());
        [b"\x07MESSAGE", &number[..], &boxed].concat()
    }

    /// The plain frames of all that the other side has sent after the handshake.
    pub(crate) fn open_all(&mut self, mut said: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        while let [flags, rest @ ..] = said {
            assert_eq!(flags & !2, 0, "a frame's own flags are in its box");
            let (size, rest) = rest.split_at(if *flags == 2 { 8 } else { 1 });
            let size = size.iter().fold(0, |size, &octet| size << 8 | usize::from(octet));
            let (body, rest) = rest.split_at(size);
            let body = body.strip_prefix(b"\x07MESSAGE").expect("all is sealed");
            let (octets, boxed) = body.split_first_chunk().expect("a number");
            let number = u64::from_be_bytes(*octets);
            assert!(number > self.opened, "{number} after {}", self.opened);
            self.opened = number;
            let theirs = self.prefixes()[1];
            let inside = self.shared.open(nonce(theirs, octets), boxed).expect("a good box");
            let flags = inside[0] & 1 | inside[0] << 1 & 4;
            plain.extend(frame(flags, &inside[1..]));
            said = rest;
        }
        plain
    }

    /// The prefixes of the nonces, ours and the other side's; the number of the frame follows.
    fn prefixes(&self) -> [&'static [u8; 16]; 2] {
        let prefixes = [b"CurveZMQMESSAGEC", b"CurveZMQMESSAGES"];
        if self.is_server { [prefixes[1], prefixes[0]] } else { prefixes }
    }
}
