//! CURVE: both sides authenticate, and all later traffic is sealed (RFC 25 and 26).
//!
//! ```text
//!   client                                   server
//!   AwaitWelcome ── HELLO: C', proof ──────▶ AwaitHello
//!                ◀─ WELCOME: S', cookie ────  AwaitInitiate   (keeps the cookie's key alone)
//!   AwaitReady   ── INITIATE: cookie, C, ──▶ AwaitVerdict    (the caller judges C)
//!                      vouch, metadata
//!   done         ◀─ READY: metadata ───────   done
//! ```
//!
//! C and S are the permanent keys; C' and S' are those of this connection only. A client knows S
//! beforehand.

mod boxes;
mod channel;
mod client;
mod poly1305;
mod salsa20;
mod server;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use bytes::{Buf, BytesMut};

#[cfg(any(test, feature = "testing"))]
pub use self::boxes::testing;
use self::boxes::{Nonce, short_nonce};
pub(crate) use self::channel::Channel;
pub(crate) use self::client::{AwaitReady, AwaitWelcome};
pub(crate) use self::server::{AwaitHello, AwaitInitiate, AwaitVerdict};
use crate::command::{self, Command, Name};
use crate::error::{Error, ProtocolError};
use crate::mechanism::curve;
use crate::text::printable;

/// The data of a HELLO, in octets.
const HELLO: usize = curve::HELLO - b"\x05HELLO".len();

/// The data of a WELCOME, in octets.
const WELCOME: usize = curve::WELCOME - b"\x07WELCOME".len();

/// The data of a command of the handshake, if it is the expected one.
fn data(mut body: BytesMut, expected: Name) -> Result<BytesMut, Error> {
    let (name, data_at) = Name::decode(&body)?;
    if name == Name::Error {
        body.advance(data_at);
        if let Command::Error(reason) = name.with_data(body.split().freeze())? {
            return Err(Error::refused(&reason));
        }
    }
    if name != expected {
        let command = match body.get(1..data_at) {
            Some(name) => Cow::Owned(printable(name)),
            None => Cow::Borrowed(name.text()),
        };
        return Err(ProtocolError::Unexpected { command, expected: expected.text() }.into());
    }
    body.advance(data_at);
    Ok(body)
}

/// Appends everything that precedes the data of a command.
fn begin(name: Name, data_len: usize, out: &mut BytesMut) {
    command::begin(name.text().as_bytes(), data_len, out);
}

fn malformed(command: Name, problem: &'static str) -> Error {
    ProtocolError::Command { command: command.text(), problem }.into()
}

fn bad_box(of: &'static str) -> Error {
    ProtocolError::BadBox { of }.into()
}

fn weak_key(of: &'static str) -> Error {
    ProtocolError::WeakKey { of }.into()
}

/// Checks that a short nonce is above the last one (RFC 26: each is used once, and they rise).
fn rising(number: u64, last: u64) -> Result<(), ProtocolError> {
    if number > last { Ok(()) } else { Err(ProtocolError::Nonce { nonce: number, last }) }
}

const HELLO_NONCE: &[u8; 16] = b"CurveZMQHELLO---";
const INITIATE_NONCE: &[u8; 16] = b"CurveZMQINITIATE";
const READY_NONCE: &[u8; 16] = b"CurveZMQREADY---";
const WELCOME_NONCE: &[u8; 8] = b"WELCOME-";
const COOKIE_NONCE: &[u8; 8] = b"COOKIE--";
const VOUCH_NONCE: &[u8; 8] = b"VOUCH---";

fn hello_nonce(number: u64) -> Nonce {
    short_nonce(HELLO_NONCE, number)
}
