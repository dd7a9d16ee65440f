//! The pairs of sockets between which messages flow.

use bytes::Bytes;
use zmtp_socket::kind::{Dealer, Pair, Pull, Push, Receives, Router, Sends, Unicasts};
use zmtp_socket::{
    DealerOptions, HighWaterMark, Linger, Message, Options, PairOptions, Peer, PullOptions,
    PushOptions, RouterOptions, SendError, Socket, WhenFull,
};

use crate::streams::Plan;

/// The types of the sockets that send and that receive.
pub(crate) trait Flow {
    type Source: Sends + Unicasts;
    type Sink: Receives + Unicasts;

    /// Whether there is only one of each.
    const IS_EXCLUSIVE: bool = false;

    fn source(plan: &Plan, place: usize) -> Options<Self::Source>;

    fn sink(plan: &Plan) -> Options<Self::Sink>;

    /// The next message that has arrived, and its peer.
    fn take(socket: &mut Socket<Self::Sink>) -> Option<(Peer, Message)>;

    /// Answers, if that can be done.
    fn answer(
        _socket: &Socket<Self::Sink>,
        _peer: &Peer,
        _message: &[u8],
    ) -> Option<Result<(), SendError>> {
        None
    }

    /// The next answer that has arrived.
    fn take_answer(_socket: &mut Socket<Self::Source>) -> Option<(Peer, Message)> {
        None
    }
}

pub(crate) struct PushPull;
pub(crate) struct DealerRouter;
pub(crate) struct DealerDealer;
pub(crate) struct PairPair;

/// The options of all senders in turn.
macro_rules! in_turn {
    ($plan:ident, $options:expr) => {{
        let options = $plan.shared($options, $plan.linger);
        let options =
            options.send_hwm(HighWaterMark::messages($plan.send_hwm)).immediate($plan.immediate);
        match $plan.timeout {
            Some(time) => options.send_timeout(time),
            None => options,
        }
    }};
}

/// The options of all receivers.
macro_rules! receiving {
    ($plan:ident, $options:expr) => {
        $plan.shared($options, Linger::NONE).receive_hwm(HighWaterMark::messages($plan.receive_hwm))
    };
}

macro_rules! take {
    ($socket:ident) => {{
        let message = $socket.try_recv().ok()?;
        Some(($socket.sender().expect("a message has been received").clone(), message))
    }};
}

impl Flow for PushPull {
    type Source = Push;
    type Sink = Pull;

    fn source(plan: &Plan, _place: usize) -> PushOptions {
        in_turn!(plan, PushOptions::new())
    }

    fn sink(plan: &Plan) -> PullOptions {
        receiving!(plan, PullOptions::new())
    }

    fn take(socket: &mut Socket<Pull>) -> Option<(Peer, Message)> {
        take!(socket)
    }
}

impl Flow for PairPair {
    type Source = Pair;
    type Sink = Pair;

    const IS_EXCLUSIVE: bool = true;

    fn source(plan: &Plan, _place: usize) -> PairOptions {
        in_turn!(plan, PairOptions::new())
    }

    fn sink(plan: &Plan) -> PairOptions {
        receiving!(plan, PairOptions::new())
    }

    fn take(socket: &mut Socket<Pair>) -> Option<(Peer, Message)> {
        take!(socket)
    }
}

impl Flow for DealerDealer {
    type Source = Dealer;
    type Sink = Dealer;

    fn source(plan: &Plan, _place: usize) -> DealerOptions {
        in_turn!(plan, DealerOptions::new())
    }

    fn sink(plan: &Plan) -> DealerOptions {
        receiving!(plan, DealerOptions::new())
    }

    fn take(socket: &mut Socket<Dealer>) -> Option<(Peer, Message)> {
        take!(socket)
    }
}

impl Flow for DealerRouter {
    type Source = Dealer;
    type Sink = Router;

    fn source(plan: &Plan, place: usize) -> DealerOptions {
        let options = in_turn!(plan, DealerOptions::new());
        match plan.named {
            true => options.identity(Bytes::from(format!("dealer-{place}"))),
            false => options,
        }
    }

    fn sink(plan: &Plan) -> RouterOptions {
        receiving!(plan, RouterOptions::new())
            .send_hwm(HighWaterMark::messages(plan.send_hwm))
            .when_full(if plan.waits { WhenFull::Wait } else { WhenFull::DropNew })
            .mandatory(plan.mandatory)
            .handover(plan.handover)
    }

    fn take(socket: &mut Socket<Router>) -> Option<(Peer, Message)> {
        socket.try_recv().ok()
    }

    fn answer(
        socket: &Socket<Router>,
        peer: &Peer,
        message: &[u8],
    ) -> Option<Result<(), SendError>> {
        Some(socket.try_send_to(peer, message))
    }

    fn take_answer(socket: &mut Socket<Dealer>) -> Option<(Peer, Message)> {
        take!(socket)
    }
}
