//! The sockets under test, each with an honest peer.

use std::time::Duration;

use tokio::time::timeout;
use zmtp_socket::{
    Context, DealerOptions, DealerSocket, Handle, HighWaterMark, Linger, Message, Options,
    PairOptions, PairSocket, PullOptions, PullSocket, PushOptions, PushSocket, RepOptions,
    RepSocket, ReqOptions, ReqSocket, RouterOptions, RouterSocket, Stats,
    kind::{Kind, Unicasts},
};

use crate::{hostile::BOUND, script::Script};

/// How many messages each queue holds.
pub(crate) const MARK: usize = 4;

const SECOND: Duration = Duration::from_secs(1);

/// The endpoint name of the honest peer, and its identity.
const HONEST: &str = "honest";

/// A socket, its honest peer, and how many messages it has accepted.
pub(crate) enum Victim {
    Pull(PullSocket, PushSocket),
    Push(PushSocket, PullSocket, u64),
    Pair(PairSocket, u64),
    Dealer(DealerSocket, DealerSocket, u64),
    Router(RouterSocket, DealerSocket, u64),
    Req(ReqSocket, RepSocket),
    Rep(RepSocket, ReqSocket, u64),
}

/// Does the same with any of these sockets.
macro_rules! with {
    ($victim:expr, $socket:ident => $do:expr) => {
        match $victim {
            Victim::Pull($socket, ..) => $do,
            Victim::Push($socket, ..) => $do,
            Victim::Pair($socket, ..) => $do,
            Victim::Dealer($socket, ..) => $do,
            Victim::Router($socket, ..) => $do,
            Victim::Req($socket, ..) => $do,
            Victim::Rep($socket, ..) => $do,
        }
    };
}

fn limited<T: Kind>(options: Options<T>) -> Options<T> {
    options.max_message_size(1000).max_message_parts(4).linger(Linger::For(SECOND))
}

impl Victim {
    pub(crate) async fn new(context: &Context, octet: u8) -> Self {
        let mark = HighWaterMark::messages(MARK);
        let flag = octet & 16 != 0;
        let pull = limited(PullOptions::new()).receive_hwm(mark);
        let push = limited(PushOptions::new()).send_hwm(mark).immediate(flag);
        let dealer = limited(DealerOptions::new()).send_hwm(mark).receive_hwm(mark);
        let victim = match octet & 7 {
            0 => Self::Pull(context.socket(pull), context.socket(PushOptions::new())),
            1 => Self::Push(context.socket(push), context.socket(PullOptions::new()), 0),
            2 => {
                let pair = limited(PairOptions::new()).send_hwm(mark).receive_hwm(mark);
                Self::Pair(context.socket(pair), 0)
            }
            3 => Self::Dealer(context.socket(dealer), context.socket(DealerOptions::new()), 0),
            4 | 5 => {
                let router = limited(RouterOptions::new()).send_hwm(mark).receive_hwm(mark);
                let honest = context.socket(DealerOptions::new().identity(HONEST));
                Self::Router(context.socket(router.mandatory(flag)), honest, 0)
            }
            6 => {
                let req = limited(ReqOptions::new()).send_hwm(mark).receive_hwm(mark);
                let req = req.request_timeout(SECOND).correlate(flag);
                Self::Req(context.socket(req), context.socket(RepOptions::new()))
            }
            _ => {
                let rep = limited(RepOptions::new()).send_hwm(mark).receive_hwm(mark);
                Self::Rep(context.socket(rep), context.socket(ReqOptions::new()), 0)
            }
        };
        for place in [BOUND, HONEST] {
            let place = format!("mem://{place}");
            with!(&victim, socket => socket.bind(place).await).expect("the name is free");
        }
        match &victim {
            Self::Pull(victim, honest) => meet(victim, honest).await,
            Self::Push(victim, honest, _) => meet(victim, honest).await,
            Self::Pair(..) => {}
            Self::Dealer(victim, honest, _) => meet(victim, honest).await,
            Self::Router(victim, honest, _) => meet(victim, honest).await,
            Self::Req(victim, honest) => meet(victim, honest).await,
            Self::Rep(victim, honest, _) => meet(victim, honest).await,
        }
        victim
    }

    pub(crate) fn connect(&self, place: &str) {
        with!(self, socket => socket.connect(place)).expect("good options");
    }

    /// The socket type of its peers.
    pub(crate) fn counterpart(&self) -> &'static str {
        match self {
            Self::Pull(..) => "PUSH",
            Self::Push(..) => "PULL",
            Self::Pair(..) => "PAIR",
            Self::Dealer(..) | Self::Req(..) => "ROUTER",
            Self::Router(..) | Self::Rep(..) => "DEALER",
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        with!(self, socket => socket.stats())
    }

    /// Receives, sends or asks.
    pub(crate) async fn act(&mut self, how: u8, script: &mut Script<'_>) {
        let sends = how & 1 == 0;
        match self {
            Self::Pull(victim, _) => drop(victim.try_recv()),
            Self::Push(victim, _, accepted) => {
                *accepted += u64::from(victim.try_send("?").is_ok());
            }
            Self::Pair(victim, accepted) if sends => {
                *accepted += u64::from(victim.try_send("?").is_ok());
            }
            Self::Pair(victim, _) => drop(victim.try_recv()),
            Self::Dealer(victim, _, accepted) if sends => {
                *accepted += u64::from(victim.try_send("?").is_ok());
            }
            Self::Dealer(victim, ..) => drop(victim.try_recv()),
            Self::Router(victim, _, accepted) if sends => {
                let len = usize::from(script.octet() % 16);
                let name = script.take(len);
                // The honest peer takes only the messages that it waits for.
                if name != HONEST.as_bytes() {
                    *accepted += u64::from(victim.try_send_to(name, "?").is_ok());
                }
            }
            Self::Router(victim, _, accepted) => {
                if let Ok((peer, message)) = victim.try_recv() {
                    *accepted += u64::from(victim.try_send_to(&peer, message).is_ok());
                }
            }
            Self::Req(victim, _) => {
                let time = Duration::from_millis(u64::from(how) * 100);
                let _given_up = timeout(time, victim.request("?")).await;
            }
            Self::Rep(victim, _, accepted) => {
                if let Ok((request, reply)) = victim.try_recv()
                    && !sends
                {
                    *accepted += u64::from(reply.send(request).await.is_ok());
                }
            }
        }
    }

    /// Passes a message between the victim and the honest peer, and checks the result.
    pub(crate) async fn serve_honest(&mut self, tag: &Message) {
        match self {
            Self::Pull(victim, honest) => {
                honest.send(tag).await.expect("it is open");
                while victim.recv().await.expect("it is open") != *tag {}
            }
            Self::Push(victim, honest, accepted) => loop {
                victim.send(tag).await.expect("the honest one has room");
                *accepted += 1;
                if let Ok(received) = timeout(SECOND, honest.recv()).await {
                    received.expect("it is open");
                    break;
                }
            },
            Self::Pair(..) => {}
            Self::Dealer(victim, honest, _) => {
                honest.send(tag).await.expect("it is open");
                while victim.recv().await.expect("it is open") != *tag {}
                while honest.try_recv().is_ok() {}
            }
            Self::Router(victim, honest, accepted) => {
                honest.send(tag).await.expect("it is open");
                loop {
                    let (peer, message) = victim.recv().await.expect("it is open");
                    if message == *tag && victim.peer_with(HONEST).as_ref() == Some(&peer) {
                        break;
                    }
                }
                victim.send_to(HONEST, tag).await.expect("it is there");
                *accepted += 1;
                while honest.recv().await.expect("it is open") != *tag {}
            }
            Self::Req(victim, honest) => {
                let serve = async {
                    loop {
                        let (request, reply) = honest.recv().await.expect("it is open");
                        reply.send(request).await.expect("it is open");
                    }
                };
                // Hostile peers have their turns, too.
                let ask = async { while victim.request(tag).await.as_ref() != Ok(tag) {} };
                tokio::select! {
                    () = ask => {}
                    () = serve => {}
                }
            }
            Self::Rep(victim, honest, accepted) => {
                let serve = async {
                    loop {
                        let (request, reply) = victim.recv().await.expect("it is open");
                        reply.send(request).await.expect("it is open");
                        *accepted += 1;
                    }
                };
                tokio::select! {
                    reply = honest.request(tag) => assert_eq!(reply.as_ref(), Ok(tag)),
                    () = serve => {}
                }
            }
        }
    }

    /// Closes both sockets. Every accepted message is counted once.
    pub(crate) async fn close(self) {
        match self {
            Self::Pull(victim, honest) => balance(victim, honest, Some(0)).await,
            Self::Push(victim, honest, accepted) => balance(victim, honest, Some(accepted)).await,
            Self::Pair(victim, accepted) => {
                let handle = victim.handle();
                victim.close().await;
                expect(&handle, accepted);
            }
            Self::Dealer(victim, honest, accepted) => balance(victim, honest, Some(accepted)).await,
            Self::Router(victim, honest, accepted) => balance(victim, honest, Some(accepted)).await,
            Self::Req(victim, honest) => balance(victim, honest, None).await,
            Self::Rep(victim, honest, accepted) => balance(victim, honest, Some(accepted)).await,
        }
    }
}

async fn meet<T: Unicasts, U: Kind>(victim: &Handle<T>, honest: &Handle<U>) {
    honest.connect(format!("mem://{HONEST}")).expect("good options");
    victim.wait_for_peer().await.expect("it is open");
}

async fn balance<T: Kind, U: Kind>(
    victim: zmtp_socket::Socket<T>,
    honest: zmtp_socket::Socket<U>,
    accepted: Option<u64>,
) {
    let handle = victim.handle();
    victim.close().await;
    honest.close().await;
    if let Some(accepted) = accepted {
        expect(&handle, accepted);
    }
}

fn expect<T: Kind>(victim: &Handle<T>, accepted: u64) {
    let stats = victim.stats();
    let counted = stats.sent + stats.dropped + stats.undelivered;
    assert_eq!(counted, accepted, "{stats:?}");
}
