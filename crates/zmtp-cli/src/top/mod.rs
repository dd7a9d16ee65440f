//! `zmtp top`: a live table of sockets and peers.

mod fetch;
mod screen;
mod view;

use std::time::Instant;

use clap::Args;
use tokio::time::{MissedTickBehavior, interval, sleep};

use self::fetch::{Source, fetch};
use self::screen::{Key, Screen};
use self::view::{Order, Snapshot, View};
use crate::ending::{Ending, Failure};
use crate::signals::Signals;

/// `zmtp top`
#[derive(Debug, Args)]
pub(crate) struct Top {
    /// Where counters are served: the address given to --metrics, such as 127.0.0.1:9100, or http://HOST:PORT
    #[arg(value_name = "ADDRESS:PORT")]
    source: Source,

    /// How often to fetch the counters
    #[arg(short, long, value_name = "TIME", default_value = "1s")]
    interval: humantime::Duration,

    /// The order of the peers
    #[arg(long, value_enum, default_value = "queued")]
    sort: Order,

    /// Print the table once, after one interval, and end
    #[arg(long)]
    once: bool,
}

impl Top {
    pub(crate) async fn run(&self) -> Result<Ending, Failure> {
        let mut signals = Signals::new()?;
        if self.once {
            return tokio::select! {
                biased;
                status = signals.next() => Ok(Ending::Interrupted(status)),
                done = self.print_once() => done.map(|()| Ending::Done),
            };
        }
        // A source that cannot be reached at first is an error, reported before the screen is
        // taken.
        let mut view = View::new(self.sort);
        view.take(self.snapshot().await?);
        let mut screen = Screen::open()?;
        let mut ticks = interval((*self.interval).max(std::time::Duration::from_millis(50)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            screen.draw(|width, height| view.lines(width, height, &self.source))?;
            tokio::select! {
                biased;
                _ = signals.next() => return Ok(Ending::Done),
                key = screen.key() => match key {
                    Key::Quit => return Ok(Ending::Done),
                    Key::Sort => view.sort_otherwise(),
                    Key::Pause => view.pause_or_go_on(),
                    Key::Redraw => {}
                },
                _ = ticks.tick() => match self.snapshot().await {
                    Ok(snapshot) => view.take(snapshot),
                    // The source may come back: the table shows the age of its values.
                    Err(error) => view.lost(&error),
                },
            }
        }
    }

    async fn print_once(&self) -> Result<(), Failure> {
        let mut view = View::new(self.sort);
        view.take(self.snapshot().await?);
        sleep(*self.interval).await;
        view.take(self.snapshot().await?);
        for line in view.lines(usize::MAX, usize::MAX, &self.source) {
            println!("{}", line.text.trim_end());
        }
        Ok(())
    }

    async fn snapshot(&self) -> Result<Snapshot, Failure> {
        let sockets = fetch(&self.source).await;
        let sockets = sockets.map_err(|error| {
            format!("{}: {error} (does a zmtp command with --metrics run there?)", self.source)
        })?;
        Ok(Snapshot { at: Instant::now(), sockets })
    }
}
