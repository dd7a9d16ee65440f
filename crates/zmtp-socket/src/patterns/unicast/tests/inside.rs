//! Two cores in one process: messages go from one's queue into the other's.

use bytes::Bytes;
use zmtp_codec::Limits;

use super::*;
use crate::engine::transport::Direct;
use crate::options::Receiving;
use crate::receive::Receiver;
use crate::send::outbox::{LARGE_INSIDE, TAKE};

/// A sender and a receiver, each with a mark of so many messages.
struct Pair {
    sender: Arc<UnicastCore>,
    session: UnicastSession,
    receiver: Arc<UnicastCore>,
    receiving: UnicastSession,
    hand: Receiver,
    connection: Connection,
    /// The messages that did not go into the receiver's queue, but to be written.
    written: Burst,
}

impl Pair {
    fn new(mark: usize) -> Self {
        let (near, far) = Direct::pair();
        let open = |direct: &Direct, limit| {
            let hwm = HighWaterMark::messages(mark);
            let receiving = Receiving { hwm, ..Receiving::default() };
            let core = core(Config { receiving, ..config(Sends::InTurn, mark) });
            let peer = Peer::new(next_id(), endpoint("inside"), "test");
            let ways = Ways { outlet: None, direct: Some((direct, limit)) };
            let info = PeerInfo::new(Version::V3_1);
            let session = core.open(&peer, &info, ways, Kill::new().0).expect("it may");
            (core, session)
        };
        let limits = Limits::new().with_message_size(1 << 20);
        let (sender, session) = open(&near, limits);
        let (receiver, receiving) = open(&far, limits);
        let connection = Connection::new(Arc::new(Wire::new(SocketType::Push)));
        let (hand, written) = Default::default();
        Self { sender, session, receiver, receiving, hand, connection, written }
    }

    fn receive(&mut self) -> Option<Message> {
        self.hand.try_next(&*self.receiver).expect("it is open")
    }

    /// Has the sender's driver do what it has to. Returns whether it has something to write.
    fn drive(&mut self) -> bool {
        self.drive_with(Waker::noop())
    }

    fn drive_with(&mut self, waker: &Waker) -> bool {
        let mut cx = std::task::Context::from_waker(waker);
        self.session.poll_outgoing(&mut cx, &mut self.connection, &mut self.written).is_ready()
    }

    /// Sends so many messages, of which all but the first are among others.
    fn send(&self, messages: u8) {
        for number in 0..messages {
            self.sender.try_send(&message(&[1], number).into()).expect("there is room");
            // However late the next one comes on a loaded machine.
            lock(&self.sender.state).pace = Pace::busy();
        }
    }
}

fn message(parts: &[usize], number: u8) -> Message {
    Message::multipart(parts.iter().map(|size| vec![number; *size])).expect("there is a part")
}

#[test]
fn a_large_message_that_has_to_wait_is_handed_over_without_a_copy() {
    let mut pair = Pair::new(2);
    let large = Bytes::from(vec![7; LARGE_INSIDE]);
    for _ in 0..4 {
        pair.sender.try_send(&large.clone().into()).expect("two wait here, and two there");
    }
    assert_eq!(pair.sender.try_send(&large.clone().into()), Err(SendError::Full));
    for _ in 0..4 {
        let message = pair.receive().expect("it was sent");
        assert_eq!(message.first().as_ptr(), large.as_ptr());
    }
    assert_eq!(pair.receive(), None);
    let totals = pair.sender.totals();
    assert_eq!((totals.sent, totals.queued, totals.queued_octets), (4, 0, 0));
}

#[test]
fn a_message_that_the_receiver_does_not_accept_goes_to_its_driver_which_ends_the_connection() {
    let mut pair = Pair::new(10);
    pair.sender.try_send(&vec![7; (1 << 20) + 1].into()).expect("there is room");
    assert_eq!(pair.receive(), None);
    assert!(pair.drive());
    pair.sender.try_send(&"behind it".into()).expect("there is room");
    assert_eq!(pair.receive(), None, "it stays behind");
    assert!(pair.written.len() > 1 << 20);
}

#[test]
fn a_sender_hands_messages_among_others_over_when_its_queue_is_full() {
    let mut pair = Pair::new(2);
    let has_traffic = |pair: &Pair| [&pair.session, &pair.receiving].map(Session::has_traffic);
    assert!(!pair.drive() && has_traffic(&pair) == [false; 2]);
    let messages = [1, 1, LARGE_INSIDE, 1].map(|size| message(&[size], 7));
    for (message, queued) in messages.iter().zip([0, 1, 1, 2]) {
        pair.sender.try_send(&message.into()).expect("there is room");
        assert_eq!(pair.sender.totals().queued, queued);
        // However late the next one comes on a loaded machine.
        lock(&pair.sender.state).pace = Pace::busy();
    }
    assert_eq!(pair.sender.try_send(&(&messages[0]).into()), Err(SendError::Full));
    let received: Vec<_> = std::iter::from_fn(|| pair.receive()).collect();
    assert_eq!(received, messages);
    assert_eq!(has_traffic(&pair), [true; 2]);
}

#[test]
fn a_receiver_fetches_again_what_is_left_of_a_long_queue() {
    let mut pair = Pair::new(9);
    pair.send(1);
    let messages = [1, TAKE, TAKE].map(|size| message(&[size], 7));
    for message in &messages {
        pair.sender.try_send(&message.into()).expect("there is room");
    }
    assert_eq!(pair.sender.totals().queued, 3);
    let received: Vec<_> = std::iter::from_fn(|| pair.receive()).collect();
    assert_eq!(received[1..], messages);
}

#[test]
fn the_answer_to_one_message_is_there_at_once_however_closely_it_follows() {
    for (said, queued) in [(1, 0), (2, 1)] {
        let mut pair = Pair::new(9);
        assert!(!pair.drive());
        pair.send(1);
        for _ in 0..said {
            pair.receiver.try_send(&vec![7; LARGE_INSIDE].into()).expect("there is room");
        }
        pair.send(1);
        assert_eq!(pair.sender.totals().queued, said + queued, "after {said} messages");
    }
}

#[test]
fn a_driver_hands_over_what_there_is_room_for_and_lets_others_have_the_lock_before_it_goes_on() {
    for (sent, wakes, queued) in [(2, 0, 0), (3, 1, 1)] {
        let mut pair = Pair::new(2);
        assert!(!pair.drive());
        pair.send(sent);
        let woken = Arc::new(Woken::default());
        assert!(!pair.drive_with(&Waker::from(woken.clone())));
        assert_eq!(woken.0.load(Ordering::Relaxed), wakes, "after {sent}");
        assert_eq!(pair.sender.totals().queued, queued);
    }
    let mut pair = Pair::new(2);
    assert!(!pair.drive());
    pair.send(3);
    pair.session.drain();
    assert!(pair.drive(), "a socket that closes leaves nothing");
    assert_eq!(pair.sender.totals().sent, 2);
}

proptest! {
    /// Each message is received once, in order. The sizes of the parts and the order of the calls make no difference.
    #[test]
    fn all_messages_arrive_in_order(
        mark in 1usize..5,
        steps in proptest::collection::vec(
            (0u8..4, proptest::collection::vec(
                prop_oneof![0usize..300, LARGE_INSIDE - 1..LARGE_INSIDE + 2], 1..4,
            )),
            1..80,
        ),
    ) {
        // For the timer of a driver that rests.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _within = runtime.enter();
        let mut pair = Pair::new(mark);
        let (mut sent, mut received) = (Vec::new(), Vec::new());
        for (step, parts) in steps {
            let message = message(&parts, sent.len() as u8);
            match step {
                0 | 1 if pair.sender.try_send(&(&message).into()).is_ok() => sent.push(message),
                2 => prop_assert!(!pair.drive(), "nothing goes through the pipe"),
                3 => received.extend(pair.receive()),
                _ => {}
            }
        }
        received.extend(std::iter::from_fn(|| pair.receive()));
        prop_assert_eq!(received, sent);
        let totals = pair.sender.totals();
        prop_assert_eq!((totals.queued, totals.queued_octets), (0, 0));
    }
}
