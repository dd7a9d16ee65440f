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

/// How an XPUB handles its subscribers' requests.
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
    /// The policy for a message to a peer that has no room for it. Default: [`WhenFull::DropNew`].
    pub fn when_full(mut self, policy: WhenFull) -> Self {
        *self.role.as_mut() = policy;
        self
    }
}

impl<T: Configured<Role: AsMut<Publishing>>> Options<T> {
    /// How two subscriptions of one peer to the same topic count. Default: [`Duplicates::Counted`].
    pub fn duplicate_subscriptions(mut self, duplicates: Duplicates) -> Self {
        self.role.as_mut().duplicates = duplicates;
        self
    }

    /// How many distinct topics one peer may be subscribed to; beyond that its connection is
    /// closed. Default: 1,000,000.
    ///
    /// There is a limit in octets [beside it](Self::max_subscription_octets).
    pub fn max_subscriptions(mut self, topics: usize) -> Self {
        self.role.as_mut().max_topics = topics;
        self
    }

    /// How many octets the topics of one peer may have, all together; beyond that its connection is
    /// closed. Default: 64 MiB.
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
    /// Which subscriptions [`recv`](crate::XPubSocket::recv) reports. Default:
    /// [`Verbosity::Distinct`].
    pub fn verbosity(mut self, verbosity: Verbosity) -> Self {
        self.role.requests.verbosity = verbosity;
        self
    }

    /// Leaves subscribing to the user: [`recv`](crate::XPubSocket::recv) reports every subscription
    /// and every end of one, and the user subscribes the peer with
    /// [`subscribe`](crate::XPubHandle::subscribe). Default: no. (`ZMQ_XPUB_MANUAL`)
    pub fn manual(mut self, manual: bool) -> Self {
        self.role.requests.manual = manual;
        self
    }

    /// A message that every peer is sent first. A subscriber receives it if it has subscribed to a
    /// prefix of its first part. Default: none. (`ZMQ_XPUB_WELCOME_MSG`)
    pub fn welcome(mut self, message: impl Into<Message>) -> Self {
        self.role.requests.welcome = Some(message.into());
        self
    }

    /// Looks for subscriptions in a message of several parts, from an XSUB, only if its first part is one.
    /// Otherwise any part that begins with the octet 1 or 0 is taken for a subscription or the end of one,
    /// and the user does not receive it, as with libzmq unless `ZMQ_ONLY_FIRST_SUBSCRIBE` is set. Default:
    /// yes.
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

/// The policy for a message to a peer whose queue is at the high-water mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// That peer alone loses the message.
    #[default]
    DropNew,
    /// That peer alone loses the oldest messages that wait for it, so that there is room.
    ///
    /// Messages that are already being written cannot be taken back. They do not count for the mark,
    /// and are never more than the mark allows.
    DropOldest,
    /// That peer alone is disconnected, and loses all that waits for it.
    Disconnect,
    /// [`send`](crate::Handle::send) waits until every peer that wants the message has room for it,
    /// and then it goes to all of them. One stuck peer delays all others.
    ///
    /// Senders that wait for the same peer are served in the order in which they began to wait. A `send` that
    /// waits keeps its place until it is done or dropped, so it must be polled when it is woken.
    Wait,
    /// As [`Wait`](Self::Wait), but `send` fails after this time, and the message goes to nobody.
    WaitFor(Duration),
}

impl WhenFull {
    /// Whether a message goes to all that want it or to nobody.
    pub(crate) fn waits(self) -> bool {
        matches!(self, Self::Wait | Self::WaitFor(_))
    }
}

/// Which subscriptions, and ends of them, are reported to the user of an
/// [`XPubSocket`](crate::XPubSocket). In [manual](crate::XPubOptions::manual) mode, all are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verbosity {
    /// The first subscription to each topic, among all peers, and the end of the last.
    #[default]
    Distinct,
    /// Every subscription, and the end of the last to each topic. (`ZMQ_XPUB_VERBOSE`)
    Subscriptions,
    /// Every subscription and the end of each; those that a peer repeats count once.
    /// (`ZMQ_XPUB_VERBOSER`)
    All,
}

/// How several subscriptions of one peer to the same topic count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Duplicates {
    /// Each counts, and each needs its own CANCEL (RFC 23, as most peers do).
    #[default]
    Counted,
    /// All count as one, and the first CANCEL ends it. For peers that are a SUB or XSUB of libzmq
    /// and subscribe repeatedly to the same topic: they send every SUBSCRIBE but only the last
    /// CANCEL.
    AsSet,
}
