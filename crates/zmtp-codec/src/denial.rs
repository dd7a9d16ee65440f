//! [`Denial`]: a verdict that refuses a peer (RFC 27, the reply).

use std::fmt;

use bytes::Bytes;

use crate::text::printable;

/// A verdict that refuses a peer, with a reason. The peer is sent at most the [status](Status). The
/// text is for our error and our log only, since it would help an attacker.
///
/// ```
/// use zmtp_codec::{Denial, Status};
///
/// let denial = Denial::refused("the key has been withdrawn");
/// assert_eq!(denial.status(), Status::Refused);
/// assert_eq!(denial.to_string(), "400 authentication failure: the key has been withdrawn");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    status: Status,
    text: String,
}

impl Denial {
    /// The judge cannot decide now. The peer is sent no ERROR, and so dials again.
    pub fn temporary(text: impl AsRef<str>) -> Self {
        Self::new(Status::Temporary, text.as_ref())
    }

    /// The peer is not allowed in.
    pub fn refused(text: impl AsRef<str>) -> Self {
        Self::new(Status::Refused, text.as_ref())
    }

    /// A fault on our side, which dialling again will not cure.
    pub fn failed(text: impl AsRef<str>) -> Self {
        Self::new(Status::Failed, text.as_ref())
    }

    /// Keeps at most 255 octets of the text, and replaces control characters.
    fn new(status: Status, text: &str) -> Self {
        Self { status, text: printable(text.as_bytes()) }
    }

    /// The kind of denial.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The reason, for a person; may be empty.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.text {
            "" => self.status.fmt(f),
            text => write!(f, "{}: {text}", self.status),
        }
    }
}

/// Why a peer is refused: the status code of RFC 27 (Message Format).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// 300, a temporary error. By RFC 26 a peer must not dial again after an ERROR; so it is sent
    /// none, as libzmq does.
    Temporary,
    /// 400, an authentication failure.
    Refused,
    /// 500, an internal error.
    Failed,
}

impl Status {
    const ALL: [Self; 3] = [Self::Temporary, Self::Refused, Self::Failed];

    /// The three digits.
    pub fn code(self) -> &'static str {
        match self {
            Self::Temporary => "300",
            Self::Refused => "400",
            Self::Failed => "500",
        }
    }

    /// The status with these three digits, which may be the reason in a peer's ERROR.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }

    /// The reason in our ERROR to the peer; `None` if no ERROR is sent.
    pub(crate) fn told(self) -> Option<Bytes> {
        (self != Self::Temporary).then(|| Bytes::from_static(self.code().as_bytes()))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meaning = match self {
            Self::Temporary => "temporary error",
            Self::Refused => "authentication failure",
            Self::Failed => "internal error",
        };
        write!(f, "{} {meaning}", self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_denial_has_its_status_and_says_it() {
        let rows = [
            (Denial::temporary(""), Status::Temporary, "300 temporary error"),
            (Denial::refused("who?"), Status::Refused, "400 authentication failure: who?"),
            (Denial::failed("no disk"), Status::Failed, "500 internal error: no disk"),
        ];
        for (denial, status, text) in rows {
            assert_eq!((denial.status(), denial.to_string().as_str()), (status, text));
            assert_eq!(Status::from_code(status.code()), Some(status));
        }
        for other in ["", "200", "30", "3000", "300 ", "Invalid socket type"] {
            assert_eq!(Status::from_code(other), None, "{other}");
        }
    }

    #[test]
    fn only_who_need_not_come_again_is_told() {
        let told = Status::ALL.map(Status::told);
        assert_eq!(told, [None, Some("400".into()), Some("500".into())]);
    }

    #[test]
    fn the_text_is_bounded_and_harmless() {
        assert_eq!(Denial::refused("b\u{e4}d\x1B[2J\n").text(), "b\u{e4}d\u{fffd}[2J\u{fffd}");
        assert_eq!(Denial::refused("x".repeat(1000)).text().len(), 255);
    }
}
