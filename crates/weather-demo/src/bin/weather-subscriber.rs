//! The weather client: connects to tcp://localhost:5556, collects updates and averages them.

use std::collections::HashSet;
use std::ffi::OsString;
use std::num::NonZeroU64;
use std::process::ExitCode;

use clap::Parser;
use indicatif::HumanCount;
use weather_demo::cli::{Output, finish, is_logging, parse, positive};
use weather_demo::{
    ClientSecurity, CollectOptions, Collection, Counted, Failure, Interrupts, Notes, collect, watch,
};
use zmtp_socket::{Context, Endpoint, HighWaterMark, SubOptions, SubSocket};

const HELP: &str = "\
The exit status is 0 after all updates, 130 or 143 if Ctrl-C or SIGTERM came first, 2 if the command
line is wrong, and 1 otherwise. RUST_LOG=zmtp_socket=debug logs each connection to standard
error.";

/// Collects weather updates and prints their average temperature.
#[derive(Debug, Parser)]
#[command(version, after_help = HELP)]
struct Cli {
    /// The zipcode of the updates, or its first digits
    #[arg(value_name = "ZIPCODE", default_value = "10002")]
    topic: OsString,

    /// Collect the updates of all zipcodes
    #[arg(long, conflicts_with = "topic")]
    all: bool,

    /// Connect to a server; may be repeated [default: tcp://localhost:5556, unless --bind is given]
    #[arg(long, value_name = "ENDPOINT")]
    connect: Vec<Endpoint>,

    /// Bind this endpoint, for servers that connect; may be repeated
    #[arg(long, value_name = "ENDPOINT")]
    bind: Vec<Endpoint>,

    /// Collect N updates
    #[arg(long, value_name = "N", default_value = "5", value_parser = positive::<NonZeroU64>)]
    updates: NonZeroU64,

    /// Wait this long after each update, such as 1s or 100ms [default: not at all]
    #[arg(long, value_name = "TIME")]
    delay: Option<humantime::Duration>,

    /// How many messages from each server may wait here before it must wait: a number, or "unlimited" [default: 1000]
    #[arg(long, value_name = "N")]
    receive_hwm: Option<HighWaterMark>,

    #[command(flatten)]
    security: ClientSecurity,
}

#[tokio::main]
async fn main() -> ExitCode {
    let notes = Notes::new("weather-subscriber");
    let cli = parse(&notes);
    finish(run(cli, notes.clone()).await, &notes)
}

async fn run(cli: Cli, notes: Notes) -> Result<ExitCode, Failure> {
    let topic = if cli.all { Vec::new() } else { cli.topic.clone().into_encoded_bytes() };
    let options = CollectOptions {
        updates: cli.updates,
        delay: cli.delay.map(Into::into).unwrap_or_default(),
    };
    let mut interrupts = Interrupts::new()?;
    let mut collection = Collection::new(Output::new(), notes);
    if !is_logging() {
        // The log would overwrite the progress bar.
        collection = collection.with_progress(options.updates);
    }
    let mut socket = open(&cli, &topic, collection.notes()).await?;
    let monitor = socket.monitor();
    let mut dialled = connect(&cli, &socket)?;
    if !cli.bind.is_empty() {
        // Other servers may connect and accept it.
        dialled.clear();
    }
    let watching = watch(monitor, collection.notes().clone(), dialled);
    collection.write_line("Collecting updates from weather server...")?;

    let interrupted = tokio::select! {
        biased;
        status = interrupts.next() => Some(status),
        done = collect(&mut socket, &options, &mut collection) => done.map(|()| None)?,
        () = watching => return Err("no server lets us in".into()),
    };
    collection.write_average(&topic)?;
    socket.close().await;
    let Some(status) = interrupted else { return Ok(ExitCode::SUCCESS) };
    let (count, wanted) =
        (HumanCount(collection.count()), Counted(options.updates.get(), "update"));
    collection.notes().say(format_args!("interrupted after {count} of {wanted}"));
    Ok(ExitCode::from(status))
}

async fn open(cli: &Cli, topic: &[u8], notes: &Notes) -> Result<SubSocket, Failure> {
    let mut options = SubOptions::new();
    if let Some(hwm) = cli.receive_hwm {
        options = options.receive_hwm(hwm);
    }
    options = cli.security.apply(options)?;
    let socket = Context::new().sub_socket(options);
    socket.subscribe(topic);
    for endpoint in &cli.bind {
        let endpoint = socket.bind(endpoint).await?;
        notes.say(format_args!("listening at {endpoint}"));
    }
    Ok(socket)
}

fn connect(cli: &Cli, socket: &SubSocket) -> Result<HashSet<Endpoint>, Failure> {
    let mut dialled = HashSet::new();
    for endpoint in &cli.connect {
        dialled.insert(socket.connect(endpoint)?);
    }
    if cli.bind.is_empty() && cli.connect.is_empty() {
        dialled.insert(socket.connect("tcp://localhost:5556")?);
    }
    Ok(dialled)
}
