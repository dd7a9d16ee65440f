//! The benchmark peer of the `zeromq` crate. Its PUB cannot wait for room: past 100,000 queued messages it
//! drops, so it is run for a time and not for a count.

use std::time::Duration;

use bytes::Bytes;
use rig::{
    Args, Pattern, Receiver, Role, Sender, Tally, ask_all, receive_all, report_answering, runtime,
    send_all,
};
use zeromq::{
    DealerSocket, PubSocket, PullSocket, PushSocket, RepSocket, ReqSocket, RouterSocket, Socket,
    SocketRecv, SocketSend, SubSocket, ZmqError, ZmqMessage,
};

struct Zeromq<S>(S);

impl<S: SocketSend> Sender for Zeromq<S> {
    async fn send(&mut self, body: &[u8]) {
        let mut message = ZmqMessage::from(Bytes::copy_from_slice(body));
        loop {
            match self.0.send(message).await {
                Ok(()) => return,
                // A PUSH without a peer does not wait for one.
                Err(ZmqError::ReturnToSender { message: unsent, .. }) => message = unsent,
                Err(error) => panic!("send: {error}"),
            }
            rig::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl<S: SocketRecv> Receiver for Zeromq<S> {
    async fn receive(&mut self, tally: &mut Tally) -> Result<(), String> {
        let message = self.0.recv().await.map_err(|error| error.to_string())?;
        tally.message(message.get(0).ok_or("a message without parts")?);
        Ok(())
    }
}

fn main() {
    let args = Args::of_peer("zeromq");
    runtime(&args).block_on(async {
        match (args.role, args.pattern) {
            (Role::Sender, Pattern::PubSub) => sender::<PubSocket>(&args).await,
            (Role::Sender, Pattern::PushPull) => sender::<PushSocket>(&args).await,
            (Role::Sender, Pattern::ReqRep) => requests::<ReqSocket>(&args).await,
            (Role::Sender, Pattern::DealerRouter) => requests::<DealerSocket>(&args).await,
            (Role::Receiver, Pattern::PubSub) => subscribers(&args).await,
            (Role::Receiver, Pattern::PushPull) => pullers(&args).await,
            (Role::Receiver, Pattern::ReqRep) => answers::<RepSocket>(&args).await,
            (Role::Receiver, Pattern::DealerRouter) => answers::<RouterSocket>(&args).await,
            (role, _) => panic!("zeromq has no {role:?} here"),
        }
    });
    std::process::exit(0);
}

async fn open<S: Socket>(args: &Args, bind: bool) -> S {
    let mut socket = S::new();
    if bind {
        socket.bind(&args.endpoint).await.expect("the endpoint is free");
        args.bound();
    } else {
        socket.connect(&args.endpoint).await.expect("the other side");
    }
    socket
}

async fn sender<S: Socket + SocketSend>(args: &Args) {
    let socket = open::<S>(args, !args.receiver_binds()).await;
    send_all(Zeromq(socket), args).await;
}

async fn subscribers(args: &Args) {
    let open = async |index| {
        let mut socket: SubSocket = open(args, args.receiver_binds()).await;
        for topic in args.topics(index) {
            socket.subscribe(&topic).await.expect("the connection stands");
        }
        Zeromq(socket)
    };
    let spawn = |receiver, tally| tokio::spawn(receive_all(receiver, tally));
    rig::open_all(args, open, spawn).await;
}

async fn pullers(args: &Args) {
    let open = async |_| Zeromq(open::<PullSocket>(args, args.receiver_binds()).await);
    let spawn = |receiver, tally| tokio::spawn(receive_all(receiver, tally));
    rig::open_all(args, open, spawn).await;
}

async fn requests<S: Socket + SocketSend + SocketRecv>(args: &Args) {
    ask_all(args, async |_| Zeromq(open::<S>(args, false).await)).await;
}

/// An envelope that comes with a request goes back with the reply.
async fn answers<S: Socket + SocketSend + SocketRecv>(args: &Args) {
    let mut socket = open::<S>(args, true).await;
    report_answering(args);
    while let Ok(message) = socket.recv().await {
        socket.send(message).await.expect("the peer is there");
    }
}
