//! PLAIN: user name and password in clear text (RFC 24).
//!
//! ```text
//!   client                        server
//!   AwaitWelcome ──── HELLO ────▶ AwaitHello ──▶ AwaitVerdict (the caller judges)
//!   AwaitReady   ◀─── WELCOME ──────────────────  AwaitInitiate
//!                ──── INITIATE ─▶
//!   done         ◀─── READY ────                  done
//! ```

use bytes::{Bytes, BytesMut};

use super::{Credentials, Handshake, Progress, judge, unexpected};
use crate::config::Config;
use crate::{Command, Denial, Error};

/// Client: HELLO is sent.
#[derive(Debug)]
pub(crate) struct AwaitWelcome;

impl AwaitWelcome {
    pub(super) fn begin(username: &Bytes, password: &Bytes, out: &mut BytesMut) -> Self {
        Command::Hello { username: username.clone(), password: password.clone() }.encode(out);
        Self
    }

    pub(super) fn handle(
        self,
        command: Command,
        config: &Config,
        out: &mut BytesMut,
    ) -> Result<Progress, Error> {
        match command {
            Command::Welcome => {
                Command::Initiate(config.ready_metadata()).encode(out);
                Ok(Progress::Continue(Handshake::PlainAwaitReady(AwaitReady)))
            }
            // The peer is a client too: neither has broken a rule, and neither will answer.
            // The handshake's deadline ends it.
            Command::Hello { .. } => Ok(Progress::Continue(Handshake::PlainAwaitWelcome(self))),
            other => Err(unexpected(&other, "WELCOME")),
        }
    }
}

/// Client: INITIATE is sent.
#[derive(Debug)]
pub(crate) struct AwaitReady;

impl AwaitReady {
    pub(super) fn handle(self, command: Command, config: &Config) -> Result<Progress, Error> {
        match command {
            Command::Ready(metadata) => Ok(Progress::Done(judge(metadata, None, config)?)),
            other => Err(unexpected(&other, "READY")),
        }
    }
}

/// Server: the client speaks first.
#[derive(Debug)]
pub(crate) struct AwaitHello;

impl AwaitHello {
    pub(super) fn handle(self, command: Command) -> Result<Progress, Error> {
        match command {
            Command::Hello { username, password } => {
                let verdict = AwaitVerdict { username: username.clone() };
                Ok(Progress::Ask(verdict, Credentials { username, password }))
            }
            other => Err(unexpected(&other, "HELLO")),
        }
    }
}

/// Server: the caller is judging the credentials; nothing is read meanwhile.
#[derive(Debug)]
pub(crate) struct AwaitVerdict {
    username: Bytes,
}

impl AwaitVerdict {
    pub(super) fn authorize(
        self,
        verdict: Result<(), Denial>,
        out: &mut BytesMut,
    ) -> Result<AwaitInitiate, Denial> {
        match verdict {
            Ok(()) => {
                Command::Welcome.encode(out);
                Ok(AwaitInitiate { username: self.username })
            }
            Err(denial) => {
                let reason = Bytes::copy_from_slice(denial.reason().as_bytes());
                Command::Error(reason).encode(out);
                Err(denial)
            }
        }
    }
}

/// Server: WELCOME is sent.
#[derive(Debug)]
pub(crate) struct AwaitInitiate {
    username: Bytes,
}

impl AwaitInitiate {
    pub(super) fn handle(
        self,
        command: Command,
        config: &Config,
        out: &mut BytesMut,
    ) -> Result<Progress, Error> {
        match command {
            Command::Initiate(metadata) => {
                let done = judge(metadata, Some(self.username), config)?;
                Command::Ready(config.ready_metadata()).encode(out);
                Ok(Progress::Done(done))
            }
            other => Err(unexpected(&other, "INITIATE")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Metadata, SocketType};

    fn config() -> Config {
        Config::new(SocketType::Pair)
    }

    #[test]
    fn the_client_says_hello_then_initiate() {
        let mut out = BytesMut::new();
        let state = AwaitWelcome::begin(&"u".into(), &"pw".into(), &mut out);
        assert_eq!(&out.split()[..], b"\x04\x0B\x05HELLO\x01u\x02pw");

        let hello = Command::Hello { username: "x".into(), password: "y".into() };
        let Ok(Progress::Continue(Handshake::PlainAwaitWelcome(state))) =
            state.handle(hello, &config(), &mut out)
        else {
            panic!("another client is passed over")
        };
        assert!(out.is_empty());

        let progress = state.handle(Command::Welcome, &config(), &mut out);
        assert_eq!(&out[..], b"\x04\x1D\x08INITIATE\x0BSocket-Type\0\0\0\x04PAIR");
        let Ok(Progress::Continue(Handshake::PlainAwaitReady(state))) = progress else {
            panic!("READY must come")
        };
        let ready = Command::Ready(Metadata::new());
        assert!(matches!(state.handle(ready, &config()), Ok(Progress::Done(_))));
    }

    #[test]
    fn the_server_says_welcome_then_ready() {
        let mut out = BytesMut::new();
        let hello = Command::Hello { username: "u".into(), password: "pw".into() };
        let Ok(Progress::Ask(state, credentials)) = AwaitHello.handle(hello) else {
            panic!("someone must judge")
        };
        assert_eq!((credentials.username, credentials.password), ("u".into(), "pw".into()));
        let state = state.authorize(Ok(()), &mut out).unwrap();
        assert_eq!(&out.split()[..], b"\x04\x08\x07WELCOME");
        let initiate = Command::Initiate(Metadata::new());
        let Ok(Progress::Done(done)) = state.handle(initiate, &config(), &mut out) else {
            panic!("INITIATE ends the handshake")
        };
        assert_eq!(done.username, Some("u".into()));
        assert_eq!(&out[..], b"\x04\x1A\x05READY\x0BSocket-Type\0\0\0\x04PAIR");
    }

    #[test]
    fn a_denial_is_said_as_an_error() {
        let mut out = BytesMut::new();
        let state = AwaitVerdict { username: "u".into() };
        assert!(state.authorize(Err(Denial::new("no")), &mut out).is_err());
        assert_eq!(&out[..], b"\x04\x09\x05ERROR\x02no");
    }
}
