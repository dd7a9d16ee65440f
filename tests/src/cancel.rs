//! Calls that are dropped before they are done, at each of their waits in turn.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use tokio::sync::Notify;

use crate::census::{Census, alone};
use crate::story::{Place, within};

/// The point at which a call is dropped.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    polls: usize,
    /// Whether it is dropped after its wait is over, but before it is polled again.
    woken: bool,
}

impl Cut {
    /// Polls `call` as often as this cut says, each time after a wake-up, and drops it. Whenever the
    /// call waits, the other tasks get their turn, and `meanwhile` brings about the awaited event, if
    /// nothing else will. It returns when the event has taken place: a receiver that looks for a message
    /// before it sleeps wakes itself, whether or not one has come.
    ///
    /// Returns the result of the call, if it was done by then.
    pub async fn call<T>(
        self,
        call: impl Future<Output = T>,
        mut meanwhile: impl AsyncFnMut(),
    ) -> Option<T> {
        let mut call = pin!(call);
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        for poll in 1..=self.polls {
            if let Poll::Ready(value) = call.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Some(value);
            }
            if poll < self.polls || self.woken {
                meanwhile().await;
                within("the call to be woken", woken.0.notified()).await;
            }
        }
        None
    }

    /// Whether the call was dropped before its first poll.
    pub fn is_before_all(self) -> bool {
        self.polls == 0
    }
}

#[derive(Default)]
struct Woken(Notify);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

/// Plays `scene`, which makes a call, with every possible [`Cut`]: before the first poll and, at each of
/// its waits, before and after that wait is over. Ends when a scene returns that its call was done.
/// Returns the number of waits of that call.
pub async fn at_each_wait(mut scene: impl AsyncFnMut(Cut) -> bool) -> usize {
    for polls in 0.. {
        for woken in [false, true] {
            if polls == 0 && woken {
                continue;
            }
            if scene(Cut { polls, woken }).await {
                return polls.saturating_sub(1);
            }
        }
    }
    unreachable!("every call is done some time")
}

/// Plays `scene` [at each wait](at_each_wait) of its call, over each transport. Checks that the call
/// waited at least `waits` times, and that no scene left more open than it found.
///
/// # Panics
/// When one of these checks fails.
pub fn everywhere(waits: usize, scene: impl AsyncFn(&Place, Cut) -> bool) {
    for place in [Place::tcp, Place::ipc, Place::inproc] {
        at(place, waits, &scene);
    }
}

/// Does as [`everywhere`], at one place.
///
/// # Panics
/// When the call waited less often, or something is still open.
pub fn at(place: fn() -> Place, waits: usize, scene: impl AsyncFn(&Place, Cut) -> bool) {
    alone(async {
        let place = place();
        let before = Census::now();
        let waited = at_each_wait(async |cut| {
            let done = scene(&place, cut).await;
            before.expect(&format!("a call at {}, {cut:?}", place.endpoint)).await;
            done
        });
        let waited = waited.await;
        assert!(waited >= waits, "{waited} waits at {}, of {waits}", place.endpoint);
    });
}
