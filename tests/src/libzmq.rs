//! A peer that is libzmq: one of its sockets, on a thread of its own because its calls block.

use std::fmt;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::oneshot;
use zmtp_socket::SubSocket;

use crate::story::{DEADLINE, Receives, next, receive, within};

/// How long [`meet`] waits for a message at our subscriber before it takes it for not subscribed yet.
const GLANCE: Duration = Duration::from_millis(10);

/// How often an idle socket is given a turn. libzmq handles an accepted connection (and a SUB then sends
/// its subscriptions) only within some call, such as the `recv` where its user waits.
const TURN: Duration = Duration::from_millis(2);

/// The parts of a message.
pub type Parts = Vec<Vec<u8>>;

type Job = Box<dyn FnOnce(&zmq::Socket) + Send>;

/// One socket of libzmq in a context of its own: no linger, and nothing blocks it for longer than
/// [`DEADLINE`].
pub struct Libzmq {
    context: zmq::Context,
    jobs: mpsc::Sender<Job>,
    thread: JoinHandle<()>,
}

impl Libzmq {
    /// A socket in a new context.
    pub fn new(kind: zmq::SocketType) -> Self {
        Self::in_context(zmq::Context::new(), kind)
    }

    /// Another socket in the context of this one.
    pub fn sibling(&self, kind: zmq::SocketType) -> Self {
        Self::in_context(self.context.clone(), kind)
    }

    fn in_context(context: zmq::Context, kind: zmq::SocketType) -> Self {
        let socket = context.socket(kind).expect("libzmq makes a socket");
        let (jobs, to_do) = mpsc::channel::<Job>();
        let thread = thread::spawn(move || work(&socket, &to_do));
        let peer = Self { context, jobs, thread };
        peer.set(|socket| {
            let patience = i32::try_from(DEADLINE.as_millis()).expect("it is some seconds");
            socket.set_linger(0)?;
            socket.set_rcvtimeo(patience)?;
            socket.set_sndtimeo(patience)
        });
        peer
    }

    /// Sets options, before any later call.
    pub fn set(
        &self,
        options: impl FnOnce(&zmq::Socket) -> Result<(), zmq::Error> + Send + 'static,
    ) {
        self.leave_to(|socket| options(socket).expect("libzmq takes the options"));
    }

    /// Calls libzmq, and fails with `what` if the call fails.
    pub async fn call<T: Send + 'static>(
        &self,
        what: &str,
        call: impl FnOnce(&zmq::Socket) -> Result<T, zmq::Error> + Send + 'static,
    ) -> T {
        let (answer, answered) = oneshot::channel();
        // There is no receiver if the test has ended.
        self.leave_to(|socket| drop(answer.send(call(socket))));
        let answer = answered.await.expect("its thread runs");
        answer.unwrap_or_else(|error| panic!("libzmq did not {what}: {error}"))
    }

    /// Gives the socket to `job`, and nothing else until that is done.
    pub fn leave_to(&self, job: impl FnOnce(&zmq::Socket) + Send + 'static) {
        self.jobs.send(Box::new(job)).expect("its thread runs");
    }

    /// Binds, and returns the endpoint.
    pub async fn bind(&self, endpoint: &str) -> String {
        let wanted = endpoint.to_owned();
        self.call(&format!("bind {endpoint}"), move |socket| {
            socket.bind(&wanted)?;
            Ok(socket.get_last_endpoint()?.expect("the endpoint is text"))
        })
        .await
    }

    /// Connects, which libzmq does in the background.
    pub async fn connect(&self, endpoint: &str) {
        let endpoint = endpoint.to_owned();
        self.call("connect", move |socket| socket.connect(&endpoint)).await;
    }

    /// Subscribes a SUB.
    pub async fn subscribe(&self, topic: impl AsRef<[u8]>) {
        let topic = topic.as_ref().to_vec();
        self.call("subscribe", move |socket| socket.set_subscribe(&topic)).await;
    }

    /// Takes one subscription of a SUB back.
    pub async fn unsubscribe(&self, topic: impl AsRef<[u8]>) {
        let topic = topic.as_ref().to_vec();
        self.call("unsubscribe", move |socket| socket.set_unsubscribe(&topic)).await;
    }

    /// Sends a message of one part.
    pub async fn send(&self, body: impl AsRef<[u8]>) {
        self.send_parts(vec![body.as_ref().to_vec()]).await;
    }

    /// Sends a message.
    pub async fn send_parts(&self, parts: Parts) {
        self.call("send", move |socket| socket.send_multipart(parts, 0)).await;
    }

    /// The next message.
    pub async fn receive_parts(&self) -> Parts {
        self.call("receive a message", |socket| socket.recv_multipart(0)).await
    }

    /// The next message, which has one part.
    pub async fn receive(&self) -> Vec<u8> {
        let mut parts = self.receive_parts().await;
        assert_eq!(parts.len(), 1, "a message of one part");
        parts.remove(0)
    }

    /// Closes the socket, and its context with its last socket; its address is then free.
    pub async fn close(self) {
        let Self { context, jobs, thread } = self;
        drop((context, jobs));
        let ended = tokio::task::spawn_blocking(|| thread.join());
        within("libzmq to close", ended).await.expect("it is waited for").expect("no panic");
    }
}

impl fmt::Debug for Libzmq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Libzmq").finish_non_exhaustive()
    }
}

/// libzmq's own proxy, between two sockets that are bound to ports of loopback. Ends when dropped.
pub struct Proxy {
    front: String,
    back: String,
    control: zmq::Socket,
}

impl Proxy {
    /// Starts one: publishers connect to its XSUB, subscribers to its XPUB.
    pub fn start() -> Self {
        Self::between(zmq::XSUB, zmq::XPUB)
    }

    /// Starts a queue: requesters connect to its ROUTER, responders to its DEALER.
    pub fn queue() -> Self {
        Self::between(zmq::ROUTER, zmq::DEALER)
    }

    fn between(front: zmq::SocketType, back: zmq::SocketType) -> Self {
        let context = zmq::Context::new();
        let kinds = [front, back, zmq::PAIR, zmq::PAIR];
        let [mut front, mut back, mut end, control] = kinds.map(|kind| {
            let socket = context.socket(kind).expect("libzmq makes a socket");
            socket.set_linger(0).expect("any socket has this option");
            // With a mark it would lose subscriptions, in silence.
            socket.set_sndhwm(0).expect("any socket has this option");
            socket.set_rcvhwm(0).expect("any socket has this option");
            socket
        });
        let [at_front, at_back] = [&front, &back].map(|socket| {
            socket.bind("tcp://127.0.0.1:*").expect("some port is free");
            socket.get_last_endpoint().expect("it is bound").expect("the endpoint is text")
        });
        end.bind("inproc://end").expect("the name is free");
        control.connect("inproc://end").expect("it is bound");
        thread::spawn(move || zmq::proxy_steerable(&mut front, &mut back, &mut end));
        Self { front: at_front, back: at_back, control }
    }

    /// The endpoint for publishers.
    pub fn for_publishers(&self) -> &str {
        &self.front
    }

    /// The endpoint for subscribers.
    pub fn for_subscribers(&self) -> &str {
        &self.back
    }

    /// The endpoint for requesters.
    pub fn for_requests(&self) -> &str {
        &self.front
    }

    /// The endpoint for responders.
    pub fn for_replies(&self) -> &str {
        &self.back
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.control.send("TERMINATE", 0).expect("the proxy runs");
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").finish_non_exhaustive()
    }
}

/// Runs the jobs until no sender is left.
fn work(socket: &zmq::Socket, to_do: &mpsc::Receiver<Job>) {
    loop {
        match to_do.recv_timeout(TURN) {
            Ok(job) => job(socket),
            Err(RecvTimeoutError::Timeout) => drop(socket.get_events()),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Waits until libzmq's `publisher` knows that `subscriber` wants `topic`. A PUB of libzmq does not
/// report that, so it sends until the subscriber receives. All these messages are then taken away.
pub async fn meet(publisher: &Libzmq, subscriber: &mut SubSocket, topic: impl AsRef<[u8]>) {
    meet_with(async |parts| publisher.send_parts(parts).await, subscriber, topic).await;
}

/// The same with any publisher that can `send`.
pub async fn meet_with(
    mut send: impl AsyncFnMut(Parts),
    subscriber: &mut (impl Receives + ?Sized),
    topic: impl AsRef<[u8]>,
) {
    let topic = topic.as_ref();
    let arrived = within("libzmq to know the subscription", async {
        for sent in 0_u64.. {
            send(probe(topic, sent)).await;
            if let Ok(message) = tokio::time::timeout(GLANCE, next(subscriber)).await {
                return (message.expect("the socket is open"), sent);
            }
        }
        unreachable!("the range has no end")
    });
    let (mut message, last) = arrived.await;
    let last = probe(topic, last);
    while message.parts() != last {
        message = receive(subscriber).await;
    }
}

fn probe(topic: &[u8], number: u64) -> Parts {
    vec![topic.to_vec(), b"probe".to_vec(), number.to_be_bytes().to_vec()]
}
