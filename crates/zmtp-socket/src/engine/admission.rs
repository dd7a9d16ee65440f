//! Limits on the peers of a socket's bound endpoints: the number of connections, and the number of those
//! in their handshake.
//!
//! A stranger that sends nothing keeps its place only until another peer needs it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

pub(crate) use crate::engine::signal::{Kill, Killed};
use crate::error::Overrun;
use crate::options::SocketOptions;
use crate::peer::PeerId;
use crate::sync::{lock, lock_to_wake};

/// The shortest time that each connection has for its handshake. When many peers come at once, those in
/// their handshake can finish it, and the others wait to be accepted. Otherwise each newcomer would
/// displace the one before it.
const GRACE: Duration = Duration::from_millis(100);

/// The places of one socket.
pub(crate) struct Admission {
    limits: SocketOptions,
    places: Mutex<Places>,
    /// Notified when a handshake is over, whether it succeeded or not.
    freed: Notify,
}

#[derive(Default)]
struct Places {
    /// Connections in their handshake, and when each began. Peer numbers rise, so the first is the
    /// oldest.
    half_done: BTreeMap<PeerId, (Instant, Kill)>,
    established: usize,
    refused: u64,
}

impl Admission {
    pub(crate) fn new(limits: SocketOptions) -> Arc<Self> {
        Arc::new(Self { limits, places: Mutex::default(), freed: Notify::new() })
    }

    /// Waits until a newcomer displaces no connection that has had its place for less than [`GRACE`].
    pub(crate) async fn wait_for_place(&self) {
        while let Some(time) = self.grace() {
            let _at_the_latest = timeout(time, self.freed.notified()).await;
        }
    }

    /// The time for which the oldest handshake still keeps its place, if there is no other place.
    fn grace(&self) -> Option<Duration> {
        let places = lock(&self.places);
        if places.half_done.len() < self.limits.max_handshakes {
            return None;
        }
        let (_, (since, _)) = places.half_done.first_key_value()?;
        GRACE.checked_sub(since.elapsed()).filter(|time| !time.is_zero())
    }

    /// Gives a newcomer a place; `kill` ends its connection. At a limit, the oldest connection that has
    /// not finished its handshake loses its place to the newcomer.
    pub(crate) fn admit(self: &Arc<Self>, peer: PeerId, kill: Kill) -> Result<Permit, Overrun> {
        let SocketOptions { max_connections, max_handshakes, .. } = self.limits;
        let mut places = lock_to_wake(&self.places);
        let limit = if places.half_done.len() >= max_handshakes {
            Some(Overrun::Handshakes { limit: max_handshakes })
        } else if places.half_done.len() + places.established >= max_connections {
            Some(Overrun::Connections { limit: max_connections })
        } else {
            None
        };
        if let Some(limit) = limit {
            places.refused += 1;
            let (_, (_, oldest)) = places.half_done.pop_first().ok_or(limit)?;
            let waker = oldest.advance(limit.into());
            places.wake(waker);
        }
        places.half_done.insert(peer, (Instant::now(), kill));
        Ok(Permit(Place::Bound { admission: self.clone(), peer, established: false }))
    }

    /// The number of connections in their handshake, and of those that were refused a place or lost it.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let places = lock(&self.places);
        (places.half_done.len() as u64, places.refused)
    }
}

/// A connection's place. Dropping it frees the place.
pub(crate) struct Permit(Place);

enum Place {
    Bound {
        admission: Arc<Admission>,
        peer: PeerId,
        established: bool,
    },
    /// We dialled: such connections are not limited.
    Dialled(Option<Kill>),
}

impl Permit {
    pub(crate) fn dialled(kill: Kill) -> Self {
        Self(Place::Dialled(Some(kill)))
    }

    /// Notes that the handshake is done. Returns the means to end the connection, or an error if the
    /// place was given to another connection.
    pub(crate) fn establish(&mut self) -> Result<Kill, Overrun> {
        let lost = |limit| Overrun::Handshakes { limit };
        match &mut self.0 {
            Place::Dialled(kill) => kill.take().ok_or(lost(1)),
            Place::Bound { admission, peer, established } => {
                let limit = admission.limits.max_handshakes;
                let kill = {
                    let places = &mut *lock(&admission.places);
                    let (_, kill) = places.half_done.remove(peer).ok_or(lost(limit))?;
                    places.established += 1;
                    kill
                };
                *established = true;
                admission.freed.notify_one();
                Ok(kill)
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Place::Bound { admission, peer, established } = &self.0 {
            if *established {
                lock(&admission.places).established -= 1;
                return;
            }
            // None if another connection has displaced it.
            let place = lock(&admission.places).half_done.remove(peer);
            if place.is_some() {
                admission.freed.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::error::Reason;

    fn admission(max_connections: usize, max_handshakes: usize) -> Arc<Admission> {
        let options = SocketOptions::default();
        Admission::new(SocketOptions { max_connections, max_handshakes, ..options })
    }

    /// A newcomer's permit, and the receiver of its signal to end.
    fn admit(admission: &Arc<Admission>, peer: u64) -> (Permit, Killed) {
        let (kill, expelled) = Kill::new();
        (admission.admit(PeerId(peer), kill).expect("there is a place"), expelled)
    }

    fn fate(expelled: &mut Killed) -> Option<String> {
        match Pin::new(expelled).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(reason) => Some(reason.to_string()),
            Poll::Pending => None,
        }
    }

    #[test]
    fn the_oldest_half_done_handshake_makes_room_for_a_newcomer() {
        let admission = admission(10, 2);
        let (mut first, mut first_fate) = admit(&admission, 1);
        let (mut second, mut second_fate) = admit(&admission, 2);
        let (_third, mut third_fate) = admit(&admission, 3);
        assert!(fate(&mut first_fate).expect("it had to go").contains("more than 2 handshakes"));
        assert!(first.establish().is_err(), "what is over is over");
        assert!(second.establish().is_ok());
        let (_fourth, _) = admit(&admission, 4);
        assert_eq!((fate(&mut second_fate), fate(&mut third_fate)), (None, None));
        assert_eq!(admission.counts(), (2, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_waits_until_a_handshake_is_over_or_has_had_its_time() {
        let admission = admission(10, 2);
        let start = Instant::now();
        admission.wait_for_place().await;
        let (mut first, _) = admit(&admission, 1);
        admission.wait_for_place().await;
        let (second, _) = admit(&admission, 2);
        assert_eq!(start.elapsed(), Duration::ZERO, "there were places");
        admission.wait_for_place().await;
        assert!(start.elapsed() >= GRACE);

        let (_third, _) = admit(&admission, 3);
        assert!(first.establish().is_err(), "it has had its time");
        let start = Instant::now();
        tokio::join!(admission.wait_for_place(), async { drop(second) });
        assert_eq!(start.elapsed(), Duration::ZERO, "it is over");
        let (mut fourth, _) = admit(&admission, 4);
        tokio::join!(admission.wait_for_place(), async { fourth.establish().map(drop) }).1.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO, "it is established");
    }

    #[test]
    fn at_the_limit_of_connections_who_has_not_finished_goes_and_a_newcomer_only_if_all_have() {
        let admission = admission(2, 2);
        let (mut first, _) = admit(&admission, 1);
        first.establish().expect("it is there");
        let (_second, mut second_fate) = admit(&admission, 2);
        let (mut third, _) = admit(&admission, 3);
        assert!(fate(&mut second_fate).expect("it had to go").contains("all 2 connections"));
        third.establish().expect("it is there");
        let refused = admission.admit(PeerId(4), Kill::new().0).err();
        assert_eq!(refused, Some(Overrun::Connections { limit: 2 }));
        drop(first);
        admit(&admission, 5);
        assert_eq!(admission.counts(), (0, 2));
    }

    #[test]
    fn a_place_is_free_again_whatever_became_of_who_had_it() {
        let admission = admission(1, 1);
        for round in 0..3 {
            let (mut permit, _) = admit(&admission, 3 * round);
            permit.establish().expect("it is there");
            drop(permit);
            drop(admit(&admission, 3 * round + 1));
            let (expelled, _) = admit(&admission, 3 * round + 2);
            let (newcomer, _) = admit(&admission, 3 * round + 3);
            drop(expelled);
            assert_eq!(admission.counts().0, 1);
            drop(newcomer);
            assert_eq!(lock(&admission.places).established, 0);
        }
    }

    #[test]
    fn who_was_dialled_needs_no_place() {
        let (kill, mut expelled) = Kill::new();
        let mut permit = Permit::dialled(kill);
        let kill = permit.establish().expect("it is there");
        kill.because(Reason::Stopped);
        assert!(fate(&mut expelled).is_some());
    }
}
