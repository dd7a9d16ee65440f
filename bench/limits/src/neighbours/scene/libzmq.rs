//! libzmq as a victim.

use libzmq::{Context, Message, Socket, SocketOption, SocketType, proxy};

use super::{BETWEEN_TICKS, FLOOD, PROBE, Settings, Shape, flood, topic};
use crate::victim::{ANY_PORT, TICK};

pub(super) fn run(settings: &Settings) {
    let context = Context::new(1);
    match settings.shape {
        Shape::Direct => {
            let socket = context.socket(SocketType::Pub);
            socket.bind(ANY_PORT);
            rig::print(&socket.last_endpoint());
            send(&socket);
        }
        Shape::Proxy => {
            let [frontend, backend] =
                [SocketType::XSub, SocketType::XPub].map(|it| context.socket(it));
            frontend.bind(ANY_PORT);
            backend.bind(ANY_PORT);
            rig::print(&format!("{} {}", frontend.last_endpoint(), backend.last_endpoint()));
            proxy(&frontend, &backend);
        }
        Shape::Sub => {
            let socket = context.socket(SocketType::Sub);
            // By default it tells a publisher a thousand topics at once, and forgets to tell the others.
            socket.set(SocketOption::SendHwm, 0);
            (0..settings.topics).for_each(|number| socket.subscribe(&topic(number)));
            socket.subscribe(FLOOD);
            socket.bind(ANY_PORT);
            rig::print(&socket.last_endpoint());
            let mut message = Message::default();
            while socket.receive(&mut message, true).is_some() {
                PROBE.received.count(1);
            }
        }
    }
}

fn send(socket: &Socket) -> ! {
    let body = flood();
    loop {
        for _ in 0..BETWEEN_TICKS {
            socket.send(&body);
        }
        socket.send(TICK.as_bytes());
    }
}
