//! The benchmark peer of the `monocoque-rs` crate, on its tokio runtime. Its PUB owns worker threads,
//! `--io-threads` of them, each with a runtime of its own. Its REP and its ROUTER serve one connection;
//! its PUSH and its PULL have several with `PushFanOut` and `PullFanIn`.

use bytes::Bytes;
use monocoque::rt::{LocalRuntime, TcpListener, join, spawn};
use monocoque::zmq::{
    PubSocket, PullFanIn, PullSocket, PushFanOut, PushSocket, RepSocket, ReqSocket, SocketOptions,
    SubSocket,
};
use rig::{
    Args, Pattern, Receiver, Role, Sender, Tally, ask_all, receive_all, report_answering, send_all,
};

struct MonocoquePub(PubSocket);

impl Sender for MonocoquePub {
    async fn send(&mut self, body: &[u8]) {
        let parts = [Bytes::copy_from_slice(body)];
        self.0.send_frames(&parts).await.expect("the socket is open");
    }

    fn dropped(&self) -> u64 {
        self.0.drop_count()
    }
}

struct MonocoqueSub {
    socket: SubSocket,
    parts: Vec<Bytes>,
}

impl Receiver for MonocoqueSub {
    async fn receive(&mut self, tally: &mut Tally) -> Result<(), String> {
        let more = self.socket.recv_into(&mut self.parts).await;
        give(more.map(|more| more.then_some(&self.parts[..])), tally)
    }
}

#[expect(clippy::large_enum_variant, reason = "a process has one of them")]
enum MonocoquePush {
    Bound(PushFanOut),
    Connected(PushSocket),
}

impl Sender for MonocoquePush {
    async fn send(&mut self, body: &[u8]) {
        let part = Bytes::copy_from_slice(body);
        // Messages are collected up to 64 KiB, but for those before and after the data.
        let flush = body[0] == b'~';
        let sent = match self {
            Self::Bound(socket) => match socket.send_one(part).await {
                Ok(()) if flush => socket.flush().await,
                sent => sent,
            },
            Self::Connected(socket) => match socket.send_one(part).await {
                Ok(()) if flush => socket.flush().await,
                sent => sent,
            },
        };
        sent.expect("the socket is open");
    }
}

#[expect(clippy::large_enum_variant, reason = "a process has one of them")]
enum MonocoquePull {
    Bound(PullFanIn),
    Connected(PullSocket),
}

impl Receiver for MonocoquePull {
    async fn receive(&mut self, tally: &mut Tally) -> Result<(), String> {
        let parts = match self {
            Self::Bound(socket) => socket.recv().await,
            Self::Connected(socket) => socket.recv().await,
        };
        give(parts.as_ref().map(Option::as_deref), tally)
    }
}

struct MonocoqueReq(ReqSocket);

impl Sender for MonocoqueReq {
    async fn send(&mut self, body: &[u8]) {
        self.0.send_one(Bytes::copy_from_slice(body)).await.expect("the socket is open");
    }
}

impl Receiver for MonocoqueReq {
    async fn receive(&mut self, tally: &mut Tally) -> Result<(), String> {
        give(self.0.recv().await.as_ref().map(Option::as_deref), tally)
    }
}

fn give<E: ToString>(parts: Result<Option<&[Bytes]>, E>, tally: &mut Tally) -> Result<(), String> {
    let parts = parts.map_err(|error| error.to_string())?.ok_or("the end of the stream")?;
    tally.message(parts.first().ok_or("a message without parts")?);
    Ok(())
}

fn main() {
    let args = Args::of_peer("monocoque");
    LocalRuntime::new().expect("a runtime").block_on(async {
        match (args.role, args.pattern) {
            (Role::Sender, Pattern::PubSub) => publisher(&args).await,
            (Role::Sender, Pattern::PushPull) => send_all(push(&args).await, &args).await,
            (Role::Sender, Pattern::ReqRep) => requests(&args).await,
            (Role::Receiver, Pattern::PubSub) => subscribers(&args).await,
            (Role::Receiver, Pattern::PushPull) => pullers(&args).await,
            (Role::Receiver, Pattern::ReqRep) => answers(&args).await,
            (role, pattern) => panic!("monocoque has no {role:?} of {pattern:?} here"),
        }
    });
    std::process::exit(0);
}

async fn publisher(args: &Args) {
    let options = options(args);
    let bound = PubSocket::bind_with_workers_opts(args.address(), args.io_threads, options).await;
    let mut socket = bound.expect("the address is free");
    args.bound();
    // Nothing accepts in the background.
    for _ in 0..args.peers {
        socket.accept_subscriber().await.expect("a subscriber");
    }
    send_all(MonocoquePub(socket), args).await;
}

async fn subscribers(args: &Args) {
    let open = async |index| {
        let connected = SubSocket::connect_with_options(args.address(), options(args)).await;
        let mut socket = connected.expect("a publisher");
        for topic in args.topics(index) {
            socket.subscribe(topic.as_bytes()).await.expect("the connection stands");
        }
        MonocoqueSub { socket, parts: Vec::new() }
    };
    rig::open_all(args, open, spawn_receiver).await;
}

async fn push(args: &Args) -> MonocoquePush {
    let options = options(args).with_write_coalescing(true);
    if args.receiver_binds() {
        let socket = PushSocket::connect_with_options(args.address(), options).await;
        return MonocoquePush::Connected(socket.expect("a PULL"));
    }
    let listener = listen(args).await;
    let socket = PushFanOut::accept_workers(&listener, args.peers, options).await;
    MonocoquePush::Bound(socket.expect("a PULL"))
}

async fn pullers(args: &Args) {
    let open = async |_| {
        if !args.receiver_binds() {
            let socket = PullSocket::connect_with_options(args.address(), options(args)).await;
            return MonocoquePull::Connected(socket.expect("a PUSH"));
        }
        let listener = listen(args).await;
        let socket = PullFanIn::accept_workers(&listener, args.senders, options(args)).await;
        MonocoquePull::Bound(socket.expect("a PUSH"))
    };
    rig::open_all(args, open, spawn_receiver).await;
}

async fn requests(args: &Args) {
    let open = async |_| {
        let socket = ReqSocket::connect_with_options(args.address(), options(args)).await;
        MonocoqueReq(socket.expect("a REP"))
    };
    ask_all(args, open).await;
}

async fn answers(args: &Args) {
    let (stream, _) = listen(args).await.accept().await.expect("a REQ");
    let socket = RepSocket::from_tcp_with_options(stream, options(args)).await;
    let mut socket = socket.expect("a REQ");
    report_answering(args);
    while let Ok(Some(parts)) = socket.recv().await {
        socket.send(parts).await.expect("the connection stands");
    }
}

async fn listen(args: &Args) -> TcpListener {
    let listener = TcpListener::bind(args.address()).await.expect("the address is free");
    args.bound();
    listener
}

fn spawn_receiver(
    receiver: impl Receiver + 'static,
    tally: Tally,
) -> impl Future<Output = Result<Tally, String>> {
    let task = spawn(receive_all(receiver, tally));
    async { Ok(join(task).await) }
}

fn options(args: &Args) -> SocketOptions {
    let buffer = args.chunk.min(65536);
    let mark = args.hwm_or(1 << 30) as usize;
    let options = SocketOptions::default().with_buffer_sizes(buffer, buffer);
    options.with_recv_hwm(mark).with_send_hwm(mark)
}
