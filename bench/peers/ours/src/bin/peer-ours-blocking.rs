//! The benchmark peer of zmtp-socket's blocking sockets: the caller's thread here, the network's there.

use peer_ours::{backend_options, pub_options, sub_options};
use rig::{Args, Group, Receiver, Role, Sender, Tally, receive_all, run_ready, send_all};
use zmtp_socket::XSubOptions;
use zmtp_socket::blocking::{Context, PubSocket, SubSocket, proxy};

struct OurPub(PubSocket);

impl Sender for OurPub {
    async fn send(&mut self, body: &[u8]) {
        self.0.send(body).expect("the socket is open");
    }

    fn dropped(&self) -> u64 {
        self.0.stats().dropped
    }
}

struct OurSub(SubSocket);

impl Receiver for OurSub {
    async fn receive(&mut self, tally: &mut Tally) -> Result<(), String> {
        let message = self.0.recv().map_err(|error| error.to_string())?;
        tally.message(message.first());
        Ok(())
    }
}

fn main() {
    let args = Args::of_peer("ours-blocking");
    let context = Context::new();
    match args.role {
        Role::Sender => publisher(&context, &args),
        Role::Receiver => subscribers(&context, &args),
        Role::Proxy => hand_on(&context, &args),
        role => panic!("the blocking sockets have no {role:?} here"),
    }
    // Without lingering: to close is no part of what is measured.
    std::process::exit(0);
}

fn publisher(context: &Context, args: &Args) {
    let socket = context.pub_socket(pub_options(args));
    socket.bind(&*args.endpoint).expect("the endpoint is free");
    args.bound();
    run_ready(send_all(OurPub(socket), args));
}

fn hand_on(context: &Context, args: &Args) {
    let frontend = context.xsub_socket(XSubOptions::new());
    frontend.connect(&*args.endpoint).expect("a valid endpoint");
    let backend = context.xpub_socket(backend_options());
    backend.bind(&*args.backend).expect("the endpoint is free");
    args.bound();
    proxy(frontend, backend).run();
}

fn subscribers(context: &Context, args: &Args) {
    let group = Group::new(args);
    let open = |index| {
        let socket = context.sub_socket(sub_options(args));
        socket.connect(&*args.endpoint).expect("a valid endpoint");
        for topic in args.topics(index) {
            socket.subscribe(topic);
        }
        let tally = Tally::new(&group, index);
        std::thread::spawn(move || run_ready(receive_all(OurSub(socket), tally)))
    };
    let threads: Vec<_> = (0..args.sockets).map(open).collect();
    let tallies: Vec<Tally> =
        threads.into_iter().map(|thread| thread.join().expect("a subscriber")).collect();
    group.report(&tallies);
}
