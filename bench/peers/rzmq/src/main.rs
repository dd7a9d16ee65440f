//! The benchmark peer of the `rzmq` crate.

use rig::{
    Args, Mode, Pattern, Receiver, Role, Sender, Tally, ask_all, receive_all, report_answering,
    runtime, send_all,
};
use rzmq::socket::options::{LINGER, RCVHWM, SNDHWM, SUBSCRIBE, XPUB_NODROP};
use rzmq::{Context, Msg, Socket, SocketType};

/// Queues are always bounded; this is the mark of the crate's own benchmarks.
const HIGHEST: u32 = 1_000_000;

struct Rzmq(Socket);

impl Sender for Rzmq {
    async fn send(&mut self, body: &[u8]) {
        self.0.send(Msg::from_vec(body.to_vec())).await.expect("the socket is open");
    }
}

impl Receiver for Rzmq {
    async fn receive(&mut self, tally: &mut Tally) -> Result<(), String> {
        let message = self.0.recv().await.map_err(|error| error.to_string())?;
        tally.message(message.data().unwrap_or_default());
        Ok(())
    }
}

fn main() {
    let args = Args::of_peer("rzmq");
    runtime(&args).block_on(async {
        let context = Context::new().expect("a context");
        match (args.role, args.pattern) {
            (Role::Sender, Pattern::PubSub | Pattern::PushPull) => {
                send_all(sender(&context, &args).await, &args).await;
            }
            (Role::Receiver, Pattern::PubSub | Pattern::PushPull) => {
                receivers(&context, &args).await;
            }
            (Role::Sender, Pattern::ReqRep) => requests(&context, &args, SocketType::Req).await,
            (Role::Sender, _) => requests(&context, &args, SocketType::Dealer).await,
            (Role::Receiver, Pattern::ReqRep) => answers(&context, &args, SocketType::Rep).await,
            (Role::Receiver, _) => answers(&context, &args, SocketType::Router).await,
            (Role::Inproc, _) => {
                let socket = sender(&context, &args).await;
                tokio::join!(send_all(socket, &args), async {
                    receivers(&context, &args).await;
                    rig::stop();
                });
            }
            (role, _) => panic!("rzmq has no {role:?} here"),
        }
    });
    std::process::exit(0);
}

async fn attach(socket: Socket, args: &Args, bind: bool) -> Rzmq {
    if bind {
        socket.bind(&args.endpoint).await.expect("the endpoint is free");
        args.bound();
    } else {
        socket.connect(&args.endpoint).await.expect("a valid endpoint");
    }
    Rzmq(socket)
}

async fn sender(context: &Context, args: &Args) -> Rzmq {
    let publishes = args.pattern == Pattern::PubSub;
    let of = if publishes { SocketType::Pub } else { SocketType::Push };
    let socket = context.socket(of).expect("a socket");
    if args.mode != Mode::Idle {
        set(&socket, SNDHWM, args.hwm_or(HIGHEST)).await;
    }
    set(&socket, LINGER, 0).await;
    if args.nodrop && publishes {
        set(&socket, XPUB_NODROP, 1).await;
    }
    attach(socket, args, !args.receiver_binds()).await
}

async fn receivers(context: &Context, args: &Args) {
    let subscribes = args.pattern == Pattern::PubSub;
    let highest = if args.sockets > 1 { HIGHEST / 10 } else { HIGHEST };
    let open = async |index| {
        let of = if subscribes { SocketType::Sub } else { SocketType::Pull };
        let socket = context.socket(of).expect("a socket");
        set(&socket, RCVHWM, args.hwm_or(highest)).await;
        if subscribes {
            // Subscriptions past the default of 256 would never reach the publisher.
            set(&socket, SNDHWM, highest).await;
        }
        for topic in args.topics(index) {
            socket.set_option(SUBSCRIBE, topic.as_bytes()).await.expect("a topic");
        }
        attach(socket, args, args.receiver_binds()).await
    };
    let spawn = |receiver, tally| tokio::spawn(receive_all(receiver, tally));
    rig::open_all(args, open, spawn).await;
}

async fn requests(context: &Context, args: &Args, of: SocketType) {
    let open = async |_| attach(context.socket(of).expect("a socket"), args, false).await;
    ask_all(args, open).await;
}

/// An envelope that comes with a request goes back with the reply.
async fn answers(context: &Context, args: &Args, of: SocketType) {
    let Rzmq(socket) = attach(context.socket(of).expect("a socket"), args, true).await;
    report_answering(args);
    if of == SocketType::Router {
        while let Ok(parts) = socket.recv_multipart().await {
            socket.send_multipart(parts).await.expect("the peer is there");
        }
    } else {
        while let Ok(message) = socket.recv().await {
            socket.send(message).await.expect("the peer is there");
        }
    }
}

async fn set(socket: &Socket, option: i32, value: u32) {
    let set = socket.set_option(option, value as i32).await;
    set.unwrap_or_else(|error| panic!("option {option}: {error}"));
}
