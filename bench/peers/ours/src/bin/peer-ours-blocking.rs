//! The benchmark peer of zmtp-socket's blocking sockets: the caller's thread here, the network's there.

use peer_ours::{backend_options, pub_options, sub_options};
use rig::{
    Args, Group, Pattern, Receiver, Role, Sender, Tally, ask_all, receive_all, run_ready,
    send_in_turn,
};
use zmtp_socket::blocking::{Context, Socket, proxy};
use zmtp_socket::kind::{Kind, ReceivesMessages, Sends};
use zmtp_socket::{DealerOptions, Options, PullOptions, PushOptions, XSubOptions};

struct Ours<T: Kind>(Socket<T>);

impl<T: Sends> Sender for Ours<T> {
    async fn send(&mut self, body: &[u8]) {
        self.0.send(body).expect("the socket is open");
    }

    fn dropped(&self) -> u64 {
        self.0.stats().dropped
    }
}

impl<T: ReceivesMessages> Receiver for Ours<T> {
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
        Role::Sender => sender(&context, &args),
        Role::Receiver => receiver(&context, &args),
        Role::Proxy => hand_on(&context, &args),
        role => panic!("the blocking sockets have no {role:?} here"),
    }
    // Without lingering: to close is no part of what is measured.
    std::process::exit(0);
}

fn sender(context: &Context, args: &Args) {
    match args.pattern {
        Pattern::PubSub => send(context, pub_options(args), args),
        Pattern::PushPull => send(context, PushOptions::new(), args),
        Pattern::DealerRouter => {
            let open = async |_| Ours(open(context, args, DealerOptions::new(), false));
            run_ready(ask_all(args, open));
        }
        Pattern::ReqRep => panic!("the blocking sockets have no REQ here"),
    }
}

fn send<T: Sends>(context: &Context, options: Options<T>, args: &Args) {
    let open = |_| Ours(open(context, args, options.clone(), !args.receiver_binds()));
    run_ready(send_in_turn((0..args.own_senders).map(open).collect(), args));
}

fn receiver(context: &Context, args: &Args) {
    match args.pattern {
        Pattern::PubSub => receive(args, |index| {
            let socket = open(context, args, sub_options(args), args.receiver_binds());
            for topic in args.topics(index) {
                socket.subscribe(topic);
            }
            socket
        }),
        Pattern::PushPull => {
            receive(args, |_| open(context, args, PullOptions::new(), args.receiver_binds()));
        }
        pattern => panic!("the blocking sockets answer no requests here: {pattern:?}"),
    }
}

fn open<T: Kind>(context: &Context, args: &Args, options: Options<T>, bind: bool) -> Socket<T> {
    let socket = context.socket(options);
    if bind {
        socket.bind(&*args.endpoint).expect("the endpoint is free");
        args.bound();
    } else {
        socket.connect(&*args.endpoint).expect("a valid endpoint");
    }
    socket
}

/// Each socket has a thread.
fn receive<T: ReceivesMessages>(args: &Args, open: impl Fn(usize) -> Socket<T>)
where
    Ours<T>: Send + 'static,
{
    let group = Group::new(args);
    let start = |index| {
        let receiver = Ours(open(index));
        let tally = Tally::new(&group, index);
        std::thread::spawn(move || run_ready(receive_all(receiver, tally)))
    };
    let threads: Vec<_> = (0..args.sockets).map(start).collect();
    let tallies: Vec<Tally> =
        threads.into_iter().map(|thread| thread.join().expect("a receiver")).collect();
    group.report(&tallies);
}

fn hand_on(context: &Context, args: &Args) {
    let frontend = context.xsub_socket(XSubOptions::new());
    frontend.connect(&*args.endpoint).expect("a valid endpoint");
    let backend = context.xpub_socket(backend_options());
    backend.bind(&*args.backend).expect("the endpoint is free");
    args.bound();
    proxy(frontend, backend).run();
}
