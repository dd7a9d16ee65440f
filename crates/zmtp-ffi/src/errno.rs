//! The error numbers of the interface: the system's, and four of libzmq's own.

use std::ffi::{CStr, c_int};
use std::io;

use zmtp_socket::{
    BindError, Closed, ConnectError, RecvError, SendError, TryRecvError, UnknownEndpoint,
};

/// A value of C's `errno`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) c_int);

/// libzmq's own numbers begin here.
const OWN: c_int = 156_384_712;

macro_rules! system {
    ($($name:ident)*) => {
        impl Errno {
            $(pub(crate) const $name: Self = Self(libc::$name);)*
        }
    };
}

system! {
    EADDRINUSE EADDRNOTAVAIL EAGAIN EFAULT EHOSTUNREACH EINTR EINVAL EMFILE ENAMETOOLONG
    ENODEV ENOENT ENOMEM ENOTSOCK ENOTSUP EPROTONOSUPPORT
}

impl Errno {
    /// The state of a REQ or REP does not allow the call.
    pub(crate) const EFSM: Self = Self(OWN + 51);
    /// The socket type does not support the protocol.
    pub(crate) const ENOCOMPATPROTO: Self = Self(OWN + 52);
    /// The context is being terminated.
    pub(crate) const ETERM: Self = Self(OWN + 53);
    /// There is no I/O thread.
    pub(crate) const EMTHREAD: Self = Self(OWN + 54);

    /// The text where it is libzmq's own; `None` where it is the system's.
    pub(crate) fn own_text(self) -> Option<&'static CStr> {
        match self {
            Self::EFSM => Some(c"Operation cannot be accomplished in current state"),
            Self::ENOCOMPATPROTO => Some(c"The protocol is not compatible with the socket type"),
            Self::ETERM => Some(c"Context was terminated"),
            Self::EMTHREAD => Some(c"No thread available"),
            Self::EHOSTUNREACH => Some(c"Host unreachable"),
            _ => None,
        }
    }
}

impl From<nix::Error> for Errno {
    fn from(error: nix::Error) -> Self {
        Self(error as c_int)
    }
}

impl From<&io::Error> for Errno {
    fn from(error: &io::Error) -> Self {
        if let Some(number) = error.raw_os_error() {
            return Self(number);
        }
        match error.kind() {
            io::ErrorKind::AddrInUse => Self::EADDRINUSE,
            io::ErrorKind::AddrNotAvailable => Self::EADDRNOTAVAIL,
            io::ErrorKind::NotFound => Self::ENOENT,
            // Most often the look-up of a name has failed.
            _ => Self::ENODEV,
        }
    }
}

impl From<Closed> for Errno {
    fn from(_: Closed) -> Self {
        Self::ETERM
    }
}

impl From<SendError> for Errno {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Full => Self::EAGAIN,
            SendError::Unroutable => Self::EHOSTUNREACH,
            _ => Self::ETERM,
        }
    }
}

impl From<RecvError> for Errno {
    fn from(_: RecvError) -> Self {
        Self::ETERM
    }
}

impl From<TryRecvError> for Errno {
    fn from(error: TryRecvError) -> Self {
        match error {
            TryRecvError::Empty => Self::EAGAIN,
            _ => Self::ETERM,
        }
    }
}

impl From<BindError> for Errno {
    fn from(error: BindError) -> Self {
        match error {
            BindError::Refused { source, .. } => (&source).into(),
            BindError::Closed(closed) => closed.into(),
            BindError::NoRuntime(_) => Self::EMTHREAD,
            _ => Self::EINVAL,
        }
    }
}

impl From<ConnectError> for Errno {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Unsupported { source, .. } => (&source).into(),
            ConnectError::Closed(closed) => closed.into(),
            ConnectError::NoRuntime(_) => Self::EMTHREAD,
            _ => Self::EINVAL,
        }
    }
}

impl From<UnknownEndpoint> for Errno {
    fn from(error: UnknownEndpoint) -> Self {
        match error {
            UnknownEndpoint::Endpoint(_) => Self::EINVAL,
            _ => Self::ENOENT,
        }
    }
}
