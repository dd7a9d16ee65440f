//! The benchmark peer of zmtp-socket.

mod request;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use peer_ours::{backend_options, pub_options, sub_options};
use rig::{
    Args, Pattern, Receiver, Role, Sender, Tally, ask_all, receive_all, runtime, send_in_turn,
};
use zmtp_socket::kind::{Kind, ReceivesMessages, Sends};
use zmtp_socket::{
    Context, DealerOptions, Options, PullOptions, PushOptions, RepOptions, ReqOptions,
    RouterOptions, Socket, SubOptions, SubSocket, Version, XSubOptions,
};

use crate::request::Req;

/// Octets at the beginning of a body in which one differs from the next.
const NUMBERED: usize = 16;

struct Ours<T: Kind>(Socket<T>);

impl<T: Sends> Sender for Ours<T> {
    async fn send(&mut self, body: &[u8]) {
        self.0.send(body).await.expect("the socket is open");
    }

    async fn send_many(&mut self, bodies: &[Vec<u8>]) {
        let mut rest = bodies;
        while !rest.is_empty() {
            rest = &rest[self.0.send_many(rest).await.expect("the socket is open")..];
        }
    }

    fn dropped(&self) -> u64 {
        self.0.stats().dropped
    }
}

/// Sends each body from the buffer that it is made in; a buffer is used again when the socket has done with it.
struct Sharing<T: Kind> {
    socket: Socket<T>,
    buffers: VecDeque<Bytes>,
}

impl<T: Sends> Sender for Sharing<T> {
    async fn send(&mut self, body: &[u8]) {
        let buffer = match self.buffers.pop_front().map(Bytes::try_into_mut) {
            // Only the number at the beginning of a body is another one.
            Some(Ok(mut buffer)) if buffer.len() == body.len() => {
                buffer[..NUMBERED].copy_from_slice(&body[..NUMBERED]);
                buffer
            }
            Some(Err(busy)) => {
                self.buffers.push_front(busy);
                BytesMut::from(body)
            }
            _ => BytesMut::from(body),
        };
        let body = buffer.freeze();
        self.buffers.push_back(body.clone());
        self.socket.send(body).await.expect("the socket is open");
    }

    fn dropped(&self) -> u64 {
        self.socket.stats().dropped
    }
}

impl<T: ReceivesMessages> Receiver for Ours<T> {
    async fn receive(&mut self, tally: &mut Tally) -> Result<(), String> {
        let message = self.0.recv().await.map_err(|error| error.to_string())?;
        tally.message(message.first());
        Ok(())
    }
}

/// Receives what has come together in one call.
struct Together<T: Kind>(Socket<T>);

impl<T: ReceivesMessages> Receiver for Together<T> {
    async fn receive(&mut self, tally: &mut Tally) -> Result<(), String> {
        let batch = self.0.recv_batch().await.map_err(|error| error.to_string())?;
        batch.iter().for_each(|message| tally.message(message.first()));
        Ok(())
    }
}

fn main() {
    let args = Args::of_peer("ours");
    let context = Context::new();
    match args.role {
        Role::Sender => runtime(&args).block_on(sender(&context, &args)),
        Role::Receiver => runtime(&args).block_on(receiver(&context, &args)),
        Role::Inproc => inproc(&context, &args),
        Role::IdleSubs => runtime(&args).block_on(idle(&context, &args)),
        Role::Proxy => runtime(&args).block_on(proxy(&context, &args)),
    }
    // Without lingering: to close is no part of what is measured.
    std::process::exit(0);
}

async fn sender(context: &Context, args: &Args) {
    match args.pattern {
        Pattern::PubSub => {
            send(context, pub_options(args), args).await;
        }
        Pattern::PushPull => {
            send(context, PushOptions::new(), args).await;
        }
        Pattern::ReqRep => {
            let open = async |_| open(context, args, ReqOptions::new(), false).await.into();
            ask_all::<Req>(args, open).await;
        }
        Pattern::DealerRouter => {
            let open = async |_| Ours(open(context, args, DealerOptions::new(), false).await);
            ask_all(args, open).await;
        }
    }
}

async fn send<T: Sends>(context: &Context, options: Options<T>, args: &Args) {
    let mut sockets = Vec::new();
    for _ in 0..args.own_senders {
        sockets.push(open(context, args, options.clone(), !args.receiver_binds()).await);
    }
    let sockets = sockets.into_iter();
    match args.shared {
        true => {
            let sharing = |socket| Sharing { socket, buffers: VecDeque::new() };
            send_in_turn(sockets.map(sharing).collect(), args).await;
        }
        false => send_in_turn(sockets.map(Ours).collect(), args).await,
    }
}

async fn receiver(context: &Context, args: &Args) {
    match args.pattern {
        Pattern::PubSub => subscribers(context, args).await,
        Pattern::PushPull => pullers(context, args).await,
        Pattern::ReqRep => {
            request::reply(open(context, args, RepOptions::new(), true).await, args).await;
        }
        Pattern::DealerRouter => {
            request::route(open(context, args, RouterOptions::new(), true).await, args).await;
        }
    }
}

async fn open<T: Kind>(
    context: &Context,
    args: &Args,
    options: Options<T>,
    bind: bool,
) -> Socket<T> {
    let socket = context.socket(options);
    if bind {
        socket.bind(&*args.endpoint).await.expect("the endpoint is free");
        args.bound();
    } else {
        socket.connect(&*args.endpoint).expect("a valid endpoint");
    }
    socket
}

/// Receives in a task, message by message or many in a call.
fn spawn<T: ReceivesMessages>(
    args: &Args,
    Ours(socket): Ours<T>,
    tally: Tally,
) -> tokio::task::JoinHandle<Tally> {
    match args.together {
        1 => tokio::spawn(receive_all(Ours(socket), tally)),
        _ => tokio::spawn(receive_all(Together(socket), tally)),
    }
}

async fn subscribers(context: &Context, args: &Args) {
    let open = async |index| {
        let socket = open(context, args, sub_options(args), args.receiver_binds()).await;
        for topic in args.topics(index) {
            socket.subscribe(topic);
        }
        Ours(socket)
    };
    let spawn = |receiver, tally| spawn(args, receiver, tally);
    rig::open_all(args, open, spawn).await;
}

async fn pullers(context: &Context, args: &Args) {
    let bind = args.receiver_binds();
    let open = async |_| Ours(open(context, args, PullOptions::new(), bind).await);
    let spawn = |receiver, tally| spawn(args, receiver, tally);
    rig::open_all(args, open, spawn).await;
}

async fn proxy(context: &Context, args: &Args) {
    let frontend = context.xsub_socket(XSubOptions::new());
    frontend.connect(&*args.endpoint).expect("a valid endpoint");
    let backend = context.xpub_socket(backend_options());
    backend.bind(&*args.backend).await.expect("the endpoint is free");
    args.bound();
    zmtp_socket::proxy(frontend, backend).run().await;
}

/// Sender and receiver each have a thread and a runtime, and share only the context. The receiver's
/// runtime stays until the sender is done: a PUSH without a peer would wait for one.
fn inproc(context: &Context, args: &Args) {
    let receiving = runtime(args);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            receiving.block_on(receiver(context, args));
            rig::stop();
        });
        runtime(args).block_on(sender(context, args));
    });
}

/// Connects `--sockets` subscribers that nothing is sent to, and says what they were sent all the same.
async fn idle(context: &Context, args: &Args) {
    let version = Version { major: 3, minor: args.minor };
    let mut sockets: Vec<SubSocket> = Vec::new();
    // One after the other: how a publisher takes a rush is no part of what is measured.
    for _ in 0..args.sockets {
        let socket = context.sub_socket(SubOptions::new().version(version));
        socket.subscribe("zzz");
        socket.connect(&*args.endpoint).expect("a valid endpoint");
        while socket.stats().peers.is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        sockets.push(socket);
    }
    rig::print("SYNCED");
    while !rig::stopped() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let leaked: u64 = sockets.iter().map(|socket| socket.stats().filtered).sum();
    rig::print(&format!(
        r#"{{"impl":"ours","role":"idle-subs","conns":{},"leaked_bytes":{leaked},"rss_kb":{}}}"#,
        sockets.len(),
        rig::resident_kib(),
    ));
}
