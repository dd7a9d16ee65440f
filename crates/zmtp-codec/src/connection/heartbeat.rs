//! Whether the peer is alive: our heartbeats, and the time to live of the peer's (RFC 37,
//! Connection Heartbeating).

use std::time::Duration;

use crate::config::Heartbeat;
use crate::error::Timeout;

/// The clocks of one connection after its handshake.
///
/// Any octet received is a sign of life, also in the middle of a frame.
#[derive(Debug, Default)]
pub(super) struct Liveness {
    heartbeat: Option<Heartbeat>,
    /// When the next PING is due.
    next_ping: Option<Duration>,
    /// When the first PING was sent after which nothing has come.
    unanswered: Option<Duration>,
    /// How long the peer said its silence may last.
    peer_ttl: Option<Duration>,
    last_heard: Duration,
    /// Nothing is read, so silence proves nothing.
    paused: bool,
}

impl Liveness {
    /// The handshake is over, and these heartbeats begin.
    pub(super) fn begin(&mut self, heartbeat: Option<Heartbeat>, now: Duration) {
        self.heartbeat = heartbeat.filter(|heartbeat| !heartbeat.interval.is_zero());
        self.next_ping = self.heartbeat.map(|heartbeat| now.saturating_add(heartbeat.interval));
        self.last_heard = now;
    }

    /// Octets have arrived.
    pub(super) fn heard(&mut self, now: Duration) {
        self.last_heard = self.last_heard.max(now);
        self.unanswered = None;
    }

    /// A PING with this time to live, in tenths of a second, has been read. Its time begins now:
    /// that it was not read earlier is no fault of the peer.
    pub(super) fn pinged(&mut self, ttl: u16, now: Duration) {
        let ttl = Duration::from_millis(u64::from(ttl).saturating_mul(100));
        self.peer_ttl = Some(ttl).filter(|ttl| !ttl.is_zero());
        self.last_heard = self.last_heard.max(now);
    }

    pub(super) fn pause(&mut self) {
        self.paused = true;
    }

    /// What ran before the pause starts anew.
    pub(super) fn resume(&mut self, now: Duration) {
        if std::mem::take(&mut self.paused) {
            self.last_heard = self.last_heard.max(now);
            self.unanswered = self.unanswered.map(|_| now);
        }
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        [self.next_ping, self.silence_ends(), self.ttl_ends()].into_iter().flatten().min()
    }

    /// What is due now: the heartbeat for which a PING must be sent, if it is time.
    pub(super) fn handle_timeout(&mut self, now: Duration) -> Result<Option<Heartbeat>, Timeout> {
        if self.ttl_ends().is_some_and(|end| now >= end) {
            return Err(Timeout::PeerTtl);
        }
        if self.silence_ends().is_some_and(|end| now >= end) {
            return Err(Timeout::Heartbeat);
        }
        let due = self.next_ping.is_some_and(|next| now >= next);
        let Some(heartbeat) = self.heartbeat.filter(|_| due) else { return Ok(None) };
        self.next_ping = Some(now.saturating_add(heartbeat.interval));
        self.unanswered = self.unanswered.or(Some(now));
        Ok(Some(heartbeat))
    }

    fn silence_ends(&self) -> Option<Duration> {
        let since = self.unanswered.filter(|_| !self.paused)?;
        Some(since.saturating_add(self.heartbeat?.timeout))
    }

    fn ttl_ends(&self) -> Option<Duration> {
        let ttl = self.peer_ttl.filter(|_| !self.paused)?;
        Some(self.last_heard.saturating_add(ttl))
    }
}
