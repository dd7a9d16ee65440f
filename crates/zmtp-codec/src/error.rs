//! Errors, by who is to blame.

use std::borrow::Cow;
use std::time::Duration;

use thiserror::Error;

use crate::denial::{Denial, Status};
use crate::mechanism_name::MechanismName;
#[cfg(feature = "curve")]
use crate::randomness::NoRandomness;
use crate::socket_type::SocketType;
use crate::text::printable;
use crate::version::Version;

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke a rule of the protocol.
    #[error("the peer broke the protocol: {0}")]
    Protocol(#[from] ProtocolError),
    /// Both sides keep the rules, but are incompatible.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// The peer refused us with ERROR; see [`is_refusal`](Self::is_refusal).
    #[error("the peer refused the connection: {reason:?}")]
    Refused {
        /// The reason in the ERROR: at most 255 characters, none of them a control character.
        reason: String,
    },
    /// We did not let the peer in.
    #[error("the peer was not let in: {0}")]
    Denied(Denial),
    /// The peer closed the connection before its handshake was over, or in the middle of a message.
    #[error("the peer closed the connection during the handshake or within a message")]
    CutOff {
        /// How many octets have arrived and are not decoded.
        waiting: usize,
    },
    /// The connection has ended, and the reason was returned before.
    #[error("the connection has ended")]
    Closed,
    /// The peer was silent for too long.
    #[error(transparent)]
    Timeout(#[from] Timeout),
    /// No random octets could be had to make a key of.
    #[cfg(feature = "curve")]
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

impl Error {
    /// Whether the peer refused us with ERROR for good: do not dial again with the same credentials
    /// (RFC 23, The ERROR Command). A refusal with the reason `300` is
    /// [temporary](Status::Temporary).
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { reason } if Status::from_code(reason) != Some(Status::Temporary))
    }

    pub(crate) fn refused(reason: &[u8]) -> Self {
        Self::Refused { reason: printable(reason) }
    }
}

/// There is no traffic: the handshake is not over, or the connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the connection is not ready for traffic")]
pub struct NotReady;

/// A rule of the protocol that the peer broke.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The first octet is not the beginning of a greeting: ZMTP 1.0, or another protocol.
    #[error("expected a ZMTP 3 greeting, whose first octet is FF; got {first:02X}")]
    NotZmtp {
        /// The octet that came.
        first: u8,
    },
    /// The octets begin like a greeting, but are the long frame of a ZMTP 1.0 peer.
    #[error(
        "expected 7F at the end of the greeting's signature; got {octet:02X}, as ZMTP 1.0 sends"
    )]
    Unversioned {
        /// The octet that came.
        octet: u8,
    },
    /// The peer speaks ZMTP 1.0 or 2.0.
    #[error("expected protocol revision 3 or later; got {major} (ZMTP 2.0 or older)")]
    TooOld {
        /// The octet that came.
        major: u8,
    },
    /// A reserved bit is set, or MORE on a command.
    #[error("invalid frame flags {flags:02X}: a reserved bit is set, or MORE is set on a command")]
    Flags {
        /// The octet that came.
        flags: u8,
    },
    /// A frame announces more octets than the protocol can express.
    #[error("a frame announces {size} octets; the protocol allows at most 2^63-1")]
    FrameSize {
        /// The size announced, in octets.
        size: u64,
    },
    /// A frame announces more octets than the codec's limit.
    #[error("a frame announces {size} octets; the limit is {limit}")]
    FrameTooLarge {
        /// The size announced, in octets.
        size: u64,
        /// The limit, in octets.
        limit: u64,
    },
    /// A frame of the handshake announces more octets than the limit.
    #[error("a frame of the handshake announces {size} octets; the limit is {limit}")]
    HandshakeFrameTooLarge {
        /// The size announced, in octets.
        size: u64,
        /// [`Limits::handshake_frame_size`](crate::Limits::handshake_frame_size).
        limit: u64,
    },
    /// Octets were read while the connection [did not want input](crate::Connection::wants_input),
    /// and are more than may wait before the handshake is over.
    #[error("{size} octets came before the end of the handshake; the limit is {limit}")]
    InputBeforeReady {
        /// How many octets wait.
        size: usize,
        /// 64 KiB more than [`Limits::handshake_frame_size`](crate::Limits::handshake_frame_size).
        limit: usize,
    },
    /// A command announces more octets than the limit.
    #[error("a command announces {size} octets; the limit is {limit}")]
    CommandTooLarge {
        /// The size announced, in octets.
        size: u64,
        /// [`Limits::command_size`](crate::Limits::command_size).
        limit: u64,
    },
    /// The parts of a message together announce more octets than the limit.
    #[error("a message has at least {size} octets; the limit is {limit}")]
    MessageTooLarge {
        /// The size of all its parts so far, in octets.
        size: u64,
        /// [`Limits::message_size`](crate::Limits::message_size).
        limit: u64,
    },
    /// A message has more parts than the limit.
    #[error("a message has more than {limit} parts")]
    TooManyParts {
        /// [`Limits::message_parts`](crate::Limits::message_parts).
        limit: usize,
    },
    /// A command does not have the form it must have.
    #[error("malformed {command} command: {problem}")]
    Command {
        /// The name of the command, or "unnamed".
        command: &'static str,
        /// The fault, in words.
        problem: &'static str,
    },
    /// A list of properties does not have the form it must have.
    #[error("malformed metadata: {problem}")]
    Metadata {
        /// The fault, in words.
        problem: &'static str,
    },
    /// A command came where another was expected.
    #[error("expected {expected}, got the command {command}")]
    Unexpected {
        /// The name of the command that came.
        command: Cow<'static, str>,
        /// The command that was expected.
        expected: &'static str,
    },
    /// A message came before the handshake was over.
    #[error("expected a command of the handshake, got a message")]
    MessageInHandshake,
    /// CURVE: a box does not open with the key that the two sides share.
    #[error("the box of {of} does not open: forged, damaged, or made for another key")]
    BadBox {
        /// The command, or the part of one.
        of: &'static str,
    },
    /// CURVE: a public key is one of the few with which every agreement gives the same.
    #[error("{of} is of small order, so it would keep nothing secret")]
    WeakKey {
        /// Whose key.
        of: &'static str,
    },
    /// CURVE: the client's permanent key vouches for another connection or another server.
    #[error("the client's vouch is for another connection, or for another server")]
    Vouch,
    /// CURVE: a nonce is not above the one before it: a command was repeated or reordered.
    #[error("a nonce of {nonce} came after {last}; each must be greater than the one before")]
    Nonce {
        /// The nonce that came.
        nonce: u64,
        /// The last one before.
        last: u64,
    },
    /// CURVE: a frame after the handshake is in clear text, or cannot be a MESSAGE.
    #[error("expected a CURVE MESSAGE, got an unencrypted frame")]
    Unsealed,
    /// CURVE: a reserved bit is set in the box of a MESSAGE, or MORE on a command.
    #[error(
        "invalid flags {flags:02X} in a CURVE MESSAGE: a reserved bit is set, or MORE is set on a command"
    )]
    SealedFlags {
        /// The octet that came.
        flags: u8,
    },
}

/// Why two peers that keep the rules cannot communicate.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// The security mechanisms differ.
    #[error(
        "our security mechanism is {ours}, the peer's is {theirs}: both sides must use the same"
    )]
    Mechanism {
        /// The mechanism that we announced.
        ours: MechanismName,
        /// The mechanism that the peer announced.
        theirs: MechanismName,
    },
    /// Both sides are servers in the security mechanism, and would wait for each other.
    #[error("both sides are servers of {mechanism}: one of them must be the client")]
    TwoServers {
        /// The mechanism.
        mechanism: MechanismName,
    },
    /// The socket types may not be connected.
    #[error("a {ours} socket cannot be connected to a socket of type {theirs:?}")]
    SocketType {
        /// Our type.
        ours: SocketType,
        /// The type that the peer announced, bounded.
        theirs: String,
    },
}

/// The silence that ended the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Timeout {
    /// Greeting and handshake were not over in time.
    #[error("the handshake did not finish in time")]
    Handshake,
    /// Nothing came after our PING.
    #[error("the peer sent nothing in time after a PING")]
    Heartbeat,
    /// Nothing came within the time to live of the peer's last PING.
    #[error("the peer sent nothing within the time to live of its own PING")]
    PeerTtl,
}

/// A property that cannot be expressed in metadata.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidProperty {
    /// The name is empty, too long, or has a forbidden character.
    #[error("a property name must be 1 to 255 letters, digits, '-', '_', '.' or '+'; got {name:?}")]
    Name {
        /// The name given, bounded.
        name: String,
    },
    /// The value is too long.
    #[error("the value of property {name} has {size} octets; the protocol allows at most 2^31-1")]
    Value {
        /// The name of the property.
        name: String,
        /// The size given, in octets.
        size: usize,
    },
}

/// A configuration with which no connection can be made: the caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// We speak ZMTP 3.0 and 3.1 only.
    #[error("the version must be 3.0 or 3.1, not {version}")]
    Version {
        /// The version given.
        version: Version,
    },
    /// A user name or a password of PLAIN has more than 255 octets.
    #[error("the user name and the password may have at most 255 octets each, not {size}")]
    Credentials {
        /// The size given, in octets.
        size: usize,
    },
    /// The server's key is one of the few for which no secret half can exist.
    #[error("the server's public key is invalid: it is of small order, which no server's key is")]
    WeakServerKey,
    /// The commands of our security mechanism are larger than a frame of the handshake may be.
    #[error("a handshake frame of {mechanism} needs {size} octets; the limit is {limit}")]
    HandshakeFrameSize {
        /// The mechanism.
        mechanism: MechanismName,
        /// The size that is needed, in octets.
        size: usize,
        /// [`Limits::handshake_frame_size`](crate::Limits::handshake_frame_size).
        limit: u64,
    },
    /// Heartbeats leave no time for an answer.
    #[error("the timeout of heartbeats must be longer than zero")]
    HeartbeatTimeout,
    /// The peer would take us for dead between two PINGs.
    #[error(
        "the interval of heartbeats, {interval:?}, is longer than their time to live, {ttl:?}, \
         which a PING limits to 65.5 s"
    )]
    HeartbeatTtl {
        /// The time to live, as a PING encodes it.
        ttl: Duration,
        /// The time from one PING to the next.
        interval: Duration,
    },
    /// An identity has more than 255 octets, or begins with a zero.
    #[error("an identity must have at most 255 octets and must not begin with a zero octet")]
    Identity,
    /// Our own metadata is larger than a frame of the handshake may be.
    #[error("the metadata needs {size} octets; a handshake frame may have at most {limit}")]
    Metadata {
        /// The size of the command, in octets.
        size: usize,
        /// [`Limits::handshake_frame_size`](crate::Limits::handshake_frame_size).
        limit: u64,
    },
}

/// The text is not a CURVE key.
#[cfg(feature = "curve")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidKey {
    /// A key has 40 characters.
    #[error("a key must have 40 characters; this text has {length} octets")]
    Length {
        /// The length of the text, in octets.
        length: usize,
    },
    /// A character is not one of Z85.
    #[error("character {position} of the key (counted from 0) is not one of Z85")]
    Character {
        /// The position of the character, counted from 0.
        position: usize,
    },
    /// Five characters encode more than four octets can hold.
    #[error(
        "the five characters of the key from {position} (counted from 0) encode too large a number"
    )]
    Group {
        /// The position of the first of the five, counted from 0.
        position: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_what_was_expected_and_what_came() {
        let rows: [(Error, &str); 6] = [
            (
                ProtocolError::NotZmtp { first: b'G' }.into(),
                "the peer broke the protocol: expected a ZMTP 3 greeting, whose first octet is \
                 FF; got 47",
            ),
            (
                Mismatch::Mechanism { ours: MechanismName::NULL, theirs: MechanismName::PLAIN }
                    .into(),
                "our security mechanism is NULL, the peer's is PLAIN: both sides must use the same",
            ),
            (
                Mismatch::SocketType { ours: SocketType::Sub, theirs: "PULL".into() }.into(),
                "a SUB socket cannot be connected to a socket of type \"PULL\"",
            ),
            (Error::refused(b"400"), "the peer refused the connection: \"400\""),
            (
                Error::Denied(Denial::refused("who?")),
                "the peer was not let in: 400 authentication failure: who?",
            ),
            (Timeout::Handshake.into(), "the handshake did not finish in time"),
        ];
        for (error, text) in rows {
            assert_eq!(error.to_string(), text);
            assert_eq!(error.is_refusal(), matches!(error, Error::Refused { .. }));
        }
    }

    #[test]
    fn every_reason_of_an_error_is_for_good_but_300() {
        for reason in [&b"400"[..], b"500", b"", b"Invalid socket type", b"3000", b"300 "] {
            assert!(Error::refused(reason).is_refusal(), "{}", reason.escape_ascii());
        }
        assert!(!Error::refused(b"300").is_refusal());
    }
}
