//! Messages for peers that have no room for them.

use super::super::session::SUBSCRIPTIONS;
use super::*;

#[test]
fn a_message_counts_until_its_last_octet_is_taken() {
    let core = publisher(1);
    let mut reader = Reader::new(&core, "a");
    send(&core, b"a1");
    assert_eq!(reader.write(3), 0);
    send(&core, b"a2");
    assert_eq!(core.stats().peers[0].dropped, 1);
    assert_eq!(reader.write(1), 1);
    send(&core, b"a3");
    assert_eq!(reader.write(usize::MAX), 1);
    assert_eq!(reader.received, b"\x00\x02a1\x00\x02a3");
    let stats = core.stats();
    assert_eq!((stats.sent, stats.dropped, stats.queued), (2, 1, 0));
}

#[test]
fn dropping_is_announced_once_until_the_peer_has_caught_up() {
    let core = publisher(2);
    let mut monitor = lock(&core.state).events.monitor();
    let mut reader = Reader::new(&core, "");
    let mut dropping = || {
        let events = std::iter::from_fn(|| monitor.try_next());
        events.filter(|event| matches!(event, Event::Dropping { .. })).count()
    };
    (0..5).for_each(|_| send(&core, b"x"));
    assert_eq!(dropping(), 1);
    reader.write(3);
    (0..5).for_each(|_| send(&core, b"x"));
    assert_eq!(dropping(), 0, "it has not caught up");
    reader.write(usize::MAX);
    (0..5).for_each(|_| send(&core, b"x"));
    assert_eq!(dropping(), 1);
}

#[test]
fn the_mark_in_octets_counts_too_but_an_empty_queue_takes_any_one_message() {
    let options = Publishing {
        sending: Sending { hwm_octets: Some(100), ..Sending::default() },
        ..Publishing::default()
    };
    let core = publisher_with(1000, options);
    let mut reader = Reader::new(&core, "");
    send(&core, &[0; 500]);
    send(&core, b"lost");
    // The header takes 9 octets, and one octet is left.
    reader.write(508);
    assert_eq!(core.stats().dropped, 1);
    send(&core, &[0; 96]);
    send(&core, &[0; 96]);
    send(&core, b"lost");
    assert_eq!((core.stats().dropped, core.stats().queued), (2, 3));
    reader.write(usize::MAX);
    send(&core, &[0; 97]);
    send(&core, b"one more, since 99 octets are not 100");
    assert_eq!((core.stats().dropped, core.stats().queued), (2, 2));
}

#[test]
fn a_message_that_one_peer_has_no_room_for_goes_to_nobody() {
    let core = publisher_that_waits(2);
    let mut slow = Reader::new(&core, "a");
    let mut fast = Reader::new(&core, "");
    send(&core, b"a1");
    send(&core, b"a2");
    fast.write(usize::MAX);
    assert_eq!(core.try_send(&Outgoing::from("a3")), Err(SendError::Full));
    send(&core, b"b: the full peer does not want it");
    slow.write(usize::MAX);
    send(&core, b"a4");
    slow.write(usize::MAX);
    fast.write(usize::MAX);
    assert_eq!(slow.received, b"\x00\x02a1\x00\x02a2\x00\x02a4");
    assert!(fast.received.ends_with(b"\x00\x02a4"));
    assert_eq!(core.stats().dropped, 0);
}

fn publisher_that(when_full: WhenFull, limit: usize) -> Arc<PubCore> {
    publisher_with(limit, Publishing { when_full, ..Publishing::default() })
}

#[test]
fn the_oldest_messages_make_room_where_they_are_to() {
    let core = publisher_that(WhenFull::DropOldest, 3);
    let mut slow = Reader::new(&core, "");
    let mut fast = Reader::new(&core, "");
    for body in ["1", "2", "3", "4", "5"] {
        send(&core, body.as_bytes());
        fast.write(usize::MAX);
    }
    let counts = &core.stats().peers[0];
    assert_eq!((counts.dropped, counts.dropped_octets, counts.queued), (2, 6, 3));
    assert_eq!(counts.state, PeerState::Congested);
    slow.write(usize::MAX);
    assert_eq!(slow.received, b"\x00\x013\x00\x014\x00\x015");
    assert_eq!(fast.received.len(), 15, "its neighbour has lost nothing");
    assert_eq!(core.stats().peers[0].state, PeerState::Flowing);
}

#[test]
fn what_is_being_written_is_not_torn_to_make_room_and_the_newest_message_stays() {
    let core = publisher_that(WhenFull::DropOldest, 2);
    let mut reader = Reader::new(&core, "");
    send(&core, b"1");
    send(&core, b"2");
    assert_eq!(reader.write(1), 0, "both are in the driver's hands");
    for body in ["3", "4", "5"] {
        send(&core, body.as_bytes());
    }
    let counts = &core.stats().peers[0];
    assert_eq!((counts.queued, counts.dropped), (3, 2));
    reader.write(usize::MAX);
    assert_eq!(reader.received, b"\x00\x011\x00\x012\x00\x015");
}

#[test]
fn the_oldest_make_room_for_octets_too_whatever_their_parts() {
    let options = Publishing {
        when_full: WhenFull::DropOldest,
        sending: Sending { hwm_octets: Some(100_000), ..Sending::default() },
        ..Publishing::default()
    };
    let core = publisher_with(1000, options);
    let mut reader = Reader::new(&core, "");
    // Three runs: the small part with the header of the large one, that one, and the rest.
    let parts = [vec![1; 10], vec![2; LARGE], vec![3; 10]];
    let message = Message::multipart(parts).expect("there are parts");
    for _ in 0..4 {
        core.try_send(&Outgoing::from(&message)).expect("the socket is open");
    }
    assert_eq!(core.stats().dropped, 0, "the fourth found less than the mark");
    send(&core, b"small");
    let (length, stats) = (message.encoded_len(), core.stats());
    assert_eq!((stats.dropped, stats.dropped_octets as usize), (1, length));
    assert_eq!((stats.queued, stats.queued_octets as usize), (4, 3 * length + 7));
    let mut expected = BytesMut::new();
    (0..3).for_each(|_| message.encode(&mut expected));
    reader.write(usize::MAX);
    assert!(reader.received.starts_with(&expected) && reader.received.ends_with(b"\x00\x05small"));
}

#[tokio::test]
async fn a_peer_without_room_is_expelled_where_it_is_to_be() {
    let core = publisher_that(WhenFull::Disconnect, 2);
    let (mut slow, fate) = Reader::expellable(&core, 0, "");
    let mut fast = Reader::new(&core, "");
    for body in ["1", "2"] {
        send(&core, body.as_bytes());
        fast.write(usize::MAX);
    }
    let mut fate = std::pin::pin!(fate);
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(fate.as_mut().poll(cx).is_pending());
    send(&core, b"3");
    send(&core, b"4");
    let Poll::Ready(Reason::Overrun(Overrun::Queue { mark })) = fate.poll(cx) else {
        panic!("it should have been told")
    };
    assert_eq!(mark, Mark::Messages(2));
    assert_eq!(core.stats().dropped, 2);
    // Whether more is written before the peer is gone is up to the driver.
    slow.write(usize::MAX);
    drop(slow);
    fast.write(usize::MAX);
    assert_eq!(fast.received.len(), 12, "its neighbour has lost nothing");
}

#[test]
fn the_event_names_the_mark_that_was_reached_and_another_tells_what_was_lost() {
    let rows = [(2, 100, Mark::Messages(2)), (100, 5, Mark::Octets(5))];
    for (messages, octets, expected) in rows {
        let options = Publishing {
            sending: Sending { hwm_octets: Some(octets), ..Sending::default() },
            ..Publishing::default()
        };
        let core = publisher_with(messages, options);
        let mut monitor = lock(&core.state).events.monitor();
        let mut reader = Reader::new(&core, "");
        (0..5).for_each(|_| send(&core, b"x"));
        reader.write(usize::MAX);
        let events: Vec<_> = std::iter::from_fn(|| monitor.try_next()).collect();
        let [
            Event::Subscribed { .. },
            Event::Dropping { mark, .. },
            Event::CaughtUp { dropped, .. },
        ] = events[..]
        else {
            panic!("{events:?}")
        };
        assert_eq!((mark, dropped), (expected, 3));
    }
}

/// Sends as `Handle::send` does.
async fn send_waiting(core: &PubCore, body: &'static str) -> Result<(), SendError> {
    let message = Outgoing::from(body);
    match core.send_now(&message) {
        Some(sent) => sent,
        None => core.send_later(&message).await,
    }
}

/// A `send` that has begun, polled on demand.
struct Attempt<'a> {
    future: std::pin::Pin<Box<dyn Future<Output = Result<(), SendError>> + 'a>>,
    woken: Arc<Woken>,
}

impl<'a> Attempt<'a> {
    fn new(core: &'a PubCore, body: &'static str) -> Self {
        let future = Box::pin(async move { send_waiting(core, body).await });
        Self { future, woken: Arc::default() }
    }

    /// Waits for room for a message with this topic, and sends none.
    fn to_wait(core: &'a PubCore, topic: &'static [u8]) -> Self {
        let future = Box::pin(async move { Ok(core.wait_for_room(topic).await?) });
        Self { future, woken: Arc::default() }
    }

    fn poll(&mut self) -> Poll<Result<(), SendError>> {
        let waker = Waker::from(self.woken.clone());
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    fn has_been_woken(&self) -> bool {
        self.woken.0.load(Ordering::Relaxed) > 0
    }
}

#[test]
fn who_waits_is_woken_when_half_of_the_queue_is_free() {
    let core = publisher_that_waits(4);
    let mut reader = Reader::new(&core, "");
    (0..4).for_each(|_| send(&core, b"x"));
    // The message filled the queue and ended the turn, which is not tested here.
    core.take_turn();
    let mut sending = Attempt::new(&core, "y");
    assert!(sending.poll().is_pending());
    reader.write(3);
    assert!(!sending.has_been_woken(), "one of four");
    reader.write(3);
    assert!(sending.has_been_woken());
    assert_eq!(sending.poll(), Poll::Ready(Ok(())));
    reader.write(usize::MAX);
    assert!(reader.received.ends_with(b"\x00\x01y"));
}

#[test]
fn there_is_room_when_all_that_want_the_message_have_some() {
    let core = publisher_that_waits(1);
    let (mut slow, mut quick) = (Reader::with_id(&core, 1, "a"), Reader::with_id(&core, 2, ""));
    let ready = Poll::Ready(Ok(()));
    assert_eq!(Attempt::to_wait(&core, b"a").poll(), ready);
    send(&core, b"a");
    core.take_turn();
    quick.write(usize::MAX);
    assert_eq!(Attempt::to_wait(&core, b"b").poll(), ready);
    let mut waiting = Attempt::to_wait(&core, b"abc");
    assert!(waiting.poll().is_pending(), "one of both is full");
    drop(waiting);
    let mut waiting = Attempt::to_wait(&core, b"abc");
    assert!(waiting.poll().is_pending());
    slow.write(usize::MAX);
    assert!(waiting.has_been_woken());
    assert_eq!(waiting.poll(), ready);
    assert_eq!(core.stats().queued, 0);
    send(&core, b"a");
    let mut waiting = Attempt::to_wait(&core, b"a");
    assert!(waiting.poll().is_pending());
    core.close();
    assert!(waiting.has_been_woken());
    assert_eq!(waiting.poll(), Poll::Ready(Err(SendError::Closed(Closed))));
}

#[test]
fn who_waits_looks_again_when_an_option_is_changed() {
    type Change = fn(&PubCore);
    let more_room: Change = |core| core.set_send_hwm(HighWaterMark::messages(2));
    let no_wait: Change = |core| core.set_when_full(WhenFull::DropNew);
    let others: Change = |core| core.set_inverted(true);
    let changes = [(more_room, 2), (no_wait, 1), (others, 1)];
    for (change, queued) in changes {
        let (core, _reader) = waits_for_a(Publishing::default(), None);
        let mut sending = Attempt::new(&core, "a");
        assert!(sending.poll().is_pending());
        change(&core);
        assert!(sending.has_been_woken());
        assert_eq!(sending.poll(), Poll::Ready(Ok(())));
        assert_eq!(core.stats().queued, queued);
    }
}

#[tokio::test]
async fn who_waits_for_a_subscriber_looks_again_when_the_matching_is_inverted() {
    let core = publisher(1);
    let _reader = Reader::new(&core, "a");
    let mut waiting = Box::pin(core.wait_for_subscriber(b"b"));
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(waiting.as_mut().poll(cx).is_pending());
    core.set_inverted(true);
    tokio::time::timeout(std::time::Duration::from_secs(10), waiting).await.unwrap().unwrap();
}

#[test]
fn a_slow_peer_is_disconnected_from_when_that_is_asked_for() {
    let core = publisher(1);
    let (_reader, expelled) = Reader::expellable(&core, 0, "a");
    send(&core, b"a");
    core.set_when_full(WhenFull::Disconnect);
    assert!(!expelled.is_ended());
    send(&core, b"a");
    assert!(expelled.is_ended());
}

#[test]
fn half_of_a_queue_is_half_of_its_octets_too() {
    let options = Publishing {
        when_full: WhenFull::Wait,
        sending: Sending { hwm_octets: Some(100), ..Sending::default() },
        ..Publishing::default()
    };
    let core = publisher_with(1000, options);
    let mut reader = Reader::new(&core, "");
    (0..4).for_each(|_| send(&core, &[0; 23]));
    core.take_turn();
    let mut sending = Attempt::new(&core, "x");
    assert!(sending.poll().is_pending());
    reader.write(49);
    assert!(!sending.has_been_woken());
    reader.write(1);
    assert!(sending.has_been_woken());
}

#[test]
fn who_waits_looks_again_at_who_wants_the_message() {
    let core = publisher_that_waits(1);
    let full = Reader::new(&core, "a");
    send(&core, b"a");
    core.take_turn();
    let mut sending = Attempt::new(&core, "a");
    assert!(sending.poll().is_pending());
    // A newcomer arrives, and the peer that was waited for leaves.
    let mut newcomer = Reader::new(&core, "");
    drop(full);
    assert!(sending.has_been_woken());
    assert_eq!(sending.poll(), Poll::Ready(Ok(())));
    newcomer.write(usize::MAX);
    assert_eq!(newcomer.received, b"\x00\x01a");
}

/// A publisher that waits for room, whose only peer, subscribed to "a", is full.
fn waits_for_a(options: Publishing, hearing: Option<RequestOptions>) -> (Arc<PubCore>, Reader) {
    let options = Publishing {
        when_full: WhenFull::Wait,
        sending: Sending { hwm: HighWaterMark::messages(1), ..options.sending },
        ..options
    };
    let core = Arc::new(PubCore::new(options, hearing, Arc::default()));
    let reader = Reader::new(&core, "a");
    send(&core, b"a");
    core.take_turn();
    (core, reader)
}

#[test]
fn who_waits_for_a_peer_that_cancels_waits_no_longer() {
    let (core, mut full) = waits_for_a(Publishing::default(), None);
    let mut sending = [Attempt::new(&core, "a"), Attempt::new(&core, "a")];
    assert!(sending.iter_mut().all(|sending| sending.poll().is_pending()));
    full.session.subscription(Subscription::Cancel(Bytes::from("a"))).expect("it is held");
    for sending in &mut sending {
        assert!(sending.has_been_woken());
        assert_eq!(sending.poll(), Poll::Ready(Ok(())));
    }
    assert_eq!(core.stats().queued, 1);
}

#[test]
fn subscriptions_that_come_together_cost_one_wake_up_for_each_lock() {
    let (core, mut full) = waits_for_a(Publishing::default(), None);
    let mut sending = Attempt::new(&core, "a");
    assert!(sending.poll().is_pending());
    let topic = |number: usize| Subscription::Subscribe(Bytes::from(number.to_string()));
    for count in [1, SUBSCRIPTIONS, 3 * SUBSCRIPTIONS + 1] {
        let before = sending.woken.0.load(Ordering::Relaxed);
        let mut changes = (0..count).map(|number| topic(1000 * count + number)).collect();
        full.session.subscriptions(&mut changes).expect("within limits");
        let woken = sending.woken.0.load(Ordering::Relaxed) - before;
        assert_eq!(woken, count.div_ceil(SUBSCRIPTIONS), "for {count} changes");
        assert!(changes.is_empty());
    }
}

#[test]
fn who_waits_for_a_peer_whose_subscription_the_user_ends_waits_no_longer() {
    for manual in [false, true] {
        let hearing = RequestOptions { manual, ..RequestOptions::default() };
        let options = Publishing {
            sending: Sending { hwm: HighWaterMark::messages(1), ..Sending::default() },
            ..Publishing::default()
        };
        let options = Publishing { when_full: WhenFull::Wait, ..options };
        let core = Arc::new(PubCore::new(options, Some(hearing), Arc::default()));
        let full = Reader::new(&core, "a");
        let peer = full.session.peer.clone();
        core.change_for(&peer, Subscription::Subscribe(Bytes::from("a")));
        send(&core, b"a");
        core.take_turn();
        let mut sending = Attempt::new(&core, "a");
        assert!(sending.poll().is_pending());
        while core.change_for(&peer, Subscription::Cancel(Bytes::from("a"))) {}
        if !manual {
            // The topic was subscribed to twice: by the peer, and on its behalf.
            core.change_for(&peer, Subscription::Cancel(Bytes::from("a")));
        }
        assert!(sending.has_been_woken(), "manual: {manual}");
        assert_eq!(sending.poll(), Poll::Ready(Ok(())));
    }
}

#[test]
fn who_waits_for_a_peer_that_is_sent_what_it_did_not_ask_for_looks_again_when_it_asks() {
    let inverted = Publishing { matching: Matching { inverted: true }, ..Publishing::default() };
    let (core, mut full) = waits_for_a(inverted, None);
    send(&core, b"b");
    core.take_turn();
    let mut sending = Attempt::new(&core, "b");
    assert!(sending.poll().is_pending());
    full.session.subscription(Subscription::Subscribe(Bytes::from("b"))).expect("within limits");
    assert!(sending.has_been_woken());
    assert_eq!(sending.poll(), Poll::Ready(Ok(())));
}

#[test]
fn those_who_wait_are_served_in_their_order_and_a_newcomer_comes_last() {
    let core = publisher_that_waits(2);
    let mut reader = Reader::new(&core, "");
    send(&core, b"x");
    send(&core, b"x");
    core.take_turn();
    let mut sending = ["1", "2", "3"].map(|body| Attempt::new(&core, body));
    // The order in which they poll does not matter.
    for place in [0, 1, 2, 2, 1, 0] {
        assert!(sending[place].poll().is_pending());
    }
    reader.write(usize::MAX);
    let woken = sending.each_ref().map(Attempt::has_been_woken);
    assert_eq!(woken, [true, false, false], "one place is told to one");
    assert_eq!(core.try_send(&Outgoing::from("newcomer")), Err(SendError::Full));
    assert!(sending[1].poll().is_pending(), "it is not its turn");
    assert_eq!(sending[0].poll(), Poll::Ready(Ok(())));
    // The queue has room for one more message, and the booking goes on; but not for a sender that has
    // not waited.
    assert_eq!(core.try_send(&Outgoing::from("newcomer")), Err(SendError::Full));
    assert!(sending[1].has_been_woken());
    assert_eq!(sending[1].poll(), Poll::Ready(Ok(())));
    core.take_turn();
    assert!(sending[2].poll().is_pending(), "there is no room");
    let mut newcomer = Attempt::new(&core, "4");
    assert!(newcomer.poll().is_pending());
    reader.write(usize::MAX);
    assert_eq!(sending[2].poll(), Poll::Ready(Ok(())));
    assert!(newcomer.has_been_woken());
    assert_eq!(newcomer.poll(), Poll::Ready(Ok(())));
    reader.write(usize::MAX);
    assert!(reader.received.ends_with(b"\x00\x011\x00\x012\x00\x013\x00\x014"));
}

#[test]
fn who_gives_up_after_it_was_woken_passes_its_turn_on() {
    let core = publisher_that_waits(1);
    let mut reader = Reader::new(&core, "");
    send(&core, b"x");
    core.take_turn();
    let [mut first, mut second] = [Attempt::new(&core, "1"), Attempt::new(&core, "2")];
    assert!(first.poll().is_pending() && second.poll().is_pending());
    reader.write(usize::MAX);
    assert!(first.has_been_woken() && !second.has_been_woken());
    drop(first);
    assert!(second.has_been_woken());
    assert_eq!(second.poll(), Poll::Ready(Ok(())));
    assert_eq!(core.stats().queued, 1);
}

#[test]
fn who_waits_for_two_peers_keeps_its_place_with_both() {
    let core = publisher_that_waits(1);
    let (mut one, mut two) = (Reader::new(&core, "a"), Reader::new(&core, ""));
    send(&core, b"a");
    core.take_turn();
    let mut both = Attempt::new(&core, "a");
    assert!(both.poll().is_pending());
    two.write(usize::MAX);
    assert!(both.poll().is_pending(), "the other is full");
    // The peer with room keeps it for the sender that waits.
    let mut second = Attempt::new(&core, "b");
    assert!(second.poll().is_pending());
    one.session.subscription(Subscription::Cancel(Bytes::from("a"))).expect("it is held");
    assert_eq!(both.poll(), Poll::Ready(Ok(())));
    assert!(second.has_been_woken());
    core.take_turn();
    assert!(second.poll().is_pending());
    two.write(usize::MAX);
    assert_eq!(second.poll(), Poll::Ready(Ok(())));
}

/// A waker that calls the socket.
struct Looks(Arc<PubCore>, AtomicUsize);

impl Wake for Looks {
    fn wake(self: Arc<Self>) {
        assert!(self.0.state.try_lock().is_ok(), "a waker is called under no lock");
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn no_waker_is_called_while_the_state_is_locked() {
    let hearing = Some(RequestOptions::default());
    let options = Publishing {
        sending: Sending { hwm: HighWaterMark::messages(1), ..Sending::default() },
        ..Publishing::default()
    };
    let options = Publishing { when_full: WhenFull::Wait, ..options };
    let core = Arc::new(PubCore::new(options, hearing, Arc::default()));
    let looks = Arc::new(Looks(core.clone(), AtomicUsize::new(0)));
    let waker = Waker::from(looks.clone());
    let cx = &mut Context::from_waker(&waker);
    let times = || looks.1.swap(0, Ordering::Relaxed);
    let mut monitor = lock(&core.state).events.monitor();
    let mut event = Box::pin(async move { monitor.next().await });
    let mut watch = Box::pin(core.wait_for_subscriber(b"a"));
    assert!(core.poll_request(Some(&waker)).is_pending());
    assert!(event.as_mut().poll(cx).is_pending() && watch.as_mut().poll(cx).is_pending());
    let mut reader = Reader::new(&core, "a");
    assert_eq!(times(), 3, "the reader of requests, that of events, and who waits for the peer");
    assert!(watch.as_mut().poll(cx).is_ready() && event.as_mut().poll(cx).is_ready());
    assert!(
        reader.session.poll_outgoing(cx, &mut reader.connection, &mut reader.burst).is_pending()
    );
    send(&core, b"a");
    assert_eq!(times(), 1, "the driver");
    core.take_turn();
    let message = Outgoing::from("a");
    let mut sending = Box::pin(core.send_later(&message));
    assert!(sending.as_mut().poll(cx).is_pending());
    reader.write(usize::MAX);
    assert_eq!(times(), 1, "the sender");
    assert!(sending.as_mut().poll(cx).is_ready());
    core.take_turn();
    let mut sending = Box::pin(core.send_later(&message));
    assert!(sending.as_mut().poll(cx).is_pending());
    drop(reader);
    assert!(times() > 0, "the sender, whose peer has left");
}

#[test]
fn a_send_that_is_given_up_while_it_waits_has_reached_nobody() {
    let core = publisher_that_waits(1);
    let mut reader = Reader::new(&core, "");
    send(&core, b"1");
    core.take_turn();
    let mut sending = Attempt::new(&core, "2");
    assert!(sending.poll().is_pending());
    drop(sending);
    reader.write(usize::MAX);
    send(&core, b"3");
    reader.write(usize::MAX);
    assert_eq!(reader.received, b"\x00\x011\x00\x013");
}

#[test]
fn the_end_of_the_socket_ends_the_wait() {
    let core = publisher_that_waits(1);
    let _reader = Reader::new(&core, "");
    send(&core, b"1");
    core.take_turn();
    let mut sending = Attempt::new(&core, "2");
    assert!(sending.poll().is_pending());
    Core::close(&*core);
    assert!(sending.has_been_woken());
    assert_eq!(sending.poll(), Poll::Ready(Err(Closed.into())));
}

#[tokio::test(start_paused = true)]
async fn a_wait_can_have_an_end() {
    let time = std::time::Duration::from_secs(7);
    let options = Publishing { when_full: WhenFull::WaitFor(time), ..Publishing::default() };
    let core = publisher_with(1, options);
    let _reader = Reader::new(&core, "");
    send(&core, b"1");
    let begun = tokio::time::Instant::now();
    assert_eq!(send_waiting(&core, "2").await, Err(SendError::Full));
    assert_eq!(begun.elapsed(), time);
    assert_eq!(core.stats().queued, 1);
}
