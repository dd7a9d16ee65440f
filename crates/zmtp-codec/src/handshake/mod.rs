//! The handshakes of the security mechanisms, as states. Each command of the peer consumes one
//! state and leads to the next.
//!
//! A mechanism is one file with its states, and a few variants of [`Handshake`]. Its settings are
//! in [`Config`]; it writes to the output.

#[cfg(feature = "curve")]
mod curve;
#[cfg(not(feature = "curve"))]
mod no_channel;
mod null;
mod plain;

use bytes::{Bytes, BytesMut};

#[cfg(feature = "curve")]
pub(crate) use self::curve::Channel;
#[cfg(all(feature = "curve", any(test, feature = "testing")))]
pub use self::curve::testing as boxes;
#[cfg(not(feature = "curve"))]
pub(crate) use self::no_channel::Channel;

use crate::command::Command;
use crate::config::Config;
use crate::denial::Denial;
use crate::error::{Error, Mismatch, ProtocolError};
#[cfg(feature = "curve")]
use crate::mechanism::curve::CurvePublicKey;
use crate::mechanism::{Allowed, Applicant, Credentials, Mechanism};
use crate::metadata::Metadata;
use crate::socket_type::SocketType;
use crate::text::printable;

/// A handshake under way: one variant for each state of each mechanism.
#[derive(Debug)]
pub(crate) enum Handshake {
    NullAwaitVerdict(null::AwaitVerdict),
    NullAwaitReady(null::AwaitReady),
    PlainAwaitWelcome(plain::AwaitWelcome),
    PlainAwaitReady(plain::AwaitReady),
    PlainAwaitHello(plain::AwaitHello),
    PlainAwaitVerdict(plain::AwaitVerdict),
    PlainAwaitInitiate(plain::AwaitInitiate),
    #[cfg(feature = "curve")]
    CurveAwaitWelcome(Box<curve::AwaitWelcome>),
    #[cfg(feature = "curve")]
    CurveAwaitReady(Box<curve::AwaitReady>),
    #[cfg(feature = "curve")]
    CurveAwaitHello(curve::AwaitHello),
    #[cfg(feature = "curve")]
    CurveAwaitInitiate(Box<curve::AwaitInitiate>),
    #[cfg(feature = "curve")]
    CurveAwaitVerdict(Box<curve::AwaitVerdict>),
    /// A verdict has ended the handshake; the next poll tells the caller.
    #[cfg(feature = "curve")]
    Over(Box<Done>),
}

/// The result of a step.
#[derive(Debug)]
pub(crate) enum Progress {
    /// More commands must come.
    Continue(Handshake),
    /// The caller must judge the peer before anything else is read.
    Ask(Handshake, Applicant),
    /// The handshake is over.
    Done(Done),
}

/// The properties of the peer that the handshake has found.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) metadata: Metadata,
    pub(crate) socket_type: Option<SocketType>,
    pub(crate) username: Option<Bytes>,
    #[cfg(feature = "curve")]
    pub(crate) public_key: Option<CurvePublicKey>,
    pub(crate) allowed: Allowed,
    /// Seals and opens the traffic, if the mechanism does so.
    pub(crate) channel: Option<Box<Channel>>,
}

impl Handshake {
    /// Begins after the greetings. The first command of this side, if any, is appended to `out`.
    pub(crate) fn begin(config: &Config, out: &mut BytesMut) -> Result<Progress, Error> {
        Ok(Progress::Continue(match &config.mechanism {
            Mechanism::Null if config.authenticate_null => {
                let state = Self::NullAwaitVerdict(null::AwaitVerdict);
                return Ok(Progress::Ask(state, Credentials::Null.into()));
            }
            Mechanism::Null => Self::NullAwaitReady(null::AwaitReady::begin(config, out)),
            Mechanism::PlainClient { username, password } => {
                Self::PlainAwaitWelcome(plain::AwaitWelcome::begin(username, password, out))
            }
            Mechanism::PlainServer => Self::PlainAwaitHello(plain::AwaitHello),
            #[cfg(feature = "curve")]
            Mechanism::CurveClient { server_key, keys } => {
                let state = curve::AwaitWelcome::begin(*server_key, keys.clone(), config, out)?;
                Self::CurveAwaitWelcome(Box::new(state))
            }
            #[cfg(feature = "curve")]
            Mechanism::CurveServer { keys } => {
                Self::CurveAwaitHello(curve::AwaitHello { keys: keys.clone() })
            }
        }))
    }

    /// Takes the body of the peer's next command.
    pub(crate) fn handle(
        self,
        body: BytesMut,
        config: &Config,
        out: &mut BytesMut,
    ) -> Result<Progress, Error> {
        match self {
            #[cfg(feature = "curve")]
            Self::CurveAwaitWelcome(state) => {
                let next = state.handle(body, config, out)?;
                Ok(Progress::Continue(Self::CurveAwaitReady(Box::new(next))))
            }
            #[cfg(feature = "curve")]
            Self::CurveAwaitReady(state) => Ok(Progress::Done(state.handle(body, config)?)),
            #[cfg(feature = "curve")]
            Self::CurveAwaitHello(state) => {
                let next = state.handle(body, config, out)?;
                Ok(Progress::Continue(Self::CurveAwaitInitiate(Box::new(next))))
            }
            #[cfg(feature = "curve")]
            Self::CurveAwaitInitiate(state) => {
                let (next, applicant) = state.handle(body, config)?;
                Ok(Progress::Ask(Self::CurveAwaitVerdict(Box::new(next)), applicant))
            }
            other => other.command(Command::decode(body.freeze())?, config, out),
        }
    }

    /// The same, for the mechanisms without sealed commands.
    fn command(
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
            Self::PlainAwaitInitiate(state) => state.handle(command, config, out),
            other => Ok(Progress::Continue(other)),
        }
    }

    /// Takes the verdict on the peer; does nothing if none is awaited. Sends a denial to the peer,
    /// unless it is temporary.
    pub(crate) fn authorize(
        self,
        verdict: Result<Allowed, Denial>,
        config: &Config,
        out: &mut BytesMut,
    ) -> Result<Self, Denial> {
        if !self.awaits_verdict() {
            return Ok(self);
        }
        let allowed = verdict.inspect_err(|denial| {
            if let Some(reason) = denial.status().told() {
                Command::Error(reason).encode(out);
            }
        })?;
        Ok(match self {
            Self::NullAwaitVerdict(state) => {
                Self::NullAwaitReady(state.allow(allowed, config, out))
            }
            Self::PlainAwaitVerdict(state) => Self::PlainAwaitInitiate(state.allow(allowed, out)),
            #[cfg(feature = "curve")]
            Self::CurveAwaitVerdict(state) => {
                Self::Over(Box::new(state.allow(allowed, config, out)))
            }
            other => other,
        })
    }

    /// Whether the next step is the caller's verdict, and not a command of the peer.
    pub(crate) fn awaits_verdict(&self) -> bool {
        match self {
            Self::NullAwaitVerdict(_) | Self::PlainAwaitVerdict(_) => true,
            #[cfg(feature = "curve")]
            Self::CurveAwaitVerdict(_) => true,
            _ => false,
        }
    }
}

/// Checks the metadata of the peer against our socket type (RFC 23, The Socket-Type Property). A
/// peer that announces no type is accepted. The Identity is ignored if the peer's type has none
/// (RFC 37, The Identity Property).
fn judge(metadata: Metadata, config: &Config) -> Result<Done, Error> {
    let mut socket_type = None;
    if let Some(name) = metadata.socket_type() {
        let ours = config.socket_type;
        socket_type = SocketType::from_name(name).filter(|&theirs| ours.is_compatible_with(theirs));
        if socket_type.is_none() {
            return Err(Mismatch::SocketType { ours, theirs: printable(name) }.into());
        }
    }
    if socket_type.is_none_or(SocketType::has_identity) && metadata.has_invalid_identity() {
        let problem = "an Identity has more than 255 octets, or begins with a zero";
        return Err(ProtocolError::Metadata { problem }.into());
    }
    Ok(Done { metadata, socket_type, ..Done::default() })
}

fn unexpected(command: &Command, expected: &'static str) -> Error {
    command.unexpected(expected).into()
}
