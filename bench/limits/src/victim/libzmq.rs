//! libzmq as a victim.

use std::thread;
use std::time::Duration;

use libzmq::{Context, Message, Socket, SocketOption, SocketType};

use super::{ANY_PORT, Bounds};

struct Publisher(Socket);

impl super::Publisher for Publisher {
    fn send(&self, body: &[u8]) {
        self.0.send(body);
    }

    fn turn(&self, time: Duration) {
        self.0.handle_commands();
        thread::sleep(time);
    }
}

pub(super) fn publisher(bounds: &Bounds) -> impl super::Publisher + use<> {
    let socket = Context::new(1).socket(SocketType::Pub);
    bind(&socket, bounds);
    Publisher(socket)
}

pub(super) fn subscribe(bounds: &Bounds) {
    let socket = Context::new(1).socket(SocketType::Sub);
    socket.subscribe("");
    bind(&socket, bounds);
    let mut message = Message::default();
    while socket.receive(&mut message, true).is_some() {}
}

fn bind(socket: &Socket, bounds: &Bounds) {
    if let Some(size) = bounds.max_message_size {
        socket.set_max_message_size(size as i64);
    }
    if let Some(interval) = bounds.heartbeat {
        socket.set(SocketOption::HeartbeatInterval, interval as i32);
    }
    socket.bind(ANY_PORT);
    rig::print(&socket.last_endpoint());
}
