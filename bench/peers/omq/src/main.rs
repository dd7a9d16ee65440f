//! The benchmark peer of the `omq-tokio` crate. `--rt blocking` (the default) takes its blocking
//! sockets, with threads of its own for input and output, as libzmq has; `--rt current` and
//! `--rt multi` keep everything on the caller's runtime.

mod blocking;

use bytes::Bytes;
use omq_tokio::{Context, Endpoint, Error, Message, Options, Socket, SocketType, TrySendError};
use rig::{
    Args, Mode, Pattern, Receiver, Role, Sender, Tally, ask_all, receive_all, report_answering,
    runtime, send_all,
};

/// Messages taken in a row without a turn for others.
const BATCH: usize = 64;

struct OmqSocket(Socket);

impl OmqSocket {
    async fn open(context: &Context, args: &Args, of: SocketType, bind: bool) -> Self {
        let options = if of == SocketType::Sub { receiver_options(args) } else { options(args) };
        let socket = context.socket(of, options);
        if bind {
            socket.bind(endpoint(args)).await.expect("the endpoint is free");
            args.bound();
        } else {
            socket.connect(endpoint(args)).await.expect("a valid endpoint");
        }
        Self(socket)
    }
}

impl Sender for OmqSocket {
    async fn send(&mut self, body: &[u8]) {
        match self.0.try_send(Message::from_slice(body)) {
            Ok(()) => {}
            Err(TrySendError::Full(message)) => {
                self.0.send(message).await.expect("the socket is open");
            }
            Err(error) => panic!("send: {error}"),
        }
    }
}

impl Receiver for OmqSocket {
    async fn receive(&mut self, tally: &mut Tally) -> Result<(), String> {
        for count in 0..BATCH {
            let message = match self.0.try_recv() {
                Err(Error::WouldBlock) if count > 0 => break,
                Err(Error::WouldBlock) => self.0.recv().await,
                received => received,
            };
            give(&message.map_err(|error| error.to_string())?, tally)?;
            if tally.is_done() {
                return Ok(());
            }
        }
        tokio::task::coop::consume_budget().await;
        Ok(())
    }
}

fn main() {
    let args = Args::of_peer("omq");
    if matches!(args.rt.as_deref(), None | Some("blocking")) {
        blocking::run(&args);
    } else {
        runtime(&args).block_on(async {
            let context = Context::current();
            let (sender, receiver) = types(&args);
            match (args.role, args.pattern.asks()) {
                (Role::Sender, false) => {
                    let bind = !args.receiver_binds();
                    let socket = OmqSocket::open(&context, &args, sender, bind).await;
                    send_all(socket, &args).await;
                }
                (Role::Receiver, false) => receivers(&context, &args).await,
                (Role::Sender, true) => {
                    let open = async |_| OmqSocket::open(&context, &args, sender, false).await;
                    ask_all(&args, open).await;
                }
                (Role::Receiver, true) => {
                    answers(OmqSocket::open(&context, &args, receiver, true).await, &args).await;
                }
                (Role::Inproc | Role::IdleSubs | Role::Proxy, _) => {
                    panic!("omq has these roles only as blocking")
                }
            }
        });
    }
    std::process::exit(0);
}

async fn receivers(context: &Context, args: &Args) {
    let open = async |index| {
        let bind = args.receiver_binds();
        let receiver = OmqSocket::open(context, args, types(args).1, bind).await;
        for topic in args.topics(index) {
            receiver.0.subscribe(Bytes::from(topic)).await.expect("the socket is open");
        }
        receiver
    };
    let spawn = |receiver, tally| tokio::spawn(receive_all(receiver, tally));
    rig::open_all(args, open, spawn).await;
}

/// An envelope that comes with a request goes back with the reply.
async fn answers(OmqSocket(socket): OmqSocket, args: &Args) {
    report_answering(args);
    while let Ok(message) = socket.recv().await {
        socket.send(message).await.expect("the socket is open");
    }
}

/// Of the sender and of the receiver.
fn types(args: &Args) -> (SocketType, SocketType) {
    match args.pattern {
        Pattern::PubSub => (SocketType::Pub, SocketType::Sub),
        Pattern::PushPull => (SocketType::Push, SocketType::Pull),
        Pattern::ReqRep => (SocketType::Req, SocketType::Rep),
        Pattern::DealerRouter => (SocketType::Dealer, SocketType::Router),
    }
}

fn give(message: &Message, tally: &mut Tally) -> Result<(), String> {
    tally.message(message.part_slice(0).ok_or("a message without parts")?);
    Ok(())
}

/// Queues are allocated beforehand and hold 2^20 messages at most. Without a mark they are that
/// large where the sender drops, and have the crate's default of 1000 where it waits.
fn options(args: &Args) -> Options {
    const HIGHEST: u32 = 1 << 20;
    let mut options = Options { xpub_nodrop: args.nodrop, ..Options::default() };
    if args.hwm != 0 {
        (options.send_hwm, options.recv_hwm) = (args.hwm, args.hwm);
    } else if !args.nodrop && args.mode != Mode::Idle {
        (options.send_hwm, options.recv_hwm) = (HIGHEST, HIGHEST);
        options.transmit_slot_cap = Some(1 << 30);
    }
    options
}

fn receiver_options(args: &Args) -> Options {
    let mut options = options(args);
    if args.hwm == 0 && args.sockets > 1 {
        options.recv_hwm = 1000;
    }
    options
}

fn endpoint(args: &Args) -> Endpoint {
    args.endpoint.parse().expect("a valid endpoint")
}
