//! The benchmark peer of zmtp-socket.

use std::time::Duration;

use peer_ours::{backend_options, pub_options, sub_options};
use rig::{Args, Receiver, Role, Sender, Tally, receive_all, runtime, send_all};
use zmtp_socket::{Context, PubSocket, SubOptions, SubSocket, Version, XSubOptions};

struct Ours(PubSocket);

impl Sender for Ours {
    async fn send(&mut self, body: &[u8]) {
        self.0.send(body).await.expect("the socket is open");
    }

    fn dropped(&self) -> u64 {
        self.0.stats().dropped
    }
}

struct OurSub(SubSocket);

impl Receiver for OurSub {
    async fn receive(&mut self, tally: &mut Tally) -> Result<(), String> {
        let message = self.0.recv().await.map_err(|error| error.to_string())?;
        tally.message(message.first());
        Ok(())
    }
}

fn main() {
    let args = Args::of_peer("ours");
    let context = Context::new();
    match args.role {
        Role::Sender => runtime(&args).block_on(publisher(&context, &args)),
        Role::Receiver => runtime(&args).block_on(subscribers(&context, &args)),
        Role::Inproc => inproc(&context, &args),
        Role::IdleSubs => runtime(&args).block_on(idle(&context, &args)),
        Role::Proxy => runtime(&args).block_on(proxy(&context, &args)),
    }
    // Without lingering: to close is no part of what is measured.
    std::process::exit(0);
}

async fn publisher(context: &Context, args: &Args) {
    let socket = context.pub_socket(pub_options(args));
    socket.bind(&*args.endpoint).await.expect("the endpoint is free");
    args.bound();
    send_all(Ours(socket), args).await;
}

async fn subscribers(context: &Context, args: &Args) {
    let open = async |index| {
        let socket = context.sub_socket(sub_options(args));
        socket.connect(&*args.endpoint).expect("a valid endpoint");
        for topic in args.topics(index) {
            socket.subscribe(topic);
        }
        OurSub(socket)
    };
    let spawn = |subscriber, tally| tokio::spawn(receive_all(subscriber, tally));
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

/// Publisher and subscriber each have a thread and a runtime, and share only the context.
fn inproc(context: &Context, args: &Args) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            runtime(args).block_on(subscribers(context, args));
            rig::stop();
        });
        runtime(args).block_on(publisher(context, args));
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
