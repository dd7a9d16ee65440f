//! The options of the command lines for the queue of each subscriber.

use clap::Args;
use zmtp_socket::{HighWaterMark, WhenFull};

/// How much is queued for each subscriber, and what happens when that is too little.
#[derive(Debug, Args)]
pub struct Queue {
    /// Messages queued for each subscriber: a number, or "unlimited"
    #[arg(long, value_name = "N", default_value_t)]
    pub send_hwm: HighWaterMark,

    /// Wait while a subscriber's queue is full, so that none loses messages [default: it loses new ones]
    #[arg(long)]
    wait: bool,
}

impl Queue {
    /// The policy for a message to a subscriber whose queue is full.
    pub fn when_full(&self) -> WhenFull {
        if self.wait { WhenFull::Wait } else { WhenFull::default() }
    }
}
