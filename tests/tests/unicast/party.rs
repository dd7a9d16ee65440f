//! A socket of these types behind the same calls, whether it is ours or libzmq's.

use tokio::task::JoinHandle;
use zmtp_socket::{
    Context, DealerOptions, DealerSocket, Message, Monitor, PairOptions, PairSocket, Peer,
    PullOptions, PullSocket, PushOptions, PushSocket, Reconnect, RepOptions, RepSocket, Reply,
    ReqHandle, ReqOptions, ReqSocket, RequestError, RouterOptions, RouterSocket, SocketType, Stats,
};
use zmtp_tests::libzmq::Parts;
use zmtp_tests::matrix;
use zmtp_tests::secured::{Client, Server};
use zmtp_tests::story::{receive, within};
use zmtp_tests::theirs::{Name, Theirs};

use crate::meeting::NEVER;

/// One side of a conversation.
pub(crate) struct Party {
    socket: Socket,
    /// The identity of the other side, if it has one.
    other: Option<&'static str>,
    /// Whether the other side puts an envelope around its messages, and this one does not.
    enveloped: bool,
}

enum Socket {
    Push(PushSocket),
    Pull(PullSocket),
    Pair(PairSocket),
    Dealer(DealerSocket),
    /// With the peer of the last message.
    Router(RouterSocket, Option<Peer>),
    Req(ReqHandle, Asking),
    /// With the request to be answered.
    Rep(RepSocket, Option<Reply>),
    /// With the identity of the peer of the last message.
    Theirs(SocketType, Box<Theirs>, Option<Vec<u8>>),
}

/// The socket, or the request that it is making.
enum Asking {
    Idle(ReqSocket),
    Asks(JoinHandle<(ReqSocket, Result<Message, RequestError>)>),
    Between,
}

/// Does the same with each socket of ours, and something else with libzmq's.
macro_rules! with {
    ($party:expr, $socket:ident => $ours:expr, $theirs:pat => $otherwise:expr) => {
        match $party {
            Socket::Push($socket) => $ours,
            Socket::Pull($socket) => $ours,
            Socket::Pair($socket) => $ours,
            Socket::Dealer($socket) => $ours,
            Socket::Router($socket, _) => $ours,
            Socket::Req($socket, _) => $ours,
            Socket::Rep($socket, _) => $ours,
            $theirs => $otherwise,
        }
    };
}

impl Party {
    /// A socket of the first type, for a conversation with one of the second: libzmq's if that is
    /// available.
    pub(crate) fn new(
        context: &Context,
        (kind, name): (SocketType, &'static str),
        (other, others_name): (SocketType, &'static str),
        theirs: Option<Theirs>,
    ) -> Self {
        use SocketType::{Dealer, Rep, Req, Router};

        // Otherwise neither of two ROUTERs could send first.
        let name = Name { identity: Some(name), probes: (kind, other) == (Router, Router) };
        let socket = match theirs {
            None => Socket::ours(context, kind, name),
            Some(mut theirs) => {
                theirs.go_by(name);
                Socket::Theirs(kind, Box::new(theirs), None)
            }
        };
        let enveloped = matches!((kind, other), (Dealer | Router, Req | Rep));
        let announces = matches!(other, Dealer | Router | Req);
        Self { socket, other: announces.then_some(others_name), enveloped }
    }

    pub(crate) fn into_theirs(self) -> Option<Theirs> {
        with!(self.socket, _socket => None, Socket::Theirs(_, theirs, _) => Some(*theirs))
    }

    /// Sends a message: to the peer of the last one, if a peer has to be named.
    pub(crate) async fn say(&mut self, mut parts: Parts) {
        if self.enveloped {
            parts.insert(0, Vec::new());
        }
        if let Socket::Theirs(kind, theirs, spoke) = &mut self.socket {
            if *kind == SocketType::Router {
                parts.insert(0, spoke.clone().expect("somebody has spoken"));
            }
            return theirs.send(parts).await;
        }
        let message = Message::multipart(parts).expect("there are parts");
        let sending = async {
            match &mut self.socket {
                Socket::Push(socket) => socket.send(message).await,
                Socket::Pair(socket) => socket.send(message).await,
                Socket::Dealer(socket) => socket.send(message).await,
                Socket::Router(socket, spoke) => {
                    socket.send_to(spoke.as_ref().expect("somebody has spoken"), message).await
                }
                Socket::Req(_, asking) => {
                    asking.ask(message);
                    Ok(())
                }
                Socket::Rep(_, reply) => reply.take().expect("it was asked").send(message).await,
                Socket::Pull(_) | Socket::Theirs(..) => panic!("it does not send"),
            }
        };
        within("room", sending).await.expect("it is open");
    }

    /// Receives the next message.
    pub(crate) async fn hear(&mut self) -> Parts {
        let message = match &mut self.socket {
            Socket::Pull(socket) => receive(socket).await,
            Socket::Pair(socket) => receive(socket).await,
            Socket::Dealer(socket) => receive(socket).await,
            Socket::Router(socket, spoke) => {
                let (peer, message) = within("a message", socket.recv()).await.expect("it is open");
                let identity = peer.identity().expect("it has one").clone();
                assert_eq!(identity, self.other.expect("it announces something"));
                *spoke = Some(peer);
                message
            }
            Socket::Req(_, asking) => within("a reply", asking.answer()).await,
            Socket::Rep(socket, reply) => {
                let (request, back) = within("a request", socket.recv()).await.expect("it is open");
                *reply = Some(back);
                request
            }
            Socket::Push(_) => panic!("it does not receive"),
            Socket::Theirs(kind, theirs, spoke) => {
                let mut parts = theirs.receive().await;
                if *kind == SocketType::Router {
                    let identity = parts.remove(0);
                    assert_eq!(identity, self.other.expect("it announces something").as_bytes());
                    *spoke = Some(identity);
                }
                return self.unwrapped(parts);
            }
        };
        self.unwrapped(message.parts().iter().map(|part| part.to_vec()).collect())
    }

    fn unwrapped(&self, mut parts: Parts) -> Parts {
        if self.enveloped {
            assert_eq!(parts.remove(0), b"", "an envelope");
        }
        parts
    }
}

impl matrix::Party for Party {
    async fn bind(&mut self, endpoint: &str, server: &Server) {
        let bound = with!(
            &mut self.socket,
            socket => socket.bind_with(endpoint, |options| server.apply(options)).await,
            Socket::Theirs(kind, theirs, _) => return theirs.bind(*kind, endpoint, server).await
        );
        bound.expect("nobody else is here");
    }

    /// Connects once: a refused connection is not dialled again.
    async fn connect(&mut self, endpoint: &str, client: &Client) {
        let once = Reconnect::new(NEVER, NEVER);
        let connected = with!(
            &mut self.socket,
            socket => {
                socket.connect_with(endpoint, |options| client.apply(options).reconnect(once))
            },
            Socket::Theirs(kind, theirs, _) => {
                return theirs.connect(*kind, endpoint, client).await;
            }
        );
        connected.expect("it can be dialled");
    }

    /// Disconnects from its endpoint; libzmq's does that when it connects again.
    async fn disconnect(&mut self, endpoint: &str) {
        let disconnected = with!(
            &self.socket, socket => socket.disconnect(endpoint).await, Socket::Theirs(..) => Ok(())
        );
        disconnected.expect("it is connected");
    }

    fn monitor(&self) -> Option<Monitor> {
        with!(&self.socket, socket => Some(socket.monitor()), Socket::Theirs(..) => None)
    }

    fn stats(&self) -> Option<Stats> {
        with!(&self.socket, socket => Some(socket.stats()), Socket::Theirs(..) => None)
    }
}

impl Socket {
    fn ours(context: &Context, kind: SocketType, name: Name) -> Self {
        let identity = name.identity.unwrap_or_default();
        match kind {
            SocketType::Push => Self::Push(context.socket(PushOptions::new())),
            SocketType::Pull => Self::Pull(context.socket(PullOptions::new())),
            SocketType::Pair => Self::Pair(context.socket(PairOptions::new())),
            SocketType::Dealer => {
                Self::Dealer(context.socket(DealerOptions::new().identity(identity)))
            }
            SocketType::Router => {
                let options = RouterOptions::new().identity(identity).probe(name.probes);
                Self::Router(context.socket(options), None)
            }
            SocketType::Req => {
                let socket = context.socket(ReqOptions::new().identity(identity));
                Self::Req(socket.handle(), Asking::Idle(socket))
            }
            SocketType::Rep => Self::Rep(context.socket(RepOptions::new()), None),
            other => panic!("{other} does not send each message to one peer"),
        }
    }
}

impl Asking {
    fn ask(&mut self, request: Message) {
        let Self::Idle(mut socket) = std::mem::replace(self, Self::Between) else {
            panic!("a reply is awaited");
        };
        *self = Self::Asks(tokio::spawn(async move {
            let reply = socket.request(request).await;
            (socket, reply)
        }));
    }

    async fn answer(&mut self) -> Message {
        let Self::Asks(asking) = std::mem::replace(self, Self::Between) else {
            panic!("nothing was asked");
        };
        let (socket, reply) = asking.await.expect("no panic");
        *self = Self::Idle(socket);
        reply.expect("a reply")
    }
}
