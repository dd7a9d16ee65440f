//! The publisher against a model that keeps every message of every peer apart.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    /// A message of one part, or with a second one of so many octets; copied or shared.
    Send {
        topic: usize,
        length: usize,
        second: Option<usize>,
        shared: bool,
    },
    Write {
        reader: usize,
        octets: usize,
    },
    /// A message for one peer alone, as an XPUB sends it.
    SendTo {
        reader: usize,
        length: usize,
    },
    /// A peer leaves, with unsent messages or without, and another one comes with the same
    /// subscriptions.
    Leave {
        reader: usize,
    },
    /// Peers that have left are forgotten a little more.
    Forget,
    /// Reading the counters settles the booking.
    Look,
}

const TOPICS: [&str; 3] = ["", "a", "ab"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let length = prop_oneof![8 => 0usize..40, 2 => 200usize..5000, 1 => 60_000usize..90_000];
    let second = proptest::option::weighted(0.3, prop_oneof![0usize..40, LARGE - 1..LARGE + 2]);
    let octets = prop_oneof![4 => 1usize..60, 2 => 100usize..10_000, 1 => Just(usize::MAX)];
    let send = (0..TOPICS.len(), length, second, any::<bool>());
    proptest::collection::vec(
        prop_oneof![
            6 => send.prop_map(|(topic, length, second, shared)| {
                Step::Send { topic, length, second, shared }
            }),
            1 => (0..TOPICS.len(), 0usize..LARGE + 10)
                .prop_map(|(reader, length)| Step::SendTo { reader, length }),
            1 => (0..TOPICS.len()).prop_map(|reader| Step::Leave { reader }),
            1 => Just(Step::Forget),
            1 => Just(Step::Look),
            2 => (0..TOPICS.len(), octets).prop_map(|(reader, octets)| Step::Write { reader, octets }),
        ],
        0..150,
    )
}

proptest! {
    /// Three peers with nested topics, each with a queue of its own in the model: the messages that they
    /// get and lose, and the counters, must be the same to the octet. However a connection ends, each
    /// copy of a message that was accepted for it has been sent, dropped or left undelivered.
    #[test]
    fn every_peer_gets_what_a_queue_of_its_own_would_have_given(
        steps in steps(),
        limit in 1usize..20,
        when_full in prop_oneof![
            Just(WhenFull::DropNew), Just(WhenFull::DropOldest), Just(WhenFull::Disconnect)
        ],
        is_closed in any::<bool>(),
    ) {
        let oldest = when_full == WhenFull::DropOldest;
        let options = Publishing { sending: Sending { hwm: HighWaterMark::messages(limit), ..Sending::default() }, when_full, ..Publishing::default() };
        let hearing = Some(RequestOptions { verbosity: Verbosity::All, ..RequestOptions::default() });
        let core = Arc::new(PubCore::new(options, hearing, Arc::default()));
        let mut ids = 0..;
        let mut reader = |topic| Reader::with_id(&core, ids.next().expect("there are more"), topic);
        let mut readers = TOPICS.map(&mut reader);
        let model = || Model { limit, oldest, ..Model::default() };
        let mut models = TOPICS.map(|_| model());
        let (mut leaving, mut departed, mut accepted) = (Vec::new(), Stats::default(), 0);
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Send { topic, length, second, shared } => {
                    let octets = |length| (0..length).map(|at| (at * 7 + number) as u8 | 0x80);
                    let body: Vec<u8> = TOPICS[topic].bytes().chain(octets(length)).collect();
                    let parts = std::iter::once(body.clone()).chain(second.map(|l| octets(l).collect()));
                    let message = Message::multipart(parts).expect("there are parts");
                    match shared || second.is_some() {
                        true => core.try_send(&Outgoing::from(&message)).expect("the socket is open"),
                        false => send(&core, &body),
                    }
                    for (model, topic) in models.iter_mut().zip(TOPICS) {
                        if body.starts_with(topic.as_bytes()) {
                            model.send(&message);
                            accepted += 1;
                        }
                    }
                    continue;
                }
                Step::SendTo { reader, length } => {
                    let message = Message::from(vec![number as u8; length]);
                    let peer = &readers[reader].session.peer;
                    prop_assert_eq!(core.send_to(peer, &message), Ok(true));
                    models[reader].send_to(&message);
                    accepted += 1;
                }
                Step::Leave { reader: at } => {
                    let mut gone = std::mem::replace(&mut readers[at], reader(TOPICS[at]));
                    std::mem::replace(&mut models[at], model()).leave(&mut departed);
                    gone.session.leave();
                    prop_assert_eq!(core.send_to(&gone.session.peer, &Message::from("late")), Ok(false));
                    leaving.push(gone);
                }
                Step::Forget => leaving.retain_mut(|reader| reader.session.leave()),
                Step::Look => {}
                Step::Write { reader, octets } => {
                    let done = readers[reader].write(octets);
                    prop_assert_eq!(done, models[reader].write(octets));
                    let key = readers[reader].session.key();
                    models[reader].taken = core.settled().peers[key].outbox.taken();
                }
            }
            let stats = core.stats();
            prop_assert_eq!(summed(&stats, &departed), stats.clone());
            prop_assert_eq!(stats.sent + stats.dropped + stats.undelivered + stats.queued, accepted);
            prop_assert_eq!(stats.peers.len(), readers.len());
            for (at, (reader, model)) in readers.iter().zip(&models).enumerate() {
                prop_assert!(reader.received == model.received, "reader {}", at);
                let counts = stats.peers.iter().find(|it| it.peer.id() == reader.session.peer.id());
                let counts = counts.expect("it is listed");
                prop_assert_eq!(counts.queued as usize, model.queue.len());
                let queued = model.queue.iter().map(Vec::len).sum::<usize>() - model.gone;
                prop_assert_eq!(counts.queued_octets as usize, queued);
                prop_assert_eq!((counts.dropped, counts.dropped_octets), model.dropped);
                prop_assert_eq!(counts.sent, model.sent);
                prop_assert_eq!(counts.sent_octets as usize, model.received.len());
            }
        }
        if is_closed {
            Core::close(&*core);
        }
        let queued = core.totals().queued as usize;
        drop((readers, leaving));
        let stats = core.stats();
        prop_assert_eq!((stats.queued, stats.subscriptions, stats.peers.len()), (0, 0, 0));
        prop_assert_eq!(stats.sent + stats.dropped + stats.undelivered, accepted);
        prop_assert_eq!(core.unfinished().unsent, if is_closed { queued } else { 0 });
        models.into_iter().for_each(|model| model.leave(&mut departed));
        prop_assert_eq!(summed(&stats, &departed), stats);
    }
}

/// These counters, with the sums over the peers and over those that have left in place of their own.
fn summed(stats: &Stats, departed: &Stats) -> Stats {
    let sum = |of: fn(&PeerStats) -> u64| stats.peers.iter().map(of).sum::<u64>();
    Stats {
        sent: departed.sent + sum(|peer| peer.sent),
        sent_octets: departed.sent_octets + sum(|peer| peer.sent_octets),
        received: sum(|peer| peer.received),
        received_octets: sum(|peer| peer.received_octets),
        dropped: departed.dropped + sum(|peer| peer.dropped),
        dropped_octets: departed.dropped_octets + sum(|peer| peer.dropped_octets),
        undelivered: departed.undelivered,
        queued: sum(|peer| peer.queued),
        queued_octets: sum(|peer| peer.queued_octets),
        subscriptions: sum(|peer| peer.subscriptions),
        ..stats.clone()
    }
}

#[derive(Default)]
struct Model {
    limit: usize,
    /// Whether the oldest messages make room for the newest.
    oldest: bool,
    /// The number of messages in front that the driver has taken.
    taken: usize,
    queue: VecDeque<Vec<u8>>,
    /// The number of octets of the first message that have been written.
    gone: usize,
    received: Vec<u8>,
    /// Dropped messages, and their octets.
    dropped: (u64, u64),
    sent: u64,
}

impl Model {
    fn send(&mut self, message: &Message) {
        let mut octets = BytesMut::new();
        message.encode(&mut octets);
        self.queue.push_back(octets.to_vec());
        while self.queue.len() > self.limit {
            let last = self.queue.len() - 1;
            // The newest message stays, if it can.
            let lost = match self.oldest && self.taken < last {
                true => self.queue.remove(self.taken),
                false if self.oldest => break,
                false => self.queue.pop_back(),
            };
            let octets = lost.map_or(0, |message| message.len()) as u64;
            self.dropped = (self.dropped.0 + 1, self.dropped.1 + octets);
        }
    }

    /// Loses the message if the peer has no room.
    fn send_to(&mut self, message: &Message) {
        if self.queue.len() < self.limit {
            return self.send(message);
        }
        self.dropped = (self.dropped.0 + 1, self.dropped.1 + message.encoded_len() as u64);
    }

    /// Counts the queued messages as undelivered.
    fn leave(self, departed: &mut Stats) {
        departed.sent += self.sent;
        departed.sent_octets += self.received.len() as u64;
        departed.dropped += self.dropped.0;
        departed.dropped_octets += self.dropped.1;
        departed.undelivered += self.queue.len() as u64;
    }

    fn write(&mut self, mut octets: usize) -> usize {
        let before = self.sent;
        while let Some(message) = self.queue.front() {
            let part = octets.min(message.len() - self.gone);
            self.received.extend_from_slice(&message[self.gone..self.gone + part]);
            self.gone += part;
            octets -= part;
            if self.gone < message.len() {
                break;
            }
            self.queue.pop_front();
            self.gone = 0;
            self.sent += 1;
        }
        (self.sent - before) as usize
    }
}
