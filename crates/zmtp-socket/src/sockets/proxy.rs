//! The proxy between publishers and subscribers (RFC 29; ZeroMQ also calls it a forwarder).

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, coop, yield_now};
use tokio::time::sleep;
use zmtp_codec::{Batch, Subscription};

use crate::error::{Closed, SendError};
use crate::options::Verbosity;
use crate::patterns::publish::Request;
use crate::patterns::subscribe::Back;
use crate::sockets::kind::Publishes;
use crate::sockets::pub_socket::PubSocket;
use crate::sockets::socket::Socket;
use crate::sockets::xpub_socket::XPubSocket;
use crate::sockets::xsub_socket::XSubSocket;
use crate::sync::lock;

/// How many requests are forwarded together: so few that messages hardly wait for them, and so many that
/// publishers are seldom written to and woken.
const REQUESTS: usize = 32;

/// How many messages pass for each request, where messages wait: they cost as much as one request. So
/// messages keep half of the proxy's time, however much one subscriber asks for.
const MESSAGES: usize = 1024;

/// How long requests wait after others, while messages flow but none waits. A proxy that is never idle would
/// receive messages one by one, and not many at once.
const PAUSE: Duration = Duration::from_millis(1);

/// Makes a proxy: it forwards messages from the publishers of `frontend` to the subscribers of `backend`,
/// and subscriptions from these subscribers to the publishers.
///
/// ```text
///  publishers ──▶ XSUB frontend ═══ messages ══▶ backend XPUB ──▶ subscribers
///             ◀──               ◀═ subscriptions ═            ◀──
/// ```
///
/// Publishers are sent one subscription for each topic that a subscriber wants. A backend in
/// [manual](crate::XPubOptions::manual) mode would subscribe nobody. The proxy stores no messages: a slow
/// subscriber loses messages at the backend's high-water mark, or delays the proxy if the backend
/// [waits](crate::WhenFull::Wait).
///
/// ```no_run
/// use zmtp_socket::{XPubSocket, XSubSocket, proxy};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (frontend, backend) = (XSubSocket::new(), XPubSocket::new());
/// frontend.connect("tcp://192.168.55.210:5556")?;
/// backend.bind("tcp://*:8100").await?;
/// proxy(frontend, backend).run().await;
/// # Ok(())
/// # }
/// ```
pub fn proxy(frontend: XSubSocket, backend: XPubSocket) -> Proxy {
    Proxy {
        frontend,
        backend,
        capture: None,
        in_hand: Batch::new(),
        for_tap: VecDeque::new(),
        passed: 0,
        pause: None,
        handle: ProxyHandle::new(),
    }
}

/// A proxy between publishers and subscribers; made by [`proxy`].
#[derive(Debug)]
pub struct Proxy {
    frontend: XSubSocket,
    backend: XPubSocket,
    capture: Option<PubSocket>,
    /// The messages that have been received and not forwarded yet.
    in_hand: Batch,
    for_tap: VecDeque<Batch>,
    /// How many messages have passed since the last requests.
    passed: usize,
    /// The pause after the last requests: a task, which ends with the backend's runtime at the latest.
    pause: Option<JoinHandle<()>>,
    handle: ProxyHandle,
}

/// Controls a [`Proxy`] or a [`Relay`](crate::Relay) from other tasks, and reads its counters.
/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct ProxyHandle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    command: watch::Sender<Command>,
    counts: Mutex<ProxyStats>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Run,
    Pause,
    Stop,
}

/// The counters of a [`Proxy`] or a [`Relay`](crate::Relay).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyStats {
    /// Messages from the frontend to the backend: with a [`Proxy`], from publishers, even if no subscriber
    /// wanted them any longer.
    pub messages: u64,
    /// Octets of these, frame headers included.
    pub octets: u64,
    /// Messages, or copies for the tap, that were dropped because the socket had waited for room as long as
    /// [`WhenFull::WaitFor`](crate::WhenFull::WaitFor) allows; with a relay, also those that no connected
    /// peer was named for. What each subscriber loses is in the [socket's counters](crate::Handle::stats).
    pub dropped: u64,
    /// Messages from the backend to the frontend: with a [`Proxy`], from subscribers to publishers.
    pub upstream: u64,
    /// Subscriptions that were forwarded to publishers.
    pub subscriptions: u64,
    /// Ends of subscriptions that were forwarded to publishers.
    pub cancels: u64,
}

impl Proxy {
    /// Lets `tap` publish a copy of everything that is forwarded, in both directions.
    pub fn capture(mut self, tap: PubSocket) -> Self {
        self.capture = Some(tap);
        self
    }

    /// A handle that controls it while it runs.
    pub fn handle(&self) -> ProxyHandle {
        self.handle.clone()
    }

    /// The two sockets, while it does not run.
    pub fn sockets(&mut self) -> (&mut XSubSocket, &mut XPubSocket) {
        (&mut self.frontend, &mut self.backend)
    }

    /// Forwards messages and subscriptions until it is [stopped](ProxyHandle::stop) or one of the sockets
    /// is closed.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped: messages that it has received are forwarded when it is
    /// run again.
    pub async fn run(&mut self) {
        let handle = self.handle.clone();
        handle.obey(self).await;
    }

    /// Forwards the received messages.
    async fn forward(&mut self) -> Result<(), Closed> {
        while let Some(tap) = &self.capture
            && let Some(batch) = self.for_tap.front_mut()
        {
            send_all(tap, batch, &self.handle).await?;
            self.for_tap.pop_front();
        }
        send_all(&self.backend, &mut self.in_hand, &self.handle).await
    }

    /// Waits for messages of publishers, and takes those that have come together.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        let received = ready!(pin!(self.frontend.recv_batch()).poll(cx));
        self.in_hand = received.map_err(|_closed| Closed)?;
        self.passed += self.in_hand.len();
        self.handle.count(|counts| {
            counts.messages += self.in_hand.len() as u64;
            counts.octets += self.in_hand.octets() as u64;
        });
        if self.capture.is_some() {
            self.for_tap.push_back(self.in_hand.clone());
        }
        Poll::Ready(Ok(()))
    }

    /// Waits until requests have their turn, and forwards some. `received` says whether messages were received in
    /// this round.
    fn poll_ask(&mut self, received: bool, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        if received && self.passed < REQUESTS * MESSAGES {
            return Poll::Pending;
        }
        if !received && let Some(pause) = &mut self.pause {
            let _over = ready!(Pin::new(pause).poll(cx));
            self.pause = None;
        }
        ready!(self.poll_requests(cx))?;
        if self.passed > REQUESTS
            && let Some(runtime) = self.backend.engine.shared.home.get()
        {
            self.pause = Some(runtime.spawn(async { sleep(PAUSE).await }));
        }
        self.passed = 0;
        Poll::Ready(Ok(()))
    }

    /// Waits for requests of subscribers, and forwards up to [`REQUESTS`] of them.
    fn poll_requests(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        // A flood must not keep the runtime's other tasks from running.
        let turn = ready!(coop::poll_proceed(cx));
        let core = &self.backend.engine.core;
        let requests = ready!(core.poll_requests(REQUESTS, cx.waker()))?;
        turn.made_progress();
        // Where each subscription is reported but only the last end, that end stands for all.
        let back = match core.verbosity() {
            Verbosity::All => Back::One,
            Verbosity::Distinct | Verbosity::Subscriptions => Back::All,
        };
        let mut asked = ProxyStats::default();
        let mut changes = Vec::new();
        for request in requests {
            match request {
                Request::Subscribe { topic, .. } => {
                    asked.subscriptions += 1;
                    changes.push(Subscription::Subscribe(topic));
                }
                Request::Unsubscribe { topic, .. } => {
                    asked.cancels += 1;
                    changes.push(Subscription::Cancel(topic));
                }
                Request::Message { message, .. } => {
                    asked.upstream += 1;
                    if self.capture.is_some() {
                        self.for_tap.push_back(message.clone().into());
                    }
                    self.frontend.engine.core.change(&changes, back);
                    changes.clear();
                    self.frontend.try_send(message).map_err(|_closed| Closed)?;
                }
            }
        }
        self.frontend.engine.core.change(&changes, back);
        self.handle.count(|counts| {
            counts.subscriptions += asked.subscriptions;
            counts.cancels += asked.cancels;
            counts.upstream += asked.upstream;
        });
        Poll::Ready(Ok(()))
    }
}

/// Forwards step by step, as a [handle](ProxyHandle::obey) orders.
pub(crate) trait Forwards: Send {
    /// Waits for what comes next, and forwards it. If the future is dropped, what was taken and not
    /// forwarded is kept.
    fn forward_next(&mut self) -> impl Future<Output = Result<(), Closed>> + Send;
}

impl Forwards for Proxy {
    async fn forward_next(&mut self) -> Result<(), Closed> {
        self.forward().await?;
        let received = poll_fn(|cx| {
            // Each side has a turn in each round, so a flood on one side does not keep the other
            // waiting.
            let received = self.poll_receive(cx)?;
            let asked = self.poll_ask(received.is_ready(), cx)?;
            match asked.is_ready() || received.is_ready() {
                true => Poll::Ready(Ok::<_, Closed>(received.is_ready())),
                false => Poll::Pending,
            }
        })
        .await?;
        self.forward().await?;
        if !received {
            yield_now().await;
        }
        Ok(())
    }
}

/// Sends all of `batch`, except messages that wait for room for too long, which are counted.
async fn send_all<T: Publishes>(
    socket: &Socket<T>,
    batch: &mut Batch,
    handle: &ProxyHandle,
) -> Result<(), Closed> {
    while let Err(error) = socket.engine.core.send_batch(batch).await {
        match error {
            SendError::Full | SendError::Unroutable => handle.count(|counts| counts.dropped += 1),
            SendError::Closed(closed) => return Err(closed),
        }
        batch.skip_next();
    }
    Ok(())
}

impl ProxyHandle {
    pub(crate) fn new() -> Self {
        let (command, counts) = (watch::Sender::new(Command::Run), Mutex::default());
        Self(Arc::new(Shared { command, counts }))
    }

    /// Takes step after step, as ordered, until it is stopped or a step finds that a socket is closed.
    pub(crate) async fn obey(&self, servant: &mut impl Forwards) {
        let mut commands = self.0.command.subscribe();
        loop {
            let command = *commands.borrow_and_update();
            let ended = match command {
                Command::Stop => return,
                Command::Pause => commands.changed().await.is_err(),
                Command::Run => tokio::select! {
                    biased;
                    _ = commands.changed() => false,
                    stepped = servant.forward_next() => stepped.is_err(),
                },
            };
            if ended {
                return;
            }
        }
    }

    /// Forwards nothing until [`resume`](Self::resume). Messages and requests wait in the sockets, up to
    /// their high-water marks.
    pub fn pause(&self) {
        self.order(Command::Pause);
    }

    /// Forwards again after a [`pause`](Self::pause).
    pub fn resume(&self) {
        self.order(Command::Run);
    }

    /// Ends [`run`](Proxy::run). It cannot be started again.
    pub fn stop(&self) {
        self.order(Command::Stop);
    }

    /// The counters, as they are now.
    pub fn stats(&self) -> ProxyStats {
        *lock(&self.0.counts)
    }

    pub(crate) fn count(&self, count: impl FnOnce(&mut ProxyStats)) {
        count(&mut lock(&self.0.counts));
    }

    /// Gives an order, unless it has been stopped, which is final.
    fn order(&self, command: Command) {
        self.0.command.send_if_modified(|present| {
            let changes = *present != Command::Stop && *present != command;
            if changes {
                *present = command;
            }
            changes
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::options::{PubOptions, SubOptions, XPubOptions, XSubOptions};
    use crate::sockets::context::Context;
    use crate::sockets::sub_socket::SubSocket;

    async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
        let waiting = async {
            while !is_so() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting).await.expect(what);
    }

    /// A publisher, and a proxy of it that stands still while a subscriber wants so many topics.
    async fn flooded(topics: usize) -> (PubSocket, Proxy, SubSocket) {
        let context = Context::new();
        let server = context.pub_socket(PubOptions::new());
        server.bind("inproc://server").await.expect("it is free");
        let frontend = context.xsub_socket(XSubOptions::new());
        frontend.connect("inproc://server").expect("it may be dialled");
        frontend.subscribe("a");
        let backend = context.xpub_socket(XPubOptions::new());
        backend.bind("inproc://backend").await.expect("it is free");
        let publisher = backend.handle();
        server.wait_for_subscriber("a").await.expect("it is open");
        let greedy = context.sub_socket(SubOptions::new());
        (0..topics).for_each(|topic| greedy.subscribe(topic.to_be_bytes()));
        greedy.connect("inproc://backend").expect("it may be dialled");
        eventually("all is asked for", || publisher.stats().subscriptions == topics as u64).await;
        (server, proxy(frontend, backend), greedy)
    }

    /// Lets so many messages come to the proxy, which stands still.
    async fn publish(server: &PubSocket, proxy: &mut Proxy, messages: usize) {
        let (frontend, _) = proxy.sockets();
        let received = frontend.stats().received + messages as u64;
        for _ in 0..messages {
            server.send("a").await.expect("it is open");
        }
        eventually("all have come", || frontend.stats().received == received).await;
    }

    #[tokio::test]
    async fn messages_that_wait_pass_before_requests_but_not_for_ever() {
        let (server, mut proxy, _greedy) = flooded(10 * REQUESTS).await;
        let handle = proxy.handle();
        let enough = REQUESTS * MESSAGES;
        let mut published = 0;
        while published < enough + 1000 {
            publish(&server, &mut proxy, 250).await;
            published += 250;
            while handle.stats().messages < published as u64 {
                proxy.forward_next().await.expect("both are open");
                let stats = handle.stats();
                let asked = if stats.messages < enough as u64 { 0 } else { REQUESTS };
                assert_eq!(stats.subscriptions, asked as u64, "after {} messages", stats.messages);
            }
        }
    }

    #[tokio::test]
    async fn the_end_of_one_subscription_is_not_that_of_all_though_the_verbosity_was_set_late() {
        let context = Context::new();
        let server = context.pub_socket(PubOptions::new());
        server.bind("inproc://server").await.expect("it is free");
        let frontend = context.xsub_socket(XSubOptions::new());
        frontend.connect("inproc://server").expect("it may be dialled");
        let backend = context.xpub_socket(XPubOptions::new());
        backend.set_verbosity(Verbosity::All);
        backend.bind("inproc://backend").await.expect("it is free");
        let mut proxy = proxy(frontend, backend);
        let handle = proxy.handle();
        tokio::spawn(async move { proxy.run().await });
        let [leaver, mut other] = [(); 2].map(|()| {
            let subscriber = context.sub_socket(SubOptions::new());
            subscriber.subscribe("a");
            subscriber.connect("inproc://backend").expect("it may be dialled");
            subscriber
        });
        eventually("both ask", || handle.stats().subscriptions == 2).await;
        drop(leaver);
        eventually("one has left", || handle.stats().cancels == 1).await;
        let publisher = server.handle();
        eventually("the other is still subscribed", || publisher.subscriber_count() == 1).await;
        eventually("it hears", || {
            server.try_send("a").expect("it is open");
            other.try_recv().is_ok()
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn requests_pause_while_messages_flow_and_only_then() {
        let (server, mut proxy, _greedy) = flooded(10 * REQUESTS).await;
        let handle = proxy.handle();
        publish(&server, &mut proxy, REQUESTS + 1).await;
        let begin = Instant::now();
        for (round, at) in [0, 0, 1, 1, 1].into_iter().enumerate() {
            proxy.forward_next().await.expect("both are open");
            // The first round forwards messages.
            assert_eq!(handle.stats().subscriptions, (round * REQUESTS) as u64);
            assert!(begin.elapsed() >= at * PAUSE && begin.elapsed() <= 2 * at * PAUSE, "{round}");
        }
    }

    #[tokio::test]
    async fn other_tasks_have_turns_while_a_flood_of_requests_is_handed_on() {
        let (_server, mut proxy, _greedy) = flooded(20 * REQUESTS).await;
        let handle = proxy.handle();
        tokio::spawn(async move { proxy.run().await });
        let mut before = 0;
        while before < 20 * REQUESTS as u64 {
            tokio::task::yield_now().await;
            let now = handle.stats().subscriptions;
            assert!(now - before <= REQUESTS as u64, "{} at once", now - before);
            before = now;
        }
    }
}
