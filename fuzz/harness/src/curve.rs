use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use zmtp_codec::{
    Allowed, Config, Connection, Credentials, Error, Event, Greeting, Limits, MechanismName,
    Message, SocketType, Subscription, Version,
};

use crate::{
    curve_peer::{CurvePeer, frame, with_curve},
    editor::{EDITS, Edit},
    script::Script,
};

/// A connection with CURVE, and a peer that has the keys: the fuzzer's octets get into the boxes.
///
/// Instructions: one octet selects our configuration (see `Scene::new`), one the fault in the
/// handshake (see `Scene::greet`), and each further one the next step (see `Scene::step`).
///
/// Frames that the peer has sealed, and that arrive in order, have the same effect as the plain
/// frames on a twin of the connection without CURVE. Anything else ends the connection, and causes
/// no event. The output of the connection, opened, is the output of its twin.
pub fn curve(data: &[u8]) {
    let mut script = Script::new(data);
    let mut scene = Scene::new(script.octet());
    if !scene.greet(&mut script) {
        return;
    }
    while !script.is_over() && scene.victim.error.is_none() {
        scene.step(&mut script);
    }
    scene.deliver();
}

/// Low, so that the fuzzer reaches all of them.
const LIMITS: Limits = Limits::new()
    .with_message_size(600)
    .with_message_parts(5)
    .with_command_size(400)
    .with_handshake_frame_size(400);

/// The most frames that arrive together: the answers to them stay far below their bound.
const TOGETHER: usize = 64;

const NOW: Duration = Duration::ZERO;

/// The content of a box: bodies of every command and of any message.
const BODIES: &[&[u8]] = &[
    b"10001 17 40",
    b"",
    b"\x0110001",
    b"\x0010001",
    b"\x09SUBSCRIBE10001",
    b"\x06CANCEL10001",
    b"\x04PING\0\x01hi",
    b"\x04PONG",
    b"\x05ERROR\x03400",
    b"\x05READY",
    b"\x08UNHEARD1",
    b"\x04PIN",
    &[b'x'; 301],
    &[b'x'; 401],
    &[b'x'; 601],
];

struct Scene {
    victim: Side,
    /// The same connection without CURVE.
    twin: Side,
    peer: CurvePeer,
    /// How many octets arrive at once.
    fragment: usize,
    /// The frames that the peer has sealed so far, as they were sent.
    sealed: Vec<Vec<u8>>,
    /// The last output of the victim.
    said: Vec<u8>,
    /// The octets in transit, and the plain form of the genuine ones.
    under_way: Vec<u8>,
    in_clear: Vec<u8>,
    waiting: usize,
    /// The number of the last genuine frame, and whether a forged one came after it.
    heard: u64,
    is_breached: bool,
}

struct Side {
    connection: Connection,
    /// How many messages are taken at once.
    together: usize,
    arrived: usize,
    heard: Vec<Event>,
    error: Option<Error>,
}

impl Scene {
    fn new(choice: u8) -> Self {
        let is_server = choice & 1 != 0;
        let (socket_type, theirs) = match choice >> 1 & 3 {
            0 => (SocketType::Sub, "PUB"),
            1 => (SocketType::Pub, "SUB"),
            2 => (SocketType::XSub, "XPUB"),
            _ => (SocketType::XPub, "XSUB"),
        };
        let version = if choice & 32 == 0 { Version::V3_1 } else { Version::V3_0 };
        let together = if choice & 64 == 0 { usize::MAX } else { 1 };
        let config = Config { version, limits: LIMITS, ..Config::new(socket_type) };
        let victim = Side::new(with_curve(config.clone(), is_server), together);
        // A PUB cannot tell a message from a subscription before it has opened the box.
        let limits = match socket_type {
            SocketType::Pub => LIMITS.with_message_size(LIMITS.command_size),
            _ => LIMITS,
        };
        let mut twin = Side::new(Config { limits, ..config }, together);

        let greeting = |mechanism| Greeting { version, mechanism, as_server: !is_server }.encode();
        let peer = CurvePeer::known(!is_server).of_type(theirs);
        let ready = [&b"\x05READY"[..], &peer.metadata].concat();
        twin.receive(&[&greeting(MechanismName::NULL)[..], &frame(4, &ready)].concat(), 64);
        assert!(twin.connection.is_traffic());
        twin.connection.output().clear();
        let mut scene = Self {
            victim,
            twin,
            peer,
            fragment: [usize::MAX, 1, 7, 64][usize::from(choice >> 3 & 3)],
            sealed: Vec::new(),
            said: Vec::new(),
            under_way: Vec::new(),
            in_clear: Vec::new(),
            waiting: 0,
            heard: 0,
            is_breached: false,
        };
        scene.victim.receive(&greeting(MechanismName::CURVE), scene.fragment);
        scene
    }

    /// Does the handshake. The lowest three bits of an octet select the place of the edit: the
    /// whole of the peer's first or second command (1, 3), the content of its box (2, 4), or the
    /// keys in the vouch (5). Returns whether traffic follows.
    fn greet(&mut self, script: &mut Script<'_>) -> bool {
        let octet = script.octet();
        let what = octet & 7;
        let edit = (what != 0).then(|| Edit::next(octet >> 3, script));
        let apply = |place: u8, octets: &mut Vec<u8>| {
            let before = octets.clone();
            edit.iter().filter(|_| what == place).for_each(|edit| edit.apply(octets));
            *octets != before
        };
        let (mut is_edited, mut is_forged) = (false, false);
        for second in [false, true] {
            self.peer.hear(&self.victim.connection.output().split());
            let mut vouched = self.peer.vouched();
            is_forged |= second && self.peer.is_client() && apply(5, &mut vouched);
            let mut inner = self.peer.inside(second, &vouched);
            let (before, own) = (inner.clone(), self.peer.own_affair(second));
            if apply(if second { 4 } else { 2 }, &mut inner) {
                is_edited = true;
                is_forged |= inner.get(..own) != before.get(..own);
            }
            let mut command = self.peer.command(second, &inner);
            is_forged |= apply(if second { 3 } else { 1 }, &mut command);
            self.victim.receive(&frame(4, &command), self.fragment);
            if let Some(error) = &self.victim.error {
                assert!(is_edited || is_forged, "{error}, and nothing was wrong");
                return false;
            }
        }
        assert!(!is_forged, "what is forged is let in");
        let info = self.victim.connection.peer().expect("the handshake is over");
        assert_eq!(info.public_key, self.peer.is_client().then(|| self.peer.public_key().into()));
        self.heard = if self.peer.is_client() { 2 } else { 1 };
        self.peer.hear(&self.victim.connection.output().split());
        true
    }

    /// Does the step that the lowest three bits select. If the highest bit is set, the octets in
    /// transit arrive after it.
    fn step(&mut self, script: &mut Script<'_>) {
        let octet = script.octet();
        let more = octet >> 3 & 15;
        match octet & 7 {
            0 => self.say(self.heard.wrapping_add(1), more, 0, script),
            // Numbers that rise by more than one, and numbers that do not rise.
            1 if more == 15 => self.say(u64::MAX, 0, 0, script),
            1 => self.say(self.heard.saturating_add(u64::from(more) << 8), 0, 0, script),
            2 => self.say(self.heard.saturating_sub(u64::from(more)), 0, 0, script),
            // Flags outside of the box, which libzmq does not set.
            3 => self.say(self.heard.wrapping_add(1), 0, more, script),
            4 => {
                let edit = Edit::next(more % EDITS, script);
                let genuine = self.peer.message(self.heard.wrapping_add(1), 0, b"10001 17 40");
                let mut edited = genuine.clone();
                edit.apply(&mut edited);
                if edited != genuine {
                    self.forge(&frame(0, &edited));
                }
            }
            5 if more & 1 == 0 => {
                let replayed = self.sealed.get(usize::from(more >> 1)).cloned();
                replayed.iter().for_each(|frame| self.forge(frame));
            }
            5 => {
                // The victim gets its own output back.
                let said = self.said.clone();
                self.forge(&said);
            }
            6 => {
                let body = script.take(usize::from(more) * 8).to_vec();
                self.forge(&frame(more & 5, &body));
            }
            _ => self.answer(more),
        }
        if octet & 128 != 0 || self.waiting == TOGETHER {
            self.deliver();
        }
    }

    /// The peer seals a body, with this number, and these flags inside and outside of the box.
    fn say(&mut self, number: u64, within: u8, without: u8, script: &mut Script<'_>) {
        let flags =
            [0, 1, 2, 3, 4, 5, 8, 16, 32, 64, 128, 130, 254, 255, 0, 2][usize::from(within)];
        let choice = usize::from(script.octet());
        let body = match BODIES.get(choice) {
            Some(body) => body.to_vec(),
            None => script.take(choice % 64).to_vec(),
        };
        let whole = frame(without, &self.peer.message(number, flags, &body));
        // Outside, the flags LONG and COMMAND have no meaning.
        if number > self.heard && flags <= 2 && without & !6 == 0 {
            if !self.is_breached {
                self.heard = number;
                self.sealed.push(whole.clone());
                self.in_clear.extend(frame(flags & 1 | flags << 1 & 4, &body));
            }
            self.under_way.extend(whole);
            self.waiting += 1;
        } else {
            self.forge(&whole);
        }
    }

    /// Sends octets that the peer did not seal, or that are out of order.
    fn forge(&mut self, octets: &[u8]) {
        if !octets.is_empty() {
            self.under_way.extend_from_slice(octets);
            self.is_breached = true;
            self.waiting += 1;
        }
    }

    /// The victim and its twin send the same.
    fn answer(&mut self, more: u8) {
        self.deliver();
        if self.victim.error.is_some() {
            return;
        }
        for Side { connection, .. } in [&mut self.victim, &mut self.twin] {
            if more & 1 == 0 {
                let parts = (0..=more >> 1).map(|part| vec![more; usize::from(part) * 99]);
                connection
                    .send(&Message::multipart(parts).expect("a part at least"))
                    .expect("in traffic");
            } else {
                let topic = Bytes::from_static(b"10001");
                connection.subscribe(&Subscription::Subscribe(topic)).expect("in traffic");
            }
        }
        self.compare();
    }

    /// Delivers the octets in transit.
    fn deliver(&mut self) {
        self.victim.receive(&std::mem::take(&mut self.under_way), self.fragment);
        self.twin.receive(&std::mem::take(&mut self.in_clear), usize::MAX);
        self.waiting = 0;
        self.compare();
    }

    fn compare(&mut self) {
        assert_eq!(self.victim.heard, self.twin.heard);
        let error = &self.victim.error;
        assert_eq!(error.is_some(), self.is_breached || self.twin.error.is_some(), "{error:?}");
        let input = self.victim.connection.input();
        assert!(input.is_empty(), "{} octets are neither opened nor refused", input.len());
        let said = self.victim.connection.output().split().to_vec();
        let expected = self.twin.connection.output().split();
        assert_eq!(self.peer.open_all(&said), expected);
        if !said.is_empty() {
            self.said = said;
        }
    }
}

impl Side {
    fn new(config: Config, together: usize) -> Self {
        let connection = Connection::new(Arc::new(config));
        Self { connection, together, arrived: 0, heard: Vec::new(), error: None }
    }

    fn receive(&mut self, octets: &[u8], fragment: usize) {
        for octets in octets.chunks(fragment) {
            self.arrived += octets.len();
            self.connection.receive(NOW, octets);
            self.poll();
            let (room, arrived) = (self.connection.input().capacity(), self.arrived);
            assert!(room <= 2 * arrived + 64, "room for {room} after {arrived}");
        }
    }

    fn poll(&mut self) {
        loop {
            while let Some(batch) = self.connection.poll_batch(self.together) {
                self.heard.extend(batch.map(Event::Message));
            }
            match self.connection.poll_event(NOW) {
                Ok(None) | Err(Error::Closed) => break,
                Ok(Some(Event::Credentials(claimed))) => {
                    let public_key = CurvePeer::known(false).public_key().into();
                    assert_eq!(claimed.credentials, Credentials::Curve { public_key });
                    self.connection.authorize(NOW, Ok(Allowed::new()));
                }
                Ok(Some(Event::Ready(_))) => {}
                Ok(Some(event)) => self.heard.push(event),
                Err(error) => assert_eq!(self.error.replace(error), None, "it ends but once"),
            }
        }
        assert_eq!(self.connection.is_closed(), self.error.is_some());
    }
}
