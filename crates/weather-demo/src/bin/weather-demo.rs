//! The weather server and client in one process, and both against libzmq.

use std::num::NonZeroU64;
use std::process::ExitCode;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use indicatif::HumanCount;
#[cfg(feature = "web")]
use weather_demo::cli::SERVER_HELP;
use weather_demo::cli::{Output, finish, parse, positive};
use weather_demo::{
    CollectOptions, Collection, Counted, Failure, Notes, PublishOptions, ZIPCODES, collect,
    publish, story,
};
use zmtp_socket::{Context, PubOptions, SubOptions};

const ZIPCODE: &str = "10002";
const UPDATES: NonZeroU64 = NonZeroU64::new(5).unwrap();

/// Runs the weather server and client in one process, over tcp.
///
/// In a terminal it shows in ten seconds how a publisher serves its subscribers: a fast one; a slow one, which alone
/// loses updates; and both of them when the publisher is killed and comes back. Ctrl-C ends it.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// Only collect five updates and print their average, as without a terminal
    #[arg(long)]
    quick: bool,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a page on which a browser, itself a ZeroMQ subscriber, shows the weather as it comes
    #[cfg(feature = "web")]
    #[command(after_help = SERVER_HELP)]
    Web(weather_demo::web::WebOptions),

    /// Run a publisher and a subscriber in each combination of this library and libzmq, over tcp and ipc
    Interop {
        /// How many messages are sent in each combination
        #[arg(long, value_name = "N", default_value = "100000", value_parser = positive::<NonZeroU64>)]
        messages: NonZeroU64,
    },
}

fn main() -> ExitCode {
    let notes = Notes::new("weather-demo");
    let cli = parse::<Cli>(&notes);
    let result = match cli.command {
        None if !cli.quick && story::is_wanted() => run_story(),
        None => demo(&notes),
        #[cfg(feature = "web")]
        Some(Command::Web(options)) => web(options, &notes),
        Some(Command::Interop { messages }) => interop(messages, &notes),
    };
    finish(result, &notes)
}

#[tokio::main]
async fn run_story() -> Result<ExitCode, Failure> {
    story::run().await
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
    collection.write_line(&format!(
        "A server at {endpoint} makes up the weather of zipcodes {} to {}, as fast as it can.\n\
         A client subscribes to zipcode '{ZIPCODE}' and collects {UPDATES} updates of it: zipcode,\n\
         temperature (F) and relative humidity (%).\n\
         Collecting updates from weather server...",
        ZIPCODES.start(),
        ZIPCODES.end(),
    ))?;

    // A weather server does not wait for its clients. This one does, to count only updates that
    // somebody could receive.
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

    server.handle().close().await;
    let (published, sent) = (published.into_inner(), server.stats().sent);
    let needed = match sent.saturating_sub(UPDATES.get()) {
        0 => "all of those.".to_owned(),
        late => format!("{UPDATES} of those; {} more came after it had stopped.", HumanCount(late)),
    };
    collection.write_line(&format!(
        "\nIn {:.2} s the server made {}. It sent {} of them to the client, those for '{ZIPCODE}',\n\
         and the other {} to nobody: a publisher sends a subscriber only what it has subscribed to.\n\
         The client needed {needed}",
        elapsed.as_secs_f64(),
        Counted(published, "update"),
        HumanCount(sent),
        HumanCount(published.saturating_sub(sent)),
    ))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(feature = "web")]
#[tokio::main]
async fn web(options: weather_demo::web::WebOptions, notes: &Notes) -> Result<ExitCode, Failure> {
    weather_demo::web::serve(options, notes).await
}

#[cfg(feature = "libzmq")]
fn interop(messages: NonZeroU64, _notes: &Notes) -> Result<ExitCode, Failure> {
    let held = weather_demo::interop::run(messages.get(), &mut Output::new())?;
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(not(feature = "libzmq"))]
fn interop(_messages: NonZeroU64, notes: &Notes) -> Result<ExitCode, Failure> {
    notes.say(
        "this build does not contain libzmq; to build with it: \
         cargo run --release -p weather-demo --features libzmq -- interop",
    );
    Ok(ExitCode::from(weather_demo::cli::USAGE))
}
