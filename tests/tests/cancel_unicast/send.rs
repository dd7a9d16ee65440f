//! `send` in turn, `recv` and `wait_for_peer`, dropped: a message has been accepted or has reached no
//! peer, and any other task that waits for the same is still woken.

use std::time::Duration;

use zmtp_socket::{
    HighWaterMark, Message, PullOptions, PullSocket, PushOptions, PushSocket, SendError,
};
use zmtp_tests::cancel::{Cut, everywhere};
use zmtp_tests::story::{Place, eventually, receive, within};

/// A message that is too large for the buffers of any transport.
fn numbered(number: u32) -> Vec<u8> {
    [&number.to_be_bytes()[..], &[7; 2 << 20]].concat()
}

fn number_of(message: &Message) -> u32 {
    let number = u32::from_be_bytes(message.first()[..4].try_into().expect("4 octets"));
    assert!(message.parts() == [numbered(number)], "message {number} is torn");
    number
}

/// Receives `count` messages, which are whole. Returns their numbers.
async fn numbers(sink: &mut PullSocket, count: usize) -> Vec<u32> {
    let mut numbers = Vec::new();
    for _ in 0..count {
        numbers.push(number_of(&receive(sink).await));
    }
    numbers
}

/// The messages that the sink of a [`full`] worker has still to receive.
const QUEUED: [u32; 3] = [0, 1, 2];

/// The message whose `send` is dropped, that of another task that also waits, and one after both.
const CUT: u32 = 1000;
const OTHER: u32 = 2000;
const LAST: u32 = 3000;

fn worker(place: &Place, time: Option<Duration>) -> PushSocket {
    let options = PushOptions::new().send_hwm(HighWaterMark::messages(2));
    let options = options.send_hwm_octets(usize::MAX).send_buffer(256 << 10);
    place.context.socket(match time {
        Some(time) => options.send_timeout(time),
        None => options,
    })
}

fn sink(place: &Place) -> PullSocket {
    let options = PullOptions::new().receive_hwm(HighWaterMark::messages(1));
    place.context.socket(options.receive_buffer(256 << 10))
}

/// A worker whose only peer receives nothing: there is no room.
async fn full(place: &Place, time: Option<Duration>) -> (PushSocket, PullSocket) {
    let (worker, sink) = (worker(place, time), sink(place));
    worker.bind(&*place.endpoint).await.unwrap();
    sink.connect(&*place.endpoint).unwrap();
    within("the peer", worker.wait_for_peer()).await.unwrap();
    worker.try_send(numbered(0)).unwrap();
    eventually("its arrival", || sink.stats().received == 1).await;
    worker.try_send(numbered(1)).unwrap();
    worker.try_send(numbered(2)).unwrap();
    assert_eq!(worker.try_send(numbered(3)), Err(SendError::Full));
    (worker, sink)
}

/// Makes room while two tasks wait for it, drops one of them, and checks that the other continues.
async fn waits_for_room(place: &Place, time: Option<Duration>, cut: Cut) -> bool {
    let (worker, mut sink) = full(place, time).await;
    let rival = worker.handle();
    let other = tokio::spawn(async move { rival.send(numbered(OTHER)).await });
    tokio::task::yield_now().await;
    let mut heard = Vec::new();
    let message = numbered(CUT);
    let make_room = async || heard.extend(numbers(&mut sink, QUEUED.len()).await);
    let sent = cut.call(worker.send(&message), make_room).await.map(Result::unwrap);

    let last = tokio::spawn(async move {
        within("the other task's message", other).await.unwrap().unwrap();
        worker.send(numbered(LAST)).await.unwrap();
        within("the worker's end", worker.close()).await
    });
    let mut expected = Vec::from_iter(QUEUED.into_iter().chain(sent.map(|()| CUT)));
    expected.extend([OTHER, LAST]);
    let left = expected.len() - heard.len();
    heard.extend(numbers(&mut sink, left).await);
    // Of the two that have waited, either may have been the first.
    heard[QUEUED.len()..].sort_unstable();
    assert_eq!(heard, expected);
    assert!(sink.try_recv().is_err());
    assert_eq!(within("the end of it all", last).await.unwrap().unsent, 0);
    sent.is_some()
}

#[test]
fn while_it_waits_for_room() {
    everywhere(1, async |place, cut| waits_for_room(place, None, cut).await);
}

#[test]
fn while_it_waits_for_room_and_not_for_ever() {
    let time = Some(Duration::from_secs(60));
    everywhere(1, async |place, cut| waits_for_room(place, time, cut).await);
}

#[test]
fn while_it_waits_for_room_that_does_not_come_in_time() {
    let time = Some(Duration::from_millis(20));
    everywhere(1, async |place, cut| {
        let (worker, mut sink) = full(place, time).await;
        let message = numbered(CUT);
        let sent = cut.call(worker.send(&message), async || {}).await;
        assert!(matches!(sent, None | Some(Err(SendError::Full))), "{sent:?}");
        assert_eq!(numbers(&mut sink, QUEUED.len()).await, QUEUED);
        assert!(sink.try_recv().is_err());
        assert_eq!(within("the worker's end", worker.close()).await.unsent, 0);
        sent.is_some()
    });
}

#[test]
fn while_it_waits_for_any_peer() {
    everywhere(1, async |place, cut| {
        let worker = worker(place, None);
        worker.bind(&*place.endpoint).await.unwrap();
        let rival = worker.handle();
        let other = tokio::spawn(async move { rival.send("other").await });
        tokio::task::yield_now().await;
        let mut sink = sink(place);
        let come = async || drop(sink.connect(&*place.endpoint).unwrap());
        let sent = cut.call(worker.send("cut"), come).await.map(Result::unwrap);
        sink.connect(&*place.endpoint).unwrap();
        within("the other task's message", other).await.unwrap().unwrap();
        assert_eq!(receive(&mut sink).await.first(), "other");
        if sent.is_some() {
            assert_eq!(receive(&mut sink).await.first(), "cut");
        }
        worker.send("last").await.unwrap();
        assert_eq!(receive(&mut sink).await.first(), "last");
        assert!(sink.try_recv().is_err());
        let handle = worker.handle();
        assert_eq!(within("the worker's end", worker.close()).await.unsent, 0);
        let stats = handle.stats();
        assert_eq!((stats.sent, stats.queued), (2 + u64::from(sent.is_some()), 0));
        sent.is_some()
    });
}

#[test]
fn recv_while_it_waits_for_a_message() {
    everywhere(1, async |place, cut| {
        let (worker, mut sink) = (worker(place, None), sink(place));
        sink.bind(&*place.endpoint).await.unwrap();
        worker.connect(&*place.endpoint).unwrap();
        let handle = sink.handle();
        let mut sent = 0;
        let send_next = async || {
            within("room", worker.send(numbered(sent))).await.unwrap();
            sent += 1;
            eventually("its arrival", || handle.stats().received == u64::from(sent)).await;
        };
        let received = cut.call(sink.recv(), send_next).await.map(Result::unwrap);
        if let Some(message) = &received {
            assert_eq!(number_of(message), 0);
        }
        worker.send(numbered(sent)).await.unwrap();
        let expected: Vec<_> = (u32::from(received.is_some())..=sent).collect();
        assert_eq!(numbers(&mut sink, expected.len()).await, expected);
        assert!(sink.try_recv().is_err());
        within("the worker's end", worker.close()).await;
        assert_eq!(within("the sink's end", sink.close()).await.unread, 0);
        received.is_some()
    });
}

#[test]
fn wait_for_peer_while_nobody_is_there() {
    everywhere(1, async |place, cut| {
        let worker = worker(place, None);
        worker.bind(&*place.endpoint).await.unwrap();
        let rival = worker.handle();
        let other = tokio::spawn(async move { rival.wait_for_peer().await });
        tokio::task::yield_now().await;
        let sink = sink(place);
        let come = async || drop(sink.connect(&*place.endpoint).unwrap());
        let found = cut.call(worker.wait_for_peer(), come).await.map(Result::unwrap);
        sink.connect(&*place.endpoint).unwrap();
        within("the other to be woken", other).await.unwrap().unwrap();
        within("a peer", worker.wait_for_peer()).await.unwrap();
        found.is_some()
    });
}
