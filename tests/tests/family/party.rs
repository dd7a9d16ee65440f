//! A socket of the family behind the same calls, whether it is ours or libzmq's.

use std::time::Duration;

use zmtp_socket::{
    Context, Message, Monitor, PubHandle, PubOptions, PubSocket, Reconnect, Request, SocketType,
    Stats, SubHandle, SubOptions, SubSocket, XPubOptions, XPubSocket, XSubOptions, XSubSocket,
};
use zmtp_tests::libzmq::{Parts, meet_with};
use zmtp_tests::matrix;
use zmtp_tests::secured::{Client, Server};
use zmtp_tests::story::{Receives, eventually, receive, wanted, within};
use zmtp_tests::theirs::Theirs;

/// Longer than any test, so that a refused peer does not dial again.
const NEVER: Duration = Duration::from_secs(3600);

pub(crate) enum Party {
    Pub(PubSocket),
    XPub(XPubSocket),
    Sub(SubSocket),
    XSub(XSubSocket),
    Theirs(SocketType, Theirs),
}

/// Does the same with each socket of ours, and something else with libzmq's.
macro_rules! with {
    ($party:expr, $socket:ident => $ours:expr, $theirs:pat => $otherwise:expr) => {
        match $party {
            Party::Pub($socket) => $ours,
            Party::XPub($socket) => $ours,
            Party::Sub($socket) => $ours,
            Party::XSub($socket) => $ours,
            $theirs => $otherwise,
        }
    };
}

impl Party {
    pub(crate) fn ours(context: &Context, kind: SocketType) -> Self {
        match kind {
            SocketType::Pub => Self::Pub(context.pub_socket(PubOptions::new())),
            SocketType::XPub => Self::XPub(context.xpub_socket(XPubOptions::new())),
            SocketType::Sub => Self::Sub(context.sub_socket(SubOptions::new())),
            SocketType::XSub => Self::XSub(context.xsub_socket(XSubOptions::new())),
            other => panic!("{other} is not of the family"),
        }
    }

    pub(crate) fn into_theirs(self) -> Option<Theirs> {
        with!(self, _socket => None, Self::Theirs(_, theirs) => Some(theirs))
    }

    pub(crate) async fn subscribe(&mut self, topic: &str) {
        match self {
            Self::Theirs(_, theirs) => theirs.subscribe(topic).await,
            ours => ours.handle().subscribe(topic),
        }
    }

    pub(crate) async fn unsubscribe(&mut self, topic: &str) {
        match self {
            Self::Theirs(_, theirs) => theirs.unsubscribe(topic).await,
            ours => assert!(ours.handle().unsubscribe(topic), "it was subscribed to {topic}"),
        }
    }

    pub(crate) async fn send(&mut self, parts: Parts) {
        let socket: PubHandle = match self {
            Self::Pub(socket) => socket.handle(),
            Self::XPub(socket) => socket.handle().into(),
            Self::Sub(_) | Self::XSub(_) => panic!("it does not publish"),
            Self::Theirs(_, theirs) => return theirs.send(parts).await,
        };
        let message = Message::multipart(parts).expect("there are parts");
        socket.send(message).await.expect("it is open");
    }

    pub(crate) async fn receive(&mut self) -> Parts {
        match self {
            Self::Theirs(_, theirs) => theirs.receive().await,
            ours => {
                let message = receive(ours.subscriber()).await;
                message.parts().iter().map(|part| part.to_vec()).collect()
            }
        }
    }

    /// Waits until this publisher knows that `subscriber` wants `topic`.
    pub(crate) async fn hears_of(&mut self, topic: &str, subscriber: &mut Self) {
        match self {
            Self::Pub(socket) => wanted(socket, topic).await,
            Self::XPub(socket) => match within("a request", socket.recv()).await {
                Ok(Request::Subscribe { topic: told, .. }) => assert_eq!(told, topic),
                other => panic!("a subscription to {topic}, not {other:?}"),
            },
            Self::Theirs(SocketType::XPub, theirs) => {
                assert_eq!(theirs.receive().await, [[b"\x01", topic.as_bytes()].concat()]);
            }
            Self::Theirs(_, theirs) => {
                let send = async |parts| theirs.send(parts).await;
                meet_with(send, subscriber.subscriber(), topic).await;
            }
            Self::Sub(_) | Self::XSub(_) => panic!("it does not publish"),
        }
    }

    /// Waits until this publisher knows that `topic` is no longer wanted, and only `kept` is.
    pub(crate) async fn hears_the_end_of(
        &mut self,
        topic: &str,
        kept: &str,
        subscriber: &mut Self,
    ) {
        match self {
            Self::Pub(socket) => {
                let topics = || socket.stats().peers[0].subscriptions;
                eventually("the unsubscription", || topics() == 1).await;
            }
            Self::XPub(socket) => match within("a request", socket.recv()).await {
                Ok(Request::Unsubscribe { topic: told, .. }) => assert_eq!(told, topic),
                other => panic!("the end of the subscription to {topic}, not {other:?}"),
            },
            Self::Theirs(SocketType::XPub, theirs) => {
                assert_eq!(theirs.receive().await, [[b"\x00", topic.as_bytes()].concat()]);
            }
            pub_of_libzmq => pub_of_libzmq.probe_the_end(topic, kept, subscriber).await,
        }
    }

    /// A PUB of libzmq's does not report that, so it sends until an unwanted message does not arrive.
    async fn probe_the_end(&mut self, topic: &str, kept: &str, subscriber: &mut Self) {
        within("libzmq to know the unsubscription", async {
            loop {
                let before = subscriber.handle().stats().received;
                self.send(vec![topic.into()]).await;
                self.send(vec![kept.into()]).await;
                while subscriber.receive().await != [kept.as_bytes()] {}
                if subscriber.handle().stats().received == before + 1 {
                    break;
                }
            }
        })
        .await;
    }

    fn handle(&self) -> SubHandle {
        match self {
            Self::Sub(socket) => socket.handle(),
            Self::XSub(socket) => socket.handle().into(),
            Self::Pub(_) | Self::XPub(_) => panic!("it does not subscribe"),
            Self::Theirs(..) => panic!("libzmq is not tested with itself"),
        }
    }

    fn subscriber(&mut self) -> &mut dyn Receives {
        match self {
            Self::Sub(socket) => socket,
            Self::XSub(socket) => socket,
            Self::Pub(_) | Self::XPub(_) => panic!("it does not subscribe"),
            Self::Theirs(..) => panic!("libzmq is not tested with itself"),
        }
    }
}

impl matrix::Party for Party {
    async fn bind(&mut self, endpoint: &str, server: &Server) {
        let bound = with!(
            self,
            socket => socket.bind_with(endpoint, |options| server.apply(options)).await,
            Self::Theirs(kind, theirs) => return theirs.bind(*kind, endpoint, server).await
        );
        bound.expect("nobody else is here");
    }

    /// Connects once: a refused connection is not dialled again.
    async fn connect(&mut self, endpoint: &str, client: &Client) {
        let once = Reconnect::new(NEVER, NEVER);
        let connected = with!(
            self,
            socket => {
                socket.connect_with(endpoint, |options| client.apply(options).reconnect(once))
            },
            Self::Theirs(kind, theirs) => return theirs.connect(*kind, endpoint, client).await
        );
        connected.expect("it can be dialled");
    }

    /// Disconnects from its endpoint; libzmq's does that when it connects again.
    async fn disconnect(&mut self, endpoint: &str) {
        let disconnected =
            with!(self, socket => socket.disconnect(endpoint).await, Self::Theirs(..) => Ok(()));
        disconnected.expect("it is connected");
    }

    fn monitor(&self) -> Option<Monitor> {
        with!(self, socket => Some(socket.monitor()), Self::Theirs(..) => None)
    }

    fn stats(&self) -> Option<Stats> {
        with!(self, socket => Some(socket.stats()), Self::Theirs(..) => None)
    }
}
