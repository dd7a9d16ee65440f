//! Compares the requests that an XPUB gets with the calls of its subscribers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use zmtp_socket::{Message, Peer, PeerId, Request, TryRecvError, Verbosity, XPubSocket};

use crate::cast::Cast;

/// The user of an XPUB. It gets exactly the requests of the honest subscriber, and consistent ones
/// of the others.
pub(crate) struct Hearing {
    socket: XPubSocket,
    cast: Cast,
    honest: Peer,
    /// The requests and messages of the honest subscriber that the user has not read.
    unread: VecDeque<Request>,
    /// The subscriptions that the user knows of; by peer, if requests are reported for each.
    wanted: BTreeSet<(Option<PeerId>, Bytes)>,
}

impl Hearing {
    /// Waits for the honest subscriber, which subscribes to everything.
    pub(crate) async fn new(mut socket: XPubSocket, cast: Cast) -> Self {
        let request = socket.recv().await.expect("it is open");
        let honest = request.peer().clone();
        let topic = Bytes::new();
        assert_eq!(request, Request::Subscribe { peer: honest.clone(), topic });
        let (unread, wanted) = (VecDeque::new(), BTreeSet::new());
        let mut this = Self { socket, cast, honest, unread, wanted };
        this.does(&request);
        this
    }

    /// Reads up to `most` requests.
    pub(crate) fn hear(&mut self, most: usize) {
        let mut of_peer = BTreeMap::<_, usize>::new();
        for _ in 0..most {
            let request = match self.socket.try_recv() {
                Ok(request) => request,
                Err(TryRecvError::Empty) => return self.has_heard_all(),
                Err(error) => panic!("it is open, and yet: {error}"),
            };
            if *request.peer() == self.honest {
                assert_eq!(Some(&request), self.unread.pop_front().as_ref());
            } else if !matches!(request, Request::Unsubscribe { .. }) {
                let unread = of_peer.entry(request.peer().id()).or_default();
                *unread += 1;
                // One more than the limit ends the connection.
                assert!(*unread <= self.cast.max_topics() + 1, "{unread} requests were unread");
            }
            self.does(&request);
        }
    }

    fn has_heard_all(&self) {
        assert!(self.unread.is_empty(), "{:?} were not told", self.unread);
        if self.cast.verbosity() != Verbosity::All || self.is_manual() {
            return;
        }
        for peer in self.socket.stats().peers {
            let of_peer = self.wanted.iter().filter(|(id, _)| *id == Some(peer.peer.id()));
            assert_eq!(of_peer.count() as u64, peer.subscriptions, "of {}", peer.peer);
        }
    }

    /// Handles a request as a user does.
    fn does(&mut self, request: &Request) {
        let (Request::Subscribe { peer, topic } | Request::Unsubscribe { peer, topic }) = request
        else {
            return;
        };
        let begins = matches!(request, Request::Subscribe { .. });
        if self.is_manual() {
            match begins {
                true => self.socket.subscribe(peer, topic),
                false => self.socket.unsubscribe(peer, topic),
            };
            return;
        }
        let verbosity = self.cast.verbosity();
        let of = (verbosity == Verbosity::All).then(|| peer.id());
        let is_news = match begins {
            true => self.wanted.insert((of, topic.clone())),
            false => self.wanted.remove(&(of, topic.clone())),
        };
        let may_repeat = begins && verbosity == Verbosity::Subscriptions;
        assert!(is_news || may_repeat, "{request:?} is no news");
    }

    fn is_manual(&self) -> bool {
        self.cast.is_manual()
    }

    /// Reads the unread requests if the honest subscriber might otherwise exceed its limit with
    /// this many more.
    pub(crate) fn make_room(&mut self, requests: usize) {
        if self.unread.len() + requests > self.cast.max_topics() {
            self.hear(usize::MAX);
        }
    }

    /// The honest subscriber begins or ends a subscription that nobody else has. This will be
    /// reported, unless it cancels an unread request.
    pub(crate) fn expect_change(&mut self, topic: Bytes, begins: bool) {
        let peer = self.honest.clone();
        let begin = Request::Subscribe { peer: peer.clone(), topic: topic.clone() };
        if begins {
            self.unread.push_back(begin);
        } else if let Some(at) = self.unread.iter().position(|request| *request == begin) {
            self.unread.remove(at);
        } else {
            self.unread.push_back(Request::Unsubscribe { peer, topic });
        }
    }

    /// The honest subscriber sends a message.
    pub(crate) fn expect_message(&mut self, message: Message) {
        let peer = self.honest.clone();
        self.unread.push_back(Request::Message { peer, message });
    }

    /// Sends a message to the honest subscriber only.
    pub(crate) fn answer(&self, message: &Message) {
        assert_eq!(self.socket.send_to(&self.honest, message.clone()), Ok(true));
    }

    /// After all subscribers have gone, the end of every subscription has been reported, in any
    /// order.
    pub(crate) fn end(mut self) {
        assert_eq!(self.socket.stats().peers, []);
        while let Ok(request) = self.socket.try_recv() {
            self.does(&request);
        }
        assert!(self.wanted.is_empty(), "{:?} are still wanted", self.wanted);
    }
}
