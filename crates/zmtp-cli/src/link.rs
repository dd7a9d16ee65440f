//! Options of a socket's connections and queues.

use std::time::Duration;

use clap::Args;
use zmtp_socket::{Configured, Heartbeat, HighWaterMark, Options};

use crate::ending::Failure;
use crate::keys::Security;

/// The options of a socket and its connections.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connections")]
pub(crate) struct Link {
    /// How many messages may wait for each peer, and how many from it: a number, or "unlimited" [default: 1000]
    #[arg(long, value_name = "N")]
    hwm: Option<HighWaterMark>,

    /// How long queued messages are still delivered at the end
    #[arg(long, value_name = "TIME", default_value = "30s")]
    linger: humantime::Duration,

    /// Send each peer a PING this often, and disconnect a peer that does not answer
    #[arg(long, value_name = "TIME")]
    heartbeat: Option<humantime::Duration>,

    /// The largest message that a peer may send, in octets [default: 64 MiB]
    #[arg(long, value_name = "OCTETS")]
    max_message_size: Option<u64>,

    #[command(flatten)]
    security: Security,
}

impl Link {
    /// The high-water mark.
    pub(crate) fn hwm(&self) -> HighWaterMark {
        self.hwm.unwrap_or_default()
    }

    /// Applies the settings that all socket types have.
    pub(crate) fn apply<T: Configured>(
        &self,
        mut options: Options<T>,
    ) -> Result<Options<T>, Failure> {
        if let Some(interval) = self.heartbeat {
            options = options.heartbeat(Heartbeat::every(*interval));
        }
        if let Some(octets) = self.max_message_size {
            options = options.max_message_size(octets);
        }
        self.security.apply(options)
    }

    /// How long queued messages are still delivered at the end.
    pub(crate) fn linger(&self) -> Duration {
        *self.linger
    }
}
