//! The weather server and client in one process, and both against libzmq.

use std::num::NonZeroU64;
use std::process::ExitCode;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use indicatif::HumanCount;
use weather_demo::cli::{Output, finish, parse};
use weather_demo::{CollectOptions, Collection, Failure, Notes, PublishOptions, collect, publish};
use zmtp_socket::{Context, PubOptions, SubOptions};

const ZIPCODE: &str = "10002";
const UPDATES: NonZeroU64 = NonZeroU64::new(5).unwrap();

/// Runs the weather server and client in one process, over tcp.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run publisher and subscriber, each of this library and of libzmq, over tcp and ipc
    Interop {
        /// Messages for each pair
        #[arg(long, value_name = "N", default_value = "100000")]
        messages: NonZeroU64,
    },
}

fn main() -> ExitCode {
    let notes = Notes::new("weather-demo");
    let result = match parse::<Cli>(&notes).command {
        None => demo(&notes),
        Some(Command::Interop { messages }) => interop(messages, &notes),
    };
    finish(result, &notes)
}

#[tokio::main]
async fn demo(notes: &Notes) -> Result<ExitCode, Failure> {
    let context = Context::new();
    let server = context.pub_socket(PubOptions::new());
    let endpoint = server.bind("tcp://127.0.0.1:0").await?;
    let mut client = context.sub_socket(SubOptions::new());
    client.subscribe(ZIPCODE);
    client.connect(&endpoint)?;

    let mut collection = Collection::new(Output::new(), notes.clone());
    collection.write_line(&format!("Weather server at {endpoint}, as fast as it can."))?;
    collection.write_line("Collecting updates from weather server...")?;

    // A server does not wait for its clients; this one does, to count only what somebody could hear.
    server.wait_for_subscriber(ZIPCODE).await?;
    let started = Instant::now();
    let published = AtomicU64::new(0);
    let options = CollectOptions { updates: UPDATES, delay: Duration::ZERO };
    tokio::select! {
        done = collect(&mut client, &options, &mut collection) => done?,
        closed = publish(&server, PublishOptions::default(), &published) => closed?,
    }
    let elapsed = started.elapsed();
    collection.write_average(ZIPCODE.as_bytes())?;

    server.close().await;
    let (published, sent) = (published.into_inner(), server.stats().sent);
    collection.write_line(&format!(
        "\nIn {:.2} s the server published {} updates for all zipcodes, and {sent} of them left it: the\n\
         client had subscribed to '{ZIPCODE}', and a publisher sends nobody what he did not ask for.",
        elapsed.as_secs_f64(),
        HumanCount(published),
    ))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(feature = "libzmq")]
fn interop(messages: NonZeroU64, _notes: &Notes) -> Result<ExitCode, Failure> {
    let held = weather_demo::interop::run(messages.get(), &mut Output::new())?;
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(not(feature = "libzmq"))]
fn interop(_messages: NonZeroU64, notes: &Notes) -> Result<ExitCode, Failure> {
    notes.say(
        "this build is without libzmq; for one with it: \
         cargo run --release -p weather-demo --features libzmq -- interop",
    );
    Ok(ExitCode::from(weather_demo::cli::USAGE))
}
