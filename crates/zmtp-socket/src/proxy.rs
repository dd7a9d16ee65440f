//! What stands between publishers and subscribers (RFC 29; ZeroMQ calls it a proxy or a forwarder).

use std::sync::{Arc, Mutex};

use tokio::sync::watch;
use zmtp_codec::Batch;

use crate::sync::lock;
use crate::{Closed, PubSocket, Request, SendError, Verbosity, XPubSocket, XSubSocket};

/// A proxy: hands on what the publishers of `frontend` send to the subscribers of `backend`, and to those
/// publishers what the subscribers ask for.
///
/// ```text
///  publishers ──▶ XSUB frontend ═══ messages ══▶ backend XPUB ──▶ subscribers
///             ◀──               ◀═ subscriptions ═            ◀──
/// ```
///
/// Publishers are asked for what somebody wants, and for each topic once; a backend in
/// [manual](crate::XPubOptions::manual) mode would subscribe nobody. Nothing is kept: a subscriber
/// that is too slow loses messages at the backend's high-water mark, or holds the proxy up, if the backend
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
    let shared =
        Arc::new(Shared { command: watch::Sender::new(Command::Run), counts: Mutex::default() });
    let (in_hand, for_tap) = (Batch::new(), Batch::new());
    Proxy { frontend, backend, capture: None, in_hand, for_tap, handle: ProxyHandle(shared) }
}

/// See [`proxy`].
#[derive(Debug)]
pub struct Proxy {
    frontend: XSubSocket,
    backend: XPubSocket,
    capture: Option<PubSocket>,
    /// What has been received and not handed on yet.
    in_hand: Batch,
    for_tap: Batch,
    handle: ProxyHandle,
}

/// Steers a [`Proxy`] from other tasks, and looks on. Cheap to clone.
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

/// What a [`Proxy`] has handed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyStats {
    /// Messages from publishers, whether or not somebody still wanted them.
    pub messages: u64,
    /// Octets of these, as frames.
    pub octets: u64,
    /// Of these, or of the tap's copies, the ones that went to nobody, because the socket had waited for
    /// room [as long as it may](crate::WhenFull::WaitFor). What each subscriber loses is in the
    /// [socket's counters](crate::PubSocket::stats).
    pub dropped: u64,
    /// Messages from subscribers to publishers.
    pub upstream: u64,
    /// Topics that publishers were asked for.
    pub subscriptions: u64,
    /// Topics that they were asked for no longer.
    pub cancels: u64,
}

impl Proxy {
    /// Lets `tap` send a copy of all that is handed on, both ways; its subscribers choose as any do.
    pub fn capture(mut self, tap: PubSocket) -> Self {
        self.capture = Some(tap);
        self
    }

    /// A handle to steer it with while it runs.
    pub fn handle(&self) -> ProxyHandle {
        self.handle.clone()
    }

    /// The two sockets, as long as it does not run.
    pub fn sockets(&mut self) -> (&mut XSubSocket, &mut XPubSocket) {
        (&mut self.frontend, &mut self.backend)
    }

    /// Hands messages and subscriptions on until it is [stopped](ProxyHandle::stop) or one of the sockets
    /// is closed.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped: what it had in hand is handed on when it is run again.
    pub async fn run(&mut self) {
        let mut commands = self.handle.0.command.subscribe();
        loop {
            let command = *commands.borrow_and_update();
            let ended = match command {
                Command::Stop => return,
                Command::Pause => commands.changed().await.is_err(),
                Command::Run => tokio::select! {
                    biased;
                    _ = commands.changed() => false,
                    handed_on = self.hand_on_next() => handed_on.is_err(),
                },
            };
            if ended {
                return;
            }
        }
    }

    /// Waits for a request, or for messages that come together, and hands them on. Whenever it is dropped,
    /// what it has taken and not handed on is in hand.
    async fn hand_on_next(&mut self) -> Result<(), Closed> {
        self.hand_on().await?;
        tokio::select! {
            biased;
            request = self.backend.recv() => self.ask(request.map_err(|_closed| Closed)?)?,
            batch = self.frontend.recv_batch() => {
                self.in_hand = batch.map_err(|_closed| Closed)?;
                self.handle.count(|counts| {
                    counts.messages += self.in_hand.len() as u64;
                    counts.octets += self.in_hand.octets() as u64;
                });
                if self.capture.is_some() {
                    self.for_tap = self.in_hand.clone();
                }
            }
        }
        self.hand_on().await
    }

    /// Hands on what is in hand.
    async fn hand_on(&mut self) -> Result<(), Closed> {
        if let Some(tap) = &self.capture {
            send_all(tap, &mut self.for_tap, &self.handle).await?;
        }
        send_all(self.backend.publisher(), &mut self.in_hand, &self.handle).await
    }

    /// Hands on what a subscriber wants.
    fn ask(&mut self, request: Request) -> Result<(), Closed> {
        match request {
            Request::Subscribe { topic, .. } => {
                self.handle.count(|counts| counts.subscriptions += 1);
                self.frontend.subscribe(topic);
            }
            Request::Unsubscribe { topic, .. } => {
                self.handle.count(|counts| counts.cancels += 1);
                // Where each subscription is told but only the last end, that one stands for all.
                let each = self.backend.publisher().core().verbosity() == Verbosity::All;
                while self.frontend.unsubscribe(&topic) && !each {}
            }
            Request::Message { message, .. } => {
                self.handle.count(|counts| counts.upstream += 1);
                if self.capture.is_some() {
                    self.for_tap = message.clone().into();
                }
                self.frontend.try_send(message).map_err(|_closed| Closed)?;
            }
        }
        Ok(())
    }
}

/// Sends all of `batch`, but for messages that wait for room longer than they may: these are counted.
async fn send_all(
    socket: &PubSocket,
    batch: &mut Batch,
    handle: &ProxyHandle,
) -> Result<(), Closed> {
    while let Err(error) = socket.core().send_batch(batch).await {
        match error {
            SendError::Full => handle.count(|counts| counts.dropped += 1),
            SendError::Closed(closed) => return Err(closed),
        }
        batch.drop_next();
    }
    Ok(())
}

impl ProxyHandle {
    /// Hands nothing on until [`resume`](Self::resume). Messages and requests wait in the sockets, up to
    /// their high-water marks.
    pub fn pause(&self) {
        self.order(Command::Pause);
    }

    /// Goes on after a [`pause`](Self::pause).
    pub fn resume(&self) {
        self.order(Command::Run);
    }

    /// Ends [`run`](Proxy::run), for good.
    pub fn stop(&self) {
        self.order(Command::Stop);
    }

    /// What has been handed on.
    pub fn stats(&self) -> ProxyStats {
        *lock(&self.0.counts)
    }

    fn count(&self, count: impl FnOnce(&mut ProxyStats)) {
        count(&mut lock(&self.0.counts));
    }

    /// What has been stopped stays so.
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
