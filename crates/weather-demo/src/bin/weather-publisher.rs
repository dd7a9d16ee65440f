//! The weather server: binds tcp://*:5556 and publishes random weather updates.

use std::collections::HashSet;
use std::io::{IsTerminal, stderr};
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::sync::atomic::AtomicU64;

use clap::Parser;
use indicatif::HumanCount;
use tokio::time::timeout;
use weather_demo::cli::{FINAL_LINGER, SERVER_HELP, finish, parse, positive};
use weather_demo::{
    Counted, Failure, Interrupts, Notes, Pace, PublishOptions, Queue, ServerSecurity, publish,
    report_rates, watch,
};
use zmtp_socket::{Context, Endpoint, PubOptions, PubSocket};

/// Publishes random weather updates, "{zipcode} {temperature} {relhumidity}".
#[derive(Debug, Parser)]
#[command(version, after_help = SERVER_HELP)]
struct Cli {
    /// Bind this endpoint; may be repeated [default: tcp://*:5556, unless --connect is given]
    #[arg(long, value_name = "ENDPOINT")]
    bind: Vec<Endpoint>,

    /// Connect to a subscriber that is bound here; may be repeated
    #[arg(long, value_name = "ENDPOINT")]
    connect: Vec<Endpoint>,

    /// Publish updates for this zipcode only, 1 to 99999 [default: random ones]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=99_999))]
    zipcode: Option<u32>,

    /// Wait this long after each update, such as 2s or 100ms [default: not at all]
    #[arg(long, value_name = "TIME", conflicts_with = "rate")]
    interval: Option<humantime::Duration>,

    /// Publish N updates a second [default: as many as it can]
    #[arg(long, value_name = "N", value_parser = positive::<NonZeroU32>)]
    rate: Option<NonZeroU32>,

    /// Stop after N updates [default: never]
    #[arg(long, value_name = "N")]
    count: Option<u64>,

    #[command(flatten)]
    queue: Queue,

    /// Derive the weather from this number: the same number gives the same weather
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    #[command(flatten)]
    security: ServerSecurity,

    /// Report rates, subscribers and drops every second, even if standard error is not a terminal
    #[arg(long)]
    stats: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let notes = Notes::new("weather-publisher");
    let cli = parse(&notes);
    finish(run(cli, &notes).await, &notes)
}

async fn run(cli: Cli, notes: &Notes) -> Result<ExitCode, Failure> {
    let mut interrupts = Interrupts::new()?;
    let socket = open(&cli, notes).await?;
    let handle = socket.handle();
    let options = PublishOptions {
        zipcode: cli.zipcode,
        pace: match (cli.interval, cli.rate) {
            (Some(interval), _) => Pace::Pause(interval.into()),
            (None, Some(rate)) => Pace::PerSecond(rate),
            (None, None) => Pace::FlatOut,
        },
        count: cli.count,
        seed: cli.seed,
    };
    let published = AtomicU64::new(0);
    let report = cli.stats || stderr().is_terminal();
    let work = async {
        publish(&handle, options, &published).await?;
        Ok::<_, Failure>(handle.close().await.unsent)
    };
    let left = tokio::select! {
        biased;
        _status = interrupts.next() => {
            let closed = timeout(FINAL_LINGER, handle.close()).await;
            closed.map_or_else(|_| handle.stats().queued as usize, |closed| closed.unsent)
        }
        left = work => left?,
        never = report_rates(&handle, &published, notes), if report => never,
    };
    let published = Counted(published.into_inner(), "update");
    let left = HumanCount(left as u64);
    notes.say(format_args!("published {published}, {left} still undelivered at the end"));
    Ok(ExitCode::SUCCESS)
}

async fn open(cli: &Cli, notes: &Notes) -> Result<PubSocket, Failure> {
    let options = PubOptions::new().send_hwm(cli.queue.send_hwm).when_full(cli.queue.when_full());
    let options = cli.security.apply(options)?;
    let socket = Context::new().pub_socket(options);
    tokio::spawn(watch(socket.monitor(), notes.clone(), HashSet::new()));
    for endpoint in &cli.connect {
        let endpoint = socket.connect(endpoint)?;
        notes.say(format_args!("connecting to {endpoint}"));
    }
    for endpoint in &cli.bind {
        let endpoint = socket.bind(endpoint).await?;
        notes.say(format_args!("publishing at {endpoint}"));
    }
    if cli.bind.is_empty() && cli.connect.is_empty() {
        let endpoint = socket.bind("tcp://*:5556").await?;
        notes.say(format_args!("publishing at {endpoint}"));
    }
    Ok(socket)
}
