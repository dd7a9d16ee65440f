//! The benchmark peer of the `omq-tokio` crate. `--rt blocking` (the default) takes its blocking
//! sockets, with threads of its own for input and output, as libzmq has; `--rt current` and
//! `--rt multi` keep everything on the caller's runtime.

mod blocking;

use bytes::Bytes;
use omq_tokio::{Context, Endpoint, Error, Message, Options, Socket, SocketType, TrySendError};
use rig::{Args, Mode, Publisher, Role, Subscriber, Tally, publish, receive_all, runtime};

/// Messages taken in a row without a turn for others.
const BATCH: usize = 64;

struct OmqPub(Socket);

impl Publisher for OmqPub {
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

struct OmqSub(Socket);

impl Subscriber for OmqSub {
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
            match args.role {
                Role::Pub => publisher(&args).await,
                Role::Sub => subscribers(&args).await,
                Role::Inproc | Role::IdleSubs | Role::Proxy => {
                    panic!("omq has these roles only as blocking")
                }
            }
        });
    }
    std::process::exit(0);
}

async fn publisher(args: &Args) {
    let socket = Context::current().socket(SocketType::Pub, options(args));
    socket.bind(endpoint(args)).await.expect("the endpoint is free");
    args.bound();
    publish(OmqPub(socket), args).await;
}

async fn subscribers(args: &Args) {
    let context = Context::current();
    let open = async |index| {
        let socket = context.socket(SocketType::Sub, sub_options(args));
        socket.connect(endpoint(args)).await.expect("a valid endpoint");
        for topic in args.topics(index) {
            socket.subscribe(Bytes::from(topic)).await.expect("the socket is open");
        }
        OmqSub(socket)
    };
    let spawn = |subscriber, tally| tokio::spawn(receive_all(subscriber, tally));
    rig::subscribe(args, open, spawn).await;
}

fn give(message: &Message, tally: &mut Tally) -> Result<(), String> {
    tally.message(message.part_slice(0).ok_or("a message without parts")?);
    Ok(())
}

/// Queues are allocated beforehand and hold 2^20 messages at most. Without a mark they are that
/// large where the publisher drops, and have the crate's default of 1000 where it waits.
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

fn sub_options(args: &Args) -> Options {
    let mut options = options(args);
    if args.hwm == 0 && args.subs > 1 {
        options.recv_hwm = 1000;
    }
    options
}

fn endpoint(args: &Args) -> Endpoint {
    args.endpoint.parse().expect("a valid endpoint")
}
