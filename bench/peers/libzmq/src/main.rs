//! The benchmark peer of libzmq.

use libzmq::{Context, Message, Poll, Socket, SocketOption, SocketType};
use rig::{
    Args, Group, Pattern, Receiver, Role, Sender, Tally, ask_all, curve, report_answering,
    run_ready, send_in_turn,
};

/// Messages of one socket in a row, when others may be waiting.
const TURN: usize = 256;

struct LibzmqSocket {
    socket: Socket,
    message: Message,
}

impl Sender for LibzmqSocket {
    async fn send(&mut self, body: &[u8]) {
        self.socket.send(body);
    }
}

impl Receiver for LibzmqSocket {
    async fn receive(&mut self, tally: &mut Tally) -> Result<(), String> {
        let body = self.socket.receive(&mut self.message, true).ok_or("no message")?;
        tally.message(body);
        Ok(())
    }
}

fn main() {
    let args = Args::of_peer("libzmq");
    let context = Context::new(args.io_threads);
    match (args.role, args.pattern) {
        (Role::Sender, Pattern::ReqRep | Pattern::DealerRouter) => requests(context, &args),
        (Role::Receiver, Pattern::ReqRep | Pattern::DealerRouter) => answers(context, &args),
        (Role::Sender, _) => sender(context, &args),
        (Role::Receiver, _) => receivers(context, &args),
        (Role::Inproc, _) => std::thread::scope(|scope| {
            scope.spawn(|| {
                receivers(context, &args);
                rig::stop();
            });
            sender(context, &args);
        }),
        (Role::Proxy, _) => proxy(context, &args),
        (role, _) => panic!("libzmq has no {role:?} here"),
    }
    std::process::exit(0);
}

fn sender(context: Context, args: &Args) {
    let open = |_| LibzmqSocket { socket: open_sender(context, args), message: Message::default() };
    run_ready(send_in_turn((0..args.own_senders).map(open).collect(), args));
}

fn open_sender(context: Context, args: &Args) -> Socket {
    let socket = match args.pattern {
        Pattern::PushPull => context.socket(SocketType::Push),
        _ => context.socket(SocketType::Pub),
    };
    socket.set(SocketOption::SendHwm, args.hwm as i32);
    socket.set(SocketOption::Linger, 0);
    if args.nodrop && args.pattern == Pattern::PubSub {
        socket.set(SocketOption::XpubNodrop, 1);
    }
    if args.curve {
        socket.curve_server(curve::SERVER_SECRET);
    }
    attach(&socket, args, !args.receiver_binds());
    socket
}

fn receivers(context: Context, args: &Args) {
    let group = Group::new(args);
    let sockets: Vec<Socket> = (0..args.sockets).map(|index| open(context, args, index)).collect();
    let mut tallies: Vec<Tally> =
        (0..args.sockets).map(|index| Tally::new(&group, index)).collect();
    match (&sockets[..], &mut tallies[..]) {
        ([socket], [tally]) => receive(socket, tally),
        _ => receive_in_turn(&sockets, &mut tallies),
    }
    group.report(&tallies);
}

/// The sockets that ask.
fn requests(context: Context, args: &Args) {
    let open = async |_| {
        let socket = context.socket(match args.pattern {
            Pattern::ReqRep => SocketType::Req,
            _ => SocketType::Dealer,
        });
        socket.set(SocketOption::Linger, 0);
        attach(&socket, args, false);
        LibzmqSocket { socket, message: Message::default() }
    };
    run_ready(ask_all(args, open));
}

/// The socket that answers.
fn answers(context: Context, args: &Args) {
    let with_envelopes = args.pattern == Pattern::DealerRouter;
    let socket = context.socket(if with_envelopes { SocketType::Router } else { SocketType::Rep });
    attach(&socket, args, true);
    report_answering(args);
    let (mut peer, mut message) = (Message::default(), Message::default());
    loop {
        let peer = if with_envelopes { socket.receive(&mut peer, true) } else { None };
        let Some(body) = socket.receive(&mut message, true) else { continue };
        if let Some(peer) = peer {
            socket.send_more(peer);
        }
        socket.send(body);
    }
}

fn attach(socket: &Socket, args: &Args, bind: bool) {
    if bind {
        // That of zmtp-socket: with libzmq's own, of 100, many peers that connect at once are not set up in time.
        socket.set(SocketOption::Backlog, 4096);
        socket.bind(&args.endpoint);
        args.bound();
    } else {
        socket.connect(&args.endpoint);
    }
}

/// Between the sender and the receivers, with the marks of both.
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
    let subscribes = args.pattern == Pattern::PubSub;
    let socket = context.socket(if subscribes { SocketType::Sub } else { SocketType::Pull });
    socket.set(SocketOption::ReceiveHwm, args.hwm as i32);
    socket.set(SocketOption::Linger, 0);
    if subscribes {
        // Subscriptions count as messages to be sent: past the mark they would be lost.
        socket.set(SocketOption::SendHwm, 0);
        for topic in args.topics(index) {
            socket.subscribe(&topic);
        }
    }
    if args.curve {
        socket.curve_client(curve::SERVER_PUBLIC, curve::CLIENT_PUBLIC, curve::CLIENT_SECRET);
    }
    attach(&socket, args, args.receiver_binds());
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
