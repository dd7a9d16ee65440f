//! The plan of a scenario, which its seed determines.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use zmtp_codec::Version;
use zmtp_socket::kind;
use zmtp_socket::{
    Allowed, Heartbeat, HighWaterMark, Linger, Options, PubOptions, SubOptions, WhenFull,
};
use zmtp_tests::network::{Fault, Manner, Refusal, Way};

pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Longer than the longest stall and all transfers over the slowest link.
pub(super) const LINGER: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Delay,
    Fragment,
    Stall,
    Cut,
    Refuse,
    HalfOpen,
}

impl Kind {
    pub(super) const ALL: [Self; 6] =
        [Self::Delay, Self::Fragment, Self::Stall, Self::Cut, Self::Refuse, Self::HalfOpen];
}

/// The stage of a connection at which its fault occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has not been made yet. A fault of octets begins with the first one.
    Dialling,
    /// Some octets of one side's greeting have arrived, and not all.
    Greeting,
    /// The greeting of one side has arrived, and not all of its handshake.
    Handshake,
    /// Some octets of the subscriptions have arrived, and not all.
    Subscriptions,
    /// Everything has arrived.
    Idle,
    /// Some octets of a message have arrived, and not all.
    Message,
    /// The receiver's queue is full: it reads nothing.
    Paused,
    /// The receiver's queue is full, and a sender waits for room in the publisher's. Then the receiver
    /// continues, or ends its subscriptions.
    Waiting,
    /// The publisher is closed and has messages to deliver. A new one follows it.
    Closing,
}

impl Stage {
    pub(super) const ALL: [Self; 9] = [
        Self::Dialling,
        Self::Greeting,
        Self::Handshake,
        Self::Subscriptions,
        Self::Idle,
        Self::Message,
        Self::Paused,
        Self::Waiting,
        Self::Closing,
    ];

    /// Whether it comes before any message can be sent.
    pub(super) fn is_early(self) -> bool {
        matches!(self, Self::Dialling | Self::Greeting | Self::Handshake | Self::Subscriptions)
    }
}

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) kind: Kind,
    pub(super) stage: Stage,
    pub(super) subscriber_dials: bool,
    plain: bool,
    versions: [Version; 2],
    heartbeats: [Option<Heartbeat>; 2],
    /// How long each side judges a peer, if it judges.
    judges: [Option<Duration>; 2],
    pub(super) receive_hwm: usize,
    /// The number of messages for which a sender does not wait.
    send_hwm: usize,
    /// Whether the subscriber ends the subscription to a message that a sender waits to send.
    pub(super) takes_back: bool,
    /// The properties of the link before its fault.
    pub(super) room: usize,
    pub(super) fragment: usize,
    pub(super) topics: BTreeSet<Bytes>,
    /// The subscriptions that the subscriber ends while the fault lasts.
    pub(super) dropped: Vec<Bytes>,
    pub(super) added: Vec<Bytes>,
    pub(super) messages: usize,
    pub(super) longest: usize,
    pub(super) chance: fastrand::Rng,
}

impl Plan {
    /// Every pair of a kind and a stage has its turn.
    pub(super) fn new(seed: u64) -> Self {
        let cell = seed as usize % (Kind::ALL.len() * Stage::ALL.len());
        let kind = Kind::ALL[cell % Kind::ALL.len()];
        let stage = Stage::ALL[cell / Kind::ALL.len()];
        let mut chance = fastrand::Rng::with_seed(seed);
        let versions = [(); 2].map(|()| match chance.u8(0..4) {
            0 => Version::V3_0,
            _ => Version::V3_1,
        });
        let speaks_3_1 = versions == [Version::V3_1; 2];
        // Only heartbeats find a link that is half open once the handshake is over: PING is of 3.1.
        let needs_heartbeats = kind == Kind::HalfOpen;
        let versions = if needs_heartbeats { [Version::V3_1; 2] } else { versions };
        let heartbeats = [(); 2].map(|()| {
            let beats = needs_heartbeats || speaks_3_1 && chance.u8(0..3) == 0;
            let ttl = Duration::from_secs(chance.u64(0..2) * 4);
            let (interval, timeout) = (Duration::from_secs(1), Duration::from_secs(3));
            beats.then_some(Heartbeat::every(interval).with_timeout(timeout).with_ttl(ttl))
        });
        // Together with the longest stall that a connection must survive, less than a handshake may
        // last.
        let judges = [(); 2].map(|()| {
            let thinks = chance.u8(0..4) == 0;
            thinks.then(|| Duration::from_millis(pick(&mut chance, &[0, 20, 700])))
        });
        let mut topics = some_topics(&mut chance);
        let added = topics.split_off(chance.usize(topics.len().div_ceil(2)..=topics.len()));
        let dropped = topics[..chance.usize(0..=topics.len().min(3))].to_vec();
        Self {
            kind,
            stage,
            subscriber_dials: chance.bool(),
            plain: chance.u8(0..6) == 0,
            versions,
            heartbeats,
            judges,
            send_hwm: pick(&mut chance, &[1, 3, 10]),
            takes_back: chance.bool(),
            receive_hwm: pick(&mut chance, &[1, 3, 10]),
            room: pick(&mut chance, &[20, 300, 4000]),
            fragment: pick(&mut chance, &[10, 200, usize::MAX, usize::MAX]),
            topics: topics.into_iter().collect(),
            dropped,
            added,
            messages: chance.usize(2..12),
            longest: pick(&mut chance, &[1, 60, 300, 2000]),
            chance,
        }
    }

    pub(super) fn pub_options(&self) -> PubOptions {
        let options = self.shared(PubOptions::new(), 0);
        let options = match self.stage {
            Stage::Waiting => {
                options.send_hwm(HighWaterMark::messages(self.send_hwm)).when_full(WhenFull::Wait)
            }
            _ => options.send_hwm(HighWaterMark::Unlimited),
        };
        match self.plain {
            true if self.subscriber_dials => options.plain_server_with(|_| true),
            true => options.plain_client("name", "password"),
            false => options,
        }
    }

    pub(super) fn sub_options(&self) -> SubOptions {
        let mark = HighWaterMark::messages(self.receive_hwm);
        let options = self.shared(SubOptions::new(), 1).receive_hwm(mark);
        match self.plain {
            true if self.subscriber_dials => options.plain_client("name", "password"),
            true => options.plain_server_with(|_| true),
            false => options,
        }
    }

    fn shared<T: kind::Kind>(&self, options: Options<T>, side: usize) -> Options<T> {
        let options = options
            .version(self.versions[side])
            .handshake_timeout(HANDSHAKE_TIMEOUT)
            .linger(Linger::For(LINGER));
        let options = match self.heartbeats[side] {
            Some(heartbeat) => options.heartbeat(heartbeat),
            None => options,
        };
        match self.judges[side] {
            Some(time) => options.authorize(move |_claim| async move {
                tokio::time::sleep(time).await;
                Ok(Allowed::new())
            }),
            None => options,
        }
    }

    /// Whether any peer is judged.
    pub(super) fn judges(&self) -> bool {
        self.judges.iter().any(Option::is_some)
    }

    /// One of these topics.
    pub(super) fn some_of(&mut self, topics: &BTreeSet<Bytes>) -> Bytes {
        let number = self.chance.usize(..topics.len());
        topics.iter().nth(number).expect("there are so many").clone()
    }

    /// The direction of the subscriptions.
    pub(super) fn upstream(&self) -> Way {
        if self.subscriber_dials { Way::Out } else { Way::Back }
    }

    /// The least octets that are needed to subscribe to all topics: as messages, as to a 3.0 peer.
    pub(super) fn subscriptions_octets(&self) -> u64 {
        self.topics.iter().map(|topic| topic.len() as u64 + 3).sum()
    }

    pub(super) fn fault(&mut self) -> Fault {
        let chance = &mut self.chance;
        match self.kind {
            Kind::Delay => {
                let delay = Duration::from_millis(pick(chance, &[1, 20, 300]));
                Fault::Hinder(Manner { fragment: pick(chance, &[40, usize::MAX]), delay })
            }
            Kind::Fragment => {
                let fragment = pick(chance, &[1, 2, 9, 100]);
                Fault::Hinder(Manner { fragment, delay: Duration::ZERO })
            }
            Kind::Stall => Fault::Stall(self.stall()),
            Kind::Cut => Fault::Cut(Vec::new()),
            Kind::Refuse => Fault::Cut(self.refusals()),
            Kind::HalfOpen => {
                let ways = pick(chance, &[&[Way::Out], &[Way::Back], Way::BOTH]);
                Fault::Silence { ways, swallowed: chance.bool() }
            }
        }
    }

    /// Shorter than a handshake may last, or longer.
    pub(super) fn stall(&mut self) -> Duration {
        Duration::from_millis(pick(&mut self.chance, &[30, 2000, 8000, 15_000]))
    }

    pub(super) fn refusals(&mut self) -> Vec<Refusal> {
        let count = self.chance.usize(1..4);
        let mut one = || pick(&mut self.chance, &[Refusal::NoSuchName, Refusal::NobodyListens]);
        (0..count).map(|_| one()).collect()
    }

    /// Whether a connection must survive `fault`, with all messages that were sent on it.
    pub(super) fn outlives(&self, fault: &Fault) -> bool {
        let in_time = match fault {
            Fault::Hinder(_) => true,
            Fault::Stall(time) => !self.stage.is_early() || *time < HANDSHAKE_TIMEOUT,
            Fault::Cut(_) | Fault::Silence { .. } => false,
        };
        in_time && self.stage != Stage::Dialling && self.heartbeats.iter().all(Option::is_none)
    }

    /// Whether `fault` is the end of a connection that has been made.
    pub(super) fn kills(&self, fault: &Fault) -> bool {
        let is_made = !matches!(self.stage, Stage::Dialling | Stage::Closing);
        is_made && matches!(fault, Fault::Cut(_) | Fault::Silence { .. })
    }
}

/// Distinct topics, in any order, of which some are prefixes of others and some are long.
fn some_topics(chance: &mut fastrand::Rng) -> Vec<Bytes> {
    let count = pick(chance, &[1, 3, 8, 8, 30]);
    let mut topics = BTreeSet::new();
    while topics.len() < count {
        let (letters, longest) = pick(chance, &[(3, 4), (3, 4), (3, 4), (26, 40), (26, 300)]);
        let length = chance.usize(0..=longest);
        topics.insert((0..length).map(|_| b'a' + chance.u8(0..letters)).collect::<Bytes>());
    }
    let mut topics: Vec<_> = topics.into_iter().collect();
    chance.shuffle(&mut topics);
    topics
}

pub(super) fn pick<T: Copy>(chance: &mut fastrand::Rng, choices: &[T]) -> T {
    choices[chance.usize(..choices.len())]
}
