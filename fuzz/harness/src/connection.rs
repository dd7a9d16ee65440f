use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use zmtp_codec::{
    Allowed, Command, Config, Connection, Denial, Error, Event, Greeting, Heartbeat, Limits,
    Mechanism, Message, Metadata, SocketType, Subscription, Version,
};

use crate::{
    curve_peer::{CurvePeer, frame, with_curve},
    script::Script,
};

/// A whole connection, against a peer that sends anything.
///
/// Instructions: one octet selects our configuration (see `Scene`). Each further one is either the
/// number of octets that arrive next, and they follow, or another step (see `with_a_clock`).
///
/// Events, error and output depend neither on how the octets are divided, nor on whether messages
/// are taken one by one or together. Room is made for at most twice of what has arrived. After each
/// deadline the connection has made progress.
pub fn connection(data: &[u8]) {
    let mut script = Script::new(data);
    let scene = Scene::new(script.octet());
    let script = script.rest();

    let mut chunks = vec![scene.prelude.as_slice()];
    let mut rest = Script::new(script);
    while !rest.is_over() {
        if let Step::Arrive(octets) = Step::next(&mut rest) {
            chunks.push(octets);
        }
    }
    let whole = chunks.concat();
    let at_once = scene.outcome(0, [whole.as_slice()]);
    assert_eq!(scene.outcome(2, [whole.as_slice()]), at_once);
    assert_eq!(scene.outcome(usize::MAX, chunks), at_once);
    assert_eq!(scene.outcome(1, whole.chunks(1)), at_once);
    with_a_clock(&scene, script);
}

/// Our configuration, and the octets of the peer before the fuzzer's.
struct Scene {
    config: Arc<Config>,
    prelude: Vec<u8>,
    grant: bool,
}

enum Step<'a> {
    Arrive(&'a [u8]),
    Pause,
    Resume,
    /// Time passes up to the next deadline.
    Wait,
    /// Time passes, but less than that.
    WaitLittle,
    /// The output has been written.
    Write,
    Send,
    Subscribe,
}

#[derive(Debug, PartialEq)]
struct Outcome {
    events: Vec<Event>,
    error: Option<Error>,
    output: BytesMut,
}

/// The output that a flood of PINGs may cause, and as much again for the last of them.
const ANSWERS: usize = 2 * 64 * 1024;

/// How many octets a box adds to a frame of ours.
const SEALED: usize = 42;

impl Scene {
    fn new(choice: u8) -> Self {
        let (socket_type, theirs) = match choice & 3 {
            0 => (SocketType::Pub, "SUB"),
            1 => (SocketType::Sub, "PUB"),
            2 => (SocketType::XPub, "XSUB"),
            _ => (SocketType::XSub, "XPUB"),
        };
        let (username, password) = (Bytes::from_static(b"user"), Bytes::from_static(b"secret"));
        let mechanism = match choice >> 2 & 3 {
            0 | 1 => Mechanism::Null,
            2 => Mechanism::PlainClient { username: username.clone(), password: password.clone() },
            _ => Mechanism::PlainServer,
        };
        let version = if choice >> 2 & 3 == 1 { Version::V3_0 } else { Version::V3_1 };
        // Low, so that the fuzzer reaches all of them.
        let limits = Limits::new()
            .with_message_size(600)
            .with_message_parts(5)
            .with_command_size(400)
            .with_handshake_frame_size(300);
        let heartbeat = (choice & 32 != 0)
            .then(|| Heartbeat::every(Duration::from_secs(1)).with_ttl(Duration::from_secs(3)));

        let grant = choice & 16 == 0;
        if choice & 192 == 128 {
            let config = Config { limits, heartbeat, ..Config::new(socket_type) };
            return Self::with_curve(config, choice & 4 != 0, choice & 8 != 0, theirs, grant);
        }
        let mut prelude = BytesMut::new();
        if choice & 64 != 0 {
            let greeting = Greeting { version, mechanism: mechanism.name(), as_server: false };
            prelude.extend_from_slice(&greeting.encode());
        }
        if choice & 192 == 192 {
            let metadata = Metadata::new().with("Socket-Type", theirs).expect("a good property");
            let (hello, initiate) =
                (Command::Hello { username, password }, Command::Initiate(metadata.clone()));
            let handshake = match mechanism {
                Mechanism::PlainClient { .. } => vec![Command::Welcome, Command::Ready(metadata)],
                Mechanism::PlainServer => vec![hello, initiate],
                _ => vec![Command::Ready(metadata)],
            };
            handshake.iter().for_each(|command| command.encode(&mut prelude));
        }

        let config = Config { version, mechanism, limits, heartbeat, ..Config::new(socket_type) };
        Self { config: Arc::new(config), prelude: prelude.to_vec(), grant }
    }

    /// The same with CURVE, after the greeting or after the handshake. The target `curve` tests the
    /// content of boxes.
    fn with_curve(
        config: Config,
        is_server: bool,
        is_ready: bool,
        theirs: &str,
        grant: bool,
    ) -> Self {
        let config = Arc::new(with_curve(config, is_server));
        let mut peer = CurvePeer::known(!is_server).of_type(theirs);
        let (version, mechanism) = (config.version, config.mechanism.name());
        let mut prelude = Greeting { version, mechanism, as_server: !is_server }.encode().to_vec();
        // The second command of the peer depends on our first.
        let mut connection = Connection::new(config.clone());
        connection.receive(Duration::ZERO, &prelude);
        for second in [false, true].into_iter().filter(|_| is_ready) {
            while let Ok(Some(_)) = connection.poll_event(Duration::ZERO) {}
            peer.hear(&connection.output().split());
            let inside = peer.inside(second, &peer.vouched());
            let command = frame(4, &peer.command(second, &inside));
            connection.receive(Duration::ZERO, &command);
            prelude.extend(command);
        }
        Self { config, prelude, grant }
    }

    /// The outcome of these octets, if up to `together` messages are taken at once.
    fn outcome<'a>(&self, together: usize, chunks: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
        let mut connection = Connection::new(self.config.clone());
        let mut outcome = Outcome { events: Vec::new(), error: None, output: BytesMut::new() };
        let mut arrived = 0;
        for chunk in chunks {
            arrived += chunk.len();
            connection.receive(Duration::ZERO, chunk);
            self.poll(&mut connection, Duration::ZERO, together, &mut outcome);
            let (room, hint) = (connection.input().capacity(), connection.read_hint());
            assert!(room <= 2 * arrived + 64, "room for {room} after {arrived}");
            assert!(hint <= arrived.max(64 * 1024), "a hint of {hint} after {arrived}");
        }
        outcome.output = connection.output().split();
        outcome
    }

    fn poll(
        &self,
        connection: &mut Connection,
        now: Duration,
        together: usize,
        outcome: &mut Outcome,
    ) {
        loop {
            while let Some(batch) = connection.poll_batch(together) {
                outcome.events.extend(batch.map(Event::Message));
            }
            match connection.poll_event(now) {
                Ok(None) | Err(Error::Closed) => break,
                Ok(Some(event)) => {
                    if let Event::Credentials(_) = event {
                        let denial = || Denial::refused("");
                        connection.authorize(now, self.grant.then(Allowed::new).ok_or_else(denial));
                    }
                    outcome.events.push(event);
                }
                Err(error) => {
                    assert_eq!(outcome.error.replace(error), None, "it ends but once");
                    assert!(connection.is_closed());
                }
            }
        }
        assert_eq!(connection.is_closed(), outcome.error.is_some());
    }
}

impl<'a> Step<'a> {
    fn next(script: &mut Script<'a>) -> Self {
        match script.octet() {
            0xF0 => Self::Pause,
            0xF1 => Self::Resume,
            0xF2 => Self::Wait,
            0xF3 => Self::WaitLittle,
            0xF4 => Self::Write,
            0xF5 => Self::Send,
            0xF6 => Self::Subscribe,
            len => Self::Arrive(script.take(usize::from(len))),
        }
    }
}

/// Runs the script again, with time that passes and with the caller's other calls.
fn with_a_clock(scene: &Scene, script: &[u8]) {
    let mut connection = Connection::new(scene.config.clone());
    let mut outcome = Outcome { events: Vec::new(), error: None, output: BytesMut::new() };
    let mut now = Duration::ZERO;
    let mut ours = 0;
    connection.receive(now, &scene.prelude);
    scene.poll(&mut connection, now, 1, &mut outcome);
    let mut script = Script::new(script);
    while !script.is_over() && outcome.error.is_none() {
        match Step::next(&mut script) {
            Step::Arrive(octets) => {
                connection.receive(now, octets);
                scene.poll(&mut connection, now, 1, &mut outcome);
            }
            Step::Pause => connection.pause_reading(),
            Step::Resume => connection.resume_reading(now),
            Step::Wait => {
                let Some(deadline) = connection.deadline() else { continue };
                now = now.max(deadline);
                match connection.handle_timeout(now) {
                    Ok(()) => assert!(connection.deadline().is_none_or(|next| next > now)),
                    Err(error) => outcome.error = Some(error),
                }
            }
            Step::WaitLittle => {
                now += Duration::from_millis(100);
                if connection.deadline().is_none_or(|deadline| now < deadline) {
                    assert_eq!(connection.handle_timeout(now), Ok(()), "before the deadline");
                }
            }
            Step::Write => connection.output().clear(),
            Step::Send if connection.is_traffic() => {
                connection.send(&Message::from("10001 20 50")).expect("in traffic");
                ours += 16 + SEALED;
            }
            Step::Subscribe if connection.is_traffic() => {
                connection
                    .subscribe(&Subscription::Subscribe(Bytes::from_static(b"10001")))
                    .expect("in traffic");
                ours += 32 + SEALED;
            }
            Step::Send | Step::Subscribe => {}
        }
        let waiting = connection.output().len();
        assert!(waiting <= ANSWERS + ours, "{waiting} octets wait to be written");
        assert_eq!(connection.is_closed(), outcome.error.is_some());
    }
}
