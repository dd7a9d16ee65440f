//! What only a publisher has to be told.

use std::time::Duration;

use zmtp_codec::Message;

use super::mark::DEFAULT_OCTETS;
use super::{HighWaterMark, Marks, PubOptions, XPubOptions};

/// The default mark in octets where a sender waits: enough to keep the transport busy.
const WAIT_OCTETS: usize = 256 << 10;

/// What only a publisher has to be told.
#[derive(Clone, Debug)]
pub struct Publishing {
    pub(crate) send_hwm: HighWaterMark,
    pub(crate) send_hwm_octets: Option<usize>,
    pub(crate) when_full: WhenFull,
    pub(crate) duplicates: Duplicates,
    pub(crate) max_topics: usize,
    pub(crate) max_topic_octets: usize,
    pub(crate) inverted: bool,
}

/// What only an XPUB has to be told.
#[derive(Clone, Debug, Default)]
pub struct Hearing {
    pub(crate) publishing: Publishing,
    pub(crate) requests: RequestOptions,
}

/// How an XPUB deals with what its subscribers want.
#[derive(Clone, Debug)]
pub(crate) struct RequestOptions {
    pub(crate) verbosity: Verbosity,
    pub(crate) manual: bool,
    pub(crate) welcome: Option<Message>,
    pub(crate) only_first: bool,
}

impl Default for RequestOptions {
    fn default() -> Self {
        let verbosity = Verbosity::default();
        Self { verbosity, manual: false, welcome: None, only_first: true }
    }
}

/// The options of every socket that publishes, written and documented here alone.
macro_rules! options {
    ($options:ty $(, $inner:ident)?) => {
        impl $options {
            /// How many messages may wait for each subscriber before it loses new ones. Default: 1000.
            ///
            /// A message counts until the transport has taken its last octet. There is a mark in octets
            /// [beside it](Self::send_hwm_octets).
            pub fn send_hwm(mut self, mark: HighWaterMark) -> Self {
                self.role$(.$inner)?.send_hwm = mark;
                self
            }

            /// How many octets may wait for each subscriber, beside [`send_hwm`](Self::send_hwm): whichever
            /// mark is reached first counts. An empty queue takes any one message; 0 is taken as 1, and
            /// `usize::MAX` is no limit. Default: none beside [`HighWaterMark::Unlimited`]; otherwise 64 MiB,
            /// or 256 KiB where [`send`](crate::PubSocket::send) [waits](WhenFull::Wait).
            pub fn send_hwm_octets(mut self, octets: usize) -> Self {
                self.role$(.$inner)?.send_hwm_octets = Some(octets.max(1));
                self
            }

            /// What becomes of a message that a subscriber wants and has no room for. Default:
            /// [`WhenFull::DropNew`].
            pub fn when_full(mut self, policy: WhenFull) -> Self {
                self.role$(.$inner)?.when_full = policy;
                self
            }

            /// Keeps for each subscriber the newest message alone, whole, in all its parts, if the one before
            /// it has not begun to be written: a mark of one message and [`WhenFull::DropOldest`].
            /// The other way round, both are as by default. Default: no.
            pub fn conflate(self, conflate: bool) -> Self {
                let (mark, policy) = match conflate {
                    true => (HighWaterMark::messages(1), WhenFull::DropOldest),
                    false => (HighWaterMark::default(), WhenFull::default()),
                };
                self.send_hwm(mark).when_full(policy)
            }

            /// What two subscriptions of one peer to the same topic are. Default: [`Duplicates::Counted`].
            pub fn duplicate_subscriptions(mut self, duplicates: Duplicates) -> Self {
                self.role$(.$inner)?.duplicates = duplicates;
                self
            }

            /// Sends each subscriber what it is *not* subscribed to, and all of it to one without
            /// subscriptions; its subscribers must [know](crate::SubOptions::invert_matching). Default: no.
            pub fn invert_matching(mut self, inverted: bool) -> Self {
                self.role$(.$inner)?.inverted = inverted;
                self
            }

            /// How many distinct topics one peer may be subscribed to; past that its connection is closed.
            /// Default: 1,000,000.
            ///
            /// There is a limit in octets [beside it](Self::max_subscription_octets).
            pub fn max_subscriptions(mut self, topics: usize) -> Self {
                self.role$(.$inner)?.max_topics = topics;
                self
            }

            /// How many octets the topics may have, all together, that one peer is subscribed to; past that
            /// its connection is closed. Default: 64 MiB.
            pub fn max_subscription_octets(mut self, octets: usize) -> Self {
                self.role$(.$inner)?.max_topic_octets = octets;
                self
            }
        }
    };
}

options!(PubOptions);
options!(XPubOptions, publishing);

impl Default for Publishing {
    fn default() -> Self {
        Self {
            send_hwm: HighWaterMark::default(),
            send_hwm_octets: None,
            when_full: WhenFull::default(),
            duplicates: Duplicates::Counted,
            max_topics: 1_000_000,
            max_topic_octets: 64 << 20,
            inverted: false,
        }
    }
}

impl XPubOptions {
    /// Which subscriptions [`recv`](crate::XPubSocket::recv) tells. Default: [`Verbosity::Distinct`].
    pub fn verbosity(mut self, verbosity: Verbosity) -> Self {
        self.role.requests.verbosity = verbosity;
        self
    }

    /// Subscribes nobody by itself: the user is told every subscription and every end of one, and does
    /// for the peer what it sees fit, with [`subscribe`](crate::XPubSocket::subscribe). Default: no.
    pub fn manual(mut self, manual: bool) -> Self {
        self.role.requests.manual = manual;
        self
    }

    /// What every peer is sent first. A subscriber receives it if it has subscribed to what it begins
    /// with. Default: nothing.
    pub fn welcome(mut self, message: impl Into<Message>) -> Self {
        self.role.requests.welcome = Some(message.into());
        self
    }

    /// Of a message of several parts from an XSUB: looks for subscriptions in it only if the first part is
    /// one. Otherwise any part that begins with the octet 1 or 0 is taken for a subscription or the end of
    /// one, and the user does not receive it; so libzmq does unless `ZMQ_ONLY_FIRST_SUBSCRIBE` is set.
    /// Default: yes.
    pub fn only_first_subscribe(mut self, only_first: bool) -> Self {
        self.role.requests.only_first = only_first;
        self
    }
}

impl Publishing {
    pub(crate) fn marks(&self) -> Marks {
        let octets = if self.when_full.waits() { WAIT_OCTETS } else { DEFAULT_OCTETS };
        Marks::new(self.send_hwm, self.send_hwm_octets, octets)
    }
}

/// What becomes of a message that a subscriber wants while its queue is at the high-water mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// That subscriber, alone, loses it.
    #[default]
    DropNew,
    /// That subscriber, alone, loses the oldest messages that wait for it, so that there is room.
    ///
    /// What is already being written to it cannot be taken back. It does not count for the mark, and
    /// is never more than the mark allows.
    DropOldest,
    /// That subscriber, alone, is disconnected, and loses all that waits for it.
    Disconnect,
    /// [`send`](crate::PubSocket::send) waits until every subscriber that wants the message has
    /// room for it, and then it goes to all of them. One stuck subscriber holds all others up.
    ///
    /// Senders that wait for the same subscriber are served in the order in which they began to wait. A
    /// `send` that waits keeps its place until it is done or dropped, and so must be polled when it is woken.
    Wait,
    /// The same, but `send` fails, and the message goes to nobody, when it has waited so long.
    WaitFor(Duration),
}

impl WhenFull {
    /// Whether a message goes to all that want it, or nobody.
    pub(crate) fn waits(self) -> bool {
        matches!(self, Self::Wait | Self::WaitFor(_))
    }
}

/// Which subscriptions, and ends of them, the user of an [`XPubSocket`](crate::XPubSocket) is told.
/// In [manual](crate::XPubOptions::manual) mode it is told all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verbosity {
    /// The first subscription to each topic, whoever it is from, and the end of the last.
    #[default]
    Distinct,
    /// Every subscription, and the end of the last to each topic. (`ZMQ_XPUB_VERBOSE`)
    Subscriptions,
    /// Every subscription, and the end of each, once for each peer however often it repeats itself.
    /// (`ZMQ_XPUB_VERBOSER`)
    All,
}

/// What several subscriptions of one peer to the same topic are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Duplicates {
    /// Each counts, and each takes its own CANCEL (RFC 23, as most peers do).
    #[default]
    Counted,
    /// All are one, and the first CANCEL ends it. For libzmq's SUB and XSUB where they subscribe
    /// repeatedly to the same topic: they send every SUBSCRIBE but only the last CANCEL.
    AsSet,
}
