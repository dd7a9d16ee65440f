//! The benchmark peer of the `monocoque-rs` crate, on its tokio runtime. Its PUB owns worker threads,
//! `--io-threads` of them, each with a runtime of its own.

use bytes::Bytes;
use monocoque::rt::{LocalRuntime, join, spawn};
use monocoque::zmq::{PubSocket, SocketOptions, SubSocket};
use rig::{Args, Publisher, Role, Subscriber, Tally, publish, receive_all};

struct MonocoquePub(PubSocket);

impl Publisher for MonocoquePub {
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

impl Subscriber for MonocoqueSub {
    async fn receive(&mut self, tally: &mut Tally) -> Result<(), String> {
        match self.socket.recv_into(&mut self.parts).await {
            Ok(true) => tally.message(&self.parts[0]),
            Ok(false) => return Err("the end of the stream".into()),
            Err(error) => return Err(error.to_string()),
        }
        Ok(())
    }
}

fn main() {
    let args = Args::of_peer("monocoque");
    let runtime = LocalRuntime::new().expect("a runtime");
    match args.role {
        Role::Pub => runtime.block_on(publisher(&args)),
        Role::Sub => runtime.block_on(subscribers(&args)),
        Role::Inproc | Role::IdleSubs | Role::Proxy => {
            panic!("monocoque has two roles: pub and sub")
        }
    }
    std::process::exit(0);
}

async fn publisher(args: &Args) {
    let options = options(args);
    let bound = PubSocket::bind_with_workers_opts(args.address(), args.io_threads, options).await;
    let mut socket = bound.expect("the address is free");
    args.bound();
    // Nothing accepts in the background.
    for _ in 0..args.wait_subs {
        socket.accept_subscriber().await.expect("a subscriber");
    }
    publish(MonocoquePub(socket), args).await;
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
    let spawn = |subscriber, tally| {
        let task = spawn(receive_all(subscriber, tally));
        async { Ok::<_, String>(join(task).await) }
    };
    rig::subscribe(args, open, spawn).await;
}

fn options(args: &Args) -> SocketOptions {
    let buffer = args.chunk.min(65536);
    let mark = args.hwm_or(1 << 30) as usize;
    let options = SocketOptions::default().with_buffer_sizes(buffer, buffer);
    options.with_recv_hwm(mark).with_send_hwm(mark)
}
