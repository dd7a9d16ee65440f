//! The same with blocking sockets.

use bytes::Bytes;
use omq_tokio::blocking::Socket;
use omq_tokio::{Context, ContextConfig, Message, SocketType, TrySendError};
use rig::{
    Args, Group, Receiver, Role, Sender, Tally, ask_all, receive_all, report_answering, run_ready,
    send_all,
};

use crate::{BATCH, endpoint, give, options, receiver_options, types};

struct OmqSocket {
    socket: Socket,
    batch: Vec<Message>,
}

impl OmqSocket {
    fn open(context: &Context, args: &Args, of: SocketType, bind: bool) -> Self {
        let options = if of == SocketType::Sub { receiver_options(args) } else { options(args) };
        let socket = context.blocking_socket(of, options);
        if bind {
            socket.bind(endpoint(args)).expect("the endpoint is free");
            args.bound();
        } else {
            socket.connect(endpoint(args)).expect("a valid endpoint");
        }
        Self { socket, batch: Vec::with_capacity(BATCH) }
    }
}

impl Sender for OmqSocket {
    async fn send(&mut self, body: &[u8]) {
        match self.socket.try_send(Message::from_slice(body)) {
            Ok(()) => {}
            Err(TrySendError::Full(message)) => {
                self.socket.send(message).expect("the socket is open");
            }
            Err(error) => panic!("send: {error}"),
        }
    }
}

impl Receiver for OmqSocket {
    async fn receive(&mut self, tally: &mut Tally) -> Result<(), String> {
        self.batch.clear();
        let received = self.socket.recv_many_into(BATCH, &mut self.batch);
        received.map_err(|error| error.to_string())?;
        self.batch.iter().try_for_each(|message| give(message, tally))
    }
}

/// All that the command line asks for.
pub(crate) fn run(args: &Args) {
    let context = Context::with_config(ContextConfig { io_threads: args.io_threads });
    match (args.role, args.pattern.asks()) {
        (Role::Sender, false) => run_ready(send_all(sender(&context, args), args)),
        (Role::Receiver, false) => receivers(&context, args),
        (Role::Sender, true) => requests(&context, args),
        (Role::Receiver, true) => answers(&context, args),
        (Role::Inproc, _) => std::thread::scope(|scope| {
            let sender = sender(&context, args);
            scope.spawn(|| {
                receivers(&context, args);
                rig::stop();
            });
            run_ready(send_all(sender, args));
        }),
        (role, _) => panic!("omq has no {role:?} here"),
    }
}

fn sender(context: &Context, args: &Args) -> OmqSocket {
    OmqSocket::open(context, args, types(args).0, !args.receiver_binds())
}

fn receivers(context: &Context, args: &Args) {
    let group = Group::new(args);
    let open = |index| {
        let receiver = OmqSocket::open(context, args, types(args).1, args.receiver_binds());
        for topic in args.topics(index) {
            receiver.socket.subscribe(Bytes::from(topic)).expect("the socket is open");
        }
        let tally = Tally::new(&group, index);
        std::thread::spawn(move || run_ready(receive_all(receiver, tally)))
    };
    let threads: Vec<_> = (0..args.sockets).map(open).collect();
    let tallies: Vec<Tally> =
        threads.into_iter().map(|thread| thread.join().expect("a receiver")).collect();
    group.report(&tallies);
}

fn requests(context: &Context, args: &Args) {
    let open = async |_| OmqSocket::open(context, args, types(args).0, false);
    run_ready(ask_all(args, open));
}

/// An envelope that comes with a request goes back with the reply.
fn answers(context: &Context, args: &Args) {
    let socket = OmqSocket::open(context, args, types(args).1, true).socket;
    report_answering(args);
    while let Ok(message) = socket.recv() {
        socket.send(message).expect("the socket is open");
    }
}
