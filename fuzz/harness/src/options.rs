use std::{
    future::ready,
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::time::{sleep, timeout};
use zmtp_socket::{
    Allowed, BindError, ConfigError, Configured, ConnectError, Context, Credentials, Duplicates,
    EndpointOptions, Heartbeat, HighWaterMark, Keepalive, Linger, Message, Options, PlainUsers,
    PubHandle, PubOptions, Reconnect, Request, SubHandle, SubOptions, Verbosity, Version, WhenFull,
    XPubOptions, XPubSocket, XSubOptions, XSubSocket, allow_keys,
    kind::{Kind, Publishes, ReceivesMessages},
    simulation::Network,
};

use crate::{
    cast::keys,
    family::{Either, Subscriber},
    script::Script,
    stage::{play, within},
};

/// A publisher and a subscriber with any options, set in any order.
///
/// Instructions: one octet selects where the sockets meet, which comes first and which are an XPUB
/// or XSUB (see `meet`). For each socket, one says how many of its options are set, each by one
/// octet and one for each of its values. The endpoint of each follows in the same way.
///
/// Nothing panics or spins, and the sockets close in time. Messages arrive, unless an option may
/// prevent that.
pub fn options(data: &[u8]) {
    play(meet(Script::new(data)));
}

/// How long to wait for a peer and for a message.
const LITTLE: Duration = Duration::from_millis(500);

/// Longer than a socket takes to close.
const PATIENCE: Duration = Duration::from_secs(100);

/// A socket that dials this often in these few seconds dials without a pause.
const DIALS: u32 = 20_000;

/// The first [`HARMLESS`] values prevent nothing; those at the edge may.
const HARMLESS: usize = 4;
const DURATIONS: [Duration; 8] = [
    Duration::from_secs(1),
    Duration::from_secs(30),
    Duration::from_millis(600),
    Duration::from_secs(3600),
    Duration::ZERO,
    Duration::from_nanos(1),
    Duration::from_millis(1),
    Duration::MAX,
];
const NUMBERS: [usize; 8] = [1000, 4096, 1 << 20, 255, 0, 1, 2, usize::MAX];

/// The first message of an XPUB. An XSUB does not filter, and receives it.
const WELCOME: &str = "welcome";

async fn meet(mut script: Script<'_>) {
    let choice = script.octet();
    let unchanged = Flaws { is_curve: choice & 16 != 0, ..Flaws::default() };
    let mut draw = Draw { script, is_harmless: true, flaws: unchanged };
    let dials = Arc::new(AtomicU32::new(0));
    let context = Context::simulated(Counting(dials.clone()), 1);
    let xpub = (choice & 32 != 0).then(|| {
        let options = secured(choice, XPubOptions::new());
        let options = draw.publishing(options);
        context.xpub_socket(draw.hearing(options))
    });
    let plain = xpub.is_none().then(|| {
        let options = secured(choice, PubOptions::new());
        context.pub_socket(draw.publishing(options))
    });
    let publisher = match (&xpub, &plain) {
        (Some(xpub), _) => xpub.handle().into(),
        (_, plain) => plain.as_ref().expect("one of the two is there").handle(),
    };
    let client = Flaws { is_client: choice & 24 != 0, ..unchanged };
    let of_publisher = std::mem::replace(&mut draw.flaws, client);
    let mut subscriber = match choice & 64 {
        0 => {
            let options = let_in(choice, SubOptions::new());
            Subscriber::sub(&context, draw.subscribing(options))
        }
        _ => {
            let options = let_in(choice, XSubOptions::new());
            let options = draw.subscribing(options);
            Subscriber::xsub(&context, draw.asking(options))
        }
    };
    let of_subscriber = draw.flaws;
    subscriber.subscribe("topic");

    let place = if choice & 1 == 0 { "mem://place" } else { "inproc://place" };
    let changes = (draw.script.octet() % 4, draw.script.octet() % 4);
    let flaws = match choice & 2 {
        0 => (of_publisher, of_subscriber),
        _ => (of_subscriber, of_publisher),
    };
    for step in if choice & 4 == 0 { [0, 1] } else { [1, 0] } {
        if step == 0 {
            draw.flaws = flaws.0;
            bind(&mut draw, changes.0, choice, place, &publisher, &subscriber).await;
        } else {
            draw.flaws = flaws.1;
            connect(&mut draw, changes.1, choice, place, &publisher, &subscriber);
        }
        sleep(Duration::from_millis(1)).await;
    }
    exchange(&draw, &publisher, &mut subscriber).await;
    if let (Some(mut xpub), Either::XSub(xsub)) = (xpub, &subscriber.socket) {
        talk(&draw, &mut xpub, xsub).await;
    }

    let (_, _) = (publisher.stats(), subscriber.stats());
    within(PATIENCE, "the end of the subscriber", subscriber.close()).await;
    within(PATIENCE, "the end of the publisher", publisher.close()).await;
    let dials = dials.load(Ordering::Relaxed);
    assert!(dials < DIALS, "{dials} attempts to connect, without a pause");
}

/// A publisher that asks for credentials, if `choice` says so.
fn secured<T: Configured>(choice: u8, options: Options<T>) -> Options<T> {
    match choice & 24 {
        0 => options,
        8 => options.plain_server(PlainUsers::new().user("user", "secret")),
        _ => options.curve_server(keys(1)),
    }
}

/// A subscriber with those credentials.
fn let_in<T: Configured>(choice: u8, options: Options<T>) -> Options<T> {
    match choice & 24 {
        0 => options,
        8 => options.plain_client("user", "secret"),
        _ => options.curve_client(keys(1).public(), keys(3)),
    }
}

/// Binds one of the two sockets, with this many changes for the endpoint.
async fn bind(
    draw: &mut Draw<'_>,
    changes: u8,
    choice: u8,
    place: &str,
    publisher: &PubHandle,
    subscriber: &SubHandle,
) {
    let bound = match (choice & 2, changes) {
        (0, 0) => publisher.bind(place).await,
        (0, _) => publisher.bind_with(place, |options| draw.changes(changes, options)).await,
        (_, 0) => subscriber.bind(place).await,
        _ => subscriber.bind_with(place, |options| draw.changes(changes, options)).await,
    };
    match bound {
        Ok(_) => {
            let is_good = !draw.flaws.any() && !draw.flaws.would_not_judge();
            assert!(is_good, "{:?} was not noticed", draw.flaws);
        }
        Err(BindError::Options(error)) => draw.is_refused(&error),
        Err(BindError::Refused { .. }) if draw.flaws.would_not_judge() => draw.is_harmless = false,
        Err(error) => panic!("the name is free, and yet: {error}"),
    }
}

/// Connects the other socket.
fn connect(
    draw: &mut Draw<'_>,
    changes: u8,
    choice: u8,
    place: &str,
    publisher: &PubHandle,
    subscriber: &SubHandle,
) {
    let connected = match (choice & 2, changes) {
        (0, 0) => subscriber.connect(place),
        (0, _) => subscriber.connect_with(place, |options| draw.changes(changes, options)),
        (_, 0) => publisher.connect(place),
        _ => publisher.connect_with(place, |options| draw.changes(changes, options)),
    };
    match connected {
        Ok(_) => assert!(!draw.flaws.any(), "{:?} was not noticed", draw.flaws),
        Err(ConnectError::Options(error)) => draw.is_refused(&error),
        Err(error) => panic!("the name is good, and yet: {error}"),
    }
}

/// No call panics, whatever the options are. Messages arrive, unless an option may prevent that.
async fn exchange(draw: &Draw<'_>, publisher: &PubHandle, subscriber: &mut Subscriber) {
    let wanted = timeout(LITTLE, publisher.wait_for_subscriber("topic")).await;
    assert!(!draw.is_harmless || wanted.is_ok(), "nothing is in the way of the subscription");
    let parts = Message::multipart(["topic", "of two parts"]).expect("two parts");
    for message in [Message::from("topic"), parts, Message::from("topic again")] {
        let sent = timeout(LITTLE, publisher.send(message.clone())).await;
        let mut received = timeout(LITTLE, subscriber.recv()).await;
        if received == Ok(Ok(WELCOME.into())) {
            received = timeout(LITTLE, subscriber.recv()).await;
        }
        if draw.is_harmless {
            assert_eq!((sent, received), (Ok(Ok(())), Ok(Ok(message))));
        }
    }
}

/// Sends in the other direction, too.
async fn talk(draw: &Draw<'_>, publisher: &mut XPubSocket, subscriber: &XSubSocket) {
    let said = Message::multipart(["said", "in two parts"]).expect("two parts");
    assert_eq!(subscriber.send(said.clone()).await, Ok(()));
    let asked = timeout(LITTLE, publisher.recv()).await;
    let heard = timeout(LITTLE, publisher.recv()).await;
    if draw.is_harmless {
        let (Ok(Ok(Request::Subscribe { topic, .. })), Ok(Ok(Request::Message { message, .. }))) =
            (asked, heard)
        else {
            panic!("not all that was said was heard");
        };
        assert_eq!((&topic[..], message), (&b"topic"[..], said));
    }
}

/// Draws options from a script, and notes whether any of them may prevent traffic.
struct Draw<'a> {
    script: Script<'a>,
    is_harmless: bool,
    flaws: Flaws,
}

/// Why the options drawn last allow no connection at all, which bind and connect must report.
#[derive(Clone, Copy, Debug, Default)]
struct Flaws {
    version: bool,
    credentials: bool,
    /// Every connection would be taken for dead.
    heartbeat: bool,
    /// Not even our own READY would fit.
    limits: bool,
    /// The commands of CURVE's handshake would not fit.
    curve_limits: bool,
    is_curve: bool,
    /// As a client it would not ask its judge, and so may not bind.
    is_client: bool,
    has_judge: bool,
}

impl Flaws {
    fn any(self) -> bool {
        let curve = self.is_curve && self.curve_limits;
        self.version || self.credentials || self.heartbeat || self.limits || curve
    }

    fn would_not_judge(self) -> bool {
        self.is_client && self.has_judge
    }

    /// Another mechanism replaces the last one.
    fn mechanism(&mut self, is_curve: bool, is_client: bool) {
        (self.is_curve, self.is_client, self.credentials) = (is_curve, is_client, false);
    }
}

impl Draw<'_> {
    fn is_refused(&mut self, error: &ConfigError) {
        assert!(self.flaws.any(), "{error}");
        self.is_harmless = false;
    }

    fn publishing<T: Publishes>(&mut self, mut options: Options<T>) -> Options<T> {
        for _ in 0..self.script.octet() % 16 {
            options = match self.script.octet() % 40 {
                0 => options.send_hwm(self.mark()),
                1 => options.send_hwm_octets(self.any_number()),
                2 => options.when_full(match self.script.octet() % 5 {
                    0 => WhenFull::DropNew,
                    1 => WhenFull::DropOldest,
                    2 => WhenFull::Disconnect,
                    3 => WhenFull::Wait,
                    _ => WhenFull::WaitFor(self.any_duration()),
                }),
                3 => options.conflate(true),
                4 => options.duplicate_subscriptions(Duplicates::AsSet),
                5 => options.duplicate_subscriptions(Duplicates::Counted),
                6 => {
                    options.max_subscriptions(self.number()).max_subscription_octets(self.number())
                }
                what => self.socket(what, options),
            };
        }
        options
    }

    fn subscribing<T: ReceivesMessages>(&mut self, mut options: Options<T>) -> Options<T> {
        for _ in 0..self.script.octet() % 16 {
            options = match self.script.octet() % 40 {
                0 => options.receive_hwm(self.mark()),
                1 => options.receive_hwm_octets(self.any_number()),
                2 => options.conflate(true),
                3 => options.conflate(false),
                what => self.socket(what, options),
            };
        }
        options
    }

    /// The options that only an XPUB has.
    fn hearing(&mut self, options: XPubOptions) -> XPubOptions {
        let octet = self.script.octet();
        let mut options =
            options.only_first_subscribe(octet & 1 == 0).verbosity(match octet >> 1 & 3 {
                0 => Verbosity::Distinct,
                1 => Verbosity::Subscriptions,
                _ => Verbosity::All,
            });
        if octet & 8 != 0 {
            options = options.welcome(WELCOME);
        }
        // Only the user subscribes peers then.
        self.is_harmless &= octet & 16 == 0;
        options.manual(octet & 16 != 0)
    }

    /// The options that only an XSUB has.
    fn asking(&mut self, options: XSubOptions) -> XSubOptions {
        let only_first = self.script.octet() & 1 == 0;
        options.only_first_subscribe(only_first).send_hwm(self.mark())
    }

    fn changes(&mut self, count: u8, mut options: EndpointOptions) -> EndpointOptions {
        for _ in 0..count {
            let what = self.script.octet();
            options = self.link(what, options);
        }
        options
    }

    fn socket<T: Kind>(&mut self, what: u8, options: Options<T>) -> Options<T> {
        match what {
            7 => options.linger(Linger::Forever),
            8 => options.linger(Linger::For(self.any_duration())),
            9 => options.max_connections(self.any_number()),
            10 => options.max_handshakes(self.any_number()),
            38 => options.spin(false),
            _ => self.link(what, options),
        }
    }

    fn link<T: Configured>(&mut self, what: u8, options: Options<T>) -> Options<T> {
        match what % 40 {
            11 => {
                self.flaws.version = false;
                options.version(Version::V3_0)
            }
            12 => {
                self.is_harmless = false;
                let version = Version { major: self.script.octet(), minor: self.script.octet() };
                self.flaws.version = ![Version::V3_0, Version::V3_1].contains(&version);
                options.version(version)
            }
            13 => {
                self.is_harmless = false;
                let (username, password) = (self.text(), self.text());
                self.flaws.mechanism(false, true);
                self.flaws.credentials = username.len().max(password.len()) > 255;
                options.plain_client(username, password)
            }
            14 => {
                self.is_harmless = false;
                self.flaws.mechanism(false, false);
                options.plain_server(PlainUsers::new().user(self.text(), self.text()))
            }
            15 => {
                self.is_harmless = false;
                self.flaws.mechanism(false, false);
                options.plain_server_with(
                    |it| matches!(it, Credentials::Plain { username, .. } if username == "user"),
                )
            }
            16 => options.max_message_size(self.number() as u64),
            17 => {
                let [size, parts, command, handshake] = [(); 4].map(|()| self.number());
                self.flaws.limits = handshake <= 2;
                self.flaws.curve_limits = handshake <= 255;
                options
                    .max_message_size(size as u64)
                    .max_message_parts(parts)
                    .max_command_size(command as u64)
                    .max_handshake_frame_size(handshake as u64)
            }
            18 => options.handshake_timeout(self.duration()),
            19 => {
                self.flaws.heartbeat = false;
                options.heartbeat(Heartbeat::every(self.duration()))
            }
            20 => {
                self.is_harmless = false;
                let (interval, timeout, ttl) = (self.duration(), self.duration(), self.duration());
                // A PING encodes it in tenths of a second, and at most 65.5 s.
                let tenths = ttl.as_nanos().div_ceil(100_000_000).min(655);
                let too_rare = (1..interval.as_nanos()).contains(&(tenths * 100_000_000));
                self.flaws.heartbeat = !interval.is_zero() && (timeout.is_zero() || too_rare);
                options.heartbeat(Heartbeat::every(interval).with_timeout(timeout).with_ttl(ttl))
            }
            21 => {
                // A socket that dials before the other one is there may have to wait for long.
                self.is_harmless = false;
                let (initial, max) = (self.duration(), self.duration());
                options.reconnect(Reconnect::new(initial, max))
            }
            22 => options.retry_refused(true),
            23 => options.send_buffer(self.any_number() as u32),
            24 => options.receive_buffer(self.any_number() as u32),
            25 => options.connect_timeout(self.any_duration()),
            26 => options.keepalive(None),
            27 => {
                let (idle, interval) = (self.any_duration(), self.any_duration());
                options.keepalive(Keepalive::new(idle, interval, self.any_number() as u32))
            }
            28 => options.user_timeout(self.any_duration()),
            29 => options.nodelay(false).ipv6_only(true),
            30 => options.type_of_service(self.script.octet()),
            31 => options.bind_device("lo"),
            32 => {
                self.is_harmless = false;
                self.flaws.mechanism(true, false);
                options.curve_server(keys(1))
            }
            33 => {
                self.is_harmless = false;
                self.flaws.mechanism(true, true);
                // The server's key, or another.
                options.curve_client(keys(1 + self.script.octet() % 2).public(), keys(3))
            }
            34 => {
                self.flaws.has_judge = true;
                options.authorize(|_claim| ready(Ok(Allowed::new().user_id("somebody"))))
            }
            35 => {
                self.is_harmless = false;
                self.flaws.has_judge = true;
                options.authorize(allow_keys([keys(3).public()]))
            }
            // A judge that takes too long lets nobody in.
            36 => {
                self.is_harmless = false;
                let time = self.any_duration();
                self.flaws.has_judge = true;
                options.authorize(move |_claim| async move {
                    sleep(time).await;
                    Ok(Allowed::new())
                })
            }
            37 => options.domain("feed"),
            _ => options,
        }
    }

    /// Any mark lets one message through.
    fn mark(&mut self) -> HighWaterMark {
        match self.any_number() {
            usize::MAX => HighWaterMark::Unlimited,
            count => HighWaterMark::messages(count),
        }
    }

    fn any_number(&mut self) -> usize {
        NUMBERS[usize::from(self.script.octet()) % NUMBERS.len()]
    }

    fn any_duration(&mut self) -> Duration {
        DURATIONS[usize::from(self.script.octet()) % DURATIONS.len()]
    }

    fn number(&mut self) -> usize {
        let number = self.any_number();
        self.is_harmless &= NUMBERS[..HARMLESS].contains(&number);
        number
    }

    fn duration(&mut self) -> Duration {
        let duration = self.any_duration();
        self.is_harmless &= DURATIONS[..HARMLESS].contains(&duration);
        duration
    }

    /// A name or a password, perhaps too long for one.
    fn text(&mut self) -> Bytes {
        let len = usize::from(self.script.octet()) * 2;
        Bytes::from(b"user".iter().copied().cycle().take(len).collect::<Vec<_>>())
    }
}

/// A network that counts the attempts to connect.
struct Counting(Arc<AtomicU32>);

impl Network for Counting {
    fn resolve(&self, name: &str) -> io::Result<Vec<String>> {
        let dials = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        // Time stands still meanwhile, so nothing else would end the loop.
        assert!(dials < DIALS, "{dials} attempts to connect, without a pause");
        Ok(vec![name.to_owned()])
    }
}
