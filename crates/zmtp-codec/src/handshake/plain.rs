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

use super::{Handshake, Progress, judge, unexpected};
use crate::command::Command;
use crate::config::Config;
use crate::error::Error;
use crate::mechanism::{Allowed, Credentials};

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
            // HELLO too is unexpected: the peer is then a client, and will never answer.
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
            Command::Ready(metadata) => Ok(Progress::Done(judge(metadata, config)?)),
            other => Err(unexpected(&other, "READY")),
        }
    }
}

/// Server: waits for the first command of the client.
#[derive(Debug)]
pub(crate) struct AwaitHello;

impl AwaitHello {
    pub(super) fn handle(self, command: Command) -> Result<Progress, Error> {
        match command {
            Command::Hello { username, password } => {
                let verdict = AwaitVerdict { username: username.clone() };
                Ok(Progress::Ask(
                    Handshake::PlainAwaitVerdict(verdict),
                    Credentials::Plain { username, password }.into(),
                ))
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
    pub(super) fn allow(self, allowed: Allowed, out: &mut BytesMut) -> AwaitInitiate {
        Command::Welcome.encode(out);
        AwaitInitiate { username: self.username, allowed }
    }
}

/// Server: WELCOME is sent.
#[derive(Debug)]
pub(crate) struct AwaitInitiate {
    username: Bytes,
    allowed: Allowed,
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
                let mut done = judge(metadata, config)?;
                done.username = Some(self.username);
                done.allowed = self.allowed;
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
    use crate::metadata::Metadata;
    use crate::socket_type::SocketType;

    fn config() -> Config {
        Config::new(SocketType::Pair)
    }

    #[test]
    fn the_client_says_hello_then_initiate() {
        let mut out = BytesMut::new();
        let state = AwaitWelcome::begin(&"u".into(), &"pw".into(), &mut out);
        assert_eq!(&out.split()[..], b"\x04\x0B\x05HELLO\x01u\x02pw");

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
        let Ok(Progress::Ask(Handshake::PlainAwaitVerdict(state), applicant)) =
            AwaitHello.handle(hello)
        else {
            panic!("someone must judge")
        };
        let claimed = Credentials::Plain { username: "u".into(), password: "pw".into() };
        assert_eq!(applicant, claimed.into());
        let state = state.allow(Allowed::new().user_id("7"), &mut out);
        assert_eq!(&out.split()[..], b"\x04\x08\x07WELCOME");
        let initiate = Command::Initiate(Metadata::new());
        let Ok(Progress::Done(done)) = state.handle(initiate, &config(), &mut out) else {
            panic!("INITIATE ends the handshake")
        };
        assert_eq!(done.username, Some("u".into()));
        assert_eq!(done.allowed.user_id, Some("7".into()));
        assert_eq!(&out[..], b"\x04\x1A\x05READY\x0BSocket-Type\0\0\0\x04PAIR");
    }
}
