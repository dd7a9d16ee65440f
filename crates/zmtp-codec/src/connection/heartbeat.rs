//! The liveness of the peer: our heartbeats, and the time to live of the peer's (RFC 37, Connection
//! Heartbeating).

use std::num::NonZeroU16;
use std::time::Duration;

use crate::config::Heartbeat;
use crate::error::Timeout;

/// How many PINGs may be unanswered: one may be lost in a stall, and one more asks again.
const OUTSTANDING: u8 = 2;

/// The timers of one connection after its handshake.
///
/// Any octet received is a sign of life, also in the middle of a frame.
#[derive(Debug, Default)]
pub(super) struct Liveness {
    heartbeat: Option<Heartbeat>,
    /// When the next PING is due.
    next_ping: Option<Duration>,
    /// The time of the first PING that was due after the octets that came last; `None` if none was.
    unanswered: Option<Duration>,
    /// How many PINGs were sent since octets last came.
    outstanding: u8,
    /// The output from the time of `unanswered` waits to be sent, perhaps for the end of a frame.
    unsent: bool,
    /// Whether a PING is in that output. If not, there was no room for one.
    is_queued: bool,
    /// The time to live in the peer's last PING, in tenths of a second, and its beginning. `None`
    /// if octets have come after that PING.
    peer_ttl: Option<(NonZeroU16, Duration)>,
    /// Nothing is read, so silence proves nothing.
    paused: bool,
}

impl Liveness {
    /// Begins these heartbeats, after the handshake.
    pub(super) fn begin(&mut self, heartbeat: Option<Heartbeat>, now: Duration) {
        self.heartbeat = heartbeat.filter(|heartbeat| !heartbeat.interval.is_zero());
        self.next_ping = self.heartbeat.map(|heartbeat| now.saturating_add(heartbeat.interval));
    }

    /// Whether PINGs are sent to this peer.
    pub(super) fn beats(&self) -> bool {
        self.heartbeat.is_some()
    }

    /// Takes note that octets have arrived.
    #[inline]
    pub(super) fn heard(&mut self) {
        (self.unanswered, self.unsent, self.outstanding) = (None, false, 0);
        // RFC 37: whatever comes after a PING ends its time to live.
        self.peer_ttl = None;
    }

    /// Whether a PING waits to be sent.
    #[inline]
    pub(super) fn has_unsent(&self) -> bool {
        self.unsent
    }

    /// Takes note that the transport has taken octets. Until it has taken the PING, that is a sign
    /// of life too: the peer cannot have answered yet.
    pub(super) fn wrote(&mut self, now: Duration, all: bool) {
        if self.unsent {
            // Without a PING, the peer has nothing to answer.
            self.unanswered = self.unanswered.map(|_| now).filter(|_| self.is_queued || !all);
            self.unsent = !all;
        }
    }

    /// Takes note of a PING with this time to live, in tenths of a second, after which nothing has
    /// come yet. The time begins now: the peer is not to blame if the PING was read late.
    pub(super) fn pinged(&mut self, ttl: u16, now: Duration) {
        self.peer_ttl = NonZeroU16::new(ttl).map(|ttl| (ttl, now));
    }

    /// Takes note that octets after a PING have come already.
    pub(super) fn continued(&mut self) {
        self.peer_ttl = None;
    }

    pub(super) fn pause(&mut self) {
        self.paused = true;
    }

    /// Ends the pause: the timers that ran before it start anew.
    pub(super) fn resume(&mut self, now: Duration) {
        if std::mem::take(&mut self.paused) {
            self.peer_ttl = self.peer_ttl.map(|(ttl, _)| (ttl, now));
            self.unanswered = self.unanswered.map(|_| now);
            self.outstanding = 0;
        }
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        [self.next_ping, self.silence_ends(), self.ttl_ends()].into_iter().flatten().min()
    }

    /// Does what is due now. Returns the heartbeat if a PING must be sent, for which the output may have no room. A
    /// transport that takes nothing meanwhile is silent, too.
    pub(super) fn handle_timeout(
        &mut self,
        now: Duration,
        has_room: bool,
    ) -> Result<Option<Heartbeat>, Timeout> {
        if self.ttl_ends().is_some_and(|end| now >= end) {
            return Err(Timeout::PeerTtl);
        }
        if self.silence_ends().is_some_and(|end| now >= end) {
            return Err(Timeout::Heartbeat);
        }
        let due = self.next_ping.is_some_and(|next| now >= next);
        let Some(heartbeat) = self.heartbeat.filter(|_| due) else { return Ok(None) };
        self.next_ping = Some(now.saturating_add(heartbeat.interval));
        // While nothing is read, no answer is seen; the PINGs are then only our own signs of life.
        if self.outstanding >= OUTSTANDING && !self.paused {
            return Ok(None);
        }
        if self.unanswered.is_none() {
            (self.unanswered, self.unsent, self.is_queued) = (Some(now), true, false);
        }
        if !has_room {
            return Ok(None);
        }
        self.is_queued = true;
        self.outstanding = self.outstanding.saturating_add(1);
        Ok(Some(heartbeat))
    }

    fn silence_ends(&self) -> Option<Duration> {
        let since = self.unanswered.filter(|_| !self.paused)?;
        Some(since.saturating_add(self.heartbeat?.timeout))
    }

    fn ttl_ends(&self) -> Option<Duration> {
        let (ttl, since) = self.peer_ttl.filter(|_| !self.paused)?;
        let ttl = Duration::from_millis(u64::from(ttl.get()).saturating_mul(100));
        Some(since.saturating_add(ttl))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A PING each second, 400 ms to answer it.
    fn beating() -> (Liveness, Heartbeat) {
        let heartbeat = Heartbeat::every(ms(1000)).with_timeout(ms(400));
        let mut liveness = Liveness::default();
        liveness.begin(Some(heartbeat), ms(0));
        (liveness, heartbeat)
    }

    #[test]
    fn the_deadline_is_the_first_of_what_runs() {
        let (mut liveness, heartbeat) = beating();
        assert_eq!(liveness.deadline(), Some(ms(1000)), "the PING");
        assert_eq!(liveness.handle_timeout(ms(1000), true), Ok(Some(heartbeat)));
        assert_eq!(liveness.deadline(), Some(ms(1400)), "the answer");
        liveness.heard();
        assert_eq!(liveness.deadline(), Some(ms(2000)), "the next PING");
        liveness.pinged(3, ms(1200));
        assert_eq!(liveness.deadline(), Some(ms(1500)), "the peer's time to live");
        liveness.pause();
        assert_eq!(liveness.deadline(), Some(ms(2000)), "only PINGs go on");
        liveness.resume(ms(1900));
        assert_eq!(liveness.deadline(), Some(ms(2000)));
        assert_eq!(liveness.handle_timeout(ms(2200), true), Err(Timeout::PeerTtl));
    }

    #[test]
    fn a_peer_that_answers_nothing_is_sent_two_pings_and_no_more_until_it_is_heard() {
        let heartbeat = Heartbeat::every(ms(10)).with_timeout(ms(60_000));
        let mut liveness = Liveness::default();
        liveness.begin(Some(heartbeat), ms(0));
        let pings = |liveness: &mut Liveness, times: std::ops::Range<u64>| {
            let due = times.map(|time| liveness.handle_timeout(ms(10 * time), true).unwrap());
            due.filter(Option::is_some).count()
        };
        assert_eq!(pings(&mut liveness, 1..5000), 2);
        liveness.heard();
        assert_eq!(pings(&mut liveness, 5000..5500), 2);
        liveness.pause();
        assert_eq!(pings(&mut liveness, 5500..5600), 100, "our own signs of life");
        liveness.resume(ms(56_000));
        assert_eq!(pings(&mut liveness, 5601..6000), 2);
    }

    #[test]
    fn until_a_ping_is_sent_progress_is_a_sign_of_life_and_then_no_more() {
        let (mut liveness, _) = beating();
        liveness.wrote(ms(900), true);
        liveness.handle_timeout(ms(1000), true).unwrap();
        assert_eq!(liveness.deadline(), Some(ms(1400)));
        liveness.wrote(ms(1300), false);
        assert!(liveness.has_unsent());
        assert_eq!(liveness.deadline(), Some(ms(1700)));
        liveness.wrote(ms(1350), true);
        assert!(!liveness.has_unsent());
        liveness.wrote(ms(1600), true);
        assert_eq!(liveness.deadline(), Some(ms(1750)), "from when it was sent");
        // The next PING postpones nothing.
        liveness.next_ping = Some(ms(1700));
        liveness.handle_timeout(ms(1700), true).unwrap();
        liveness.wrote(ms(1720), true);
        assert_eq!(liveness.handle_timeout(ms(1750), true), Err(Timeout::Heartbeat));
    }

    #[test]
    fn a_ping_that_was_never_sent_is_not_to_be_answered_but_a_stall_is_silence() {
        let (mut liveness, heartbeat) = beating();
        assert_eq!(liveness.handle_timeout(ms(1000), false), Ok(None));
        liveness.wrote(ms(1300), false);
        assert_eq!(liveness.deadline(), Some(ms(1700)), "nothing is taken");
        liveness.wrote(ms(1600), true);
        assert_eq!(liveness.deadline(), Some(ms(2000)), "the next PING");
        assert_eq!(liveness.handle_timeout(ms(2000), false), Ok(None));
        liveness.next_ping = Some(ms(2100));
        assert_eq!(liveness.handle_timeout(ms(2100), true), Ok(Some(heartbeat)));
        liveness.wrote(ms(2200), true);
        assert_eq!(liveness.deadline(), Some(ms(2600)), "the answer");
        let (mut stalled, _) = beating();
        assert_eq!(stalled.handle_timeout(ms(1000), false), Ok(None));
        assert_eq!(stalled.handle_timeout(ms(1400), false), Err(Timeout::Heartbeat));
    }

    #[test]
    fn a_second_resume_changes_nothing() {
        let (mut liveness, _) = beating();
        liveness.handle_timeout(ms(1000), true).unwrap();
        liveness.resume(ms(1300));
        assert_eq!(liveness.deadline(), Some(ms(1400)), "it was never paused");
    }

    #[test]
    fn time_may_run_out_of_numbers() {
        let (mut liveness, _) = beating();
        liveness.handle_timeout(Duration::MAX, true).unwrap();
        assert_eq!(liveness.deadline(), Some(Duration::MAX));
    }

    #[test]
    fn an_interval_of_zero_is_none() {
        let mut liveness = Liveness::default();
        liveness.begin(Some(Heartbeat::every(Duration::ZERO)), ms(5));
        assert_eq!(liveness.deadline(), None);
    }
}
