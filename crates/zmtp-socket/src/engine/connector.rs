//! One connected endpoint: dials, and dials again, until it is disconnected.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::endpoint::Endpoint;
use crate::engine::admission::Permit;
use crate::engine::driver::{self, Core, End};
use crate::engine::panics::{self, caught};
use crate::engine::shared::{EndpointTask, Shared};
use crate::engine::signal::Killed;
use crate::engine::transport::Dialler;
use crate::error::Reason;
use crate::monitor::Event;
use crate::options::{LinkConfig, Reconnect};

/// The shortest delay: even with an option of zero, an endpoint that refuses at once must not use up a
/// core.
const SHORTEST: Duration = Duration::from_millis(1);

/// Keeps one connection to the endpoint until it is disconnected or the socket closes.
pub(crate) async fn connect<C: Core>(task: Arc<EndpointTask>, core: Arc<C>, socket: Arc<Shared>) {
    let mut signal = task.signal();
    let limits = task.terms().options.reconnect;
    let mut backoff = Backoff::new(limits, socket.networks.chance());
    let mut dialler = Dialler::default();
    loop {
        let round = round(&mut dialler, &task, &core, &socket, &mut signal, &mut backoff);
        let round = caught(round).await;
        let pause = match round {
            Ok(ControlFlow::Break(())) => return,
            Ok(ControlFlow::Continue(())) => continue,
            // Most likely a subscriber of the log has panicked.
            Err(_panic) => backoff.next(),
        };
        tokio::select! {
            biased;
            () = over(&mut signal, &task, &*core, &socket) => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// One attempt and its outcome, then the wait for the next one.
async fn round<C: Core>(
    dialler: &mut Dialler,
    task: &Arc<EndpointTask>,
    core: &Arc<C>,
    socket: &Arc<Shared>,
    signal: &mut Killed,
    backoff: &mut Backoff,
) -> ControlFlow<()> {
    let terms = task.terms();
    backoff.limits = terms.options.reconnect;
    let begun = Instant::now();
    let end = attempt(dialler, task, &terms, core, socket, signal).await;
    if signal.is_draining() && !has_to_deliver(task, &**core, socket) {
        return ControlFlow::Break(());
    }
    // Registered before the outcome is announced, so that a caller that then asks for an attempt at once
    // is heard.
    let now = task.unpark.notified();
    if end.had_traffic || begun.elapsed() > backoff.limits.max {
        backoff.reset();
    }
    // Our user ended the connection to a raw peer. (Any other way to end a connection ends the endpoint
    // too.)
    let was_ended = terms.options.raw.is_some() && matches!(end.reason, Reason::Stopped);
    let refused = matches!(&end.reason, Reason::Protocol(error) if error.is_refusal());
    let delay = if !Arc::ptr_eq(&terms, &task.terms()) {
        // The options were changed meanwhile, and the outcome under the old ones does not count.
        backoff.reset();
        Some(Duration::ZERO)
    } else if was_ended || (refused && !terms.options.retry_refused) {
        None
    } else {
        Some(backoff.next())
    };
    announce(task, socket, delay, end.reason);
    tokio::select! {
        biased;
        () = over(signal, task, &**core, socket) => return ControlFlow::Break(()),
        () = now => backoff.reset(),
        () = wait(delay) => {}
    }
    ControlFlow::Continue(())
}

/// Announces when the endpoint will be dialled again, or that it will not.
fn announce(task: &EndpointTask, socket: &Shared, delay: Option<Duration>, reason: Reason) {
    let endpoint = task.endpoint.clone();
    socket.events.emit(|| match delay {
        Some(delay) => Event::RetryingIn { endpoint, delay, reason },
        None => Event::Parked { endpoint, reason },
    });
}

/// Dials once and, if that succeeds, waits for the end of the connection.
async fn attempt<C: Core>(
    dialler: &mut Dialler,
    task: &Arc<EndpointTask>,
    terms: &Arc<LinkConfig>,
    core: &Arc<C>,
    socket: &Arc<Shared>,
    signal: &mut Killed,
) -> End {
    let dialled = tokio::select! {
        biased;
        () = over(signal, task, &**core, socket) => return not_made(Reason::Stopped),
        dialled = dialler.dial(&task.endpoint, &socket.networks, &terms.options) => dialled,
    };
    let (stream, address) = match dialled {
        Ok(connected) => connected,
        Err(error) => return not_made(error.into()),
    };
    let (peer, signal) = (socket.dialled_peer(&task.endpoint, &address), task.signal());
    peer.set_descriptor(stream.descriptor());
    let permit = Permit::dialled(signal.kill());
    let (core, shared) = (core.clone(), socket.clone());
    let driver = driver::run(stream, peer.clone(), permit, signal, core, shared, terms.clone());
    // A task of its own: it has its own signal to end, and its panic does not end ours.
    let ended = tokio::spawn(socket.track(task, driver)).await;
    if peer.info().is_some() {
        dialler.prove(&address);
    }
    match ended {
        Ok(end) => end,
        Err(error) => not_made(match error.try_into_panic() {
            Ok(panic) => panics::reason(&*panic),
            Err(_ended) => Reason::RuntimeEnded,
        }),
    }
}

/// Waits for the end of the endpoint. A socket that lingers still has messages to deliver there.
async fn over<C: Core>(signal: &mut Killed, task: &EndpointTask, core: &C, socket: &Shared) {
    signal.drained().await;
    if has_to_deliver(task, core, socket) {
        signal.ended().await;
    }
}

/// Whether messages wait for the peer of the endpoint, and somebody may still come to listen there.
fn has_to_deliver<C: Core>(task: &EndpointTask, core: &C, socket: &Shared) -> bool {
    let is_deserted = matches!(
        &task.endpoint,
        Endpoint::Inproc(name) if socket.networks.is_without_inproc(name)
    );
    core.has_unsent(&task.endpoint) && !is_deserted
}

fn not_made(reason: Reason) -> End {
    End { reason, had_traffic: false }
}

/// Waits for `delay` or, without one, for ever.
async fn wait(delay: Option<Duration>) {
    match delay {
        Some(delay) => tokio::time::sleep(delay).await,
        None => std::future::pending().await,
    }
}

/// Delays that double, each with random jitter.
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
