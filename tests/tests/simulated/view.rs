//! A publisher's knowledge of its peers.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use zmtp_socket::{Event, Monitor, PeerId, PubHandle, PubSocket, Reason, WireError};

/// A publisher's view of its peers and their subscriptions, followed by its events.
#[derive(Debug)]
pub(crate) struct View {
    server: PubHandle,
    events: Monitor,
    peers: HashMap<PeerId, BTreeSet<Bytes>>,
    /// All peers that ever connected, and how many of the first do not count any more.
    connected: Vec<PeerId>,
    doomed: usize,
    first_peers: Vec<PeerId>,
    eras_before: u64,
    pub(crate) met: Met,
}

/// The events that a publisher has met.
#[derive(Debug, Default)]
pub(crate) struct Met {
    pub(crate) handshakes: u64,
    pub(crate) failed_handshakes: u64,
    pub(crate) timeouts: u64,
    pub(crate) lost: u64,
}

impl View {
    /// The view of a publisher that has no peers yet.
    pub(crate) fn of(server: &PubSocket) -> Self {
        Self {
            server: server.handle(),
            events: server.monitor(),
            peers: HashMap::new(),
            connected: Vec::new(),
            doomed: 0,
            first_peers: Vec::new(),
            eras_before: 0,
            met: Met::default(),
        }
    }

    /// The view of a publisher that has taken the place of this one.
    pub(crate) fn succeeded_by(&mut self, server: &PubSocket) {
        let eras_before = self.eras_before + self.first_peers.len() as u64;
        *self = Self { eras_before, met: std::mem::take(&mut self.met), ..Self::of(server) };
    }

    /// Follows the events so far.
    pub(crate) fn look(&mut self) {
        while let Some(event) = self.events.try_next() {
            self.follow(event);
        }
        assert_eq!(self.events.missed(), 0);
    }

    /// The period within which a subscriber that is dialled keeps order: messages that are sent now to
    /// the publisher's first peer. The subscriber cannot know that a new peer is the one whose last
    /// messages it has not read yet.
    pub(crate) fn era(&mut self) -> u64 {
        let stats = self.server.stats();
        let Some(peer) = stats.peers.first().map(|peer| peer.peer.id()) else { return 0 };
        if self.first_peers.last() != Some(&peer) {
            self.first_peers.push(peer);
        }
        self.eras_before + self.first_peers.len() as u64
    }

    /// Waits until the publisher knows one peer, and its topics.
    pub(crate) async fn until_agreed(&mut self, wanted: &BTreeSet<Bytes>) {
        self.look();
        while !self.agrees(wanted) {
            let event = self.events.next().await.expect("the socket is open");
            self.follow(event);
        }
    }

    /// Records that the present connections are dead, and can lead to no agreement.
    pub(crate) fn doom(&mut self) {
        self.look();
        self.doomed = self.connected.len();
    }

    /// Whether the publisher knows one peer, and its topics.
    pub(crate) fn agrees(&self, wanted: &BTreeSet<Bytes>) -> bool {
        let doomed = &self.connected[..self.doomed];
        self.peers.values().eq([wanted]) && !self.peers.keys().any(|peer| doomed.contains(peer))
    }

    /// Checks that the publisher knows one peer, and its topics, by its events and by its counters.
    pub(crate) fn expect_agreement(&self, wanted: &BTreeSet<Bytes>) {
        let view: Vec<_> = self.peers.values().collect();
        assert_eq!(view, [wanted], "the publisher's view of what is wanted");
        let stats = self.server.stats();
        let [peer] = &stats.peers[..] else { panic!("one peer: {stats:?}") };
        assert!(self.peers.contains_key(&peer.peer.id()));
        assert_eq!(peer.subscriptions, wanted.len() as u64);
        assert_eq!(self.server.subscriber_count(), usize::from(!wanted.is_empty()));
    }

    fn follow(&mut self, event: Event) {
        match event {
            Event::Connected { peer, .. } => self.connected.push(peer.id()),
            Event::HandshakeSucceeded { peer, .. } => {
                assert_eq!(self.peers.insert(peer.id(), BTreeSet::new()), None);
                self.met.handshakes += 1;
            }
            Event::Disconnected { peer, reason, .. } => {
                assert!(self.peers.remove(&peer.id()).is_some());
                self.met.lost += 1;
                let is_timeout = matches!(reason, Reason::Protocol(WireError::Timeout(_)));
                self.met.timeouts += u64::from(is_timeout);
            }
            Event::HandshakeFailed { peer, .. } => {
                assert!(!self.peers.contains_key(&peer.id()));
                self.met.failed_handshakes += 1;
            }
            Event::Subscribed { peer, topic, .. } => {
                let topics = self.peers.get_mut(&peer.id()).expect("it is connected");
                assert!(topics.insert(topic));
            }
            Event::Unsubscribed { peer, topic, .. } => {
                let topics = self.peers.get_mut(&peer.id()).expect("it is connected");
                assert!(topics.remove(&topic));
            }
            _ => {}
        }
    }
}
