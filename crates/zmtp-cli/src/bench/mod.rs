//! `zmtp bench`: the speed of messages, between two of our sockets or with another peer.

mod latency;
mod report;
mod svg;
mod throughput;

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::watch;
use zmtp_socket::kind::Kind;
use zmtp_socket::{CurveKeyPair, Endpoint, Options};

use self::report::Report;
use crate::cli::examples;
use crate::ending::{Ending, Failure};
use crate::link::Link;
use crate::notes::Notes;
use crate::signals::Signals;

/// `zmtp bench`
#[derive(Debug, Args)]
pub(crate) struct Bench {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Debug, Subcommand)]
enum Benchmark {
    /// Measure how long a request and its reply take
    #[command(after_help = examples!(
        "zmtp bench latency                            two sockets in this process, over tcp"
        "zmtp bench latency --transport ipc --size 16,4k,1M --svg latency.svg"
        "zmtp bench latency tcp://localhost:5555       with any REP that echoes"
        "zmtp bench latency tcp://localhost:5555 --clients 8 --json"
    ))]
    Latency(Measure),
    /// Measure how many messages a second pass from PUSH to PULL
    #[command(after_help = examples!(
        "zmtp bench throughput                         two sockets in this process, over tcp"
        "zmtp bench throughput --curve --size 16,256   what does encryption cost?"
        "zmtp bench throughput tcp://localhost:5557    push to any PULL"
    ))]
    Throughput(Measure),
    /// Echo requests, for `bench latency` elsewhere
    #[command(after_help = examples!(
        "zmtp bench echo tcp://*:5555"
    ))]
    Echo(Serve),
    /// Receive what is pushed, and measure how fast it comes
    #[command(after_help = examples!(
        "zmtp bench sink tcp://*:5557                  for zmtp bench throughput elsewhere"
    ))]
    Sink(Measure),
}

/// The options of a measurement.
#[derive(Debug, Args)]
struct Measure {
    /// The peer to measure with [default: another socket in this process]
    endpoint: Option<Endpoint>,

    /// Octets of a message; several sizes, such as 16,4k,1M, are measured one after the other
    #[arg(short = 'S', long, value_name = "SIZE", value_delimiter = ',', default_value = "64")]
    size: Vec<Size>,

    /// How many messages each client sends [default: 10000 requests, or 1000000 messages]
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// How many requests are sent first, and not measured
    #[arg(long, value_name = "N", default_value = "100")]
    warmup: u64,

    /// How many sockets send at once
    #[arg(short, long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    clients: u32,

    /// The transport between two sockets in this process
    #[arg(long, value_enum, default_value = "tcp", conflicts_with = "endpoint")]
    transport: Transport,

    /// Encrypt with CURVE between two sockets in this process
    #[arg(long, conflicts_with = "endpoint")]
    curve: bool,

    /// End with status 124 when nothing comes for this long
    #[arg(short = 'w', long, value_name = "TIME", default_value = "10s")]
    timeout: humantime::Duration,

    /// Print a line of JSON for each client and size
    #[arg(short, long, conflicts_with = "csv")]
    json: bool,

    /// Print comma-separated values
    #[arg(long)]
    csv: bool,

    /// Draw the latencies to this file, as SVG
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,

    #[command(flatten)]
    link: Link,
}

#[derive(Debug, Args)]
struct Serve {
    /// The endpoint to bind
    endpoint: Endpoint,

    #[command(flatten)]
    link: Link,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Transport {
    Tcp,
    Ws,
    Ipc,
    Inproc,
}

impl Transport {
    /// The endpoint to bind.
    fn endpoint(self) -> Endpoint {
        let text = match self {
            Self::Tcp => "tcp://127.0.0.1:*",
            Self::Ws => "ws://127.0.0.1:*",
            Self::Ipc => "ipc://*",
            Self::Inproc => "inproc://bench",
        };
        text.parse().expect("these are endpoints")
    }
}

/// A number of octets: 100, 4k, 1M.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size(usize);

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const MESSAGE: &str =
            "must be a number of octets, such as 100, 4k or 1M, and at most 1024M";
        let (digits, factor) = match text.strip_suffix(['k', 'K']) {
            Some(digits) => (digits, 1 << 10),
            None => text.strip_suffix('M').map_or((text, 1), |digits| (digits, 1 << 20)),
        };
        let size = digits.parse().ok().and_then(|size: usize| size.checked_mul(factor));
        size.filter(|size| *size <= 1 << 30).map(Self).ok_or(MESSAGE)
    }
}

impl Bench {
    pub(crate) async fn run(&self, notes: &Notes) -> Result<Ending, Failure> {
        let mut signals = Signals::new()?;
        let (stop, stopped) = watch::channel(false);
        let work = async {
            match &self.benchmark {
                Benchmark::Echo(it) => {
                    latency::serve(it, notes, stopped).await.map(|()| Ending::Done)
                }
                Benchmark::Latency(it) => {
                    it.measure("latency", latency::measure, stopped, notes).await
                }
                Benchmark::Throughput(it) => {
                    it.measure("throughput", throughput::measure, stopped, notes).await
                }
                Benchmark::Sink(it) => {
                    let sink = async |measure: &Measure, size, stopped| {
                        throughput::sink(measure, size, notes, stopped).await
                    };
                    it.measure("sink", sink, stopped, notes).await
                }
            }
        };
        let mut work = std::pin::pin!(work);
        let status = tokio::select! {
            ended = &mut work => return ended,
            status = signals.next() => status,
        };
        // The measurements so far are still printed.
        stop.send_replace(true);
        tokio::select! {
            ended = work => ended.map(|_ending| match self.benchmark {
                Benchmark::Echo(_) => Ending::Done,
                _ => Ending::Interrupted(status),
            }),
            status = signals.next() => Ok(Ending::Interrupted(status)),
        }
    }
}

impl Measure {
    /// Measures each size.
    async fn measure(
        &self,
        kind: &'static str,
        one: impl AsyncFn(&Self, usize, watch::Receiver<bool>) -> Result<Report, Failure>,
        stopped: watch::Receiver<bool>,
        notes: &Notes,
    ) -> Result<Ending, Failure> {
        let mut reports = Vec::new();
        let mut ending = Ending::Done;
        if self.csv {
            println!("{}", report::CSV);
        }
        for Size(size) in &self.size {
            if *stopped.borrow() {
                break;
            }
            let report = one(self, *size, stopped.clone()).await?;
            report.print(kind, self);
            if report.timed_out {
                let limit = self.timeout;
                notes.warn(format_args!(
                    "nothing more has come within {limit}; is the other side there?"
                ));
                ending = Ending::TimedOut;
            }
            reports.push(report);
        }
        if let Some(file) = &self.svg {
            let drawn = std::fs::write(file, svg::draw(&reports));
            drawn.map_err(|error| format!("{}: {error}", file.display()))?;
        }
        Ok(ending)
    }

    /// A progress bar, shown on terminals.
    fn bar(&self, count: u64) -> ProgressBar {
        let style = "{msg} [{bar:40}] {human_pos}/{human_len} {per_sec} {eta}";
        let style = ProgressStyle::with_template(style).expect("the template is sound");
        ProgressBar::new(count).with_style(style.progress_chars("=> "))
    }

    /// The options of both sides, or only of ours if the other side is elsewhere.
    fn options<A: Kind, B: Kind>(
        &self,
        ours: Options<A>,
        theirs: Options<B>,
    ) -> Result<(Options<A>, Options<B>), Failure> {
        if self.endpoint.is_some() || !self.curve {
            return Ok((self.link.apply(ours)?, theirs));
        }
        let [server, client] = [CurveKeyPair::generate()?, CurveKeyPair::generate()?];
        let public = server.public();
        Ok((ours.curve_client(public, client), theirs.curve_server(server)))
    }
}
