//! The messages that an XSUB sends: accepted = sent + dropped + undelivered + queued.

use proptest::prelude::*;

use super::*;
use crate::options::{HighWaterMark, Sending};

fn sender(limit: usize) -> Arc<SubCore> {
    let hwm = HighWaterMark::messages(limit);
    let sending = Sending { hwm, hwm_octets: Some(usize::MAX) };
    let sending = UpstreamOptions { sending, ..UpstreamOptions::default() };
    Arc::new(SubCore::new(Subscribing::default(), Some(sending), Arc::default()))
}

/// The messages that were sent, dropped, left undelivered or queued.
fn accounted_for(core: &SubCore) -> u64 {
    let stats = core.stats();
    let peers = stats.peers.iter();
    assert_eq!(stats.queued, peers.map(|peer| peer.queued).sum::<u64>(), "{stats:?}");
    stats.sent + stats.dropped + stats.undelivered + stats.queued
}

#[derive(Clone, Debug)]
enum Act {
    Meet,
    Part(usize),
    Send,
    /// A transport takes so many octets.
    Write(usize, usize),
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        1 => Just(Act::Meet),
        1 => any::<usize>().prop_map(Act::Part),
        6 => Just(Act::Send),
        6 => (any::<usize>(), 1..20usize).prop_map(|(who, octets)| Act::Write(who, octets)),
    ]
}

proptest! {
    #[test]
    fn each_message_is_accounted_for_once_for_each_publisher(
        acts in proptest::collection::vec(acts(), 1..200),
        closed_at in 0..200usize,
    ) {
        let core = sender(4);
        let mut publishers: Vec<PubCore> = Vec::new();
        let (mut accepted, mut at_close) = (0, None);
        for (number, act) in acts.into_iter().enumerate() {
            if number == closed_at {
                core.close();
                at_close = Some(core.stats().undelivered);
            }
            match act {
                Act::Meet => publishers.push(PubCore::new(&core)),
                Act::Send => {
                    let sent = core.send(&"x".into());
                    prop_assert_eq!(sent.is_err(), at_close.is_some());
                    accepted += if sent.is_ok() { publishers.len() as u64 } else { 0 };
                }
                Act::Part(who) if !publishers.is_empty() => {
                    publishers.swap_remove(who % publishers.len());
                }
                Act::Write(who, octets) if !publishers.is_empty() => {
                    let count = publishers.len();
                    let publisher = &mut publishers[who % count];
                    if publisher.burst.is_empty() {
                        publisher.take(Waker::noop());
                    }
                    publisher.write(octets);
                }
                Act::Part(_) | Act::Write(..) => {}
            }
            prop_assert_eq!(accounted_for(&core), accepted);
        }
        publishers.clear();
        prop_assert_eq!(accounted_for(&core), accepted);
        let stats = core.stats();
        prop_assert_eq!((stats.queued, stats.queued_octets), (0, 0));
        if let Some(before) = at_close {
            prop_assert_eq!(core.unfinished().unsent as u64, stats.undelivered - before);
        }
    }
}

#[test]
fn a_closed_socket_reads_nothing_more() {
    let core = sender(10);
    let mut publisher = PubCore::new(&core);
    publisher.send("before");
    core.close();
    // There had been room for this message.
    publisher.send("meanwhile");
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(publisher.session.poll_room(cx).is_pending());
    assert_eq!(core.unfinished().unread, 2);
}

#[test]
fn a_closed_socket_that_has_nothing_to_send_says_nothing_more() {
    let core = sender(10);
    core.subscribe(b"a");
    let mut publisher = PubCore::new(&core);
    core.close();
    assert!(!publisher.take(Waker::noop()), "a topic, for nothing that would still be received");
}
