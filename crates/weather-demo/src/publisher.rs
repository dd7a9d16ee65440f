//! The weather server: makes updates up and publishes them, with or without subscribers.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::HumanCount;
use tokio::time::{Instant, Interval, interval_at, sleep};
use zmtp_socket::{PubHandle, SendError};

use crate::{Counted, Notes, Update};

/// Which updates are published, how fast and how many. By default those of random places, as fast
/// as it can, for ever.
#[derive(Clone, Debug, Default)]
pub struct PublishOptions {
    /// The zipcode of all updates; `None` for random ones.
    pub zipcode: Option<u32>,
    /// The pace.
    pub pace: Pace,
    /// The number of updates; `None` for no end.
    pub count: Option<u64>,
    /// The same seed makes the same weather; `None` makes it unpredictable.
    pub seed: Option<u64>,
}

/// How fast updates are published.
#[derive(Clone, Copy, Debug, Default)]
pub enum Pace {
    /// As fast as it can.
    #[default]
    FlatOut,
    /// With a pause after each.
    Pause(Duration),
    /// This many per second.
    PerSecond(NonZeroU32),
}

/// Publishes `options.count` updates; `published` always holds how many have been published.
///
/// Dropping the future stops it between two updates.
///
/// # Errors
///
/// [`SendError`], if the socket is closed meanwhile.
pub async fn publish(
    socket: &PubHandle,
    options: PublishOptions,
    published: &AtomicU64,
) -> Result<(), SendError> {
    let mut rng = options.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
    let mut pacer = Pacer::new(options.pace);
    let mut text = Vec::new();
    for number in 1..=options.count.unwrap_or(u64::MAX) {
        Update::random(&mut rng, options.zipcode).write_to(&mut text);
        socket.send(text.as_slice()).await?;
        published.store(number, Ordering::Relaxed);
        pacer.pause().await;
    }
    Ok(())
}

/// Reports every second how many updates were published, to how many subscribers, and how many were
/// lost. Ends only when dropped.
pub async fn report_rates(socket: &PubHandle, published: &AtomicU64, notes: &Notes) -> ! {
    const PERIOD: Duration = Duration::from_secs(1);
    let mut ticks = interval_at(Instant::now() + PERIOD, PERIOD);
    let mut before = (Instant::now(), 0, socket.stats());
    loop {
        ticks.tick().await;
        let now = (Instant::now(), published.load(Ordering::Relaxed), socket.stats());
        let seconds = (now.0 - before.0).as_secs_f64();
        let rate = |now: u64, before: u64| {
            HumanCount((now.saturating_sub(before) as f64 / seconds) as u64)
        };
        notes.say(format_args!(
            "{} updates/s, {}, {} sent/s, {} dropped/s, {} dropped in all",
            rate(now.1, before.1),
            Counted(socket.subscriber_count() as u64, "subscriber"),
            rate(now.2.sent, before.2.sent),
            rate(now.2.dropped, before.2.dropped),
            HumanCount(now.2.dropped),
        ));
        before = now;
    }
}

/// A [`Pace`] in progress.
pub(crate) enum Pacer {
    FlatOut,
    Pause(Duration),
    /// One tick is for `burst` updates, so that the clock is read at most a hundred times a second.
    Ticks {
        ticks: Interval,
        burst: u32,
        left: u32,
    },
}

impl Pacer {
    pub(crate) fn new(pace: Pace) -> Self {
        match pace {
            Pace::FlatOut => Self::FlatOut,
            Pace::Pause(pause) => Self::Pause(pause),
            Pace::PerSecond(rate) => {
                let burst = (rate.get() / 100).max(1);
                let period = Duration::from_secs_f64(f64::from(burst) / f64::from(rate.get()));
                Self::Ticks {
                    ticks: interval_at(Instant::now() + period, period),
                    burst,
                    left: burst,
                }
            }
        }
    }

    /// Waits after an update for as long as the pace demands.
    pub(crate) async fn pause(&mut self) {
        match self {
            Self::FlatOut => {}
            Self::Pause(pause) => sleep(*pause).await,
            Self::Ticks { ticks, burst, left } => {
                *left -= 1;
                if *left == 0 {
                    *left = *burst;
                    ticks.tick().await;
                }
            }
        }
    }
}
