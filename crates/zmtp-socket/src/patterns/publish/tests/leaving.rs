//! Peers that leave.

use super::super::topics::SLICE;
use super::*;

/// A peer with so many topics that they are forgotten in several slices: "0", "1" and so on.
fn with_topics(core: &Arc<PubCore>, id: u64, topics: usize) -> Reader {
    let mut reader = Reader::with_id(core, id, "0");
    for number in 1..topics {
        let topic = Bytes::from(number.to_string());
        reader.session.subscription(Subscription::Subscribe(topic)).expect("within limits");
    }
    reader
}

#[test]
fn a_peer_that_leaves_gets_nothing_more_at_once_and_its_topics_go_in_slices() {
    let core = publisher(10);
    let mut leaving = with_topics(&core, 1, 4 * SLICE);
    send(&core, b"1");
    let key = leaving.session.key();
    assert!(leaving.session.leave());
    assert_eq!(core.settled().topics.held_by(key).0, 4 * SLICE, "nothing has been taken away yet");
    assert_eq!((core.subscriber_count(), core.stats().peers.len()), (0, 0));
    assert_eq!((core.stats().queued, core.stats().undelivered), (0, 1));
    assert!(!core.settled().is_wanted(b"1"));
    send(&core, b"1");
    assert_eq!((core.stats().queued, core.stats().undelivered), (0, 1));
    // While topics still name its key, no other peer is given it.
    let mut newcomer = Reader::new(&core, "1");
    assert_ne!(newcomer.session.key(), key);
    let mut left = 4 * SLICE;
    while leaving.session.leave() {
        let now = core.settled().topics.held_by(key).0;
        assert!(left - now <= SLICE, "{} at once", left - now);
        left = now;
    }
    assert_eq!(left, 0);
    assert_eq!(Reader::new(&core, "").session.key(), key);
    send(&core, b"1");
    assert_eq!(newcomer.write(usize::MAX), 1);
}

#[test]
fn where_the_driver_does_not_come_to_it_all_is_forgotten_when_its_session_is_dropped() {
    let core = publisher(10);
    drop(with_topics(&core, 1, 4 * SLICE));
    let state = core.settled();
    assert!(state.peers.is_empty());
    assert!((0..4 * SLICE).all(|number| !state.topics.is_wanted(number.to_string().as_bytes())));
}

#[test]
fn an_inverted_publisher_sends_a_peer_that_leaves_nothing_either() {
    let core = publisher_with(
        10,
        Publishing { matching: Matching { inverted: true }, ..Publishing::default() },
    );
    let mut leaving = with_topics(&core, 1, 4 * SLICE);
    leaving.session.leave();
    assert!(!core.settled().is_wanted(b"x"));
}

/// Requests for topics, as text: `+1 a` is peer 1's subscription to a.
fn requests(core: &PubCore) -> Vec<String> {
    let next = || match core.poll_request(None) {
        Poll::Ready(Ok(request)) => Some(request),
        _ => None,
    };
    let text = |request| match request {
        Request::Subscribe { peer, topic } => format!("+{} {topic:?}", peer.id().0),
        Request::Unsubscribe { peer, topic } => format!("-{} {topic:?}", peer.id().0),
        Request::Message { peer, .. } => format!("{}", peer.id().0),
    };
    std::iter::from_fn(next).map(text).collect()
}

#[test]
fn an_xpub_is_told_the_end_of_each_topic_of_a_peer_that_leaves_once_and_of_no_other() {
    for verbosity in [Verbosity::Distinct, Verbosity::All] {
        let hearing = Some(RequestOptions { verbosity, ..RequestOptions::default() });
        let core = Arc::new(PubCore::new(Publishing::default(), hearing, Arc::default()));
        let mut leaving = with_topics(&core, 1, 2 * SLICE);
        let mut other = Reader::with_id(&core, 2, "0");
        assert_eq!(requests(&core).len(), 2 * SLICE + usize::from(verbosity == Verbosity::All));
        leaving.session.leave();
        assert_eq!(requests(&core), [""; 0]);
        // Other peers come and leave meanwhile.
        let (subscribe, cancel) = (Subscription::Subscribe, Subscription::Cancel);
        other.session.subscription(subscribe(Bytes::from("1"))).expect("within limits");
        let mut reported = requests(&core);
        while leaving.session.leave() {
            reported.extend(requests(&core));
        }
        other.session.subscription(cancel(Bytes::from("1"))).expect("it is held");
        reported.extend(requests(&core));
        reported.sort();
        let ended = (0..2 * SLICE).map(|number| format!("-1 b\"{number}\""));
        let mut expected: Vec<String> = match verbosity {
            Verbosity::All => ended.chain(["+2 b\"1\"".into(), "-2 b\"1\"".into()]).collect(),
            // Another peer still holds one topic, and gives up the other last.
            _ => ended.skip(2).chain(["-2 b\"1\"".into()]).collect(),
        };
        expected.sort();
        assert_eq!(reported, expected, "{verbosity:?}");
    }
}

#[test]
fn what_a_peer_leaves_unread_is_dealt_with_in_slices_and_nothing_of_it_is_lost() {
    let hearing = Some(RequestOptions::default());
    let core = Arc::new(PubCore::new(Publishing::default(), hearing, Arc::default()));
    let mut leaving = Reader::with_id(&core, 1, "0");
    for number in 0..4 * SLICE {
        let message = Message::from(format!("message {number}"));
        leaving.session.messages(message.into()).expect("within limits");
    }
    let mut slices = 0;
    while leaving.session.leave() {
        slices += 1;
    }
    assert!(slices >= 5, "in {slices} slices");
    assert_eq!(requests(&core).len(), 4 * SLICE, "subscribed and left again: not told");
    assert_eq!(core.stats().dropped, 0);
}

/// Octets that call the socket when they are freed.
struct Looks(Arc<PubCore>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Looks {
    fn as_ref(&self) -> &[u8] {
        &[7; LARGE]
    }
}

impl Drop for Looks {
    fn drop(&mut self) {
        assert!(self.0.state.try_lock().is_ok(), "no message is freed under the lock");
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn messages_that_are_not_delivered_are_freed_when_the_state_is_free() {
    let options = Publishing { when_full: WhenFull::DropOldest, ..Publishing::default() };
    let core = publisher_with(1, options);
    let reader = Reader::new(&core, "");
    let freed = Arc::new(AtomicUsize::new(0));
    for count in [0, 1] {
        let message = Message::from(Bytes::from_owner(Looks(core.clone(), freed.clone())));
        core.try_send(&Outgoing::from(message)).expect("the socket is open");
        assert_eq!(freed.load(Ordering::Relaxed), count, "the oldest makes room");
    }
    drop(reader);
    assert_eq!(freed.load(Ordering::Relaxed), 2, "and a peer leaves one");
}
