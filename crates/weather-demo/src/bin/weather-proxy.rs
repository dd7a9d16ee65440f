//! A proxy between weather publishers and subscribers: each connects to it, and needs no address of
//! another.

use std::collections::HashSet;
use std::io::{IsTerminal, stderr};
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgGroup, Parser};
use indicatif::HumanCount;
use tokio::time::{interval, timeout};
use weather_demo::cli::{FINAL_LINGER, SERVER_HELP, finish, parse};
use weather_demo::{Counted, Failure, Interrupts, Notes, Queue, watch};
use zmtp_socket::{
    Context, Endpoint, ProxyHandle, PubOptions, XPubHandle, XPubOptions, XSubOptions, proxy,
};

/// Forwards weather updates from publishers to subscribers.
#[derive(Debug, Parser)]
#[command(version, after_help = SERVER_HELP, group = ArgGroup::new("publishers").required(true).multiple(true))]
struct Cli {
    /// A publisher's endpoint; may be repeated
    #[arg(long, value_name = "ENDPOINT", group = "publishers")]
    connect: Vec<Endpoint>,

    /// Let publishers connect here; may be repeated
    #[arg(long, value_name = "ENDPOINT", group = "publishers")]
    listen: Vec<Endpoint>,

    /// Let subscribers connect here; may be repeated
    #[arg(long, value_name = "ENDPOINT", default_value = "tcp://*:8100")]
    bind: Vec<Endpoint>,

    /// Publish a copy of each update here
    #[arg(long, value_name = "ENDPOINT")]
    capture: Option<Endpoint>,

    #[command(flatten)]
    queue: Queue,

    /// Report every second what is forwarded, even if standard error is not a terminal
    #[arg(long)]
    stats: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let notes = Notes::new("weather-proxy");
    let cli = parse(&notes);
    finish(run(cli, &notes).await, &notes)
}

async fn run(cli: Cli, notes: &Notes) -> Result<ExitCode, Failure> {
    let mut interrupts = Interrupts::new()?;
    let context = Context::new();
    let frontend = context.xsub_socket(XSubOptions::new());
    let options = XPubOptions::new().send_hwm(cli.queue.send_hwm).when_full(cli.queue.when_full());
    let backend = context.xpub_socket(options);
    tokio::spawn(watch(frontend.monitor(), notes.clone(), HashSet::new()));
    tokio::spawn(watch(backend.monitor(), notes.clone(), HashSet::new()));
    for endpoint in &cli.connect {
        notes.say(format_args!("connecting to {}", frontend.connect(endpoint)?));
    }
    for endpoint in &cli.listen {
        notes.say(format_args!("waiting for publishers at {}", frontend.bind(endpoint).await?));
    }
    for endpoint in &cli.bind {
        notes.say(format_args!("serving subscribers at {}", backend.bind(endpoint).await?));
    }
    let subscribers = backend.handle();
    let mut proxy = proxy(frontend, backend);
    if let Some(endpoint) = &cli.capture {
        let tap = context.pub_socket(PubOptions::new());
        notes.say(format_args!("copying to {}", tap.bind(endpoint).await?));
        proxy = proxy.capture(tap);
    }
    let handle = proxy.handle();
    let report = cli.stats || stderr().is_terminal();
    tokio::select! {
        biased;
        _status = interrupts.next() => {}
        () = proxy.run() => {}
        never = report_counts(&handle, &subscribers, notes), if report => never,
    }
    let closed = timeout(FINAL_LINGER, subscribers.close()).await;
    let left = match closed {
        Ok(unfinished) => unfinished.unsent as u64,
        Err(_elapsed) => subscribers.stats().queued,
    };
    let left = HumanCount(left);
    let forwarded = Counted(handle.stats().messages, "update");
    notes.say(format_args!("forwarded {forwarded}, {left} still undelivered at the end"));
    Ok(ExitCode::SUCCESS)
}

async fn report_counts<Never>(
    proxy: &ProxyHandle,
    subscribers: &XPubHandle,
    notes: &Notes,
) -> Never {
    let mut seconds = interval(Duration::from_secs(1));
    let mut before = proxy.stats();
    loop {
        seconds.tick().await;
        let now = proxy.stats();
        notes.say(format_args!(
            "{} updates/s to {}, {} wanted, {} dropped",
            HumanCount(now.messages - before.messages),
            Counted(subscribers.subscriber_count() as u64, "subscriber"),
            Counted(now.subscriptions - now.cancels, "topic"),
            HumanCount(subscribers.stats().dropped),
        ));
        before = now;
    }
}
