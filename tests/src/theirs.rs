//! A socket of libzmq: of the library that the `zmq` crate builds, or of pyzmq's, which is newer and has
//! CURVE.

use std::ffi::OsString;

use zmtp_socket::SocketType;

use crate::guard::{Guard, introduce};
use crate::libzmq::{Libzmq, Parts};
use crate::pyzmq::Pyzmq;
use crate::secured::{Client, Server, USER};

/// One socket at a time, of one of these libraries.
#[derive(Debug)]
pub struct Theirs {
    origin: Origin,
    kind: SocketType,
    name: Name,
}

/// The identity options of a socket, if its type has an identity.
#[derive(Clone, Copy, Debug, Default)]
pub struct Name {
    /// Its identity. Without one, it announces none.
    pub identity: Option<&'static str>,
    /// Whether it sends each new peer an empty message.
    pub probes: bool,
}

#[derive(Debug)]
enum Origin {
    Crate(Option<(Libzmq, Option<Guard>)>),
    Pyzmq(Box<Pyzmq>),
}

impl Theirs {
    /// The library of the `zmq` crate. It has no CURVE.
    pub fn of_the_crate() -> Self {
        Self::of(Origin::Crate(None))
    }

    /// The library of pyzmq, in a process that lives as long as this.
    pub fn of_pyzmq(python: &OsString) -> Self {
        Self::of(Origin::Pyzmq(Box::new(Pyzmq::without_socket(python))))
    }

    fn of(origin: Origin) -> Self {
        Self { origin, kind: SocketType::Pair, name: Name::default() }
    }

    /// Sets the identity options of the following sockets.
    pub fn go_by(&mut self, name: Name) {
        self.name = name;
    }

    /// The name of the library.
    pub fn name(&self) -> &'static str {
        match self.origin {
            Origin::Crate(_) => "libzmq",
            Origin::Pyzmq(_) => "pyzmq",
        }
    }

    /// Binds a new socket, in the place of the last one.
    pub async fn bind(&mut self, kind: SocketType, endpoint: &str, server: &Server) {
        self.kind = kind;
        match &mut self.origin {
            Origin::Crate(socket) => {
                leave(socket).await;
                let new = self.name.of_the_crate(kind);
                let guard = match server {
                    Server::Null => None,
                    Server::Plain => {
                        let users = vec![(USER.0.to_owned(), USER.1.to_owned())];
                        Some(Guard::of(&new, users).await)
                    }
                    Server::Curve { .. } => panic!("this libzmq has no CURVE"),
                };
                new.bind(endpoint).await;
                *socket = Some((new, guard));
            }
            Origin::Pyzmq(process) => {
                let options = [server.for_pyzmq(), self.name.for_pyzmq(kind)].concat();
                open(process, kind, "bind", endpoint, options).await;
            }
        }
    }

    /// Connects a new socket, in the place of the last one. A refused connection is not dialled again.
    pub async fn connect(&mut self, kind: SocketType, endpoint: &str, client: &Client) {
        self.kind = kind;
        match &mut self.origin {
            Origin::Crate(socket) => {
                leave(socket).await;
                let new = self.name.of_the_crate(kind);
                match client {
                    Client::Null => {}
                    Client::Plain { password } => introduce(&new, USER.0, password),
                    Client::Curve { .. } => panic!("this libzmq has no CURVE"),
                }
                new.set(|socket| socket.set_reconnect_ivl(-1));
                new.connect(endpoint).await;
                *socket = Some((new, None));
            }
            Origin::Pyzmq(process) => {
                let mut options = [client.for_pyzmq(), self.name.for_pyzmq(kind)].concat();
                options.push("zmq_reconnect_ivl=-1".to_owned());
                open(process, kind, "connect", endpoint, options).await;
            }
        }
    }

    /// Subscribes, in the way of a SUB or an XSUB.
    pub async fn subscribe(&mut self, topic: &str) {
        self.change(topic, true).await;
    }

    /// Takes back a subscription.
    pub async fn unsubscribe(&mut self, topic: &str) {
        self.change(topic, false).await;
    }

    async fn change(&mut self, topic: &str, begins: bool) {
        if self.kind == SocketType::XSub {
            return self.send(vec![[&[u8::from(begins)], topic.as_bytes()].concat()]).await;
        }
        match (&mut self.origin, begins) {
            (Origin::Crate(socket), true) => opened(socket).subscribe(topic).await,
            (Origin::Crate(socket), false) => opened(socket).unsubscribe(topic).await,
            (Origin::Pyzmq(process), true) => process.subscribe(topic.as_bytes()).await,
            (Origin::Pyzmq(process), false) => process.unsubscribe(topic.as_bytes()).await,
        }
    }

    /// Sends a message.
    pub async fn send(&mut self, parts: Parts) {
        match &mut self.origin {
            Origin::Crate(socket) => opened(socket).send_parts(parts).await,
            Origin::Pyzmq(process) => {
                let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
                process.send(&parts).await;
            }
        }
    }

    /// The next message.
    pub async fn receive(&mut self) -> Parts {
        match &mut self.origin {
            Origin::Crate(socket) => opened(socket).receive_parts().await,
            Origin::Pyzmq(process) => process.receive().await,
        }
    }
}

impl Name {
    /// A new socket with these options.
    fn of_the_crate(self, kind: SocketType) -> Libzmq {
        let socket = Libzmq::new(of_the_crate(kind));
        socket.set(move |socket| {
            if let Some(identity) = self.identity_of(kind) {
                socket.set_identity(identity.as_bytes())?;
            }
            if self.probes { socket.set_probe_router(true) } else { Ok(()) }
        });
        socket
    }

    /// These options in the form that a socket of pyzmq takes.
    fn for_pyzmq(self, kind: SocketType) -> Vec<String> {
        let identity = self.identity_of(kind).map(|identity| format!("identity={identity}"));
        let probe = self.probes.then(|| "zmq_probe_router=1".to_owned());
        identity.into_iter().chain(probe).collect()
    }

    fn identity_of(self, kind: SocketType) -> Option<&'static str> {
        let has_one = matches!(kind, SocketType::Dealer | SocketType::Router | SocketType::Req);
        self.identity.filter(|_| has_one)
    }
}

async fn open(
    process: &mut Pyzmq,
    kind: SocketType,
    how: &str,
    endpoint: &str,
    mut options: Vec<String>,
) {
    // Under CURVE, heartbeats are encrypted too.
    options.push("heartbeat=20".to_owned());
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    process.open(kind.name(), how, endpoint, &options).await;
}

async fn leave(socket: &mut Option<(Libzmq, Option<Guard>)>) {
    if let Some((socket, guard)) = socket.take() {
        drop(guard);
        socket.close().await;
    }
}

fn opened(socket: &Option<(Libzmq, Option<Guard>)>) -> &Libzmq {
    let (socket, _guard) = socket.as_ref().expect("a socket has been opened");
    socket
}

fn of_the_crate(kind: SocketType) -> zmq::SocketType {
    match kind {
        SocketType::Pub => zmq::PUB,
        SocketType::Sub => zmq::SUB,
        SocketType::XPub => zmq::XPUB,
        SocketType::XSub => zmq::XSUB,
        SocketType::Push => zmq::PUSH,
        SocketType::Pull => zmq::PULL,
        SocketType::Pair => zmq::PAIR,
        SocketType::Dealer => zmq::DEALER,
        SocketType::Router => zmq::ROUTER,
        SocketType::Req => zmq::REQ,
        SocketType::Rep => zmq::REP,
        other => panic!("this libzmq has no {other}"),
    }
}
