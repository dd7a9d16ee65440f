//! The options of publishers.

use std::time::Duration;

use zmtp_codec::Message;

use super::kind::{Configured, XPub};
use super::mark::DEFAULT_OCTETS;
use super::{Conflates, HighWaterMark, Marks, Matching, Options, Sending, SocketRole};

/// The default mark in octets where a sender waits: enough to keep the transport busy.
pub(super) const WAIT_OCTETS: usize = 256 << 10;

/// The options of publishers alone.
#[derive(Clone, Debug)]
pub struct Publishing {
    pub(crate) sending: Sending,
    pub(crate) when_full: WhenFull,
    pub(crate) duplicates: Duplicates,
    pub(crate) max_topics: usize,
    pub(crate) max_topic_octets: usize,
    pub(crate) matching: Matching,
}

/// The options of an XPUB alone.
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

impl<T: Configured<Role: AsMut<WhenFull>>> Options<T> {
    /// What becomes of a message for a peer that has no room for it. Default: [`WhenFull::DropNew`].
    pub fn when_full(mut self, policy: WhenFull) -> Self {
        *self.role.as_mut() = policy;
        self
    }
}

impl<T: Configured<Role: AsMut<Publishing>>> Options<T> {
    /// What two subscriptions of one peer to the same topic are. Default: [`Duplicates::Counted`].
    pub fn duplicate_subscriptions(mut self, duplicates: Duplicates) -> Self {
        self.role.as_mut().duplicates = duplicates;
        self
    }

    /// How many distinct topics one peer may be subscribed to; past that its connection is closed.
    /// Default: 1,000,000.
    ///
    /// There is a limit in octets [beside it](Self::max_subscription_octets).
    pub fn max_subscriptions(mut self, topics: usize) -> Self {
        self.role.as_mut().max_topics = topics;
        self
    }

    /// How many octets the topics may have, all together, that one peer is subscribed to; past that
    /// its connection is closed. Default: 64 MiB.
    pub fn max_subscription_octets(mut self, octets: usize) -> Self {
        self.role.as_mut().max_topic_octets = octets;
        self
    }
}

impl Default for Publishing {
    fn default() -> Self {
        Self {
            sending: Sending::default(),
            when_full: WhenFull::default(),
            duplicates: Duplicates::Counted,
            max_topics: 1_000_000,
            max_topic_octets: 64 << 20,
            matching: Matching::default(),
        }
    }
}

impl Options<XPub> {
    /// Which subscriptions [`recv`](crate::XPubSocket::recv) tells. Default: [`Verbosity::Distinct`].
    pub fn verbosity(mut self, verbosity: Verbosity) -> Self {
        self.role.requests.verbosity = verbosity;
        self
    }

    /// Subscribes nobody by itself: the user is told every subscription and every end of one, and does
    /// for the peer what it sees fit, with [`subscribe`](crate::XPubHandle::subscribe). Default: no.
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
        self.sending.marks(octets)
    }
}

impl SocketRole for Publishing {}
impl SocketRole for Hearing {}

impl Conflates for Publishing {
    fn conflate(&mut self, conflate: bool) {
        (self.sending.hwm, self.when_full) = match conflate {
            true => (HighWaterMark::messages(1), WhenFull::DropOldest),
            false => Default::default(),
        };
    }
}

impl Conflates for Hearing {
    fn conflate(&mut self, conflate: bool) {
        self.publishing.conflate(conflate);
    }
}

impl AsMut<Self> for Publishing {
    fn as_mut(&mut self) -> &mut Self {
        self
    }
}

impl AsMut<WhenFull> for Publishing {
    fn as_mut(&mut self) -> &mut WhenFull {
        &mut self.when_full
    }
}

impl AsMut<WhenFull> for Hearing {
    fn as_mut(&mut self) -> &mut WhenFull {
        &mut self.publishing.when_full
    }
}

impl AsMut<Publishing> for Hearing {
    fn as_mut(&mut self) -> &mut Publishing {
        &mut self.publishing
    }
}

impl AsMut<Sending> for Publishing {
    fn as_mut(&mut self) -> &mut Sending {
        &mut self.sending
    }
}

impl AsMut<Sending> for Hearing {
    fn as_mut(&mut self) -> &mut Sending {
        &mut self.publishing.sending
    }
}

impl AsMut<Matching> for Publishing {
    fn as_mut(&mut self) -> &mut Matching {
        &mut self.matching
    }
}

impl AsMut<Matching> for Hearing {
    fn as_mut(&mut self) -> &mut Matching {
        &mut self.publishing.matching
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
    /// [`send`](crate::Handle::send) waits until every subscriber that wants the message has
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
