//! A publisher as a sink.

use std::pin::Pin;
use std::time::Duration;

use futures_sink::Sink;

use super::*;
use crate::options::PubOptions;
use crate::sockets::pub_socket::{PubHandle, PubSocket};

/// A sink that is polled on demand.
struct Fed {
    sink: PubHandle,
    socket: Arc<PubSocket>,
    woken: Arc<Woken>,
}

impl Fed {
    fn new(options: PubOptions) -> Self {
        Self::of(Arc::new(PubSocket::with_options(options)))
    }

    fn of(socket: Arc<PubSocket>) -> Self {
        Self { sink: socket.handle(), socket, woken: Arc::default() }
    }

    fn poll<T>(&mut self, poll: impl FnOnce(Pin<&mut PubHandle>, &mut Context<'_>) -> T) -> T {
        let waker = Waker::from(self.woken.clone());
        poll(Pin::new(&mut self.sink), &mut Context::from_waker(&waker))
    }

    /// Waits until it is ready, with a turn for other tasks if one is due.
    fn ready(&mut self) -> Poll<Result<(), SendError>> {
        self.sink.engine.core.take_turn();
        self.poll(|sink, cx| sink.poll_ready(cx))
    }

    fn feed(&mut self, body: &'static str) {
        assert_eq!(self.ready(), Poll::Ready(Ok(())));
        Pin::new(&mut self.sink).start_send(body.into()).expect("it is ready");
    }

    fn flush(&mut self) -> Poll<Result<(), SendError>> {
        self.poll(|sink, cx| sink.poll_flush(cx))
    }

    fn has_been_woken(&self) -> bool {
        self.woken.0.swap(0, Ordering::Relaxed) > 0
    }
}

fn limited(when_full: WhenFull) -> PubOptions {
    PubOptions::new().send_hwm(HighWaterMark::messages(2)).when_full(when_full)
}

#[test]
fn a_sink_that_is_ready_takes_a_message_and_is_not_ready_while_it_waits_for_room() {
    let mut fed = Fed::new(limited(WhenFull::Wait));
    let mut reader = Reader::new(&fed.sink.engine.core, "");
    for body in ["1", "2", "3"] {
        fed.feed(body);
    }
    assert_eq!(fed.sink.stats().queued, 2, "the third waits for room");
    assert!(fed.ready().is_pending());
    let refused = Pin::new(&mut fed.sink).start_send("it was told so".into());
    assert_eq!(refused, Err(SendError::Full));
    reader.write(usize::MAX);
    assert!(fed.has_been_woken());
    fed.feed("4");
    reader.write(usize::MAX);
    assert_eq!(reader.received, b"\x00\x011\x00\x012\x00\x013\x00\x014");
}

#[test]
fn a_sink_that_waits_has_its_place_among_those_that_send() {
    let mut fed = Fed::new(limited(WhenFull::Wait));
    let core = fed.sink.engine.core.clone();
    let mut reader = Reader::new(&core, "");
    for body in ["1", "2", "3"] {
        fed.feed(body);
    }
    assert!(fed.ready().is_pending());
    reader.write(usize::MAX);
    let newcomer = Outgoing::from("newcomer");
    assert_eq!(core.try_send(&newcomer), Err(SendError::Full));
    // A handle that is dropped, or whose wait is over, delays no other.
    drop(std::mem::take(&mut fed.sink.sink));
    assert_eq!(core.try_send(&newcomer), Ok(()));
    assert_eq!(core.stats().queued, 1);
}

#[test]
fn it_has_been_flushed_when_all_has_been_written_that_had_been_given_to_it() {
    let mut fed = Fed::new(limited(WhenFull::DropNew));
    let core = fed.sink.engine.core.clone();
    let (mut fast, mut slow) = (Reader::new(&core, ""), Reader::new(&core, "a"));
    assert_eq!(fed.flush(), Poll::Ready(Ok(())), "nothing waits");
    fed.feed("a1");
    fed.feed("b");
    fast.write(usize::MAX);
    assert!(fed.flush().is_pending());
    slow.write(3);
    assert!(fed.flush().is_pending() && !fed.has_been_woken(), "an octet is left");
    // The flush does not wait for later messages.
    send(&core, b"a2");
    slow.write(1);
    assert!(fed.has_been_woken());
    assert_eq!(fed.flush(), Poll::Ready(Ok(())));
    assert!(core.stats().queued > 0);
    assert!(fed.flush().is_pending(), "but the next time");
    fast.write(usize::MAX);
    drop(slow);
    assert!(fed.has_been_woken(), "a peer that leaves is not waited for");
    assert_eq!(fed.flush(), Poll::Ready(Ok(())));
}

#[test]
fn two_that_flush_are_both_served_and_what_is_dropped_is_not_waited_for() {
    let mut one = Fed::new(limited(WhenFull::DropOldest));
    let mut other = Fed::of(one.socket.clone());
    let mut reader = Reader::new(&one.sink.engine.core, "");
    one.feed("1");
    one.feed("2");
    assert_eq!(reader.write(1), 0, "both are in the driver's hands");
    one.feed("3");
    assert!(one.flush().is_pending());
    other.feed("4");
    assert!(other.flush().is_pending());
    // The third message is dropped instead of those that are being written.
    other.feed("5");
    assert!(!one.has_been_woken() && !other.has_been_woken());
    reader.write(5);
    assert!(one.has_been_woken() && other.has_been_woken());
    assert!([one.flush(), other.flush()].iter().all(Poll::is_ready));
    assert_eq!(one.sink.stats().queued, 1);
}

#[test]
fn a_message_that_waits_for_room_is_flushed_too() {
    let mut fed = Fed::new(limited(WhenFull::Wait));
    let mut reader = Reader::new(&fed.sink.engine.core, "");
    for body in ["1", "2", "3"] {
        fed.feed(body);
    }
    assert!(fed.flush().is_pending());
    reader.write(usize::MAX);
    assert!(fed.flush().is_pending(), "it is only queued");
    reader.write(usize::MAX);
    assert_eq!(fed.flush(), Poll::Ready(Ok(())));
    assert!(reader.received.ends_with(b"\x00\x013"));
}

#[tokio::test(start_paused = true)]
async fn a_sink_waits_for_room_no_longer_than_the_socket_may() {
    let time = Duration::from_secs(7);
    let mut fed = Fed::new(limited(WhenFull::WaitFor(time)));
    let _reader = Reader::new(&fed.sink.engine.core, "");
    for body in ["1", "2", "3"] {
        fed.feed(body);
    }
    assert!(fed.ready().is_pending());
    let begun = tokio::time::Instant::now();
    let ready = std::future::poll_fn(|cx| Pin::new(&mut fed.sink).poll_ready(cx)).await;
    assert_eq!((ready, begun.elapsed()), (Err(SendError::Full), time));
    assert_eq!(fed.ready(), Poll::Ready(Ok(())), "and goes on");
    assert_eq!(fed.sink.stats().queued, 2);
}

#[tokio::test]
async fn a_sink_that_is_closed_has_published_what_it_kept_and_takes_nothing_more() {
    let mut fed = Fed::new(limited(WhenFull::Wait));
    let mut reader = Reader::new(&fed.sink.engine.core, "");
    for body in ["1", "2", "3"] {
        fed.feed(body);
    }
    assert!(fed.poll(|sink, cx| sink.poll_close(cx)).is_pending());
    assert!(!fed.sink.engine.core.is_closed(), "one message has not been published");
    reader.write(usize::MAX);
    std::future::poll_fn(|cx| Pin::new(&mut fed.sink).poll_close(cx)).await.expect("it closes");
    assert_eq!(fed.sink.stats().queued, 1);
    assert_eq!(fed.ready(), Poll::Ready(Err(Closed.into())));
    reader.write(usize::MAX);
    assert!(reader.received.ends_with(b"\x00\x013"));
}
