//! The benchmark peer of the `rzmq` crate.

use rig::{Args, Mode, Publisher, Role, Subscriber, Tally, publish, receive_all, runtime};
use rzmq::socket::options::{LINGER, RCVHWM, SNDHWM, SUBSCRIBE, XPUB_NODROP};
use rzmq::{Context, Msg, Socket, SocketType};

/// Queues are always bounded; this is the mark of the crate's own benchmarks.
const HIGHEST: u32 = 1_000_000;

struct RzmqPub(Socket);

impl Publisher for RzmqPub {
    async fn send(&mut self, body: &[u8]) {
        self.0.send(Msg::from_vec(body.to_vec())).await.expect("the socket is open");
    }
}

struct RzmqSub(Socket);

impl Subscriber for RzmqSub {
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
        match args.role {
            Role::Pub => publisher(&context, &args).await,
            Role::Sub => subscribers(&context, &args).await,
            Role::Inproc => {
                let socket = bind(&context, &args).await;
                tokio::join!(publish(socket, &args), async {
                    subscribers(&context, &args).await;
                    rig::stop();
                });
            }
            role => panic!("rzmq has no {role:?} here"),
        }
    });
    std::process::exit(0);
}

async fn publisher(context: &Context, args: &Args) {
    let socket = bind(context, args).await;
    args.bound();
    publish(socket, args).await;
}

async fn bind(context: &Context, args: &Args) -> RzmqPub {
    let socket = context.socket(SocketType::Pub).expect("a socket");
    if args.mode != Mode::Idle {
        set(&socket, SNDHWM, args.hwm_or(HIGHEST)).await;
    }
    set(&socket, LINGER, 0).await;
    if args.nodrop {
        set(&socket, XPUB_NODROP, 1).await;
    }
    socket.bind(&args.endpoint).await.expect("the endpoint is free");
    RzmqPub(socket)
}

async fn subscribers(context: &Context, args: &Args) {
    let highest = if args.subs > 1 { HIGHEST / 10 } else { HIGHEST };
    let open = async |index| {
        let socket = context.socket(SocketType::Sub).expect("a socket");
        set(&socket, RCVHWM, args.hwm_or(highest)).await;
        // Subscriptions past the default of 256 would never reach the publisher.
        set(&socket, SNDHWM, highest).await;
        for topic in args.topics(index) {
            socket.set_option(SUBSCRIBE, topic.as_bytes()).await.expect("a topic");
        }
        socket.connect(&args.endpoint).await.expect("a valid endpoint");
        RzmqSub(socket)
    };
    let spawn = |subscriber, tally| tokio::spawn(receive_all(subscriber, tally));
    rig::subscribe(args, open, spawn).await;
}

async fn set(socket: &Socket, option: i32, value: u32) {
    let set = socket.set_option(option, value as i32).await;
    set.unwrap_or_else(|error| panic!("option {option}: {error}"));
}
