//! The octets that peers send, spelt out.

/// The greeting of a peer of ZMTP 3.1 with NULL, as libzmq pads it.
pub(crate) const NULL_3_1: &[u8] =
    b"\xFF\0\0\0\0\0\0\0\x01\x7F\x03\x01NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
/// The same of ZMTP 3.0, with as-server set, which is to be tolerated.
pub(crate) const NULL_3_0: &[u8] =
    b"\xFF\0\0\0\0\0\0\0\x01\x7F\x03\x00NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
/// A peer of ZMTP 3.1 with PLAIN; as libzmq does, it leaves as-server clear whatever it is.
pub(crate) const PLAIN_3_1: &[u8] =
    b"\xFF\0\0\0\0\0\0\0\x01\x7F\x03\x01PLAIN\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// Our own greeting, which is padded with zeros.
pub(crate) const OUR_NULL_3_1: &[u8] =
    b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\x01NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
pub(crate) const OUR_PLAIN_CLIENT: &[u8] =
    b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\x01PLAIN\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
pub(crate) const OUR_PLAIN_SERVER: &[u8] =
    b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\x01PLAIN\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

pub(crate) const READY_PUB: &[u8] = b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03PUB";
pub(crate) const READY_SUB: &[u8] = b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03SUB";
pub(crate) const READY_PULL: &[u8] = b"\x04\x1A\x05READY\x0BSocket-Type\0\0\0\x04PULL";
pub(crate) const READY_NAMELESS: &[u8] = b"\x04\x06\x05READY";
pub(crate) const INITIATE_SUB: &[u8] = b"\x04\x1C\x08INITIATE\x0BSocket-Type\0\0\0\x03SUB";
pub(crate) const INITIATE_PULL: &[u8] = b"\x04\x1D\x08INITIATE\x0BSocket-Type\0\0\0\x04PULL";
pub(crate) const HELLO: &[u8] = b"\x04\x13\x05HELLO\x05admin\x06secret";
pub(crate) const WELCOME: &[u8] = b"\x04\x08\x07WELCOME";
pub(crate) const ERROR_400: &[u8] = b"\x04\x0A\x05ERROR\x03400";
pub(crate) const UNFIT: &[u8] = b"\x04\x1A\x05ERROR\x13Invalid socket type";

pub(crate) const PING: &[u8] = b"\x04\x07\x04PING\0\0";
pub(crate) const PONG: &[u8] = b"\x04\x05\x04PONG";
pub(crate) const SUBSCRIBE_A: &[u8] = b"\x04\x0B\x09SUBSCRIBEA";
