//! Security mechanisms: handshakes as states, each consumed by the command that moves it on.
//!
//! A mechanism is one file with its states, and a few variants of [`Handshake`]. What it needs to
//! know of this side is in [`Config`]; what it wants written goes to the output.

pub(crate) mod null;
pub(crate) mod plain;

use std::fmt;

use bytes::{Bytes, BytesMut};

use crate::config::Config;
use crate::error::{Error, Mismatch, printable};
use crate::message::Excerpt;
use crate::{Command, Denial, MechanismName, Metadata, SocketType};

/// Which security mechanism a connection uses, and this side's part in it. `Debug` shows no
/// password.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mechanism {
    /// No authentication (RFC 23).
    Null,
    /// User name and password in clear text, as the side that has them (RFC 24).
    PlainClient {
        /// At most 255 octets.
        username: Bytes,
        /// At most 255 octets.
        password: Bytes,
    },
    /// User name and password in clear text, as the side that judges them; see
    /// [`Event::Credentials`](crate::Event::Credentials).
    PlainServer,
}

impl Mechanism {
    /// The name in the greeting.
    pub fn name(&self) -> MechanismName {
        match self {
            Self::Null => MechanismName::NULL,
            Self::PlainClient { .. } | Self::PlainServer => MechanismName::PLAIN,
        }
    }

    /// Whether this side is the server: what the greeting's as-server octet says.
    pub fn is_server(&self) -> bool {
        matches!(self, Self::PlainServer)
    }
}

impl fmt::Debug for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::PlainClient { username, .. } => {
                write!(f, "PlainClient({:?}, ***)", Excerpt(username))
            }
            Self::PlainServer => f.write_str("PlainServer"),
        }
    }
}

/// What a PLAIN client claims; `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// At most 255 octets, of any kind.
    pub username: Bytes,
    /// At most 255 octets, of any kind.
    pub password: Bytes,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({:?}, ***)", Excerpt(&self.username))
    }
}

/// A handshake under way: one variant for each state of each mechanism.
#[derive(Debug)]
pub(crate) enum Handshake {
    NullAwaitReady(null::AwaitReady),
    PlainAwaitWelcome(plain::AwaitWelcome),
    PlainAwaitReady(plain::AwaitReady),
    PlainAwaitHello(plain::AwaitHello),
    PlainAwaitVerdict(plain::AwaitVerdict),
    PlainAwaitInitiate(plain::AwaitInitiate),
}

/// What a command has led to.
#[derive(Debug)]
pub(crate) enum Progress {
    /// More commands must come.
    Continue(Handshake),
    /// Someone must judge these credentials before anything else is read.
    Ask(plain::AwaitVerdict, Credentials),
    /// The handshake is over.
    Done(Done),
}

/// What a handshake has found out about the peer.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) metadata: Metadata,
    pub(crate) socket_type: Option<SocketType>,
    pub(crate) username: Option<Bytes>,
}

impl Handshake {
    /// Begins after the greetings: what this side says first goes to `out`.
    pub(crate) fn begin(config: &Config, out: &mut BytesMut) -> Self {
        match &config.mechanism {
            Mechanism::Null => Self::NullAwaitReady(null::AwaitReady::begin(config, out)),
            Mechanism::PlainClient { username, password } => {
                Self::PlainAwaitWelcome(plain::AwaitWelcome::begin(username, password, out))
            }
            Mechanism::PlainServer => Self::PlainAwaitHello(plain::AwaitHello),
        }
    }

    /// Takes the peer's next command.
    pub(crate) fn handle(
        self,
        command: Command,
        config: &Config,
        out: &mut BytesMut,
    ) -> Result<Progress, Error> {
        if let Command::Error(reason) = &command {
            return Err(Error::refused(reason));
        }
        match self {
            Self::NullAwaitReady(state) => state.handle(command, config),
            Self::PlainAwaitWelcome(state) => state.handle(command, config, out),
            Self::PlainAwaitReady(state) => state.handle(command, config),
            Self::PlainAwaitHello(state) => state.handle(command),
            Self::PlainAwaitVerdict(state) => {
                Ok(Progress::Continue(Self::PlainAwaitVerdict(state)))
            }
            Self::PlainAwaitInitiate(state) => state.handle(command, config, out),
        }
    }

    /// Takes the verdict on the credentials; nothing happens when none is awaited.
    pub(crate) fn authorize(
        self,
        verdict: Result<(), Denial>,
        out: &mut BytesMut,
    ) -> Result<Self, Denial> {
        match self {
            Self::PlainAwaitVerdict(state) => {
                state.authorize(verdict, out).map(Self::PlainAwaitInitiate)
            }
            other => Ok(other),
        }
    }

    /// Whether the next step is the caller's and not the peer's.
    pub(crate) fn awaits_verdict(&self) -> bool {
        matches!(self, Self::PlainAwaitVerdict(_))
    }
}

/// Checks what the peer says of itself against our socket type (RFC 23, The Socket-Type
/// Property). A peer that names no type is taken as it is.
fn judge(metadata: Metadata, username: Option<Bytes>, config: &Config) -> Result<Done, Error> {
    let mut socket_type = None;
    if let Some(name) = metadata.socket_type() {
        let ours = config.socket_type;
        socket_type = SocketType::from_name(name).filter(|&theirs| ours.may_talk_to(theirs));
        if socket_type.is_none() {
            return Err(Mismatch::SocketType { ours, theirs: printable(name) }.into());
        }
    }
    Ok(Done { metadata, socket_type, username })
}

fn unexpected(command: &Command, expected: &'static str) -> Error {
    command.unexpected(expected).into()
}
