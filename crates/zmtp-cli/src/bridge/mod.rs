//! `zmtp bridge`: forwards topics as subjects of NATS, in both directions.

mod envelope;
mod nats;
mod subject;

use std::cell::Cell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use async_nats::ServerAddr;
use bytes::Bytes;
use clap::Args;
use indicatif::HumanCount;
use serde::Serialize;
use zmtp_socket::kind::Kind;
use zmtp_socket::{
    Endpoint, HighWaterMark, Options, PubHandle, PubSocket, Socket, SubSocket, WhenFull,
};

use self::envelope::Envelope;
use self::nats::{Nats, Persistent};
use self::subject::Prefix;
use crate::ending::{Ending, Failure, Usage};
use crate::link::Link;
use crate::notes::{Notes, watch};
use crate::role::{Side, open};
use crate::serving::{Sockets, serve};
use crate::signals::Signals;
use crate::text::{counted, unescape};

/// How long both sides still deliver at the end.
const FINAL_LINGER: Duration = Duration::from_secs(1);

/// The most messages that wait for the server or its acknowledgement, however high the mark is.
const WAITING_MAX: usize = 1 << 16;

/// `zmtp bridge`
#[derive(Debug, Args)]
pub(crate) struct Bridge {
    /// The endpoint of publishers; with --from-nats, of subscribers. Its form decides whether it is bound or
    /// connected, as with the other commands
    endpoint: Endpoint,

    /// The NATS server: nats://HOST:PORT or tls://HOST:PORT
    #[arg(value_parser = server)]
    server: ServerAddr,

    /// Forward from NATS only: publish at ENDPOINT what comes from there
    #[arg(long, conflicts_with_all = ["publish", "jetstream"])]
    from_nats: bool,

    /// Forward from NATS, too: publish at this endpoint what comes from there
    #[arg(long, value_name = "ENDPOINT")]
    publish: Option<Endpoint>,

    /// Bind ENDPOINT, whatever its form
    #[arg(long, conflicts_with = "connect")]
    bind: bool,

    /// Connect to ENDPOINT, whatever its form
    #[arg(long)]
    connect: bool,

    /// Forward only messages that begin with TOPIC, in both directions; may be repeated [default: all messages]
    #[arg(short, long, value_name = "TOPIC", allow_hyphen_values = true,
          value_parser = |text: &str| unescape(text).map(Bytes::from))]
    topic: Vec<Bytes>,

    /// The first words of subjects
    #[arg(long, value_name = "WORDS", default_value = "zmq", value_parser = Prefix::parse)]
    prefix: Prefix,

    /// The first words of subjects that come from NATS [default: those of --prefix]
    #[arg(long, value_name = "WORDS", value_parser = Prefix::parse)]
    from_prefix: Option<Prefix>,

    /// Store what goes to NATS in this stream of JetStream, which is made if it is not there, and wait until it is
    /// acknowledged
    #[arg(long, value_name = "STREAM")]
    jetstream: Option<String>,

    /// The file with our user name and password at the server: one line, name:password
    #[arg(long, value_name = "FILE")]
    nats_login: Option<PathBuf>,

    /// Print the summary as JSON
    #[arg(short, long)]
    json: bool,

    /// Serve counters over HTTP at this address: /metrics in the OpenMetrics format, /stats.json for zmtp top
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics: Option<SocketAddr>,

    #[command(flatten)]
    link: Link,
}

/// The messages that have passed.
#[derive(Debug, Default)]
struct Counts {
    /// Received from ZeroMQ.
    taken: Cell<u64>,
    /// Given to NATS; without JetStream they may still wait for the server.
    given: Cell<u64>,
    /// Too large for the server, or with too many parts.
    refused: Cell<u64>,
    /// Forwarded from NATS.
    came: Cell<u64>,
    /// Their headers and payloads contradict each other.
    torn: Cell<u64>,
}

/// The totals at the end.
#[derive(Debug, Serialize)]
struct Sums {
    to_nats: u64,
    refused: u64,
    undelivered_to_nats: u64,
    from_nats: u64,
    torn: u64,
    dropped_from_nats: u64,
    dropped_by_subscribers: u64,
    undelivered_to_subscribers: u64,
    connections: u64,
}

impl Bridge {
    pub(crate) async fn run(&self, notes: &Notes) -> Result<Ending, Failure> {
        let mut signals = Signals::new()?;
        let mut sockets = Sockets::default();
        let hwm = self.link.hwm();
        let side = match (self.bind, self.connect) {
            (true, _) => Some(Side::Bind),
            (_, true) => Some(Side::Connect),
            _ => None,
        };
        let (sub, publisher) = match (self.from_nats, &self.publish) {
            (true, _) => (None, Some((side, &self.endpoint))),
            (false, publish) => {
                (Some((side, &self.endpoint)), publish.as_ref().map(|it| (None, it)))
            }
        };
        let mut refusals = Vec::new();
        let mut sub = match sub {
            Some(place) => {
                let socket: SubSocket = self
                    .open(
                        Options::new().receive_hwm(hwm),
                        place,
                        Side::Connect,
                        &mut refusals,
                        notes,
                    )
                    .await?;
                self.topics().for_each(|topic| socket.subscribe(topic));
                sockets = sockets.with("from", socket.handle());
                Some(socket)
            }
            None => None,
        };
        let publisher: Option<PubSocket> = match publisher {
            Some(place) => {
                let options = Options::new().send_hwm(hwm).when_full(WhenFull::DropNew);
                let socket = self.open(options, place, Side::Bind, &mut refusals, notes).await?;
                sockets = sockets.with("to", socket.handle());
                Some(socket)
            }
            None => None,
        };
        if let Some(address) = self.metrics {
            serve(address, sockets, notes).await?;
        }
        let nats =
            Nats::connect(&self.server, self.nats_login.as_deref(), self.waiting(), notes).await?;
        let counts = Counts::default();
        let mut stream = None;
        let ended = {
            let to_nats = async {
                match &mut sub {
                    Some(sub) => self.carry_to_nats(sub, &nats, &mut stream, &counts, notes).await,
                    None => std::future::pending().await,
                }
            };
            let from_nats = async {
                match &publisher {
                    Some(publisher) => self.carry_from_nats(&nats, publisher, &counts, notes).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                _ = signals.next() => Ok(()),
                ended = to_nats => ended.map(|never| match never {}),
                ended = from_nats => ended.map(|never| match never {}),
                refused = first_of(refusals) => Err(Failure::from(refused)),
            }
        };
        let sums = self.finish(sub, publisher, &nats, stream, &counts).await;
        sums.print(self.json, notes);
        ended?;
        Ok(if sums.undelivered_to_nats > 0 { Ending::Incomplete } else { Ending::Done })
    }

    async fn open<T: Kind>(
        &self,
        options: Options<T>,
        place: (Option<Side>, &Endpoint),
        usual: Side,
        refusals: &mut Vec<Watching>,
        notes: &Notes,
    ) -> Result<Socket<T>, Failure> {
        let socket = Socket::with_options(self.link.apply(options)?);
        let monitor = socket.monitor();
        let dialled = open(&socket, [place].into_iter(), usual, notes).await?;
        let notes = notes.clone();
        refusals.push(Box::pin(async move { watch(monitor, &notes, dialled).await }));
        Ok(socket)
    }

    fn topics(&self) -> impl Iterator<Item = &[u8]> {
        let all = self.topic.is_empty().then_some(&[][..]);
        all.into_iter().chain(self.topic.iter().map(|topic| &topic[..]))
    }

    fn waiting(&self) -> usize {
        match self.link.hwm() {
            HighWaterMark::Messages(count) => count.get().min(WAITING_MAX),
            HighWaterMark::Unlimited => WAITING_MAX,
        }
    }

    async fn carry_to_nats(
        &self,
        sub: &mut SubSocket,
        nats: &Nats,
        stream: &mut Option<Persistent>,
        counts: &Counts,
        notes: &Notes,
    ) -> Result<Infallible, Failure> {
        if let Some(name) = &self.jetstream {
            *stream = Some(nats.stream(name, &self.prefix).await?);
        }
        loop {
            let message = match stream {
                Some(stream) => tokio::select! {
                    count = stream.next_acknowledged() => {
                        add(&counts.given, count);
                        continue;
                    }
                    message = sub.recv() => message?,
                },
                None => sub.recv().await?,
            };
            add(&counts.taken, 1);
            let Some(envelope) = Envelope::of(&message) else {
                counts.refuse("it has too many parts", notes);
                continue;
            };
            let subject = self.prefix.subject(&envelope.topic);
            let given = match stream {
                Some(stream) => stream.publish(subject, envelope, self.waiting()).await,
                None => nats.publish(subject, envelope).await?.map(|()| 1),
            };
            match given {
                Ok(count) => add(&counts.given, count),
                Err(refused) => counts.refuse(&refused.0, notes),
            }
        }
    }

    async fn carry_from_nats(
        &self,
        nats: &Nats,
        publisher: &PubHandle,
        counts: &Counts,
        notes: &Notes,
    ) -> Result<Infallible, Failure> {
        let prefix = self.from_prefix.as_ref().unwrap_or(&self.prefix);
        let mut subscriber = nats.subscribe(prefix).await?;
        while let Some(message) = nats::next(&mut subscriber).await {
            let Some(topic) = prefix.topic(&message.subject) else { continue };
            let topic = Bytes::from(topic.into_owned());
            let Ok(message) = nats::envelope(topic, message).open() else {
                if counts.torn.replace(counts.torn.get() + 1) == 0 {
                    notes.warn(
                        "a message from NATS is not what its header Zmtp-Parts says: dropped",
                    );
                }
                continue;
            };
            if self.topics().any(|topic| message.first().starts_with(topic)) {
                add(&counts.came, 1);
                publisher.send(message).await?;
            }
        }
        Err("the connection to NATS has been closed".into())
    }

    /// Delivers waiting messages on both sides, for a short time.
    async fn finish(
        &self,
        sub: Option<SubSocket>,
        publisher: Option<PubSocket>,
        nats: &Nats,
        stream: Option<Persistent>,
        counts: &Counts,
    ) -> Sums {
        drop(sub);
        let to_nats = async {
            match stream {
                Some(mut stream) => {
                    add(&counts.given, stream.finish(FINAL_LINGER).await);
                    counts.given.get()
                }
                None => {
                    let _ = tokio::time::timeout(FINAL_LINGER, nats.flush()).await;
                    counts.given.get() - nats.waiting(counts.given.get())
                }
            }
        };
        let from_nats = async {
            let Some(publisher) = publisher else { return (0, 0) };
            let handle = publisher.handle();
            let left = publisher.close_within(FINAL_LINGER).await.unsent;
            (handle.totals().dropped, left as u64)
        };
        let (delivered, (dropped, left)) = tokio::join!(to_nats, from_nats);
        Sums {
            to_nats: delivered,
            refused: counts.refused.get(),
            undelivered_to_nats: counts.taken.get() - counts.refused.get() - delivered,
            from_nats: counts.came.get(),
            torn: counts.torn.get(),
            dropped_from_nats: nats.dropped(),
            dropped_by_subscribers: dropped,
            undelivered_to_subscribers: left,
            connections: nats.connections(),
        }
    }
}

impl Counts {
    fn refuse(&self, reason: &str, notes: &Notes) {
        add(&self.refused, 1);
        if self.refused.get() == 1 {
            notes.warn(format_args!("a message cannot go to NATS: {reason}"));
        }
    }
}

impl Sums {
    fn print(&self, json: bool, notes: &Notes) {
        if json {
            eprintln!("{}", serde_json::to_string(self).expect("numbers can be written"));
            return;
        }
        let count = HumanCount;
        notes.always(format_args!(
            "to NATS: {} forwarded, {} refused, {} undelivered; from NATS: {} forwarded, {} torn, {} dropped by us, \
             {} by subscribers, {} undelivered; connected {}",
            count(self.to_nats),
            count(self.refused),
            count(self.undelivered_to_nats),
            count(self.from_nats),
            count(self.torn),
            count(self.dropped_from_nats),
            count(self.dropped_by_subscribers),
            count(self.undelivered_to_subscribers),
            counted(self.connections, "time"),
        ));
    }
}

/// Reports events of a socket's endpoints; ends with the reason if all of them have refused it.
type Watching = std::pin::Pin<Box<dyn Future<Output = String>>>;

async fn first_of(mut watching: Vec<Watching>) -> String {
    std::future::poll_fn(|cx| {
        let mut ended = watching.iter_mut().map(|it| it.as_mut().poll(cx));
        ended.find(std::task::Poll::is_ready).unwrap_or(std::task::Poll::Pending)
    })
    .await
}

fn add(counter: &Cell<u64>, count: u64) {
    counter.update(|before| before + count);
}

/// Parses a server's address. It must not hold secrets: every user of the machine can read command
/// lines.
fn server(text: &str) -> Result<ServerAddr, Failure> {
    let server: ServerAddr = text.parse()?;
    if server.has_user_pass() || server.username().is_some() {
        return Err(Usage(
            "a name or password must not be in the address; give --nats-login FILE".to_owned(),
        )
        .into());
    }
    Ok(server)
}
