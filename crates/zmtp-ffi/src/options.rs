//! A socket's options: their numbers, types, ranges and defaults in libzmq 4.3.5.
//!
//! An option that is not in the table fails with EINVAL, as in a libzmq built without it.

use std::collections::HashMap;
use std::ffi::c_int;

use bytes::Bytes;
use zmtp_socket::{CurvePublicKey, CurveSecretKey};

use crate::context::Defaults;
use crate::errno::Errno;
use crate::filters::Filters;
use crate::kind::Kind;
use crate::util::z85_decode;

/// The names and numbers of options.
macro_rules! numbers {
    ($($name:ident = $number:literal)*) => {
        $(pub(crate) const $name: c_int = $number;)*
    };
}

numbers! {
    AFFINITY = 4
    ROUTING_ID = 5
    RATE = 8
    RECOVERY_IVL = 9
    MULTICAST_HOPS = 25
    TCP_ACCEPT_FILTER = 38
    IPC_FILTER_PID = 58
    IPC_FILTER_UID = 59
    IPC_FILTER_GID = 60
    MULTICAST_MAXTPDU = 84
    USE_FD = 89
    MULTICAST_LOOP = 96
    LOOPBACK_FASTPATH = 94
    SUBSCRIBE = 6
    UNSUBSCRIBE = 7
    SNDBUF = 11
    RCVBUF = 12
    RCVMORE = 13
    FD = 14
    EVENTS = 15
    TYPE = 16
    LINGER = 17
    RECONNECT_IVL = 18
    BACKLOG = 19
    RECONNECT_IVL_MAX = 21
    MAXMSGSIZE = 22
    SNDHWM = 23
    RCVHWM = 24
    RCVTIMEO = 27
    SNDTIMEO = 28
    IPV4ONLY = 31
    LAST_ENDPOINT = 32
    ROUTER_MANDATORY = 33
    TCP_KEEPALIVE = 34
    TCP_KEEPALIVE_CNT = 35
    TCP_KEEPALIVE_IDLE = 36
    TCP_KEEPALIVE_INTVL = 37
    IMMEDIATE = 39
    XPUB_VERBOSE = 40
    ROUTER_RAW = 41
    IPV6 = 42
    MECHANISM = 43
    PLAIN_SERVER = 44
    PLAIN_USERNAME = 45
    PLAIN_PASSWORD = 46
    CURVE_SERVER = 47
    CURVE_PUBLICKEY = 48
    CURVE_SECRETKEY = 49
    CURVE_SERVERKEY = 50
    PROBE_ROUTER = 51
    REQ_CORRELATE = 52
    REQ_RELAXED = 53
    CONFLATE = 54
    ZAP_DOMAIN = 55
    ROUTER_HANDOVER = 56
    TOS = 57
    CONNECT_ROUTING_ID = 61
    HANDSHAKE_IVL = 66
    SOCKS_PROXY = 68
    XPUB_NODROP = 69
    XPUB_MANUAL = 71
    XPUB_WELCOME_MSG = 72
    STREAM_NOTIFY = 73
    INVERT_MATCHING = 74
    HEARTBEAT_IVL = 75
    HEARTBEAT_TTL = 76
    HEARTBEAT_TIMEOUT = 77
    XPUB_VERBOSER = 78
    CONNECT_TIMEOUT = 79
    TCP_MAXRT = 80
    THREAD_SAFE = 81
    BINDTODEVICE = 92
    ZAP_ENFORCE_DOMAIN = 93
}

/// The type of an option's values.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Type {
    /// An `int` within these bounds.
    Int(c_int, c_int),
    /// An `int64_t` or `uint64_t`.
    Long,
    /// Octets, with the least and the greatest length.
    Octets(usize, usize),
    /// Text; reading it adds a NUL at its end.
    Text(usize, usize),
    /// 32 octets, or 40 characters of Z85.
    Key,
}

/// The access to an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Both,
    Read,
    Write,
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) number: c_int,
    #[cfg_attr(not(test), expect(dead_code, reason = "for the page on the interface"))]
    pub(crate) name: &'static str,
    pub(crate) values: Type,
    pub(crate) default: c_int,
    pub(crate) access: Access,
    /// The socket types that have the option.
    pub(crate) kinds: &'static [Kind],
}

const ALL: &[Kind] = &[
    Kind::Pair,
    Kind::Pub,
    Kind::Sub,
    Kind::Req,
    Kind::Rep,
    Kind::Dealer,
    Kind::Router,
    Kind::Pull,
    Kind::Push,
    Kind::XPub,
    Kind::XSub,
    Kind::Stream,
];
const PROBES: &[Kind] = &[Kind::Req, Kind::Dealer, Kind::Router];
const PUBLISHES: &[Kind] = &[Kind::Pub, Kind::XPub];
const MAX: c_int = c_int::MAX;
const FLAG: Type = Type::Int(0, 1);
const TIME: Type = Type::Int(-1, MAX);
const COUNT: Type = Type::Int(0, MAX);

macro_rules! rows {
    ($($number:ident $values:expr, $default:expr, $access:ident, $kinds:expr;)*) => {
        &[$(Row {
            number: $number,
            name: stringify!($number),
            values: $values,
            default: $default,
            access: Access::$access,
            kinds: $kinds,
        },)*]
    };
}

/// All options.
pub(crate) const TABLE: &[Row] = rows! {
    AFFINITY Type::Long, 0, Both, ALL;
    ROUTING_ID Type::Octets(1, 255), 0, Both, ALL;
    RATE Type::Int(1, MAX), 100, Both, ALL;
    RECOVERY_IVL COUNT, 10_000, Both, ALL;
    MULTICAST_HOPS Type::Int(1, MAX), 1, Both, ALL;
    MULTICAST_MAXTPDU Type::Int(1, MAX), 1500, Both, ALL;
    MULTICAST_LOOP FLAG, 1, Both, ALL;
    LOOPBACK_FASTPATH FLAG, 0, Read, ALL;
    USE_FD TIME, -1, Both, ALL;
    TCP_ACCEPT_FILTER Type::Text(0, 255), 0, Write, ALL;
    IPC_FILTER_PID Type::Int(c_int::MIN, MAX), 0, Write, ALL;
    IPC_FILTER_UID Type::Int(c_int::MIN, MAX), 0, Write, ALL;
    IPC_FILTER_GID Type::Int(c_int::MIN, MAX), 0, Write, ALL;
    SUBSCRIBE Type::Octets(0, usize::MAX), 0, Write, &[Kind::Sub, Kind::XPub];
    UNSUBSCRIBE Type::Octets(0, usize::MAX), 0, Write, &[Kind::Sub, Kind::XPub];
    SNDBUF TIME, -1, Both, ALL;
    RCVBUF TIME, -1, Both, ALL;
    RCVMORE FLAG, 0, Read, ALL;
    FD COUNT, 0, Read, ALL;
    EVENTS COUNT, 0, Read, ALL;
    TYPE COUNT, 0, Read, ALL;
    LINGER TIME, -1, Both, ALL;
    RECONNECT_IVL TIME, 100, Both, ALL;
    BACKLOG COUNT, 100, Both, ALL;
    RECONNECT_IVL_MAX COUNT, 0, Both, ALL;
    MAXMSGSIZE Type::Long, -1, Both, ALL;
    SNDHWM COUNT, 1000, Both, ALL;
    RCVHWM COUNT, 1000, Both, ALL;
    RCVTIMEO TIME, -1, Both, ALL;
    SNDTIMEO TIME, -1, Both, ALL;
    IPV4ONLY FLAG, 1, Both, ALL;
    LAST_ENDPOINT Type::Text(0, usize::MAX), 0, Read, ALL;
    ROUTER_MANDATORY FLAG, 0, Write, &[Kind::Router];
    ROUTER_RAW FLAG, 0, Write, &[Kind::Router];
    TCP_KEEPALIVE Type::Int(-1, 1), -1, Both, ALL;
    TCP_KEEPALIVE_CNT TIME, -1, Both, ALL;
    TCP_KEEPALIVE_IDLE TIME, -1, Both, ALL;
    TCP_KEEPALIVE_INTVL TIME, -1, Both, ALL;
    IMMEDIATE FLAG, 0, Both, ALL;
    XPUB_VERBOSE FLAG, 0, Write, &[Kind::XPub];
    IPV6 FLAG, 0, Both, ALL;
    MECHANISM COUNT, 0, Read, ALL;
    PLAIN_SERVER FLAG, 0, Both, ALL;
    PLAIN_USERNAME Type::Text(0, 255), 0, Both, ALL;
    PLAIN_PASSWORD Type::Text(0, 255), 0, Both, ALL;
    CURVE_SERVER FLAG, 0, Both, ALL;
    CURVE_PUBLICKEY Type::Key, 0, Both, ALL;
    CURVE_SECRETKEY Type::Key, 0, Both, ALL;
    CURVE_SERVERKEY Type::Key, 0, Both, ALL;
    PROBE_ROUTER FLAG, 0, Write, PROBES;
    REQ_CORRELATE FLAG, 0, Write, &[Kind::Req];
    REQ_RELAXED FLAG, 0, Write, &[Kind::Req];
    CONFLATE FLAG, 0, Both, ALL;
    ZAP_DOMAIN Type::Text(0, 255), 0, Both, ALL;
    ROUTER_HANDOVER FLAG, 0, Write, &[Kind::Router];
    TOS Type::Int(0, 255), 0, Both, ALL;
    CONNECT_ROUTING_ID Type::Octets(1, 255), 0, Write, &[Kind::Router, Kind::Stream];
    HANDSHAKE_IVL COUNT, 30_000, Both, ALL;
    SOCKS_PROXY Type::Text(0, 255), 0, Both, ALL;
    XPUB_NODROP FLAG, 0, Write, PUBLISHES;
    XPUB_MANUAL FLAG, 0, Write, &[Kind::XPub];
    XPUB_WELCOME_MSG Type::Octets(0, usize::MAX), 0, Write, &[Kind::XPub];
    STREAM_NOTIFY FLAG, 1, Write, &[Kind::Stream];
    INVERT_MATCHING FLAG, 0, Both, ALL;
    HEARTBEAT_IVL COUNT, 0, Both, ALL;
    HEARTBEAT_TTL Type::Int(0, 6_553_599), 0, Both, ALL;
    HEARTBEAT_TIMEOUT COUNT, -1, Both, ALL;
    XPUB_VERBOSER FLAG, 0, Write, &[Kind::XPub];
    CONNECT_TIMEOUT COUNT, 0, Both, ALL;
    TCP_MAXRT COUNT, 0, Both, ALL;
    THREAD_SAFE FLAG, 0, Read, ALL;
    BINDTODEVICE Type::Text(0, 15), 0, Both, ALL;
    ZAP_ENFORCE_DOMAIN FLAG, 0, Both, ALL;
};

/// The security mechanism of a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mechanism {
    #[default]
    Null = 0,
    Plain = 1,
    Curve = 2,
}

/// The options that have been set on a socket.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    kind: Kind,
    ints: HashMap<c_int, c_int>,
    octets: HashMap<c_int, Bytes>,
    affinity: u64,
    pub(crate) max_message: i64,
    pub(crate) mechanism: Mechanism,
    pub(crate) is_server: bool,
    pub(crate) filters: Filters,
}

/// A value of an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Int(c_int),
    Long(i64),
    Octets(Bytes),
    /// Text, without the NUL at its end.
    Text(Bytes),
    Key(Bytes),
}

impl Row {
    /// The option with a number, if a socket of this kind has it.
    pub(crate) fn of(number: c_int, kind: Kind) -> Result<&'static Self, Errno> {
        let row = TABLE.iter().find(|row| row.number == number);
        row.filter(|row| row.kinds.contains(&kind)).ok_or(Errno::EINVAL)
    }
}

impl Options {
    pub(crate) fn new(kind: Kind, defaults: Defaults) -> Self {
        let mut ints = HashMap::new();
        // The unsent changes of a subscriber concern nobody once it is closed.
        let is_subscriber = matches!(kind, Kind::Sub | Kind::XSub);
        ints.insert(LINGER, if is_subscriber { 0 } else { defaults.linger });
        ints.insert(IPV6, defaults.ipv6.into());
        Self {
            kind,
            ints,
            octets: HashMap::new(),
            affinity: 0,
            max_message: defaults.max_message,
            mechanism: Mechanism::Null,
            is_server: false,
            filters: Filters::default(),
        }
    }

    /// Whether peers are raw: they speak no ZMTP.
    pub(crate) fn is_raw(&self) -> bool {
        self.kind == Kind::Stream || self.flag(ROUTER_RAW)
    }

    /// The value of an `int`.
    pub(crate) fn int(&self, number: c_int) -> c_int {
        if let Some(value) = self.ints.get(&number) {
            return *value;
        }
        TABLE.iter().find(|row| row.number == number).map_or(0, |row| row.default)
    }

    pub(crate) fn flag(&self, number: c_int) -> bool {
        self.int(number) != 0
    }

    pub(crate) fn affinity(&self) -> u64 {
        self.affinity
    }

    /// The octets of an option; empty if not set.
    pub(crate) fn octets(&self, number: c_int) -> Bytes {
        self.octets.get(&number).cloned().unwrap_or_default()
    }

    /// Sets the name of a STREAM to that of the last peer.
    pub(crate) fn set_last_peer(&mut self, name: Bytes) {
        self.octets.insert(ROUTING_ID, name);
    }

    /// Takes octets that apply once.
    pub(crate) fn take_octets(&mut self, number: c_int) -> Option<Bytes> {
        self.octets.remove(&number)
    }

    /// Takes the descriptor to listen on, if there is one.
    pub(crate) fn take_descriptor(&mut self) -> Option<c_int> {
        self.ints.remove(&USE_FD).filter(|descriptor| *descriptor >= 0)
    }

    pub(crate) fn key(&self, number: c_int) -> [u8; 32] {
        self.octets(number).as_ref().try_into().unwrap_or_default()
    }

    pub(crate) fn public_key(&self, number: c_int) -> CurvePublicKey {
        self.key(number).into()
    }

    pub(crate) fn secret_key(&self) -> CurveSecretKey {
        self.key(CURVE_SECRETKEY).into()
    }

    /// Sets an option from a value of C.
    pub(crate) fn set(&mut self, number: c_int, octets: &[u8]) -> Result<(), Errno> {
        let row = Row::of(number, self.kind)?;
        if row.access == Access::Read {
            return Err(Errno::EINVAL);
        }
        if self.filters.add(number, octets)? {
            return Ok(());
        }
        match row.values {
            Type::Int(least, most) => {
                let value = c_int::from_ne_bytes(octets.try_into().map_err(|_| Errno::EINVAL)?);
                if !(least..=most).contains(&value) {
                    return Err(Errno::EINVAL);
                }
                self.set_int(number, value);
            }
            Type::Long => {
                let value = i64::from_ne_bytes(octets.try_into().map_err(|_| Errno::EINVAL)?);
                match number {
                    AFFINITY => self.affinity = value as u64,
                    _ => self.max_message = value,
                }
            }
            Type::Octets(least, most) | Type::Text(least, most) => {
                let is_sized = (least..=most).contains(&octets.len());
                // RFC 37, The Identity Property: identities that begin with a zero are made only by
                // a ROUTER.
                let is_reserved = number == ROUTING_ID && octets.first() == Some(&0);
                if !is_sized || is_reserved {
                    return Err(Errno::EINVAL);
                }
                self.set_octets(number, Bytes::copy_from_slice(octets));
            }
            Type::Key => {
                let key = key_of(octets).ok_or(Errno::EINVAL)?;
                self.octets.insert(number, key);
                self.mechanism = Mechanism::Curve;
                if number == CURVE_SERVERKEY {
                    self.is_server = false;
                }
            }
        }
        Ok(())
    }

    fn set_int(&mut self, number: c_int, value: c_int) {
        let is_on = value != 0;
        match number {
            IPV4ONLY => {
                self.ints.insert(IPV6, (!is_on).into());
                return;
            }
            // The wire has tenths of a second.
            HEARTBEAT_TTL => {
                self.ints.insert(number, value / 100 * 100);
                return;
            }
            PLAIN_SERVER => {
                self.is_server = is_on;
                self.mechanism = if is_on { Mechanism::Plain } else { Mechanism::Null };
            }
            CURVE_SERVER => {
                self.is_server = is_on;
                self.mechanism = if is_on { Mechanism::Curve } else { Mechanism::Null };
            }
            _ => {}
        }
        self.ints.insert(number, value);
    }

    fn set_octets(&mut self, number: c_int, octets: Bytes) {
        if number == PLAIN_USERNAME || number == PLAIN_PASSWORD {
            self.is_server = false;
            self.mechanism = match octets.is_empty() {
                true => Mechanism::Null,
                false => Mechanism::Plain,
            };
        }
        self.octets.insert(number, octets);
    }

    /// The value of an option for C.
    pub(crate) fn get(&self, number: c_int) -> Result<Value, Errno> {
        match Row::of(number, self.kind)?.access {
            Access::Write => Err(Errno::EINVAL),
            _ => self.value(number),
        }
    }

    /// The value of an option that was set, or its default.
    pub(crate) fn value(&self, number: c_int) -> Result<Value, Errno> {
        let row = Row::of(number, self.kind)?;
        Ok(match (number, row.values) {
            (IPV4ONLY, _) => Value::Int((!self.flag(IPV6)).into()),
            (MECHANISM, _) => Value::Int(self.mechanism as c_int),
            (PLAIN_SERVER, _) => self.is_server_of(Mechanism::Plain),
            (CURVE_SERVER, _) => self.is_server_of(Mechanism::Curve),
            (TYPE, _) => Value::Int(self.kind as c_int),
            (AFFINITY, _) => Value::Long(self.affinity as i64),
            (_, Type::Int(..)) => Value::Int(self.int(number)),
            (_, Type::Long) => Value::Long(self.max_message),
            (_, Type::Octets(..)) => Value::Octets(self.octets(number)),
            (_, Type::Text(..)) => Value::Text(self.octets(number)),
            (_, Type::Key) => Value::Key(Bytes::copy_from_slice(&self.key(number))),
        })
    }

    fn is_server_of(&self, mechanism: Mechanism) -> Value {
        Value::Int((self.is_server && self.mechanism == mechanism).into())
    }
}

/// A key, from its 32 octets or its text, which may end with a NUL.
fn key_of(given: &[u8]) -> Option<Bytes> {
    match given.len() {
        32 => Some(Bytes::copy_from_slice(given)),
        40 => z85_decode(given).map(Bytes::from),
        41 if given[40] == 0 => z85_decode(&given[..40]).map(Bytes::from),
        _ => None,
    }
}
