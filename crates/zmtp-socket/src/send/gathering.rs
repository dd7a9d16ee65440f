//! Resting drivers, for busy peers of senders that run beside the drivers: on a runtime with workers, or
//! on a thread outside of every runtime.
//!
//! There, a driver that is woken for each message runs beside the sender. It finds little to write each
//! time, and both spend their time on wake-ups and on the lock. Therefore the driver of a busy peer
//! rests until much is queued. Then the sender writes the queue by itself, if the message is for this
//! peer alone, and lets the driver rest as long again:
//!
//! ```text
//! driver   wakes, takes much ──► rests ──────────────────┬─────────► has rested: takes what is left
//! sender           ... queues ... queues ... much: writes ... queues ... (stops)
//! ```
//!
//! With a sender on a runtime of one thread, the driver runs when the sender yields, and finds much
//! without a rest.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};

use super::Outbox;
use crate::engine::short_sleep::ShortSleep;
use crate::stats::Count;

/// When so many octets are queued, a resting driver is woken, or a sender writes them for it.
pub(crate) const MUCH: usize = 128 << 10;

/// The same for a peer in the same process, where a write costs no system call.
const MUCH_INSIDE: usize = 16 << 10;

/// A peer that is sent so many octets, in several messages, while its driver is woken is busy. It is no longer busy if
/// it is sent fewer, or one message, while its driver [rests](REST): who sends one message at a time may wait for an
/// answer to each.
const BUSY: usize = 4 << 10;

fn is_busy(messages: usize, octets: usize) -> bool {
    messages > 1 && octets >= BUSY
}

/// How long a driver rests at first, and at most. It rests longer each time that the sender has written
/// meanwhile. The last messages of a sender that has stopped wait for one such time, or two.
const REST: Duration = Duration::from_micros(100);
pub(crate) const LONGEST_REST: Duration = Duration::from_micros(400);

/// The rule by which a driver rests.
#[derive(Debug, Default)]
pub(crate) enum Gathering {
    #[default]
    Idle,
    /// Rests whenever less than [`MUCH`] is queued.
    Busy(Box<Rest>),
    /// There is no timer: never rests.
    Untimed,
    /// Never rests again.
    Over,
}

#[derive(Debug)]
pub(crate) struct Rest {
    timer: Arc<RestTimer>,
    is_resting: bool,
    /// The messages and octets that had been sent when the rest began.
    sent: Count,
}

/// The timer that ends a rest.
#[derive(Debug)]
pub(crate) struct RestTimer {
    sleep: ShortSleep,
    micros: AtomicU32,
}

impl RestTimer {
    /// Begins the rest, also if it has begun before. Returns whether there is a timer.
    pub(crate) fn start(&self) -> bool {
        self.sleep.start(self.time()).is_ok()
    }

    fn time(&self) -> Duration {
        Duration::from_micros(self.micros.load(Ordering::Relaxed).into())
    }

    fn set_time(&self, time: Duration) {
        self.micros.store(time.as_micros() as u32, Ordering::Relaxed);
    }
}

impl Gathering {
    /// Waits until the driver is to take the queued messages.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, outbox: &mut Outbox) -> Poll<()> {
        let queued = outbox.queued_octets();
        if outbox.has_begun() {
            return Poll::Ready(());
        }
        let much = if outbox.is_direct() { MUCH_INSIDE } else { MUCH };
        let has_much = queued >= much || outbox.is_full();
        if let Self::Busy(rest) = self
            && !has_much
            && rest.poll(cx, outbox.sent).is_pending()
        {
            outbox.rest(cx.waker(), much, &rest.timer);
            return Poll::Pending;
        }
        let is_busy = is_busy(outbox.queued(), queued);
        match self {
            Self::Busy(rest) if is_busy => rest.is_resting = false,
            Self::Idle if is_busy && (outbox.is_direct() || outbox.outlet().is_some()) => {
                *self = Self::begin(outbox.is_sent_outside());
            }
            // An idle peer keeps no timer.
            Self::Busy(_) => *self = Self::Idle,
            Self::Idle | Self::Untimed | Self::Over => {}
        }
        if outbox.is_empty() {
            outbox.wait(cx.waker());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Ends all resting, since nothing more is queued.
    pub(crate) fn end(&mut self) {
        *self = Self::Over;
    }

    /// Whether all resting has ended.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    /// Begins to rest, if that is needed. The sender may be outside of every runtime.
    fn begin(is_sent_outside: bool) -> Self {
        match Handle::current().runtime_flavor() {
            RuntimeFlavor::CurrentThread if !is_sent_outside => Self::Idle,
            _ => ShortSleep::new().map_or(Self::Untimed, |sleep| {
                let timer = Arc::new(RestTimer { sleep, micros: AtomicU32::default() });
                timer.set_time(REST);
                Self::Busy(Box::new(Rest { timer, is_resting: false, sent: Count::default() }))
            }),
        }
    }
}

impl Rest {
    /// Rests while a sender writes much; `sent` is all that has been sent so far. A timer that fails ends the rest.
    fn poll(&mut self, cx: &mut Context<'_>, sent: Count) -> Poll<()> {
        loop {
            if !self.is_resting {
                self.sent = sent;
                if !self.timer.start() {
                    return Poll::Ready(());
                }
            }
            self.is_resting = true;
            let rested = ready!(self.timer.sleep.poll(cx));
            self.is_resting = false;
            let (messages, octets) =
                (sent.messages - self.sent.messages, sent.octets - self.sent.octets);
            if rested.is_err() || !is_busy(messages as usize, octets as usize) {
                self.timer.set_time(REST);
                return Poll::Ready(());
            }
            self.timer.set_time(LONGEST_REST.min(self.timer.time() * 2));
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
pub(super) mod tests {
    use std::task::Waker;

    use bytes::Bytes;
    use tokio::net::TcpStream;
    use tokio::runtime::Builder;

    use super::*;
    use crate::engine::burst::Burst;
    use crate::engine::transport::Outlet;
    use crate::options::{HighWaterMark, Marks};
    use crate::send::{Run, at_once};

    const ALL: usize = 64 << 20;

    /// An outbox of a peer over tcp, and what that peer receives.
    pub(in crate::send) async fn outbox() -> (Outbox, TcpStream) {
        let (outlet, peer) = Outlet::connected().await;
        let marks = Marks::new(HighWaterMark::messages(10), None, ALL);
        (Outbox::new(marks, Some(outlet), None), peer)
    }

    /// Runs a test on the only worker. The runtime sees that a timer has elapsed only while the test waits, however
    /// long the system keeps its thread from running.
    fn with_workers(test: impl Future<Output = ()> + Send + 'static) {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(runtime.spawn(test)).unwrap();
    }

    /// Queues a message of so many octets.
    fn queue(outbox: &mut Outbox, octets: usize) {
        outbox.push(&Run::apart(Bytes::from(vec![0; octets]), 1, 0));
    }

    /// Queues what makes a peer busy.
    fn queue_busy(outbox: &mut Outbox) {
        queue(outbox, BUSY - 1);
        queue(outbox, 1);
    }

    /// Whether the driver takes the queued messages; then the transport takes them.
    fn takes(gathering: &mut Gathering, outbox: &mut Outbox) -> bool {
        let is_ready = gathering.poll(&mut Context::from_waker(Waker::noop()), outbox).is_ready();
        if is_ready {
            let (messages, octets) = (outbox.queued(), outbox.queued_octets());
            outbox.take(&mut Burst::default());
            outbox.written(messages, octets);
        }
        is_ready
    }

    /// The same outbox, of a busy peer whose driver rests.
    async fn resting() -> (Outbox, Gathering, TcpStream) {
        let ((mut outbox, peer), mut gathering) = (outbox().await, Gathering::default());
        queue_busy(&mut outbox);
        assert!(takes(&mut gathering, &mut outbox));
        assert!(!takes(&mut gathering, &mut outbox), "it rests");
        (outbox, gathering, peer)
    }

    /// Waits until the driver rests no more.
    async fn until_idle(gathering: &mut Gathering, outbox: &mut Outbox) {
        std::future::poll_fn(|cx| {
            let _nothing = gathering.poll(cx, outbox);
            if matches!(gathering, Gathering::Idle) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    #[test]
    fn with_workers_the_driver_of_a_busy_peer_rests_until_there_is_much_or_it_has_rested() {
        with_workers(async {
            let (mut outbox, _peer) = outbox().await;
            let mut gathering = Gathering::default();
            queue(&mut outbox, BUSY - 1);
            assert!(takes(&mut gathering, &mut outbox), "it is not busy");
            queue(&mut outbox, 10 * BUSY);
            assert!(takes(&mut gathering, &mut outbox), "nor by one message");
            queue(&mut outbox, 1);
            assert!(takes(&mut gathering, &mut outbox), "nor before");
            queue_busy(&mut outbox);
            assert!(takes(&mut gathering, &mut outbox));
            queue(&mut outbox, MUCH - 1);
            assert!(!takes(&mut gathering, &mut outbox) && !outbox.is_due(), "it rests");
            assert!(outbox.take_idle().is_none() && outbox.rests(0) && !outbox.rests(1));
            queue(&mut outbox, 1);
            assert!(outbox.is_due() && takes(&mut gathering, &mut outbox), "that is much");
            (0..9).for_each(|_| queue(&mut outbox, 1));
            assert!(!takes(&mut gathering, &mut outbox) && !outbox.rests(1), "it would be full");
            queue(&mut outbox, 1);
            assert!(outbox.is_due() && takes(&mut gathering, &mut outbox), "it is full");
        });
    }

    #[test]
    fn what_is_left_goes_out_when_the_driver_has_rested_or_the_socket_is_closed() {
        with_workers(async {
            let (mut outbox, _peer) = outbox().await;
            let mut gathering = Gathering::default();
            queue_busy(&mut outbox);
            assert!(takes(&mut gathering, &mut outbox));
            queue(&mut outbox, 1);
            std::future::poll_fn(|cx| gathering.poll(cx, &mut outbox)).await;
            assert!(matches!(gathering, Gathering::Idle), "it is not busy any more");
            queue_busy(&mut outbox);
            assert!(takes(&mut gathering, &mut outbox));
            queue(&mut outbox, 1);
            assert!(!takes(&mut gathering, &mut outbox));
            gathering.end();
            assert!(takes(&mut gathering, &mut outbox));
        });
    }

    #[test]
    fn a_driver_does_not_rest_while_a_message_is_half_written() {
        with_workers(async {
            let (mut outbox, mut gathering, _peer) = resting().await;
            let mut begun = Burst::default();
            begun.push(Bytes::from_static(b"\0\x071234567"), 1, 0);
            begun.advance(4);
            outbox.begin(begun, 4, 5);
            assert!(takes(&mut gathering, &mut outbox));
        });
    }

    #[tokio::test]
    async fn on_one_thread_no_driver_rests() {
        let (mut outbox, _peer) = outbox().await;
        let mut gathering = Gathering::default();
        for _ in 0..3 {
            queue_busy(&mut outbox);
            assert!(takes(&mut gathering, &mut outbox));
            queue(&mut outbox, 1);
            assert!(takes(&mut gathering, &mut outbox));
        }
    }

    #[tokio::test]
    async fn on_one_thread_the_driver_rests_for_a_sender_on_a_thread_of_its_own() {
        let (mut outbox, _peer) = outbox().await;
        let mut gathering = Gathering::default();
        for (is_outside, rests) in [(false, false), (true, true)] {
            outbox.wait(Waker::noop());
            std::thread::scope(|scope| match is_outside {
                true => scope.spawn(|| outbox.take_idle()).join().unwrap(),
                false => outbox.take_idle(),
            })
            .expect("it waits");
            queue_busy(&mut outbox);
            assert!(takes(&mut gathering, &mut outbox));
            queue(&mut outbox, 1);
            assert_eq!(takes(&mut gathering, &mut outbox), !rests);
        }
    }

    #[test]
    fn a_driver_rests_on_while_the_sender_writes() {
        with_workers(async {
            let (mut outbox, mut gathering, _peer) = resting().await;
            for written in [2 * BUSY, BUSY] {
                outbox.sent.add(2, written);
                let mut polls = 0;
                std::future::poll_fn(|cx| {
                    polls += 1;
                    // Nothing is queued: after enough rest, the peer is idle.
                    let _nothing = gathering.poll(cx, &mut outbox);
                    match (&gathering, polls) {
                        (Gathering::Busy(_), 1) => Poll::Pending,
                        (Gathering::Busy(rest), _) => {
                            assert!(rest.is_resting && rest.timer.time() > REST);
                            Poll::Ready(())
                        }
                        _ => panic!("it rests no more"),
                    }
                })
                .await;
            }
            outbox.sent.add(1, 10 * BUSY);
            until_idle(&mut gathering, &mut outbox).await;
        });
    }

    #[test]
    fn a_sender_that_writes_for_the_driver_lets_it_rest_as_long_again() {
        with_workers(async {
            let (mut outbox, mut gathering, _peer) = resting().await;
            let Gathering::Busy(rest) = &gathering else { panic!("it rests") };
            rest.timer.set_time(Duration::from_millis(900));
            for writes in [true, false] {
                let Gathering::Busy(rest) = &gathering else { panic!("it rests") };
                rest.timer.sleep.start(Duration::from_nanos(1)).unwrap();
                if writes {
                    queue(&mut outbox, MUCH);
                    let (messages, octets, driver) = at_once::write_queued(&mut outbox);
                    outbox.written(messages, octets);
                    assert!(driver.is_none() && outbox.is_empty(), "all is written");
                }
                let end = until_idle(&mut gathering, &mut outbox);
                let rests = tokio::time::timeout(Duration::from_millis(50), end).await.is_err();
                assert_eq!(rests, writes);
            }
        });
    }
}
