//! Commands: what peers send to each other besides messages (RFC 23, 24 and 37).

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};

use crate::error::ProtocolError;
use crate::frame::FrameHeader;
use crate::mechanism_name::MechanismName;
use crate::metadata::Metadata;
use crate::text::{Excerpt, printable};
use crate::wire::Reader;

/// The longest context of a PING, in octets (RFC 37, Connection Heartbeating).
const MAX_CONTEXT: usize = 16;

/// The beginning of an ERROR of libzmq's PLAIN server, up to 4.3.5 at least: its source has
/// "\x05ERROR", where C++ takes the E for one more hexadecimal digit.
const LIBZMQ_ERROR: &[u8] = b"\x5ERROR";

/// A command with its data.
///
/// On the wire, user names, passwords, reasons and contexts have a length octet or a bound: longer
/// ones are cut when encoded. `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// The sender has completed its handshake.
    Ready(Metadata),
    /// The sender refuses the connection; the reason has at most 255 octets.
    Error(Bytes),
    /// The sender subscribes to messages that begin with this topic.
    Subscribe(Bytes),
    /// The sender cancels one SUBSCRIBE to exactly this topic.
    Cancel(Bytes),
    /// The sender, a DISH, joins this group (RFC 37).
    Join(Bytes),
    /// The sender, a DISH, leaves this group.
    Leave(Bytes),
    /// A sign of life that asks for a PONG.
    Ping {
        /// How long the sender may be silent before the receiver takes it for dead, in tenths of a
        /// second; 0 for no limit.
        ttl: u16,
        /// Sent back in the PONG; at most 16 octets.
        context: Bytes,
    },
    /// The answer to a PING.
    Pong {
        /// The context of the PING.
        context: Bytes,
    },
    /// PLAIN: the client's credentials.
    Hello {
        /// At most 255 octets.
        username: Bytes,
        /// At most 255 octets.
        password: Bytes,
    },
    /// PLAIN: the server accepts the credentials.
    Welcome,
    /// PLAIN: the client's metadata.
    Initiate(Metadata),
    /// A command whose data is not decoded: one of another name, or one of CURVE, which is sealed.
    Opaque {
        /// 1 to 255 letters.
        name: Bytes,
        /// Everything after the name.
        data: Bytes,
    },
}

impl Command {
    /// Decodes the body of a command frame, in the form of NULL and PLAIN. [Encoded](Self::encode)
    /// again, it has the same octets, except the ERROR of libzmq's PLAIN servers, whose length
    /// octet is wrong, and a context of more than 16 octets, which is cut as libzmq cuts it.
    ///
    /// # Errors
    /// [`ProtocolError::Command`] when there is no name of letters, when octets are missing or
    /// left over; [`ProtocolError::Metadata`].
    pub fn decode(mut body: Bytes) -> Result<Self, ProtocolError> {
        let (name, data_at) = Name::decode(&body)?;
        let data = body.split_off(data_at);
        if name != Name::Unknown {
            return name.with_data(data);
        }
        body.advance(1);
        Ok(Self::Opaque { name: body, data })
    }

    /// Decodes the body of a command frame on a connection under this mechanism. HELLO, WELCOME,
    /// INITIATE, READY and MESSAGE of CURVE become [`Opaque`](Self::Opaque).
    ///
    /// # Errors
    /// Those of [`decode`](Self::decode).
    pub fn decode_under(mechanism: MechanismName, mut body: Bytes) -> Result<Self, ProtocolError> {
        let (name, data_at) = Name::decode(&body)?;
        let sealed = matches!(name, Name::Hello | Name::Welcome | Name::Initiate | Name::Ready);
        if mechanism != MechanismName::CURVE || !sealed {
            return Self::decode(body);
        }
        let data = body.split_off(data_at);
        body.advance(1);
        Ok(Self::Opaque { name: body, data })
    }

    /// Appends the whole frame to `out`: flags, size, name and data.
    pub fn encode(&self, out: &mut BytesMut) {
        let name = self.name();
        match self {
            Self::Ready(metadata) | Self::Initiate(metadata) => {
                begin(name, metadata.encoded_len(), out);
                metadata.encode(out);
            }
            Self::Error(reason) => append(name, &[&[short_len(reason)], cut(reason, 255)], out),
            Self::Subscribe(data) | Self::Cancel(data) | Self::Join(data) | Self::Leave(data) => {
                append(name, &[data], out);
            }
            Self::Ping { ttl, context } => {
                append(name, &[&ttl.to_be_bytes(), cut(context, MAX_CONTEXT)], out);
            }
            Self::Pong { context } => append(name, &[cut(context, MAX_CONTEXT)], out),
            Self::Hello { username, password } => append(
                name,
                &[
                    &[short_len(username)],
                    cut(username, 255),
                    &[short_len(password)],
                    cut(password, 255),
                ],
                out,
            ),
            Self::Welcome => append(name, &[], out),
            Self::Opaque { data, .. } => append(name, &[data], out),
        }
    }

    fn name(&self) -> &[u8] {
        match self {
            Self::Ready(_) => Name::Ready.octets(),
            Self::Error(_) => Name::Error.octets(),
            Self::Subscribe(_) => Name::Subscribe.octets(),
            Self::Cancel(_) => Name::Cancel.octets(),
            Self::Join(_) => Name::Join.octets(),
            Self::Leave(_) => Name::Leave.octets(),
            Self::Ping { .. } => Name::Ping.octets(),
            Self::Pong { .. } => Name::Pong.octets(),
            Self::Hello { .. } => Name::Hello.octets(),
            Self::Welcome => Name::Welcome.octets(),
            Self::Initiate(_) => Name::Initiate.octets(),
            Self::Opaque { name, .. } => cut(name, 255),
        }
    }

    /// The error for this command in place of the `expected` one.
    pub(crate) fn unexpected(&self, expected: &'static str) -> ProtocolError {
        ProtocolError::Unexpected { command: printable(self.name()).into(), expected }
    }
}

/// The names we know. The name alone decides about a command before its data is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Ready,
    Error,
    Subscribe,
    Cancel,
    Join,
    Leave,
    Ping,
    Pong,
    Hello,
    Welcome,
    Initiate,
    Unknown,
}

impl Name {
    /// Reads the name of a command. Returns it with the position of the data.
    pub(crate) fn decode(body: &[u8]) -> Result<(Self, usize), ProtocolError> {
        let mut reader = Reader::new(body);
        let name = reader.short_string().unwrap_or_default();
        // RFC 23: a name is 1 to 255 letters.
        if name.is_empty() || !name.iter().all(u8::is_ascii_alphabetic) {
            if body.starts_with(LIBZMQ_ERROR) {
                return Ok((Self::Error, LIBZMQ_ERROR.len()));
            }
            let problem = "a name of letters is missing, or cut short";
            return Err(ProtocolError::Command { command: "unnamed", problem });
        }
        let known = [
            Self::Subscribe,
            Self::Cancel,
            Self::Join,
            Self::Leave,
            Self::Ping,
            Self::Pong,
            Self::Ready,
            Self::Error,
            Self::Hello,
            Self::Welcome,
            Self::Initiate,
        ];
        let name = known.into_iter().find(|known| known.octets() == name).unwrap_or(Self::Unknown);
        Ok((name, body.len().saturating_sub(reader.rest().len())))
    }

    /// Decodes the data of a command of this name.
    pub(crate) fn with_data(self, data: Bytes) -> Result<Command, ProtocolError> {
        let malformed = |problem| ProtocolError::Command { command: self.text(), problem };
        Ok(match self {
            Self::Ready => Command::Ready(Metadata::decode(data)?),
            Self::Initiate => Command::Initiate(Metadata::decode(data)?),
            Self::Subscribe => Command::Subscribe(data),
            Self::Cancel => Command::Cancel(data),
            Self::Join => Command::Join(data),
            Self::Leave => Command::Leave(data),
            Self::Error => {
                let [reason] = strings(&data).map_err(malformed)?;
                Command::Error(reason)
            }
            Self::Ping => {
                let mut reader = Reader::new(&data);
                let ttl = reader.u16().ok_or_else(|| malformed("the time to live is missing"))?;
                Command::Ping { ttl, context: context(reader.rest()) }
            }
            Self::Pong => Command::Pong { context: context(&data) },
            Self::Hello => {
                let [username, password] = strings(&data).map_err(malformed)?;
                Command::Hello { username, password }
            }
            Self::Welcome if data.is_empty() => Command::Welcome,
            Self::Welcome => return Err(malformed(LEFT_OVER)),
            Self::Unknown => Command::Opaque { name: Bytes::new(), data },
        })
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Ready => "READY",
            Self::Error => "ERROR",
            Self::Subscribe => "SUBSCRIBE",
            Self::Cancel => "CANCEL",
            Self::Join => "JOIN",
            Self::Leave => "LEAVE",
            Self::Ping => "PING",
            Self::Pong => "PONG",
            Self::Hello => "HELLO",
            Self::Welcome => "WELCOME",
            Self::Initiate => "INITIATE",
            Self::Unknown => "unknown",
        }
    }

    fn octets(self) -> &'static [u8] {
        self.text().as_bytes()
    }
}

const LEFT_OVER: &str = "octets are left over at its end";

/// Exactly `N` short strings and nothing after them.
fn strings<const N: usize>(data: &[u8]) -> Result<[Bytes; N], &'static str> {
    let mut reader = Reader::new(data);
    let mut strings = [const { Bytes::new() }; N];
    for string in &mut strings {
        *string = reader.short_string().map(Bytes::copy_from_slice).ok_or("it is cut short")?;
    }
    if reader.is_empty() { Ok(strings) } else { Err(LEFT_OVER) }
}

/// The context of a PING or PONG. RFC 37, Connection Heartbeating, allows 16 octets; libzmq takes the
/// first 16 of a longer one.
fn context(octets: &[u8]) -> Bytes {
    Bytes::copy_from_slice(cut(octets, MAX_CONTEXT))
}

fn cut(octets: &[u8], limit: usize) -> &[u8] {
    octets.get(..limit).unwrap_or(octets)
}

fn short_len(octets: &[u8]) -> u8 {
    u8::try_from(octets.len()).unwrap_or(u8::MAX)
}

fn append(name: &[u8], data: &[&[u8]], out: &mut BytesMut) {
    begin(name, data.iter().fold(0, |sum: usize, part| sum.saturating_add(part.len())), out);
    for part in data {
        out.extend_from_slice(part);
    }
}

/// Appends everything that precedes the data of a command.
pub(crate) fn begin(name: &[u8], data_len: usize, out: &mut BytesMut) {
    let size = data_len.saturating_add(name.len()).saturating_add(1);
    out.reserve(size.saturating_add(9));
    FrameHeader { more: false, command: true, size: size as u64 }.encode(out);
    out.extend_from_slice(&[short_len(name)]);
    out.extend_from_slice(name);
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_tuple(&printable(self.name()));
        match self {
            Self::Ready(metadata) | Self::Initiate(metadata) => shown.field(metadata),
            Self::Error(octets)
            | Self::Subscribe(octets)
            | Self::Cancel(octets)
            | Self::Join(octets)
            | Self::Leave(octets) => shown.field(&Excerpt(octets)),
            Self::Opaque { data, .. } => shown.field(&format_args!("{} octets", data.len())),
            Self::Ping { ttl, context } => shown.field(ttl).field(&Excerpt(context)),
            Self::Pong { context } => shown.field(&Excerpt(context)),
            Self::Hello { username, .. } => {
                shown.field(&Excerpt(username)).field(&format_args!("***"))
            }
            Self::Welcome => &mut shown,
        };
        shown.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opaque(name: &'static str, data: &'static [u8]) -> Command {
        Command::Opaque { name: name.into(), data: data.into() }
    }

    fn rows() -> Vec<(&'static [u8], Command)> {
        let metadata = Metadata::new().with("Socket-Type", "PUB").unwrap();
        let ready = b"\x04\x19\x05READY\x0BSocket-Type\x00\x00\x00\x03PUB";
        let initiate = b"\x04\x1C\x08INITIATE\x0BSocket-Type\x00\x00\x00\x03PUB";
        let hello = Command::Hello { username: "admin".into(), password: "secret".into() };
        let nobody = Command::Hello { username: Bytes::new(), password: Bytes::new() };
        vec![
            (ready, Command::Ready(metadata.clone())),
            (b"\x04\x06\x05READY", Command::Ready(Metadata::new())),
            (b"\x04\x0A\x05ERROR\x03400", Command::Error("400".into())),
            (b"\x04\x07\x05ERROR\x00", Command::Error(Bytes::new())),
            (b"\x04\x0F\x09SUBSCRIBE10001", Command::Subscribe("10001".into())),
            (b"\x04\x07\x06CANCEL", Command::Cancel(Bytes::new())),
            (b"\x04\x07\x04PING\x00\x00", Command::Ping { ttl: 0, context: Bytes::new() }),
            (b"\x04\x0A\x04PING\x02\x8Fabc", Command::Ping { ttl: 655, context: "abc".into() }),
            (b"\x04\x05\x04PONG", Command::Pong { context: Bytes::new() }),
            (b"\x04\x08\x04PONGabc", Command::Pong { context: "abc".into() }),
            (b"\x04\x13\x05HELLO\x05admin\x06secret", hello),
            (b"\x04\x08\x05HELLO\x00\x00", nobody),
            (b"\x04\x08\x07WELCOME", Command::Welcome),
            (initiate, Command::Initiate(metadata)),
            (b"\x04\x0A\x04JOINgroup", Command::Join("group".into())),
            (b"\x04\x0B\x05LEAVEgroup", Command::Leave("group".into())),
            (b"\x04\x07\x03HEY\0\xFF\x01", opaque("HEY", b"\0\xFF\x01")),
        ]
    }

    #[test]
    fn each_command_has_its_octets() {
        for (octets, command) in rows() {
            let mut out = BytesMut::new();
            command.encode(&mut out);
            assert_eq!(out, octets, "{command:?}");
            assert_eq!(Command::decode(Bytes::from_static(&octets[2..])), Ok(command));
        }
    }

    #[test]
    fn the_error_of_a_libzmq_plain_server_is_understood() {
        let body = Bytes::from_static(&[0x5E, b'R', b'R', b'O', b'R', 3, b'4', b'0', b'0']);
        assert_eq!(Command::decode(body), Ok(Command::Error("400".into())));
    }

    #[test]
    fn the_commands_of_curve_are_opaque_and_keep_their_octets() {
        for name in ["HELLO", "WELCOME", "INITIATE", "READY", "MESSAGE"] {
            let mut out = BytesMut::new();
            opaque(name, b"\x01\0\xFF").encode(&mut out);
            let body = out.clone().split_off(2).freeze();
            let decoded = Command::decode_under(MechanismName::CURVE, body.clone());
            assert_eq!(decoded, Ok(opaque(name, b"\x01\0\xFF")));
            let mut again = BytesMut::new();
            decoded.unwrap().encode(&mut again);
            assert_eq!(again, out);
            let null = Command::decode_under(MechanismName::NULL, body.clone());
            assert_eq!(null, Command::decode(body));
        }
        let error = Bytes::from_static(b"\x05ERROR\x03400");
        let decoded = Command::decode_under(MechanismName::CURVE, error);
        assert_eq!(decoded, Ok(Command::Error("400".into())));
    }

    #[test]
    fn a_long_topic_takes_a_long_frame() {
        let mut out = BytesMut::new();
        Command::Subscribe(vec![b't'; 70_000].into()).encode(&mut out);
        assert_eq!(&out[..20], b"\x06\0\0\0\0\0\x01\x11\x7A\x09SUBSCRIBEt");
        assert_eq!(out.len(), 9 + 10 + 70_000);
    }

    #[test]
    fn malformed_commands_are_refused() {
        let rows: [&[u8]; 15] = [
            b"",
            b"\x00",
            b"\x05PING",
            b"\x04P NG\0\0",
            b"\x05READYx",
            b"\x08INITIATE\x01",
            b"\x05ERROR",
            b"\x05ERROR\x03no",
            b"\x05ERROR\x01nn",
            b"\x04PING\x00",
            b"\x05HELLO",
            b"\x05HELLO\x01u",
            b"\x05HELLO\x01u\x02p",
            b"\x05HELLO\x01u\x01px",
            b"\x07WELCOME!",
        ];
        for body in rows {
            assert!(Command::decode(Bytes::from_static(body)).is_err(), "{}", body.escape_ascii());
        }
    }

    #[test]
    fn a_context_of_sixteen_octets_is_the_longest() {
        let context = Bytes::from_static(b"0123456789abcdef");
        for body in
            [&b"\x04PING\x00\x010123456789abcdef"[..], b"\x04PING\x00\x010123456789abcdefgh"]
        {
            let ping = Command::Ping { ttl: 1, context: context.clone() };
            assert_eq!(Command::decode(Bytes::from_static(body)), Ok(ping));
        }
        let pong = Command::decode(Bytes::from_static(b"\x04PONG0123456789abcdefg"));
        assert_eq!(pong, Ok(Command::Pong { context }));
    }

    #[test]
    fn what_is_too_long_is_cut() {
        let mut out = BytesMut::new();
        Command::Error(vec![b'r'; 300].into()).encode(&mut out);
        let body = out.split_off(9).freeze();
        assert_eq!(Command::decode(body), Ok(Command::Error(vec![b'r'; 255].into())));
    }

    #[test]
    fn debug_shows_no_password() {
        let hello = Command::Hello { username: "admin".into(), password: "secret".into() };
        assert_eq!(format!("{hello:?}"), r#"HELLO("admin", ***)"#);
    }
}
