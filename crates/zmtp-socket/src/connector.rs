//! One connected endpoint: dials, and dials again, until it is disconnected.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::admission::Ticket;
use crate::driver::{self, Core, End};
use crate::options::{Reconnect, Terms};
use crate::shared::{Door, Shared};
use crate::transport::Dialler;
use crate::{Event, Reason};

/// The shortest delay: whatever the options say, an endpoint that refuses at once must not burn a core.
const SHORTEST: Duration = Duration::from_millis(1);

/// Keeps one connection to the endpoint until it is disconnected or the socket closes.
pub(crate) async fn connect<C: Core>(door: Door, core: Arc<C>, socket: Arc<Shared>) {
    let mut backoff = Backoff::new(door.terms().options.reconnect, socket.networks.chance());
    let mut dialler = Dialler::default();
    loop {
        let terms = door.terms();
        backoff.limits = terms.options.reconnect;
        let begun = Instant::now();
        let end = tokio::select! {
            biased;
            () = door.stop.cancelled() => return,
            end = attempt(&mut dialler, &door, &terms, &core, &socket) => end,
        };
        if socket.drain.is_cancelled() || door.stop.is_cancelled() {
            return;
        }
        // From before anybody is told, so that whoever then says "now" is heard.
        let now = door.unpark.notified();
        if end.flowed || begun.elapsed() > backoff.limits.max {
            backoff.reset();
        }
        let refused = matches!(&end.reason, Reason::Protocol(error) if error.is_refusal());
        let delay = (!refused || terms.options.retry_refused).then(|| backoff.next());
        tell(&door, &socket, delay, end.reason);
        tokio::select! {
            biased;
            () = door.stop.cancelled() => return,
            () = socket.drain.cancelled() => return,
            () = now => backoff.reset(),
            () = wait(delay) => {}
        }
    }
}

/// Says when the endpoint will be dialled again, or that it will not.
fn tell(door: &Door, socket: &Shared, delay: Option<Duration>, reason: Reason) {
    let endpoint = &door.endpoint;
    socket.events.emit(|| match delay {
        Some(delay) => Event::RetryingIn { endpoint: endpoint.clone(), delay, reason },
        None => Event::Parked { endpoint: endpoint.clone(), reason },
    });
}

/// Dials once and, if somebody is there, runs the connection to its end.
async fn attempt<C: Core>(
    dialler: &mut Dialler,
    door: &Door,
    terms: &Arc<Terms>,
    core: &Arc<C>,
    socket: &Arc<Shared>,
) -> End {
    let dialled = tokio::select! {
        biased;
        () = socket.drain.cancelled() => return not_made(Reason::Stopped),
        dialled = dialler.dial(&door.endpoint, &socket.networks, &terms.options.tcp) => dialled,
    };
    match dialled {
        Ok((stream, address)) => {
            let peer = socket.new_peer(&door.endpoint, &address);
            let place = Ticket::dialled();
            let (core, socket, stop) = (core.clone(), socket.clone(), door.stop.clone());
            let end =
                driver::run(stream, peer.clone(), place, core, socket, terms.clone(), stop).await;
            if peer.info().is_some() {
                dialler.prove(&address);
            }
            end
        }
        Err(error) => not_made(error.into()),
    }
}

fn not_made(reason: Reason) -> End {
    End { reason, flowed: false }
}

/// For so long, or, without a delay, until somebody says otherwise.
async fn wait(delay: Option<Duration>) {
    match delay {
        Some(delay) => tokio::time::sleep(delay).await,
        None => std::future::pending().await,
    }
}

/// Delays that double, each with its own chance.
struct Backoff {
    limits: Reconnect,
    delay: Duration,
    chance: fastrand::Rng,
}

impl Backoff {
    fn new(limits: Reconnect, chance: fastrand::Rng) -> Self {
        Self { limits, delay: limits.initial, chance }
    }

    fn reset(&mut self) {
        self.delay = self.limits.initial;
    }

    fn next(&mut self) -> Duration {
        let delay = self.delay.min(self.limits.max).max(SHORTEST);
        self.delay = delay.saturating_mul(2);
        delay.mul_f64(0.5 + self.chance.f64() / 2.0).max(SHORTEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_begin_again_after_a_reset() {
        let limits =
            Reconnect { initial: Duration::from_millis(100), max: Duration::from_millis(700) };
        let mut backoff = Backoff::new(limits, fastrand::Rng::with_seed(7));
        for longest in [100, 200, 400, 700, 700] {
            let delay = backoff.next();
            let longest = Duration::from_millis(longest);
            assert!(delay >= longest / 2 && delay <= longest, "{delay:?} of {longest:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= Duration::from_millis(100));
    }

    #[test]
    fn the_longest_delay_holds_also_below_the_first_one() {
        let limits = Reconnect { initial: Duration::from_secs(9), max: Duration::from_secs(1) };
        let mut backoff = Backoff::new(limits, fastrand::Rng::with_seed(7));
        assert!(backoff.next() <= Duration::from_secs(1));
    }

    #[test]
    fn without_a_delay_there_is_still_a_pause() {
        for max in [Duration::ZERO, Duration::from_secs(1)] {
            let limits = Reconnect { initial: Duration::ZERO, max };
            let mut backoff = Backoff::new(limits, fastrand::Rng::with_seed(7));
            for _ in 0..20 {
                assert!(backoff.next() >= Duration::from_millis(1));
            }
            let longest = backoff.next();
            assert!(longest >= max / 2, "{longest:?} after many of {max:?} at most");
        }
    }

    #[test]
    fn two_sockets_do_not_come_back_in_step() {
        let limits = Reconnect::default();
        let mut one = Backoff::new(limits, fastrand::Rng::with_seed(1));
        let mut other = Backoff::new(limits, fastrand::Rng::with_seed(2));
        assert_ne!(one.next(), other.next());
    }
}
