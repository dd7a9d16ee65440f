//! NULL: both sides send READY (RFC 23, The NULL Security Mechanism). If the peer is to be judged,
//! the verdict comes before our READY (RFC 27).

use bytes::BytesMut;

use super::{Done, Progress, judge, unexpected};
use crate::command::Command;
use crate::config::Config;
use crate::error::Error;
use crate::mechanism::Allowed;

/// The caller is judging the peer; nothing is sent or read.
#[derive(Debug)]
pub(crate) struct AwaitVerdict;

impl AwaitVerdict {
    pub(super) fn allow(self, allowed: Allowed, config: &Config, out: &mut BytesMut) -> AwaitReady {
        let mut next = AwaitReady::begin(config, out);
        next.allowed = allowed;
        next
    }
}

/// Our READY is sent; the peer's must follow.
#[derive(Debug)]
pub(crate) struct AwaitReady {
    allowed: Allowed,
}

impl AwaitReady {
    pub(super) fn begin(config: &Config, out: &mut BytesMut) -> Self {
        Command::Ready(config.ready_metadata()).encode(out);
        Self { allowed: Allowed::new() }
    }

    pub(super) fn handle(self, command: Command, config: &Config) -> Result<Progress, Error> {
        match command {
            Command::Ready(metadata) => {
                Ok(Progress::Done(Done { allowed: self.allowed, ..judge(metadata, config)? }))
            }
            other => Err(unexpected(&other, "READY")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Metadata;
    use crate::socket_type::SocketType;

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
        assert!(AwaitReady::begin(&config, &mut out).handle(Command::Welcome, &config).is_err());
    }
}
