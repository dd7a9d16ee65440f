//! What stands between clients and servers, or between those that push and those that pull: ZeroMQ's queue
//! and streamer.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use zmtp_codec::{Batch, Message};

use crate::error::{Closed, SendError};
use crate::patterns::unicast::{To, Waiting};
use crate::peer::Peer;
use crate::receive::Receiver;
use crate::send::SendCore as _;
use crate::sockets::dealer_router::{DealerSocket, RouterSocket};
use crate::sockets::kind::{Dealer, Pair, Parts, Pull, Push, Router, Unicasts};
use crate::sockets::proxy::{HandsOn, ProxyHandle};
use crate::sockets::pub_socket::PubSocket;
use crate::sockets::push_pull::{PullSocket, PushSocket};
use crate::sockets::socket::Socket;

/// A queue: hands on the requests of the clients of `frontend` to the servers of `backend`, to each in its
/// turn, and each reply to the client that asked.
///
/// ```text
///  REQ, DEALER ──▶ ROUTER frontend ═══ requests ══▶ backend DEALER ──▶ REP, ROUTER
///              ◀──                 ◀═══ replies ═══                 ◀──
/// ```
///
/// A request gains the client's identity in front, a reply has it and loses it (RFC 28); so any number of
/// queues may stand in a row. What is not read by one side is not taken from the other: the queue itself
/// drops nothing but replies that begin with no identity, or that of a client which is gone.
///
/// ```no_run
/// use zmtp_socket::{DealerSocket, RouterSocket, queue};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (frontend, backend) = (RouterSocket::new(), DealerSocket::new());
/// frontend.bind("tcp://*:5559").await?;
/// backend.bind("tcp://*:5560").await?;
/// queue(frontend, backend).run().await;
/// # Ok(())
/// # }
/// ```
pub fn queue(frontend: RouterSocket, backend: DealerSocket) -> Relay<Router, Dealer> {
    Relay::new(frontend, backend)
}

/// A streamer: hands on what the PUSHes of `frontend` send to the PULLs of `backend`, to each in its turn.
///
/// ```text
///  PUSH ──▶ PULL frontend ═══ messages ══▶ backend PUSH ──▶ PULL
/// ```
///
/// What nobody has room for is not taken from the PUSHes.
pub fn streamer(frontend: PullSocket, backend: PushSocket) -> Relay<Pull, Push> {
    Relay::new(frontend, backend)
}

/// See [`queue`] and [`streamer`].
#[derive(Debug)]
pub struct Relay<F: Relays, B: Relays> {
    frontend: Socket<F>,
    backend: Socket<B>,
    capture: Option<PubSocket>,
    forth: Direction,
    back: Direction,
    handle: ProxyHandle,
}

/// A kind that a [`Relay`] takes messages from and gives messages to.
#[expect(private_bounds, reason = "how messages are handed on is no affair of the user")]
pub trait Relays: Unicasts + HandOn {}

/// How messages are taken from a socket of one kind, and given to it.
pub(crate) trait HandOn: Unicasts {
    /// What is in front of each message of a socket is the identity of a peer, and what is given to it says so
    /// whom it is for.
    const NAMES_PEERS: bool = false;

    /// Waits for messages that have come together, all from one peer.
    fn poll_take(
        socket: &mut Socket<Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(Batch, Option<Peer>), Closed>>;
}

/// What has been taken from one socket and not been given to the other.
#[derive(Debug, Default)]
struct Direction {
    in_hand: Batch,
    /// The identity that its messages begin with from now on.
    identity: Option<Bytes>,
    next: Option<Parcel>,
    /// The place in the queue of those who wait for room.
    waiting: Waiting,
}

/// A message, and whom it is for if that is not the peer whose turn it is.
#[derive(Debug)]
struct Parcel {
    message: Message,
    address: Option<Bytes>,
}

impl<F: Relays, B: Relays> Relay<F, B> {
    fn new(frontend: Socket<F>, backend: Socket<B>) -> Self {
        let (forth, back) = (Direction::default(), Direction::default());
        Self { frontend, backend, capture: None, forth, back, handle: ProxyHandle::new() }
    }

    /// Lets `tap` send a copy of all that is handed on, both ways; its subscribers choose as any do. A tap
    /// without room loses its copy, which is counted as dropped.
    pub fn capture(mut self, tap: PubSocket) -> Self {
        self.capture = Some(tap);
        self
    }

    /// A handle to steer it with while it runs.
    pub fn handle(&self) -> ProxyHandle {
        self.handle.clone()
    }

    /// The two sockets, as long as it does not run.
    pub fn sockets(&mut self) -> (&mut Socket<F>, &mut Socket<B>) {
        (&mut self.frontend, &mut self.backend)
    }

    /// Hands messages on, both ways, until it is [stopped](ProxyHandle::stop) or one of the sockets is
    /// closed.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped: what it had in hand is handed on when it is run again.
    pub async fn run(&mut self) {
        let handle = self.handle.clone();
        handle.obey(self).await;
    }

    /// Each direction has a turn in each round: neither waits for the end of the other's flood.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        let Self { frontend, backend, capture, forth, back, handle } = self;
        let tap = capture.as_ref();
        loop {
            let forth = forth.poll(frontend, backend, tap, cx, |octets| {
                handle.count(|counts| {
                    counts.messages += 1;
                    counts.octets += octets;
                });
            })?;
            let back = back.poll(backend, frontend, tap, cx, |_octets| {
                handle.count(|counts| counts.upstream += 1);
            })?;
            let dropped = forth.dropped + back.dropped;
            if dropped > 0 {
                handle.count(|counts| counts.dropped += dropped);
            }
            if !forth.has_moved && !back.has_moved {
                return Poll::Pending;
            }
        }
    }
}

impl<F: Relays, B: Relays> HandsOn for Relay<F, B> {
    /// Hands on until one of the sockets is closed.
    async fn hand_on_next(&mut self) -> Result<(), Closed> {
        let running = Running(self);
        poll_fn(|cx| running.0.poll(cx)).await
    }
}

/// A relay that runs. It waits in no queue any more when this is dropped.
struct Running<'a, F: Relays, B: Relays>(&'a mut Relay<F, B>);

impl<F: Relays, B: Relays> Drop for Running<'_, F, B> {
    fn drop(&mut self) {
        let Relay { frontend, backend, forth, back, .. } = &mut *self.0;
        backend.engine.core.give_up(&mut forth.waiting);
        frontend.engine.core.give_up(&mut back.waiting);
    }
}

/// What has come of one direction's turn.
#[derive(Debug, Default)]
struct Moved {
    has_moved: bool,
    dropped: u64,
}

impl Direction {
    /// Hands on what is in hand, or the next messages that have come together.
    fn poll<S: HandOn, T: HandOn>(
        &mut self,
        from: &mut Socket<S>,
        to: &Socket<T>,
        tap: Option<&PubSocket>,
        cx: &mut Context<'_>,
        handed_on: impl Fn(u64),
    ) -> Result<Moved, Closed> {
        let mut moved = Moved::default();
        if self.next.is_none() && self.in_hand.is_empty() {
            let Poll::Ready(taken) = S::poll_take(from, cx) else { return Ok(moved) };
            let (batch, peer) = taken?;
            self.in_hand = batch;
            self.identity = peer.filter(|_| S::NAMES_PEERS).and_then(|it| it.identity().cloned());
            moved.has_moved = true;
        }
        let core = &to.engine.core;
        while self.prepare::<T>(tap, &mut moved)
            && let Some(Parcel { message, address }) = &self.next
        {
            let whom = address.as_deref().map_or(To::Next, To::Identity);
            let given = core.poll_send_to(whom, &message.into(), &mut self.waiting, cx.waker());
            match given {
                Poll::Pending => return Ok(moved),
                Poll::Ready(Ok(_lane)) => handed_on(message.encoded_len() as u64),
                Poll::Ready(Err(SendError::Closed(closed))) => return Err(closed),
                Poll::Ready(Err(SendError::Full | SendError::Unroutable)) => moved.dropped += 1,
            }
            self.next = None;
            moved.has_moved = true;
            if core.take_turn() {
                // What has been queued should be written before more is.
                cx.waker().wake_by_ref();
                return Ok(Moved { has_moved: false, ..moved });
            }
        }
        Ok(moved)
    }

    /// Makes the next message ready to be given to a socket. Returns whether there is one.
    fn prepare<T: HandOn>(&mut self, tap: Option<&PubSocket>, moved: &mut Moved) -> bool {
        while self.next.is_none()
            && let Some(mut message) = self.in_hand.next()
        {
            if let Some(identity) = &self.identity {
                message.prepend(identity.clone());
            }
            if let Some(tap) = tap {
                moved.dropped += u64::from(tap.try_send(&message).is_err());
            }
            let address = if T::NAMES_PEERS { message.pop_front() } else { None };
            // RFC 28, The ROUTER Socket Type: without an identity in front there is nobody to send it to.
            if T::NAMES_PEERS && address.is_none() {
                moved.dropped += 1;
            } else {
                self.next = Some(Parcel { message, address });
            }
        }
        self.next.is_some()
    }
}

/// Takes from a socket whose receiver gives messages alone.
fn poll_batch<T: Unicasts + Parts<Receiver = Receiver>>(
    socket: &mut Socket<T>,
    cx: &mut Context<'_>,
) -> Poll<Result<(Batch, Option<Peer>), Closed>> {
    let (engine, receiver) = (&*socket.handle.engine, &mut socket.receiver);
    let batch = ready!(engine.follow(receiver.poll_batch(&*engine.core, cx)))?;
    Poll::Ready(Ok((batch, receiver.sender().cloned())))
}

impl Relays for Router {}
impl Relays for Dealer {}
impl Relays for Pair {}
impl Relays for Pull {}
impl Relays for Push {}

impl HandOn for Router {
    const NAMES_PEERS: bool = true;

    fn poll_take(
        socket: &mut Socket<Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(Batch, Option<Peer>), Closed>> {
        let (engine, receiver) = (&*socket.handle.engine, &mut socket.receiver.0);
        let batch = ready!(engine.follow(receiver.poll_batch(&*engine.core, cx)))?;
        Poll::Ready(Ok((batch, receiver.sender().cloned())))
    }
}

impl HandOn for Dealer {
    fn poll_take(
        socket: &mut Socket<Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(Batch, Option<Peer>), Closed>> {
        poll_batch(socket, cx)
    }
}

impl HandOn for Pair {
    fn poll_take(
        socket: &mut Socket<Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(Batch, Option<Peer>), Closed>> {
        poll_batch(socket, cx)
    }
}

impl HandOn for Pull {
    fn poll_take(
        socket: &mut Socket<Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(Batch, Option<Peer>), Closed>> {
        poll_batch(socket, cx)
    }
}

/// Nothing comes from a PUSH; but its end is noticed.
impl HandOn for Push {
    fn poll_take(
        socket: &mut Socket<Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Result<(Batch, Option<Peer>), Closed>> {
        match socket.engine.core.is_closed() {
            true => Poll::Ready(Err(Closed)),
            false => Poll::Pending,
        }
    }
}
