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
