//! The publisher and the subscriber of libzmq.

use super::{PATIENCE, WANTED};
use crate::Failure;

pub(super) struct Publisher(zmq::Socket);

impl Publisher {
    pub(super) fn bind(endpoint: &str) -> Result<Self, Failure> {
        let socket = zmq::Context::new().socket(zmq::PUB)?;
        socket.set_sndhwm(0)?;
        socket.set_linger(0)?;
        socket.bind(endpoint)?;
        Ok(Self(socket))
    }
}

impl super::Publisher for Publisher {
    fn endpoint(&self) -> Result<String, Failure> {
        self.0.get_last_endpoint()?.map_err(|_| "the endpoint is not UTF-8".into())
    }

    fn send(&mut self, text: &str) -> Result<(), Failure> {
        Ok(self.0.send(text, 0)?)
    }
}

pub(super) struct Subscriber {
    socket: zmq::Socket,
    message: zmq::Message,
}

impl Subscriber {
    pub(super) fn connect(endpoint: &str) -> Result<Self, Failure> {
        let socket = zmq::Context::new().socket(zmq::SUB)?;
        socket.set_rcvhwm(0)?;
        socket.set_linger(0)?;
        socket.set_rcvtimeo(i32::try_from(PATIENCE.as_millis())?)?;
        socket.set_subscribe(WANTED.as_bytes())?;
        socket.connect(endpoint)?;
        Ok(Self { socket, message: zmq::Message::new() })
    }
}

impl super::Subscriber for Subscriber {
    fn receive(&mut self, text: &mut Vec<u8>) -> Result<(), Failure> {
        self.socket.recv(&mut self.message, 0).map_err(|error| match error {
            zmq::Error::EAGAIN => format!("nothing came for {PATIENCE:?}").into(),
            error => Failure::from(error),
        })?;
        text.clear();
        text.extend_from_slice(&self.message);
        Ok(())
    }
}
