//! NULL: both sides send READY (RFC 23, The NULL Security Mechanism).

use bytes::BytesMut;

use super::{Progress, judge, unexpected};
use crate::config::Config;
use crate::{Command, Error};

/// Our READY is sent; the peer's must come.
#[derive(Debug)]
pub(crate) struct AwaitReady;

impl AwaitReady {
    pub(super) fn begin(config: &Config, out: &mut BytesMut) -> Self {
        Command::Ready(config.ready_metadata()).encode(out);
        Self
    }

    pub(super) fn handle(self, command: Command, config: &Config) -> Result<Progress, Error> {
        match command {
            Command::Ready(metadata) => Ok(Progress::Done(judge(metadata, None, config)?)),
            other => Err(unexpected(&other, "READY")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Metadata, SocketType};

    #[test]
    fn ready_is_said_and_awaited() {
        let config = Config::new(SocketType::Sub);
        let mut out = BytesMut::new();
        let state = AwaitReady::begin(&config, &mut out);
        assert_eq!(&out[..], b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03SUB");
        let metadata = Metadata::new().with("Socket-Type", "XPUB").unwrap();
        let Ok(Progress::Done(done)) = state.handle(Command::Ready(metadata), &config) else {
            panic!("READY ends the handshake")
        };
        assert_eq!(done.socket_type, Some(SocketType::XPub));
        assert!(AwaitReady.handle(Command::Welcome, &config).is_err());
    }
}
