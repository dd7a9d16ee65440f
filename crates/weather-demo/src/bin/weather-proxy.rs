//! Stands between weather publishers and subscribers: each connects to it, and none has to know another.

use std::collections::HashSet;
use std::io::{IsTerminal, stderr};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use indicatif::HumanCount;
use tokio::time::interval;
use weather_demo::cli::{finish, parse};
use weather_demo::{Failure, Notes, watch};
use zmtp_socket::{
    Context, Endpoint, ProxyHandle, PubOptions, PubSocket, XPubOptions, XSubOptions, proxy,
};

/// Hands weather updates on from publishers to subscribers.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// A publisher's endpoint; may be repeated
    #[arg(long, value_name = "ENDPOINT", required_unless_present = "listen")]
    connect: Vec<Endpoint>,

    /// Let publishers connect here; may be repeated
    #[arg(long, value_name = "ENDPOINT")]
    listen: Vec<Endpoint>,

    /// Let subscribers connect here; may be repeated
    #[arg(long, value_name = "ENDPOINT", default_value = "tcp://*:8100")]
    bind: Vec<Endpoint>,

    /// Publish a copy of all that is handed on here
    #[arg(long, value_name = "ENDPOINT")]
    capture: Option<Endpoint>,

    /// Say every second what is handed on, also when standard error is no terminal
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
    let context = Context::new();
    let frontend = context.xsub_socket(XSubOptions::new());
    let backend = context.xpub_socket(XPubOptions::new());
    tokio::spawn(watch(frontend.monitor(), notes.clone(), HashSet::new()));
    for endpoint in &cli.connect {
        notes.say(format_args!("connecting to {}", frontend.connect(endpoint)?));
    }
    for endpoint in &cli.listen {
        notes.say(format_args!("taking publishers at {}", frontend.bind(endpoint).await?));
    }
    for endpoint in &cli.bind {
        notes.say(format_args!("serving subscribers at {}", backend.bind(endpoint).await?));
    }
    let subscribers = backend.publisher().clone();
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
        interrupt = tokio::signal::ctrl_c() => interrupt?,
        () = proxy.run() => {}
        never = report_counts(&handle, &subscribers, notes), if report => never,
    }
    let handed_on = HumanCount(handle.stats().messages);
    notes.say(format_args!("handed on {handed_on} updates"));
    Ok(ExitCode::SUCCESS)
}

async fn report_counts<Never>(
    proxy: &ProxyHandle,
    subscribers: &PubSocket,
    notes: &Notes,
) -> Never {
    let mut seconds = interval(Duration::from_secs(1));
    let mut before = proxy.stats();
    loop {
        seconds.tick().await;
        let now = proxy.stats();
        let rate = HumanCount(now.messages - before.messages);
        let dropped = HumanCount(subscribers.stats().dropped);
        notes.say(format_args!(
            "{rate} updates/s to {} subscribers, {} topics wanted, {dropped} dropped",
            subscribers.subscriber_count(),
            now.subscriptions - now.cancels,
        ));
        before = now;
    }
}
