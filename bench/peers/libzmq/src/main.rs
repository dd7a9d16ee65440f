//! The benchmark peer of libzmq.

use libzmq::{Context, Message, Poll, Socket, SocketOption, SocketType};
use rig::{Args, Group, Publisher, Role, Tally, curve, publish, run_ready};

/// Messages of one socket in a row, when others may be waiting.
const TURN: usize = 256;

struct LibzmqPub(Socket);

impl Publisher for LibzmqPub {
    async fn send(&mut self, body: &[u8]) {
        self.0.send(body);
    }
}

fn main() {
    let args = Args::of_peer("libzmq");
    let context = Context::new(args.io_threads);
    match args.role {
        Role::Pub => publisher(context, &args),
        Role::Sub => subscribers(context, &args),
        Role::Inproc => std::thread::scope(|scope| {
            scope.spawn(|| {
                subscribers(context, &args);
                rig::stop();
            });
            publisher(context, &args);
        }),
        Role::Proxy => proxy(context, &args),
        role => panic!("libzmq has no {role:?} here"),
    }
    std::process::exit(0);
}

fn publisher(context: Context, args: &Args) {
    let socket = context.socket(SocketType::Pub);
    socket.set(SocketOption::SendHwm, args.hwm as i32);
    socket.set(SocketOption::Linger, 0);
    if args.nodrop {
        socket.set(SocketOption::XpubNodrop, 1);
    }
    if args.curve {
        socket.curve_server(curve::SERVER_SECRET);
    }
    socket.bind(&args.endpoint);
    args.bound();
    run_ready(publish(LibzmqPub(socket), args));
}

fn subscribers(context: Context, args: &Args) {
    let group = Group::new(args);
    let sockets: Vec<Socket> = (0..args.subs).map(|index| open(context, args, index)).collect();
    let mut tallies: Vec<Tally> = (0..args.subs).map(|index| Tally::new(&group, index)).collect();
    match (&sockets[..], &mut tallies[..]) {
        ([socket], [tally]) => receive(socket, tally),
        _ => receive_in_turn(&sockets, &mut tallies),
    }
    group.report(&tallies);
}

/// Between the publisher and the subscribers, with the marks of both.
fn proxy(context: Context, args: &Args) {
    const HWM: i32 = 1000;
    let frontend = context.socket(SocketType::XSub);
    frontend.set(SocketOption::ReceiveHwm, HWM);
    frontend.connect(&args.endpoint);
    let backend = context.socket(SocketType::XPub);
    backend.set(SocketOption::SendHwm, HWM);
    backend.set(SocketOption::XpubNodrop, 1);
    backend.bind(&args.backend);
    args.bound();
    libzmq::proxy(&frontend, &backend);
}

fn open(context: Context, args: &Args, index: usize) -> Socket {
    let socket = context.socket(SocketType::Sub);
    socket.set(SocketOption::ReceiveHwm, args.hwm as i32);
    // Subscriptions count as messages to be sent: past the mark they would be lost.
    socket.set(SocketOption::SendHwm, 0);
    socket.set(SocketOption::Linger, 0);
    for topic in args.topics(index) {
        socket.subscribe(&topic);
    }
    if args.curve {
        socket.curve_client(curve::SERVER_PUBLIC, curve::CLIENT_PUBLIC, curve::CLIENT_SECRET);
    }
    socket.connect(&args.endpoint);
    socket
}

fn receive(socket: &Socket, tally: &mut Tally) {
    let mut message = Message::default();
    while !tally.is_done() {
        if let Some(body) = socket.receive(&mut message, true) {
            tally.message(body);
        }
    }
}

fn receive_in_turn(sockets: &[Socket], tallies: &mut [Tally]) {
    let mut message = Message::default();
    let mut poll = Poll::new(sockets);
    while !tallies.iter().all(Tally::is_done) {
        poll.wait();
        for (index, (socket, tally)) in sockets.iter().zip(&mut *tallies).enumerate() {
            if tally.is_done() {
                poll.leave(index);
            } else if poll.is_ready(index) {
                for _ in 0..TURN {
                    let Some(body) = socket.receive(&mut message, false) else { break };
                    tally.message(body);
                    if tally.is_done() {
                        break;
                    }
                }
            }
        }
    }
}
