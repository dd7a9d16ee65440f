//! Two connections against each other, on virtual time.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use zmtp_codec::{
    Allowed, Config, Connection, Credentials, Denial, Error, Event, Heartbeat, Mechanism,
    MechanismName, Message, Mismatch, NotReady, ProtocolError, SocketType, Subscription, Timeout,
    Version,
};

use crate::wire::{NULL_3_0, NULL_3_1, OUR_NULL_3_1, PING, PLAIN_3_1, READY_PUB, READY_SUB};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Two connections and the wires between them; `a` is 0, `b` is 1.
struct Pair {
    sides: [Connection; 2],
    events: [Vec<Event>; 2],
    errors: [Option<Error>; 2],
    /// Whether the wire of this side is cut: octets that it writes meanwhile are lost.
    cut: [bool; 2],
    /// A side that is paused leaves on the wire what was sent to it.
    paused: [bool; 2],
    waiting: [BytesMut; 2],
    now: Duration,
}

impl Pair {
    fn new(a: Config, b: Config) -> Self {
        let mut pair = Self {
            sides: [a, b].map(|config| Connection::new(Arc::new(config))),
            events: Default::default(),
            errors: Default::default(),
            cut: [false; 2],
            paused: [false; 2],
            waiting: Default::default(),
            now: Duration::ZERO,
        };
        pair.settle();
        pair
    }

    /// Carries octets until nobody has anything more to say.
    fn settle(&mut self) {
        let mut busy = true;
        while busy {
            busy = false;
            for (from, to) in [(0, 1), (1, 0)] {
                let written = self.sides[from].output().split();
                if !self.cut[from] {
                    self.waiting[to].unsplit(written);
                }
                if self.paused[to] || self.waiting[to].is_empty() {
                    continue;
                }
                busy = true;
                let octets = self.waiting[to].split();
                self.sides[to].receive(self.now, &octets);
                self.poll(to);
            }
        }
    }

    fn poll(&mut self, side: usize) {
        loop {
            match self.sides[side].poll_event(self.now) {
                Ok(None) | Err(Error::Closed) => break,
                Ok(Some(event)) => self.events[side].push(event),
                Err(error) => assert_eq!(self.errors[side].replace(error), None),
            }
        }
    }

    /// Lets time pass, from deadline to deadline.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let next = self.sides.iter().filter_map(Connection::deadline).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            for side in 0..2 {
                if let Err(error) = self.sides[side].handle_timeout(self.now) {
                    assert_eq!(self.errors[side].replace(error), None);
                }
            }
            self.settle();
        }
        self.now = end;
    }

    fn resume(&mut self, side: usize) {
        self.paused[side] = false;
        self.sides[side].resume_reading(self.now);
        self.settle();
    }

    fn pause(&mut self, side: usize) {
        self.paused[side] = true;
        self.sides[side].pause_reading();
    }

    fn both_in_traffic(&self) -> bool {
        self.sides.iter().all(Connection::is_traffic)
    }

    fn alive(&self) -> bool {
        self.both_in_traffic() && self.errors == [None, None]
    }
}

fn publisher() -> Config {
    Config::new(SocketType::Pub)
}

fn subscriber() -> Config {
    Config::new(SocketType::Sub)
}

fn beating(config: Config, interval: u64, timeout: u64, ttl: u64) -> Config {
    let heartbeat = Heartbeat::every(ms(interval)).with_timeout(ms(timeout)).with_ttl(ms(ttl));
    Config { heartbeat: Some(heartbeat), ..config }
}

fn plain_client() -> Config {
    let mechanism = Mechanism::PlainClient { username: "u".into(), password: "p".into() };
    Config { mechanism, ..subscriber() }
}

fn plain_server() -> Config {
    Config { mechanism: Mechanism::PlainServer, ..publisher() }
}

#[test]
fn every_pair_of_versions_subscribes_and_publishes() {
    for (ours, theirs) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let version = |minor| Version { major: 3, minor };
        let mut pair = Pair::new(
            Config { version: version(ours), ..publisher() },
            Config { version: version(theirs), ..subscriber() },
        );
        assert!(pair.both_in_traffic());
        assert_eq!(pair.sides[0].peer().unwrap().version, version(theirs));
        assert_eq!(pair.sides[1].peer().unwrap().socket_type, Some(SocketType::Pub));

        let wish = Subscription::Subscribe("10001".into());
        pair.sides[1].subscribe(&wish).unwrap();
        // The command is for those who both know ZMTP 3.1.
        let written = pair.sides[1].output().clone();
        let command = written.starts_with(b"\x04\x0F\x09SUBSCRIBE10001");
        assert_eq!(command, ours == 1 && theirs == 1);
        assert_eq!(written.starts_with(b"\x00\x06\x0110001"), !command);
        pair.settle();
        assert_eq!(pair.events[0].last(), Some(&Event::Subscription(wish)));

        let message = Message::multipart(["10001", "17"]).unwrap();
        pair.sides[0].send(&message).unwrap();
        pair.settle();
        assert_eq!(pair.events[1].last(), Some(&Event::Message(message)));
    }
}

#[test]
fn the_signature_goes_first_and_the_rest_when_the_peers_has_come() {
    for cut in 0..=NULL_3_1.len() {
        let config = Config { signature_first: true, ..publisher() };
        let mut connection = Connection::new(Arc::new(config));
        assert_eq!(&connection.output().split()[..], b"\xFF\0\0\0\0\0\0\0\x01\x7F");
        let mut rest = Vec::new();
        for piece in [&NULL_3_1[..cut], &NULL_3_1[cut..]] {
            connection.receive(ms(0), piece);
            rest.extend_from_slice(&connection.output().split());
            assert_eq!(rest.is_empty(), piece == &NULL_3_1[..cut] && cut < 10, "cut at {cut}");
        }
        assert_eq!(rest, &OUR_NULL_3_1[10..], "cut at {cut}");
    }
}

#[test]
fn without_heartbeats_nothing_is_due_after_the_handshake() {
    let pair = Pair::new(publisher(), subscriber());
    assert!(pair.sides.iter().all(|side| side.deadline().is_none()));
}

#[test]
fn heartbeats_keep_an_idle_pair_alive() {
    for b in [subscriber(), beating(subscriber(), 300, 200, 1000)] {
        let mut pair = Pair::new(beating(publisher(), 1000, 500, 2000), b);
        pair.pass(Duration::from_secs(3600));
        assert!(pair.alive(), "{:?}", pair.errors);
        assert_eq!(pair.events[0].len(), 1, "Ready, and no more");
    }
}

#[test]
fn a_peer_that_vanishes_is_missed_one_timeout_after_a_ping() {
    let mut pair = Pair::new(beating(publisher(), 1000, 700, 0), subscriber());
    pair.pass(ms(1500));
    pair.cut = [true, true];
    pair.pass(ms(1199));
    assert!(pair.alive());
    pair.pass(ms(1));
    assert_eq!(pair.now, ms(2700), "a PING at 1,000 was answered, the one at 2,000 was not");
    assert_eq!(pair.errors, [Some(Error::Timeout(Timeout::Heartbeat)), None]);
    assert!(pair.sides[0].is_closed());
}

#[test]
fn a_timeout_longer_than_the_interval_runs_from_the_first_unanswered_ping() {
    let mut pair = Pair::new(beating(publisher(), 1000, 2500, 0), subscriber());
    pair.cut[1] = true;
    pair.pass(ms(3499));
    assert!(pair.alive());
    pair.pass(ms(1));
    assert_eq!(pair.errors[0], Some(Error::Timeout(Timeout::Heartbeat)));
}

#[test]
fn the_peers_time_to_live_is_honoured() {
    let mut pair = Pair::new(beating(publisher(), 1000, 9000, 1500), subscriber());
    pair.pass(ms(1000));
    pair.cut[0] = true;
    pair.pass(ms(1499));
    assert!(pair.alive());
    pair.pass(ms(1));
    assert_eq!(pair.errors, [None, Some(Error::Timeout(Timeout::PeerTtl))]);
}

#[test]
fn any_octet_is_a_sign_of_life_also_in_a_long_frame() {
    let mut connection = Connection::new(Arc::new(beating(subscriber(), 1000, 500, 0)));
    let mut now = Duration::ZERO;
    connection.receive(now, &[NULL_3_1, READY_PUB, b"\x04\x07\x04PING\0\x0A"].concat());
    assert!(matches!(connection.poll_event(now), Ok(Some(Event::Ready(_)))));
    connection.receive(now, b"\x02\0\0\0\0\0\x01\0\0");
    for _ in 0..1000 {
        assert_eq!(connection.poll_event(now), Ok(None));
        now += ms(400);
        connection.receive(now, b"x");
        assert_eq!(connection.handle_timeout(now), Ok(()));
    }
}

#[test]
fn a_peers_time_to_live_runs_from_its_ping_and_any_octet_cancels_it() {
    const PING_1S: &[u8] = b"\x04\x07\x04PING\0\x0A";
    let fresh = || {
        let mut connection = Connection::new(Arc::new(subscriber()));
        connection.receive(ms(0), &[NULL_3_1, READY_PUB].concat());
        assert!(matches!(connection.poll_event(ms(0)), Ok(Some(Event::Ready(_)))));
        connection
    };
    // Nothing comes.
    let mut connection = fresh();
    connection.receive(ms(5), PING_1S);
    assert_eq!(connection.poll_event(ms(5)), Ok(None));
    assert_eq!(connection.handle_timeout(ms(1004)), Ok(()));
    assert_eq!(connection.handle_timeout(ms(1005)), Err(Error::Timeout(Timeout::PeerTtl)));
    assert_eq!(connection.handle_timeout(ms(1005)), Ok(()), "an error is given once");

    // One octet comes, be it later or with the PING; the peer may then rest for as long as it likes.
    for cut in 0..=PING_1S.len() + 1 {
        let mut connection = fresh();
        let octets = [PING_1S, b"\x00"].concat();
        for read in [&octets[..cut], &octets[cut..]] {
            connection.receive(ms(5), read);
            assert_eq!(connection.poll_event(ms(5)), Ok(None));
        }
        assert_eq!(connection.deadline(), None, "cut at {cut}");
    }
    // Until it promises again.
    let mut connection = fresh();
    connection.receive(ms(5), &[PING_1S, b"\x00\x00", PING_1S].concat());
    assert!(matches!(connection.poll_event(ms(5)), Ok(Some(Event::Message(_)))));
    assert_eq!(connection.poll_event(ms(5)), Ok(None));
    assert_eq!(connection.deadline(), Some(ms(1005)));
}

#[test]
fn no_ping_is_sent_where_either_side_announces_3_0() {
    for (ours, theirs) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let version = |minor| Version { major: 3, minor };
        let mut pair = Pair::new(
            Config { version: version(ours), ..beating(publisher(), 1000, 500, 0) },
            Config { version: version(theirs), ..subscriber() },
        );
        let both = ours == 1 && theirs == 1;
        assert_eq!(pair.sides[0].sends_heartbeats(), both, "{ours} and {theirs}");
        assert!(!pair.sides[1].sends_heartbeats());
        // A peer that takes 3.0 by its word need not answer.
        pair.cut = [true; 2];
        pair.pass(Duration::from_secs(60));
        assert_eq!(pair.alive(), !both);
    }
}

#[test]
fn a_last_ping_without_a_time_to_live_lifts_the_limit() {
    let mut connection = Connection::new(Arc::new(subscriber()));
    let now = Duration::ZERO;
    connection.receive(now, &[NULL_3_1, READY_PUB, b"\x04\x07\x04PING\0\x0A"].concat());
    while connection.poll_event(now).unwrap().is_some() {}
    assert_eq!(connection.deadline(), Some(ms(1000)));
    connection.receive(ms(10), PING);
    assert_eq!(connection.poll_event(ms(10)), Ok(None));
    assert_eq!(connection.deadline(), None);
}

#[test]
fn silence_proves_nothing_while_reading_is_paused() {
    let mut pair =
        Pair::new(beating(publisher(), 1000, 500, 1500), beating(subscriber(), 1000, 500, 1500));
    pair.pass(ms(1000));
    pair.pause(0);
    pair.pause(1);
    pair.pass(Duration::from_secs(60));
    assert!(pair.alive(), "{:?}", pair.errors);
    assert!(pair.waiting[0].len() >= 60 * PING.len(), "PINGs go on, as signs of life");
    pair.resume(0);
    pair.resume(1);
    pair.pass(Duration::from_secs(60));
    assert!(pair.alive(), "{:?}", pair.errors);

    // The deadline that was suspended starts anew, and does pass.
    pair.pause(0);
    pair.cut = [true, true];
    pair.pass(Duration::from_secs(60));
    assert_eq!(pair.errors[0], None);
    let resumed = pair.now;
    pair.resume(0);
    assert_eq!(pair.sides[0].deadline(), Some(resumed + ms(500)));
    pair.pass(ms(500));
    assert_eq!(pair.errors[0], Some(Error::Timeout(Timeout::Heartbeat)));
}

#[test]
fn a_peer_of_3_0_is_sent_no_ping_but_its_own_are_answered() {
    let mut connection = Connection::new(Arc::new(beating(subscriber(), 1000, 500, 0)));
    let now = Duration::ZERO;
    connection.receive(now, &[NULL_3_0, READY_PUB].concat());
    assert!(matches!(connection.poll_event(now), Ok(Some(Event::Ready(_)))));
    assert_eq!(connection.deadline(), None);
    connection.output().clear();
    connection.receive(now, PING);
    assert_eq!(connection.poll_event(now), Ok(None));
    assert_eq!(&connection.output()[..], b"\x04\x05\x04PONG");
}

#[test]
fn a_ping_never_carries_more_than_655_tenths() {
    let mut connection = Connection::new(Arc::new(beating(subscriber(), 1000, 500, 3_600_000)));
    connection.receive(ms(0), &[NULL_3_1, READY_PUB].concat());
    assert!(matches!(connection.poll_event(ms(0)), Ok(Some(Event::Ready(_)))));
    connection.output().clear();
    assert_eq!(connection.handle_timeout(ms(999)), Ok(()));
    assert!(connection.output().is_empty(), "before the deadline nothing happens");
    assert_eq!(connection.handle_timeout(ms(1000)), Ok(()));
    assert_eq!(&connection.output()[..], b"\x04\x07\x04PING\x02\x8F");
}

#[test]
fn a_ping_is_not_heaped_on_what_the_peer_does_not_take() {
    // A PING that was not sent is not to be answered.
    for (waiting, pings, then) in [(60_000, PING.len(), 1600), (70_000, 0, 2000)] {
        let mut connection = Connection::new(Arc::new(beating(publisher(), 1000, 500, 0)));
        connection.receive(ms(0), &[NULL_3_1, READY_SUB].concat());
        assert!(matches!(connection.poll_event(ms(0)), Ok(Some(Event::Ready(_)))));
        connection.send(&vec![0; waiting].into()).unwrap();
        let before = connection.output().len();
        assert_eq!(connection.handle_timeout(ms(1000)), Ok(()));
        assert_eq!(connection.output().len(), before + pings);
        assert_eq!(connection.deadline(), Some(ms(1500)), "its silence counts all the same");
        connection.output().clear();
        connection.handle_output(ms(1100));
        assert_eq!(connection.deadline(), Some(ms(then)));
    }
}

#[test]
fn nothing_arrived_is_no_sign_of_life() {
    let mut connection = Connection::new(Arc::new(beating(publisher(), 1000, 500, 0)));
    connection.receive(ms(0), &[NULL_3_1, READY_SUB].concat());
    assert!(matches!(connection.poll_event(ms(0)), Ok(Some(Event::Ready(_)))));
    assert_eq!(connection.handle_timeout(ms(1000)), Ok(()));
    connection.handle_input(ms(1200), 0);
    assert_eq!(connection.deadline(), Some(ms(1500)));
    connection.handle_input(ms(1200), 1);
    assert_eq!(connection.deadline(), Some(ms(2000)));
}

#[test]
fn what_is_sent_before_the_handshake_or_after_the_end_is_refused() {
    let mut connection = Connection::new(Arc::new(publisher()));
    let greeting = connection.output().split();
    for octets in [&NULL_3_1[..32], &NULL_3_1[32..]] {
        let mut out = BytesMut::new();
        assert_eq!(connection.send(&Message::from("early")), Err(NotReady));
        assert_eq!(connection.subscribe(&Subscription::Cancel("".into())), Err(NotReady));
        assert_eq!(connection.seal([&b"\x00\x00"[..]], &mut out), Err(NotReady));
        assert!(connection.output().is_empty() && out.is_empty());
        connection.receive(ms(0), octets);
        assert_eq!(connection.poll_event(ms(0)), Ok(None));
        connection.output().clear();
    }
    assert_eq!(greeting.len(), 64);
    connection.receive(ms(0), READY_SUB);
    assert!(matches!(connection.poll_event(ms(0)), Ok(Some(Event::Ready(_)))));
    assert_eq!(connection.send(&Message::from("now")), Ok(()));
    connection.close("");
    assert_eq!(connection.send(&Message::from("late")), Err(NotReady));
}

#[test]
fn a_peer_that_hangs_up_has_said_all_or_was_cut_off() {
    let ready = [NULL_3_1, READY_PUB].concat();
    let cut = |waiting| Err(Error::CutOff { waiting });
    type Row<'a> = (&'a [u8], &'a [u8], Result<(), Error>);
    let rows: [Row<'_>; 7] = [
        (b"", b"", cut(0)),
        (&NULL_3_1[..10], b"", cut(10)),
        (NULL_3_1, b"", cut(0)),
        (&ready, b"", Ok(())),
        (&ready, b"\x00\x01A", Ok(())),
        (&ready, b"\x00\x02A", cut(3)),
        (&ready, b"\x01\x01A", cut(0)),
    ];
    for (opening, traffic, outcome) in rows {
        let mut connection = Connection::new(Arc::new(subscriber()));
        connection.receive(ms(0), &[opening, traffic].concat());
        while connection.poll_event(ms(0)).unwrap().is_some() {}
        assert_eq!(connection.handle_eof(), outcome, "{}", traffic.escape_ascii());
        assert!(connection.is_closed());
        assert_eq!(connection.poll_event(ms(0)), Err(Error::Closed));
        assert_eq!(connection.handle_eof(), Ok(()), "it had ended before");
    }
}

#[test]
fn a_connection_that_is_closed_says_why_with_error() {
    let mut pair = Pair::new(publisher(), subscriber());
    pair.sides[0].close("500");
    assert_eq!(&pair.sides[0].output()[..], b"\x04\x0A\x05ERROR\x03500");
    pair.settle();
    assert_eq!(pair.errors, [None, Some(Error::Refused { reason: "500".into() })]);
    pair.sides[0].close("again");
    assert!(pair.sides[0].output().is_empty());

    #[cfg(feature = "curve")]
    {
        let mut client = Connection::new(Arc::new(crate::curve::client()));
        client.output().clear();
        client.close("a client of CURVE says nothing");
        assert!(client.output().is_empty() && client.is_closed());
        let mut server = crate::curve::server_in_traffic();
        server.close("nor is anything said in clear");
        assert!(server.output().is_empty() && server.is_closed());
    }
}

#[test]
fn a_handshake_must_be_over_in_time() {
    let mut pair = Pair {
        cut: [true; 2],
        sides: [publisher(), subscriber()].map(|config| Connection::new(Arc::new(config))),
        ..Pair::new(publisher(), subscriber())
    };
    pair.settle();
    pair.pass(ms(29_999));
    assert_eq!(pair.errors, [None, None]);
    pair.pass(ms(1));
    let timeout = Some(Error::Timeout(Timeout::Handshake));
    assert_eq!(pair.errors, [timeout.clone(), timeout]);
    assert!(pair.sides.iter().all(|side| side.deadline().is_none()));
    let mut patient = Connection::new(Arc::new(Config { handshake_timeout: None, ..subscriber() }));
    assert_eq!(patient.deadline(), None);
    assert_eq!(patient.handle_timeout(Duration::MAX), Ok(()));
}

#[test]
fn two_servers_or_two_clients_part_at_once() {
    let plain = MechanismName::PLAIN;
    let two = |mechanism| Error::Mismatch(Mismatch::TwoServers { mechanism });
    let (command, expected) = ("HELLO".into(), "WELCOME");
    let hello = Error::Protocol(ProtocolError::Unexpected { command, expected });
    let rows = [
        (plain_server(), plain_server(), two(plain)),
        (plain_client(), plain_client(), hello.clone()),
        #[cfg(feature = "curve")]
        (crate::curve::server(), crate::curve::server(), two(MechanismName::CURVE)),
        #[cfg(feature = "curve")]
        (crate::curve::client(), crate::curve::client(), hello),
    ];
    for (a, b, error) in rows {
        let pair = Pair::new(a, b);
        assert_eq!(pair.errors, [Some(error.clone()), Some(error)]);
    }
}

#[test]
fn a_server_need_not_say_that_it_is_one_and_saying_so_means_nothing_under_null() {
    let mut connection = Connection::new(Arc::new(plain_server()));
    connection.receive(ms(0), PLAIN_3_1);
    assert_eq!(connection.poll_event(ms(0)), Ok(None), "as libzmq's greetings are");
    let mut connection = Connection::new(Arc::new(publisher()));
    connection.receive(ms(0), &[NULL_3_0, READY_SUB].concat());
    assert!(matches!(connection.poll_event(ms(0)), Ok(Some(Event::Ready(_)))), "as rzmq's are");
}

#[test]
fn an_identity_is_held_to_its_rules() {
    let property = |value: &[u8]| {
        let size = u32::try_from(value.len()).unwrap().to_be_bytes();
        [b"\x08Identity", &size[..], value].concat()
    };
    // The first one counts, but none may break the rules.
    let twice = [property(b"me"), property(b"\0me")].concat();
    let rows = [
        (property(b""), true),
        (property(b"m\0"), true),
        (property(&[0xFF; 255]), true),
        (property(&[1; 256]), false),
        (property(b"\0"), false),
        (twice, false),
        (property(b"\0me").to_ascii_uppercase(), false),
    ];
    for (properties, legal) in rows {
        let mut connection = Connection::new(Arc::new(Config::new(SocketType::Router)));
        let size = u64::try_from(6 + properties.len()).unwrap().to_be_bytes();
        let ready = [&b"\x06"[..], &size, b"\x05READY", &properties].concat();
        connection.receive(ms(0), &[NULL_3_1, &ready].concat());
        let outcome = connection.poll_event(ms(0));
        if legal {
            assert!(matches!(outcome, Ok(Some(Event::Ready(_)))), "{outcome:?}");
            continue;
        }
        let Err(Error::Protocol(error @ ProtocolError::Metadata { .. })) = outcome else {
            panic!("{outcome:?}")
        };
        assert!(error.to_string().contains("Identity"), "{error}");
    }
}

#[test]
fn credentials_are_judged_by_the_caller() {
    let mut pair = Pair::new(plain_server(), plain_client());
    let [Event::Credentials(applicant)] = &pair.events[0][..] else { panic!() };
    let claimed = Credentials::Plain { username: "u".into(), password: "p".into() };
    assert_eq!(applicant.credentials, claimed);
    assert!(!pair.both_in_traffic());
    pair.sides[0].authorize(pair.now, Ok(Allowed::new()));
    pair.settle();
    assert!(pair.alive());
    // Once is enough.
    pair.sides[0].authorize(pair.now, Err(Denial::refused("late")));
    pair.settle();
    assert!(pair.alive());
}

fn judging() -> Config {
    Config { authenticate_null: true, ..publisher() }
}

#[test]
fn a_null_peer_is_judged_before_it_hears_more_than_a_greeting() {
    let mut pair = Pair::new(judging(), subscriber());
    assert_eq!(pair.events[0], [Event::Credentials(Box::new(Credentials::Null.into()))]);
    assert!(!pair.both_in_traffic(), "the peer waits for our READY");
    pair.sides[0].authorize(pair.now, Ok(Allowed::new().user_id("ann")));
    // The peer's READY has waited for the verdict.
    pair.poll(0);
    pair.settle();
    assert!(pair.alive());
    let peer = pair.sides[0].peer().unwrap();
    assert_eq!((peer.allowed.user_id.as_deref(), &peer.username), (Some(&b"ann"[..]), &None));
}

#[test]
fn what_the_verdict_says_of_a_plain_client_is_kept() {
    let mut pair = Pair::new(plain_server(), plain_client());
    pair.sides[0].authorize(pair.now, Ok(Allowed::new().user_id("7")));
    pair.settle();
    let peer = pair.sides[0].peer().unwrap();
    assert_eq!(peer.username.as_deref(), Some(&b"u"[..]));
    assert_eq!(peer.allowed, Allowed::new().user_id("7"));
    assert_eq!(pair.sides[1].peer().unwrap().allowed, Allowed::new());
}

#[cfg(feature = "curve")]
#[test]
fn a_curve_pair_talks_and_lives_on_heartbeats() {
    let server = beating(crate::curve::server(), 1000, 500, 2000);
    let mut pair = Pair::new(server, crate::curve::client());
    assert!(matches!(pair.events[0][..], [Event::Credentials(_)]));
    pair.sides[0].authorize(pair.now, Ok(Allowed::new()));
    // The handshake is over on our side only when its event is taken.
    pair.poll(0);
    pair.settle();
    assert!(pair.alive(), "{:?}", pair.errors);
    let wish = Subscription::Subscribe("10001".into());
    pair.sides[1].subscribe(&wish).unwrap();
    pair.settle();
    assert_eq!(pair.events[0].last(), Some(&Event::Subscription(wish)));
    pair.pass(Duration::from_secs(600));
    assert!(pair.alive(), "{:?}", pair.errors);
    pair.sides[0].send(&Message::from("10001 17")).unwrap();
    pair.settle();
    assert_eq!(pair.events[1].last(), Some(&Event::Message("10001 17".into())));
}

#[cfg(feature = "curve")]
#[test]
fn a_client_of_another_server_ends_its_own_connection_alone() {
    let keys = zmtp_codec::CurveKeyPair::generate().unwrap();
    let mechanism = Mechanism::CurveClient { server_key: keys.public(), keys };
    let mut pair = Pair::new(crate::curve::server(), Config { mechanism, ..subscriber() });
    let error = Error::Protocol(ProtocolError::BadBox { of: "HELLO" });
    assert_eq!(pair.errors, [Some(error), None]);
    pair.pass(Duration::from_secs(30));
    assert_eq!(pair.errors[1], Some(Error::Timeout(Timeout::Handshake)));
}

#[test]
fn a_denial_reaches_the_peer_as_its_status_and_a_temporary_one_not_at_all() {
    type Row = (fn(&str) -> Denial, &'static [u8], Option<&'static str>);
    let rows: [Row; 3] = [
        (|text| Denial::refused(text), b"\x04\x0A\x05ERROR\x03400", Some("400")),
        (|text| Denial::failed(text), b"\x04\x0A\x05ERROR\x03500", Some("500")),
        (|text| Denial::temporary(text), b"", None),
    ];
    let pairs = || {
        [
            (judging(), subscriber()),
            (plain_server(), plain_client()),
            #[cfg(feature = "curve")]
            (crate::curve::server(), crate::curve::client()),
        ]
    };
    for (denial, told, reason) in rows {
        for (server, client) in pairs() {
            let mut pair = Pair::new(server, client);
            let denial = denial("a text for us alone");
            pair.sides[0].authorize(pair.now, Err(denial.clone()));
            pair.poll(0);
            assert_eq!(pair.sides[0].output()[..], *told, "{denial}");
            assert!(pair.sides[0].is_closed());
            pair.settle();
            let refused = reason.map(|reason| Error::Refused { reason: reason.into() });
            assert_eq!(pair.errors, [Some(Error::Denied(denial)), refused]);
        }
    }
}

#[test]
fn a_verdict_after_the_deadline_changes_nothing() {
    let mut pair = Pair::new(plain_server(), plain_client());
    pair.sides[0].authorize(ms(30_000), Ok(Allowed::new()));
    assert!(pair.sides[0].output().is_empty());
    let timeout = Err(Error::Timeout(Timeout::Handshake));
    assert_eq!(pair.sides[0].handle_timeout(ms(30_000)), timeout);
}

#[test]
fn the_server_says_so_and_nobody_else() {
    let rows = [
        (publisher(), 0),
        (plain_client(), 0),
        (plain_server(), 1),
        #[cfg(feature = "curve")]
        (crate::curve::client(), 0),
        #[cfg(feature = "curve")]
        (crate::curve::server(), 1),
    ];
    for (config, as_server) in rows {
        let mut connection = Connection::new(Arc::new(config));
        assert_eq!(connection.output()[32], as_server);
    }
}

#[test]
fn sockets_that_do_not_fit_part_on_both_sides() {
    let pair = Pair::new(publisher(), Config::new(SocketType::Pull));
    let mismatch = |ours, theirs: &str| {
        Some(Error::Mismatch(Mismatch::SocketType { ours, theirs: theirs.into() }))
    };
    let expected = [mismatch(SocketType::Pub, "PULL"), mismatch(SocketType::Pull, "PUB")];
    assert_eq!(pair.errors, expected);
}

#[test]
fn what_is_appended_to_the_input_is_decoded() {
    let mut connection = Connection::new(Arc::new(publisher()));
    let octets = [NULL_3_1, READY_SUB].concat();
    connection.input().extend_from_slice(&octets);
    connection.handle_input(ms(0), octets.len());
    assert!(matches!(connection.poll_event(ms(0)), Ok(Some(Event::Ready(_)))));
    assert!(connection.input().is_empty());
}

#[test]
fn a_closed_connection_takes_and_gives_nothing() {
    let mut connection = Connection::new(Arc::new(subscriber()));
    connection.receive(ms(0), b"HTTP");
    assert!(connection.poll_event(ms(0)).is_err());
    connection.output().clear();
    connection.input().extend_from_slice(NULL_3_1);
    connection.handle_input(ms(0), NULL_3_1.len());
    assert!(connection.input().is_empty());
    connection.receive(ms(0), NULL_3_1);
    assert_eq!(connection.poll_event(ms(0)), Err(Error::Closed));
    assert_eq!(connection.send(&Message::from("x")), Err(NotReady));
    assert_eq!(connection.subscribe(&Subscription::Subscribe("x".into())), Err(NotReady));
    connection.authorize(ms(0), Ok(Allowed::new()));
    assert_eq!(connection.handle_timeout(Duration::MAX), Ok(()));
    assert!(connection.output().is_empty());
    assert!(connection.is_closed() && connection.peer().is_none());
}

#[test]
fn debug_shows_no_password() {
    let mut connection = Connection::new(Arc::new(Config {
        mechanism: Mechanism::PlainClient { username: "u".into(), password: "hush".into() },
        ..subscriber()
    }));
    connection.receive(ms(0), crate::wire::PLAIN_3_1);
    assert_eq!(connection.poll_event(ms(0)), Ok(None));
    assert!(connection.output().ends_with(b"\x04hush"));
    let shown = format!("{connection:?}");
    assert!(shown.contains("state: Handshake"));
    assert!(!shown.contains("hush"), "{shown}");
    let mechanisms = [plain_client(), plain_server(), publisher()].map(|config| config.mechanism);
    assert_eq!(format!("{mechanisms:?}"), "[PlainClient(\"u\", ***), PlainServer, Null]");
}
