//! Relays between sockets that send each message to one peer (ZeroMQ calls them queue and streamer).
#![expect(private_bounds, reason = "how messages pass is no affair of its user")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;

use tokio::task::yield_now;
use tokio::try_join;
use zmtp_codec::Message;

use crate::error::{Closed, SendError};
use crate::patterns::unicast::To;
use crate::peer::Peer;
use crate::send::Outgoing;
use crate::send::outgoing::encoded_len;
use crate::sockets::handle::Handle;
use crate::sockets::kind::{Dealer, Kind, Pair, Pull, Push, Receives, Router};
use crate::sockets::proxy::{Forwards, ProxyHandle};
use crate::sockets::pub_socket::PubSocket;
use crate::sockets::socket::Socket;

/// How many messages of one direction are taken together. The other direction then has its turn.
const TURN: usize = 64;

/// Makes a relay: it forwards messages from the peers of `frontend` to the peers of `backend`, and, where
/// both kinds send and receive, also in the other direction.
///
/// | frontend | backend | |
/// |---|---|---|
/// | ROUTER | DEALER | a queue: requests of many clients go to many servers, replies to the client that asked |
/// | PULL | PUSH | a streamer: work of many goes to many |
/// | DEALER | DEALER | messages go both ways as they are |
/// | PAIR | PAIR | likewise, between one peer and one |
///
/// With a ROUTER, a request gets the identity of its peer as its first part. The first part of a reply names
/// the peer that it goes to, and is removed (RFC 28, The ROUTER Socket Type). A reply without an identity,
/// or with an unknown one, is dropped and [counted](crate::ProxyStats::dropped).
///
/// If one side has no room, only a few messages are taken from the other, so the relay itself loses none. For
/// a reply to a client without room, the ROUTER's policy [`when_full`](crate::Options::when_full) holds; if
/// that is to wait, all other replies wait too.
///
/// ```no_run
/// use zmtp_socket::{DealerSocket, RouterSocket, relay};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (clients, servers) = (RouterSocket::new(), DealerSocket::new());
/// clients.bind("tcp://*:5559").await?;
/// servers.bind("tcp://*:5560").await?;
/// relay(clients, servers).run().await;
/// # Ok(())
/// # }
/// ```
pub fn relay<F: Relays<B>, B: Kind>(frontend: Socket<F>, backend: Socket<B>) -> Relay<F, B> {
    Relay {
        frontend,
        backend,
        capture: None,
        down: InHand::default(),
        up: InHand::default(),
        handle: ProxyHandle::new(),
    }
}

/// A relay between two sockets; made by [`relay`].
#[derive(Debug)]
pub struct Relay<F: Kind, B: Kind> {
    frontend: Socket<F>,
    backend: Socket<B>,
    capture: Option<PubSocket>,
    /// Messages from the frontend's peers that have not been forwarded yet.
    down: InHand,
    /// Messages from the backend's peers that have not been forwarded yet.
    up: InHand,
    handle: ProxyHandle,
}

/// A kind of sockets whose messages a [`relay`] can forward to sockets of the kind `B`.
pub trait Relays<B: Kind>: Kind + Passes<B> {}

/// How messages pass between two kinds of sockets.
pub(crate) trait Passes<B: Kind>: Kind {
    /// Forwards messages until one of the sockets is closed. Messages that are not forwarded yet when it is
    /// dropped are kept.
    fn pass(relay: &mut Relay<Self, B>) -> impl Future<Output = Result<Infallible, Closed>> + Send
    where
        Self: Sized;
}

impl<F: Relays<B>, B: Kind> Relay<F, B> {
    /// Lets `tap` publish a copy of everything that is forwarded, in both directions, with the identities.
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

    /// Forwards messages until it is [stopped](ProxyHandle::stop) or one of the sockets is closed.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped: messages that it had taken are forwarded when it is run
    /// again.
    pub async fn run(&mut self) {
        let handle = self.handle.clone();
        handle.obey(self).await;
    }
}

impl<F: Relays<B>, B: Kind> Forwards for Relay<F, B> {
    /// Forwards until one of the sockets is closed.
    async fn forward_next(&mut self) -> Result<(), Closed> {
        F::pass(self).await.map(|never| match never {})
    }
}

/// The messages that one direction has taken and not forwarded yet.
#[derive(Debug, Default)]
struct InHand {
    messages: VecDeque<Message>,
    /// Whether the tap has its copy of the first one.
    is_tapped: bool,
}

impl InHand {
    /// Forwards everything that comes from `source`.
    async fn carry<F: Source, T: Target>(
        &mut self,
        source: &mut Socket<F>,
        target: &Handle<T>,
        tap: Option<&PubSocket>,
        handle: &ProxyHandle,
        is_down: bool,
    ) -> Result<Infallible, Closed> {
        loop {
            self.forward(target, tap, handle).await?;
            let first = source.recv().await.map_err(|_closed| Closed)?;
            self.messages.push_back(F::message(first));
            while self.messages.len() < TURN
                && let Ok(next) = source.try_recv()
            {
                self.messages.push_back(F::message(next));
            }
            let messages = self.messages.len() as u64;
            handle.count(|counts| match is_down {
                true => {
                    counts.messages += messages;
                    counts.octets += octets_of(&self.messages);
                }
                false => counts.upstream += messages,
            });
            self.forward(target, tap, handle).await?;
            // The other direction, and the tasks that bring messages, have their turn.
            yield_now().await;
        }
    }

    /// Forwards the messages that were taken.
    async fn forward<T: Target>(
        &mut self,
        target: &Handle<T>,
        tap: Option<&PubSocket>,
        handle: &ProxyHandle,
    ) -> Result<(), Closed> {
        while let Some(message) = self.messages.front() {
            if let (Some(tap), false) = (tap, self.is_tapped) {
                count_lost(tap.send(message).await.map(|()| true), handle)?;
                self.is_tapped = true;
            }
            count_lost(T::hand(target, message).await, handle)?;
            self.messages.pop_front();
            self.is_tapped = false;
        }
        Ok(())
    }
}

/// The octets of the messages, frame headers included.
fn octets_of(messages: &VecDeque<Message>) -> u64 {
    let octets = |message| {
        let message = Outgoing::from(message);
        let (first, rest) = message.parts();
        encoded_len(first, rest) as u64
    };
    messages.iter().map(octets).sum()
}

fn count_lost(sent: Result<bool, SendError>, handle: &ProxyHandle) -> Result<(), Closed> {
    match sent {
        Ok(true) => {}
        Ok(false) | Err(SendError::Full | SendError::Unroutable) => {
            handle.count(|counts| counts.dropped += 1);
        }
        Err(SendError::Closed(closed)) => return Err(closed),
    }
    Ok(())
}

/// Sockets that messages come from.
trait Source: Receives<Received: Send> {
    /// The message as it is forwarded.
    fn message(received: Self::Received) -> Message;
}

impl Source for Router {
    fn message((peer, mut message): (Peer, Message)) -> Message {
        message.prepend(peer.identity().cloned().expect("a ROUTER's peer has one"));
        message
    }
}

/// Sockets that messages go to.
trait Target: Kind {
    /// Sends a message once there is room. Returns whether it had somewhere to go.
    fn hand(
        target: &Handle<Self>,
        message: &Message,
    ) -> impl Future<Output = Result<bool, SendError>> + Send
    where
        Self: Sized;
}

impl Target for Router {
    async fn hand(target: &Handle<Self>, message: &Message) -> Result<bool, SendError> {
        let mut message = message.clone();
        let Some(identity) = message.pop_front() else { return Ok(false) };
        let (core, message) = (&target.engine.core, (&message).into());
        target.engine.move_here();
        let lane = core.send_later_to(To::Identity(&identity), &message).await?;
        Ok(lane != usize::MAX)
    }
}

macro_rules! plain {
    (source $($source:ident)*; target $($target:ident)*) => {
        $(impl Source for $source {
            fn message(message: Message) -> Message {
                message
            }
        })*
        $(impl Target for $target {
            async fn hand(target: &Handle<Self>, message: &Message) -> Result<bool, SendError> {
                target.send(message).await.map(|()| true)
            }
        })*
    };
}

plain! { source Pull Dealer Pair; target Push Dealer Pair }

impl<F: Kind, B: Kind> Relay<F, B>
where
    F: Source + Target,
    B: Source + Target,
{
    async fn both_ways(&mut self) -> Result<Infallible, Closed> {
        let (to_frontend, to_backend) = (self.frontend.handle(), self.backend.handle());
        let Self { frontend, backend, capture, down, up, handle } = self;
        let tap = capture.as_ref();
        let (ended, _) = try_join!(
            down.carry(frontend, &to_backend, tap, handle, true),
            up.carry(backend, &to_frontend, tap, handle, false),
        )?;
        Ok(ended)
    }
}

impl Relays<Dealer> for Router {}

impl Passes<Dealer> for Router {
    async fn pass(relay: &mut Relay<Self, Dealer>) -> Result<Infallible, Closed> {
        relay.both_ways().await
    }
}

impl Relays<Self> for Dealer {}

impl Passes<Self> for Dealer {
    async fn pass(relay: &mut Relay<Self, Self>) -> Result<Infallible, Closed> {
        relay.both_ways().await
    }
}

impl Relays<Self> for Pair {}

impl Passes<Self> for Pair {
    async fn pass(relay: &mut Relay<Self, Self>) -> Result<Infallible, Closed> {
        relay.both_ways().await
    }
}

impl Relays<Push> for Pull {}

impl Passes<Push> for Pull {
    async fn pass(relay: &mut Relay<Self, Push>) -> Result<Infallible, Closed> {
        let target = relay.backend.handle();
        tokio::select! {
            ended = relay.down.carry(
                &mut relay.frontend,
                &target,
                relay.capture.as_ref(),
                &relay.handle,
                true,
            ) => ended,
            () = target.engine.core.wait_for_close() => Err(Closed),
        }
    }
}
