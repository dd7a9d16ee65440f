//! The costs of many well-behaved subscribers: how fast they are let in, and processor time while they are idle.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::peer::{GREETING, READY_SUB, address, own_address, subscribe};
use crate::process::Process;
use crate::table::{Column, Table, milliseconds, none};
use crate::victim::{self, Bounds, Library, Role};

const COLUMNS: &[Column] = &[
    ("subscribers", false),
    ("publisher", false),
    ("connections/s", true),
    ("attempts", true),
    ("handshake p50, ms", true),
    ("p99, ms", true),
    ("longest, ms", true),
    ("CPU for each, µs", true),
    ("CPU while idle, %", true),
    ("PINGs/s", true),
    ("connections lost", true),
];

/// The longest that one attempt to come may take, and the time between two: what libzmq's subscribers do.
const ATTEMPT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);

/// Of a subscriber that does not come within so many attempts, something is wrong.
const ATTEMPTS: usize = 100;

/// Subscribers that have come are left alone for so long before they count as idle.
const SETTLING: Duration = Duration::from_secs(2);

/// Many well-behaved subscribers: one after the other, all at once, all once more when they have gone, and idle
/// with heartbeats and without. Prints connections a second, how long a handshake takes, and the publisher's
/// time on the processor.
#[derive(Args, Debug)]
pub(crate) struct Crowd {
    /// Subscribers that come at once.
    #[arg(long, default_value_t = 10_000)]
    together: usize,
    /// Subscribers that come one after the other.
    #[arg(long, default_value_t = 2000)]
    in_turn: usize,
    /// Subscribers that are watched by heartbeats.
    #[arg(long, default_value_t = 5000)]
    watched: usize,
    /// Milliseconds between two heartbeats.
    #[arg(long, default_value_t = 1000)]
    heartbeat: u32,
    /// Seconds for which idle subscribers are looked at.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

/// Subscribers that are there. They leave when this is dropped.
struct Members {
    living: JoinSet<io::Result<()>>,
    arrivals: Vec<Arrival>,
    pings: Arc<AtomicU64>,
}

/// How a subscriber has come.
struct Arrival {
    /// From the first attempt until the publisher was ready.
    took: Duration,
    attempts: usize,
}

impl Crowd {
    /// Measures every row, and prints the table. Returns whether all could be measured.
    pub(crate) fn run(&self, victims: &[Library], markdown: bool) -> bool {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut table = Table::new(COLUMNS);
        let mut all_measured = true;
        for &library in victims {
            for heartbeat in [None, Some(self.heartbeat)] {
                let measured = self.measure(library, heartbeat, &mut table);
                if let Err(error) = runtime.block_on(measured) {
                    all_measured = false;
                    let what = format!("heartbeat {heartbeat:?}");
                    table.add_failure([what, library.to_string()], &error.to_string());
                }
            }
        }
        table.print(markdown);
        all_measured
    }

    async fn measure(
        &self,
        library: Library,
        heartbeat: Option<u32>,
        table: &mut Table,
    ) -> io::Result<()> {
        let bounds = Bounds { heartbeat, silent: true, ..Bounds::default() };
        let victim = Process::start(victim::arguments(library, Role::Pub, &bounds))?;
        let address = address(&victim.endpoint)?;
        let mut row = |what: String, figures: [String; COLUMNS.len() - 2]| {
            table.add([what, library.to_string()].into_iter().chain(figures).collect());
            eprintln!("# {library}: {}", table.last());
        };

        if let Some(interval) = heartbeat {
            let members = Members::come(address, self.watched, 1).await?;
            let what = format!("{} idle, heartbeats every {interval} ms", self.watched);
            row(what, self.idle(&victim, members).await?);
            return Ok(());
        }
        let rounds = [("in turn", self.in_turn, 1), ("at once", self.together, self.together)];
        for (how, count, at_once) in rounds {
            let (_leave, figures) = come(&victim, Members::come(address, count, at_once)).await?;
            row(format!("{count} {how}"), figures);
        }
        let again = Members::come(address, self.together, self.together);
        let (members, figures) = come(&victim, again).await?;
        row(format!("{} back at once", self.together), figures);
        row(format!("{} idle", self.together), self.idle(&victim, members).await?);
        Ok(())
    }

    /// Looks at subscribers that do nothing but answer heartbeats.
    async fn idle(
        &self,
        victim: &Process,
        mut members: Members,
    ) -> io::Result<[String; COLUMNS.len() - 2]> {
        sleep(SETTLING).await;
        members.pings.store(0, Ordering::Relaxed);
        let (start, before) = (Instant::now(), victim.processor_time()?);
        sleep(Duration::from_secs(self.seconds)).await;
        let (took, spent) = (start.elapsed().as_secs_f64(), victim.processor_time()? - before);
        let pings = members.pings.load(Ordering::Relaxed) as f64 / took;
        let mut lost = 0;
        while members.living.try_join_next().is_some() {
            lost += 1;
        }
        let idle = format!("{:.1}", 100.0 * spent.as_secs_f64() / took);
        Ok([
            none(),
            none(),
            none(),
            none(),
            none(),
            none(),
            idle,
            format!("{pings:.0}"),
            lost.to_string(),
        ])
    }
}

/// Waits until subscribers have come. The figures are the costs of that.
async fn come(
    victim: &Process,
    members: impl Future<Output = io::Result<Members>>,
) -> io::Result<(Members, [String; COLUMNS.len() - 2])> {
    let (start, before) = (Instant::now(), victim.processor_time()?);
    let members = members.await?;
    let (took, spent) = (start.elapsed(), victim.processor_time()? - before);
    let arrivals = members.arrivals.iter();
    let attempts: usize = arrivals.clone().map(|arrival| arrival.attempts).sum();
    let mut handshakes: Vec<Duration> = arrivals.map(|arrival| arrival.took).collect();
    handshakes.sort_unstable();
    let count = handshakes.len();
    let figures = [
        format!("{:.0}", count as f64 / took.as_secs_f64()),
        attempts.to_string(),
        milliseconds(handshakes[count / 2]),
        milliseconds(handshakes[count * 99 / 100]),
        milliseconds(handshakes[count - 1]),
        format!("{:.0}", spent.as_secs_f64() * 1e6 / count as f64),
        none(),
        none(),
        none(),
    ];
    Ok((members, figures))
}

impl Members {
    /// Lets `count` subscribers come, `at_once` of them at a time.
    async fn come(address: SocketAddr, count: usize, at_once: usize) -> io::Result<Self> {
        let mut joining = JoinSet::new();
        let mut members =
            Self { living: JoinSet::new(), arrivals: Vec::new(), pings: Arc::default() };
        let mut left = count;
        while members.arrivals.len() < count {
            while left > 0 && joining.len() < at_once {
                joining.spawn(join(address));
                left -= 1;
            }
            let joined = joining.join_next().await.expect("some have not come yet");
            let (stream, arrival) = joined??;
            members.living.spawn(answer(stream, Arc::clone(&members.pings)));
            members.arrivals.push(arrival);
        }
        Ok(members)
    }
}

/// A subscriber comes, and tries again if it is turned away.
async fn join(address: SocketAddr) -> io::Result<(TcpStream, Arrival)> {
    let start = Instant::now();
    let mut attempts = 1;
    loop {
        match timeout(ATTEMPT, attempt(address)).await.unwrap_or_else(|late| Err(late.into())) {
            Ok(stream) => return Ok((stream, Arrival { took: start.elapsed(), attempts })),
            Err(error) if attempts == ATTEMPTS => return Err(error),
            Err(_turned_away) => sleep(PAUSE).await,
        }
        attempts += 1;
    }
}

async fn attempt(address: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = connect(address).await?;
    stream.write_all(GREETING).await?;
    stream.read_exact(&mut [0; 64]).await?;
    stream.write_all(READY_SUB).await?;
    frame(&mut stream).await?;
    stream.write_all(&subscribe(b"topic")).await?;
    Ok(stream)
}

/// Connects. The connection ends with RST, which leaves no port behind.
async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(own_address())?;
    socket.set_zero_linger()?;
    socket.set_nodelay(true)?;
    socket.connect(address).await
}

/// Answers PINGs, as RFC 37 has it (Heartbeating), and counts them.
async fn answer(mut stream: TcpStream, pings: Arc<AtomicU64>) -> io::Result<()> {
    const PING: &[u8] = b"\x04PING";
    const TTL: usize = 2;
    loop {
        let body = frame(&mut stream).await?;
        let Some(rest) = body.strip_prefix(PING) else { continue };
        let context = rest.get(TTL..).unwrap_or_default();
        let size = 5 + u8::try_from(context.len()).expect("a context of 16 octets at most");
        stream.write_all(&[&[0x04, size], &b"\x04PONG"[..], context].concat()).await?;
        pings.fetch_add(1, Ordering::Relaxed);
    }
}

/// The body of the next frame, which is short.
async fn frame(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).await?;
    let mut body = vec![0; head[1].into()];
    stream.read_exact(&mut body).await?;
    Ok(body)
}
