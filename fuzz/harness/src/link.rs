use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use zmtp_codec::{
    Allowed, Config, Connection, CurveKeyPair, CurveSecretKey, Denial, Error, Event, Heartbeat,
    Limits, Mechanism, Message, NotReady, Randomness, SocketType, Subscription, Version,
};

use crate::{
    editor::{EDITS, Edit},
    script::Script,
};

/// Two whole connections, a publisher's and a subscriber's, and an attacker that edits the octets
/// between them.
///
/// Instructions: one octet selects the configurations (see `Link::new`), and each further one the
/// next step (see `Link::step`).
///
/// Each connection ends at most once and stays closed, holds a bounded number of octets, makes
/// progress at its deadline, and falls silent when it has nothing more to send. Without edits,
/// everything that was sent arrives whole and in order.
pub fn link(data: &[u8]) {
    let mut script = Script::new(data);
    let mut link = Link::new(script.octet());
    while !script.is_over() {
        link.step(&mut script);
    }
    link.settle();
    link.judge();
}

/// Low, so that the fuzzer reaches all of them.
const LIMITS: Limits = Limits::new()
    .with_message_size(600)
    .with_message_parts(5)
    .with_command_size(400)
    .with_handshake_frame_size(300);

/// How many octets an incomplete frame may hold, with its header.
const FRAME: usize = 600 + 9 + SEALED;

/// How many octets a box and its frame add to a frame.
const SEALED: usize = 9 + 33;

/// The output of greeting and handshake, and that which a flood of PINGs may cause, with as much
/// again for the last of them.
const OURS: usize = 64 + 300 + 2 * 64 * 1024;

/// The index of each side; that of the other is `1 - index`.
const PUB: usize = 0;
const SUB: usize = 1;

/// A server and a client of CURVE with each other's keys.
fn curve() -> (Mechanism, Mechanism) {
    let [server, client] = [1, 2].map(|seed| CurveKeyPair::from(CurveSecretKey::from([seed; 32])));
    let server_key = server.public();
    (Mechanism::CurveServer { keys: server }, Mechanism::CurveClient { server_key, keys: client })
}

struct Link {
    sides: [Side; 2],
    now: Duration,
    /// How many messages are taken at once.
    together: usize,
    has_denied: bool,
}

struct Side {
    connection: Connection,
    /// The octets in transit to this side.
    under_way: Vec<u8>,
    /// Whether octets to this side have ever been edited.
    is_edited: bool,
    is_asked: bool,
    /// The calls of the caller, as the other side should get them, and an upper bound of their
    /// octets.
    said: Vec<Event>,
    said_octets: usize,
    /// The events from the other side.
    heard: Vec<Event>,
    error: Option<Error>,
}

impl Link {
    fn new(choice: u8) -> Self {
        let version = |is_old: bool| if is_old { Version::V3_0 } else { Version::V3_1 };
        let (username, password) = (Bytes::from_static(b"user"), Bytes::from_static(b"secret"));
        let client = Mechanism::PlainClient { username, password };
        let (of_pub, of_sub) = match choice >> 2 & 3 {
            2 => (Mechanism::PlainServer, client),
            3 => (client, Mechanism::PlainServer),
            1 => curve(),
            _ => (Mechanism::Null, Mechanism::Null),
        };
        let heartbeat = |beats: bool| {
            beats.then(|| Heartbeat::every(Duration::from_secs(1)).with_ttl(Duration::from_secs(3)))
        };
        let (publisher, subscriber) = match choice & 128 {
            0 => (SocketType::Pub, SocketType::Sub),
            _ => (SocketType::XPub, SocketType::XSub),
        };
        let side = |socket_type, version, mechanism, heartbeat| {
            // The same keys and nonces in each run.
            let randomness = Randomness::fixed(vec![7; 200]);
            let defaults = Config::new(socket_type);
            Side::new(Config {
                version,
                mechanism,
                heartbeat,
                limits: LIMITS,
                randomness,
                ..defaults
            })
        };
        let publisher =
            side(publisher, version(choice & 1 != 0), of_pub, heartbeat(choice & 16 != 0));
        let subscriber =
            side(subscriber, version(choice & 2 != 0), of_sub, heartbeat(choice & 32 != 0));
        Self {
            sides: [publisher, subscriber],
            now: Duration::ZERO,
            together: if choice & 64 == 0 { usize::MAX } else { 1 },
            has_denied: false,
        }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let octet = script.octet();
        let (what, more, who) = (octet & 15, octet >> 4, usize::from(octet >> 7));
        match what {
            0 => self.subscribe(Subscription::Subscribe(topic(more, script))),
            1 => self.subscribe(Subscription::Cancel(topic(more, script))),
            2 => self.send(more, script),
            3 => {
                let deadline = self.sides[who].connection.deadline();
                self.pass_until(deadline.unwrap_or_default());
            }
            4 => self.pass_until(self.now + Duration::from_millis(100 << more)),
            5 => {
                let verdict = if more & 1 == 0 { Ok(()) } else { Err(Denial::refused("")) };
                self.answer(verdict);
            }
            6 if more & 1 == 0 => self.sides[who].connection.pause_reading(),
            6 => self.sides[who].connection.resume_reading(self.now),
            7 => self.carry(who, usize::MAX),
            8 => self.carry(who, usize::from(script.octet())),
            _ => self.edit(who, &Edit::next(what - 9, script)),
        }
        for side in &mut self.sides {
            side.check(self.now);
        }
    }

    fn subscribe(&mut self, subscription: Subscription) {
        let side = &mut self.sides[SUB];
        if side.connection.is_traffic() {
            side.connection.subscribe(&subscription).expect("in traffic");
            side.says(Event::Subscription(subscription), 32);
        }
    }

    fn send(&mut self, more: u8, script: &mut Script<'_>) {
        let side = &mut self.sides[PUB];
        if side.connection.is_traffic() {
            let number = side.said.len() as u8;
            let size = usize::from(script.octet()) % 100;
            let parts = 1 + usize::from(more) % LIMITS.message_parts;
            let message = Message::multipart((0..parts).map(|_| vec![number; size]));
            let message = message.expect("a part at least");
            side.connection.send(&message).expect("in traffic");
            side.says(Event::Message(message), parts * (9 + size));
        }
    }

    fn pass_until(&mut self, then: Duration) {
        self.now = self.now.max(then);
        for side in &mut self.sides {
            side.tick(self.now);
        }
    }

    /// Judges the credentials at each side that waits for a verdict.
    fn answer(&mut self, verdict: Result<(), Denial>) {
        for side in &mut self.sides {
            if std::mem::take(&mut side.is_asked) {
                self.has_denied |= verdict.is_err();
                let verdict = verdict.clone().map(|()| Allowed::new());
                side.connection.authorize(self.now, verdict);
                side.poll(self.now, self.together);
            }
        }
    }

    /// Takes the output of the other side into transit to this one.
    fn put_on_the_way(&mut self, to: usize) {
        let output = self.sides[1 - to].connection.output().split();
        self.sides[to].under_way.extend_from_slice(&output);
    }

    /// Delivers up to `most` octets.
    fn carry(&mut self, to: usize, most: usize) {
        self.put_on_the_way(to);
        let side = &mut self.sides[to];
        let count = most.min(side.under_way.len());
        let arriving = side.under_way.drain(..count).collect::<Vec<_>>();
        side.connection.receive(self.now, &arriving);
        side.poll(self.now, self.together);
    }

    fn edit(&mut self, to: usize, edit: &Edit) {
        self.put_on_the_way(to);
        let side = &mut self.sides[to];
        edit.apply(&mut side.under_way);
        side.is_edited = true;
    }

    /// Delivers everything in both directions until nobody sends any more.
    fn settle(&mut self) {
        for _ in 0..16 {
            self.answer(Ok(()));
            self.carry(PUB, usize::MAX);
            self.carry(SUB, usize::MAX);
            for side in &mut self.sides {
                side.check(self.now);
            }
            let is_quiet = |side: &mut Side| !side.is_asked && side.connection.output().is_empty();
            if self.sides.iter_mut().all(is_quiet) {
                return;
            }
        }
        panic!("they go on talking by themselves");
    }

    fn judge(mut self) {
        for side in &mut self.sides {
            side.stays_closed(self.now);
        }
        for (side, other) in
            [(&self.sides[PUB], &self.sides[SUB]), (&self.sides[SUB], &self.sides[PUB])]
        {
            if side.is_edited {
                continue;
            }
            // A side whose octets were not edited gets exactly what was sent, though perhaps not
            // all of it.
            assert!(other.said.starts_with(&side.heard), "{:?} of {:?}", side.heard, other.said);
            match &side.error {
                None if other.is_edited || other.error.is_some() => {}
                None => {
                    assert!(side.connection.is_traffic(), "nothing stood in the way");
                    assert_eq!(side.heard, other.said);
                }
                Some(Error::Timeout(_)) => assert!(self.now > Duration::ZERO),
                Some(Error::Denied(_)) => assert!(self.has_denied),
                Some(Error::Refused { .. }) => assert!(self.has_denied || other.is_edited),
                Some(error) => panic!("no reason for it: {error}"),
            }
        }
    }
}

impl Side {
    fn new(config: Config) -> Self {
        Self {
            connection: Connection::new(Arc::new(config)),
            under_way: Vec::new(),
            is_edited: false,
            is_asked: false,
            said: Vec::new(),
            said_octets: 0,
            heard: Vec::new(),
            error: None,
        }
    }

    fn says(&mut self, event: Event, octets: usize) {
        self.said.push(event);
        self.said_octets += octets + SEALED;
    }

    fn poll(&mut self, now: Duration, together: usize) {
        loop {
            while let Some(batch) = self.connection.poll_batch(together) {
                self.heard.extend(batch.map(Event::Message));
            }
            match self.connection.poll_event(now) {
                Ok(None) | Err(Error::Closed) => break,
                Ok(Some(Event::Credentials(_))) => self.is_asked = true,
                Ok(Some(Event::Ready(_))) => assert!(self.connection.peer().is_some()),
                Ok(Some(event)) => self.heard.push(event),
                Err(error) => self.ends(error),
            }
        }
    }

    fn ends(&mut self, error: Error) {
        assert_eq!(self.error.replace(error), None, "it ends but once");
        self.is_asked = false;
    }

    /// Advances the time to `now`: the connection does what is due, and nothing before its time.
    fn tick(&mut self, now: Duration) {
        let is_due = self.connection.deadline().is_some_and(|deadline| deadline <= now);
        let before = self.connection.output().len();
        match self.connection.handle_timeout(now) {
            Ok(()) if is_due => {
                let next = self.connection.deadline();
                assert!(next.is_none_or(|next| next > now), "{next:?} at {now:?}");
            }
            Ok(()) => assert_eq!(self.connection.output().len(), before, "before its time"),
            Err(error) => {
                assert!(is_due, "before its time: {error}");
                self.ends(error);
            }
        }
    }

    fn check(&mut self, now: Duration) {
        assert_eq!(self.connection.is_closed(), self.error.is_some());
        let waiting = self.connection.output().len();
        assert!(waiting <= OURS + self.said_octets, "{waiting} octets wait to be written");
        let input = self.connection.input().len();
        assert!(self.is_asked || input <= FRAME, "{input} octets lie there undecoded");
        let hint = self.connection.read_hint();
        assert!(hint <= FRAME, "a hint of {hint}");
        let deadline = self.connection.deadline();
        assert!(deadline.is_none_or(|deadline| deadline > now), "{deadline:?} at {now:?}");
    }

    /// After the end, no call makes a difference.
    fn stays_closed(&mut self, now: Duration) {
        if self.error.is_none() {
            return;
        }
        let connection = &mut self.connection;
        let output = connection.output().clone();
        connection.receive(now, b"\x04\x07\x04PING\0\x01\0\x01a");
        connection.authorize(now, Ok(Allowed::new()));
        assert_eq!(connection.send(&Message::from("a")), Err(NotReady));
        let wish = Subscription::Subscribe(Bytes::new());
        assert_eq!(connection.subscribe(&wish), Err(NotReady));
        connection.resume_reading(now);
        assert_eq!(connection.handle_timeout(now + Duration::from_secs(3600)), Ok(()));
        assert_eq!(connection.poll_event(now), Err(Error::Closed));
        assert!(connection.poll_batch(usize::MAX).is_none());
        assert!(connection.is_closed() && connection.peer().is_none());
        assert_eq!((connection.deadline(), connection.input().len()), (None, 0));
        assert_eq!(*connection.output(), output, "it says nothing more");
    }
}

/// A topic of up to seven octets.
fn topic(more: u8, script: &mut Script<'_>) -> Bytes {
    Bytes::copy_from_slice(script.take(usize::from(more & 7)))
}

/// Every kind of edit has an instruction of its own.
const _: () = assert!(9 + EDITS == 16);
