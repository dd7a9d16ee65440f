//! The options of subscribers.

use super::kind::{Configured, XSub};
use super::mark::DEFAULT_OCTETS;
use super::{Conflates, Marks, Options, Receiving, Sending, SocketRole};

/// The options of subscribers alone.
#[derive(Clone, Debug, Default)]
pub struct Subscribing {
    pub(crate) receiving: Receiving,
    pub(crate) matching: Matching,
    pub(crate) tells_repeats: bool,
}

/// The options of an XSUB alone.
#[derive(Clone, Debug, Default)]
pub struct Asking {
    pub(crate) subscribing: Subscribing,
    pub(crate) upstream: UpstreamOptions,
}

/// How an XSUB handles the messages that it sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UpstreamOptions {
    pub(crate) sending: Sending,
    pub(crate) only_first: bool,
}

/// How messages are matched with subscriptions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Matching {
    pub(crate) inverted: bool,
}

impl Default for UpstreamOptions {
    fn default() -> Self {
        Self { sending: Sending::default(), only_first: true }
    }
}

impl<T: Configured<Role: AsMut<Matching>>> Options<T> {
    /// Inverts the matching. A publisher sends each subscriber the messages that it is *not* subscribed to,
    /// and all messages to one without subscriptions; a subscriber receives the same. Both sides have to set
    /// this. Default: no. (`ZMQ_INVERT_MATCHING`)
    pub fn invert_matching(mut self, inverted: bool) -> Self {
        self.role.as_mut().inverted = inverted;
        self
    }
}

impl<T: Configured<Role: AsMut<Matching> + AsMut<Receiving>>> Options<T> {
    /// Keeps only the newest message of each publisher and topic, where the topic is the whole first
    /// part. A message replaces one of the same topic that has not been received yet, which is
    /// [counted](crate::PeerStats::dropped) as dropped. So [`recv`](crate::Socket::recv) gives the latest
    /// state of each topic. The [mark](Self::receive_hwm) limits how many topics may wait. Default: no.
    pub fn conflate_topics(mut self, conflate: bool) -> Self {
        let receiving: &mut Receiving = self.role.as_mut();
        receiving.conflate_topics = conflate;
        self
    }
}

impl<T: Configured<Role: AsMut<Subscribing>>> Options<T> {
    /// Sends publishers a subscription also for a topic that is subscribed to already, as libzmq's sockets
    /// do; an XPUB may [report](crate::Verbosity::Subscriptions) each to its user. Only the last end is sent,
    /// so the publishers have to count several subscriptions as [one](crate::Duplicates::AsSet). Default: no.
    pub fn tell_repeated_subscriptions(mut self, tell: bool) -> Self {
        self.role.as_mut().tells_repeats = tell;
        self
    }
}

impl AsMut<Self> for Subscribing {
    fn as_mut(&mut self) -> &mut Self {
        self
    }
}

impl AsMut<Subscribing> for Asking {
    fn as_mut(&mut self) -> &mut Subscribing {
        &mut self.subscribing
    }
}

impl Options<XSub> {
    /// Looks for subscriptions in a message of several parts that is [sent](crate::Handle::send) only
    /// if its first part is one, as publishers with [the same
    /// option](crate::XPubOptions::only_first_subscribe) do. Default: yes.
    pub fn only_first_subscribe(mut self, only_first: bool) -> Self {
        self.role.upstream.only_first = only_first;
        self
    }
}

impl UpstreamOptions {
    pub(crate) fn marks(&self) -> Marks {
        self.sending.marks(DEFAULT_OCTETS)
    }
}

impl SocketRole for Subscribing {}
impl SocketRole for Asking {}

impl Conflates for Subscribing {
    fn conflate(&mut self, conflate: bool) {
        self.receiving.conflate = conflate;
    }
}

impl Conflates for Asking {
    fn conflate(&mut self, conflate: bool) {
        self.subscribing.conflate(conflate);
    }
}

impl AsMut<Receiving> for Subscribing {
    fn as_mut(&mut self) -> &mut Receiving {
        &mut self.receiving
    }
}

impl AsMut<Receiving> for Asking {
    fn as_mut(&mut self) -> &mut Receiving {
        &mut self.subscribing.receiving
    }
}

impl AsMut<Sending> for Asking {
    fn as_mut(&mut self) -> &mut Sending {
        &mut self.upstream.sending
    }
}

impl AsMut<Matching> for Subscribing {
    fn as_mut(&mut self) -> &mut Matching {
        &mut self.matching
    }
}

impl AsMut<Matching> for Asking {
    fn as_mut(&mut self) -> &mut Matching {
        &mut self.subscribing.matching
    }
}
