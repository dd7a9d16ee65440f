//! The same with blocking sockets.

use bytes::Bytes;
use omq_tokio::blocking::Socket;
use omq_tokio::{Context, ContextConfig, Message, SocketType, TrySendError};
use rig::{Args, Group, Publisher, Role, Subscriber, Tally, publish, receive_all, run_ready};

use crate::{BATCH, endpoint, give, options, sub_options};

struct OmqPub(Socket);

impl Publisher for OmqPub {
    async fn send(&mut self, body: &[u8]) {
        match self.0.try_send(Message::from_slice(body)) {
            Ok(()) => {}
            Err(TrySendError::Full(message)) => self.0.send(message).expect("the socket is open"),
            Err(error) => panic!("send: {error}"),
        }
    }
}

struct OmqSub {
    socket: Socket,
    batch: Vec<Message>,
}

impl Subscriber for OmqSub {
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
    match args.role {
        Role::Pub => publisher(&context, args),
        Role::Sub => subscribers(&context, args),
        Role::Inproc => std::thread::scope(|scope| {
            let socket = bind(&context, args);
            scope.spawn(|| {
                subscribers(&context, args);
                rig::stop();
            });
            run_ready(publish(socket, args));
        }),
        role => panic!("omq has no {role:?} here"),
    }
}

fn publisher(context: &Context, args: &Args) {
    let socket = bind(context, args);
    args.bound();
    run_ready(publish(socket, args));
}

fn bind(context: &Context, args: &Args) -> OmqPub {
    let socket = context.blocking_socket(SocketType::Pub, options(args));
    socket.bind(endpoint(args)).expect("the endpoint is free");
    OmqPub(socket)
}

fn subscribers(context: &Context, args: &Args) {
    let group = Group::new(args);
    let open = |index| {
        let socket = context.blocking_socket(SocketType::Sub, sub_options(args));
        socket.connect(endpoint(args)).expect("a valid endpoint");
        for topic in args.topics(index) {
            socket.subscribe(Bytes::from(topic)).expect("the socket is open");
        }
        let subscriber = OmqSub { socket, batch: Vec::with_capacity(BATCH) };
        let tally = Tally::new(&group, index);
        std::thread::spawn(move || run_ready(receive_all(subscriber, tally)))
    };
    let threads: Vec<_> = (0..args.subs).map(open).collect();
    let tallies: Vec<Tally> =
        threads.into_iter().map(|thread| thread.join().expect("a subscriber")).collect();
    group.report(&tallies);
}
