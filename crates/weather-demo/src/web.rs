//! The weather in a browser: a publisher, and a page that is its subscriber.

mod climate;
mod page;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Args;
use climate::Climate;
use page::Page;
use tokio::net::TcpListener;
use tokio::time::{Instant, interval_at, timeout};
use zmtp_socket::{Context, Endpoint, HighWaterMark, PubHandle, PubOptions, SendError};

use crate::cli::{FINAL_LINGER, positive};
use crate::publisher::{Pace, Pacer};
use crate::{Failure, Interrupts, Notes, ZIPCODES};

/// How many updates wait for one browser: older ones would be out of date.
const QUEUE: usize = 20_000;

/// Where the page and its feed are served, and how fast.
#[derive(Clone, Debug, Args)]
pub struct WebOptions {
    /// Serve the page at this address
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub page: SocketAddr,

    /// Publish at this ws endpoint, which browsers reach under the name of the page's host
    #[arg(long, value_name = "ENDPOINT", default_value = "ws://127.0.0.1:8081/weather", value_parser = feed)]
    pub feed: Endpoint,

    /// Publish N updates a second
    #[arg(long, value_name = "N", default_value = "20000", value_parser = positive::<NonZeroU32>)]
    pub rate: NonZeroU32,

    /// Publish here, too, for programs other than browsers; may be repeated
    #[arg(long, value_name = "ENDPOINT")]
    pub bind: Vec<Endpoint>,
}

/// Serves the page and publishes until the program is asked to end.
///
/// # Errors
///
/// Errors of addresses that cannot be bound.
pub async fn serve(options: WebOptions, notes: &Notes) -> Result<ExitCode, Failure> {
    let mut interrupts = Interrupts::new()?;
    let hwm = HighWaterMark::messages(QUEUE);
    let socket = Context::new().pub_socket(PubOptions::new().send_hwm(hwm));
    let feed = socket.bind(&options.feed).await?;
    for endpoint in &options.bind {
        notes.say(format_args!("publishing at {}", socket.bind(endpoint).await?));
    }
    let listener = TcpListener::bind(options.page).await.map_err(|error| {
        let page = options.page;
        format!("the page cannot be served at {page}: {error}")
    })?;
    let page = Page::of(&feed);
    notes.say(format_args!("publishing at {feed}"));
    notes.say(format_args!("the page: http://{}/", listener.local_addr()?));
    let handle = socket.handle();
    let published = AtomicU64::new(0);
    tokio::select! {
        biased;
        _status = interrupts.next() => {}
        closed = publish(&handle, options.rate, &published) => closed?,
        closed = publish_counters(&handle, &published) => closed?,
        never = page.serve(listener) => never,
    }
    let _closed = timeout(FINAL_LINGER, handle.close()).await;
    Ok(ExitCode::SUCCESS)
}

/// The weather of all places in random order, each once before any comes again.
async fn publish(
    socket: &PubHandle,
    rate: NonZeroU32,
    published: &AtomicU64,
) -> Result<(), SendError> {
    let mut rng = fastrand::Rng::new();
    let mut pacer = Pacer::new(Pace::PerSecond(rate));
    let mut zipcodes: Vec<u32> = ZIPCODES.collect();
    let climate = Climate::now();
    let mut text = Vec::new();
    loop {
        rng.shuffle(&mut zipcodes);
        for zipcode in &zipcodes {
            climate.update(*zipcode, &mut rng).write_padded_to(&mut text);
            socket.send(text.as_slice()).await?;
            published.fetch_add(1, Ordering::Relaxed);
            pacer.pause().await;
        }
    }
}

/// Publishes counters every second, for subscribers to that topic.
async fn publish_counters(socket: &PubHandle, published: &AtomicU64) -> Result<(), SendError> {
    const PERIOD: Duration = Duration::from_secs(1);
    let mut ticks = interval_at(Instant::now() + PERIOD, PERIOD);
    let mut before = (Instant::now(), 0, 0);
    loop {
        ticks.tick().await;
        let now = (Instant::now(), published.load(Ordering::Relaxed), socket.totals().dropped);
        let seconds = (now.0 - before.0).as_secs_f64();
        let rate = |now: u64, before: u64| (now.saturating_sub(before) as f64 / seconds).round();
        let text = format!(
            r#"stats {{"published":{},"dropped":{},"subscribers":{}}}"#,
            rate(now.1, before.1),
            rate(now.2, before.2),
            socket.subscriber_count(),
        );
        socket.send(text).await?;
        before = now;
    }
}

/// An endpoint that browsers can connect to.
fn feed(text: &str) -> Result<Endpoint, String> {
    match text.parse() {
        Ok(endpoint @ Endpoint::Ws { .. }) => Ok(endpoint),
        Ok(_) => Err("a browser can connect to ws endpoints only".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
