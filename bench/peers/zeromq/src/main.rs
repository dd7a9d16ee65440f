//! The benchmark peer of the `zeromq` crate. It cannot wait for room: past 100,000 queued messages it
//! drops, so it is run for a time and not for a count.

use bytes::Bytes;
use rig::{Args, Publisher, Role, Subscriber, Tally, publish, receive_all, runtime};
use zeromq::{PubSocket, Socket, SocketRecv, SocketSend, SubSocket, ZmqMessage};

struct ZeromqPub(PubSocket);

impl Publisher for ZeromqPub {
    async fn send(&mut self, body: &[u8]) {
        let message = ZmqMessage::from(Bytes::copy_from_slice(body));
        self.0.send(message).await.expect("the socket is open");
    }
}

struct ZeromqSub(SubSocket);

impl Subscriber for ZeromqSub {
    async fn receive(&mut self, tally: &mut Tally) -> Result<(), String> {
        let message = self.0.recv().await.map_err(|error| error.to_string())?;
        tally.message(message.get(0).ok_or("a message without parts")?);
        Ok(())
    }
}

fn main() {
    let args = Args::of_peer("zeromq");
    match args.role {
        Role::Pub => runtime(&args).block_on(publisher(&args)),
        Role::Sub => runtime(&args).block_on(subscribers(&args)),
        Role::Inproc | Role::IdleSubs | Role::Proxy => panic!("zeromq has two roles: pub and sub"),
    }
    std::process::exit(0);
}

async fn publisher(args: &Args) {
    let mut socket = PubSocket::new();
    socket.bind(&args.endpoint).await.expect("the endpoint is free");
    args.bound();
    publish(ZeromqPub(socket), args).await;
}

async fn subscribers(args: &Args) {
    let open = async |index| {
        let mut socket = SubSocket::new();
        socket.connect(&args.endpoint).await.expect("a publisher");
        for topic in args.topics(index) {
            socket.subscribe(&topic).await.expect("the connection stands");
        }
        ZeromqSub(socket)
    };
    let spawn = |subscriber, tally| tokio::spawn(receive_all(subscriber, tally));
    rig::subscribe(args, open, spawn).await;
}
