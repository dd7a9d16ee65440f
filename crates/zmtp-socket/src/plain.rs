//! A table of users for the PLAIN mechanism (RFC 24).

use std::fmt;

use bytes::Bytes;
use subtle::{Choice, ConstantTimeEq};
use zmtp_codec::Credentials;

/// Names and passwords that a PLAIN server accepts.
///
/// ```
/// use zmtp_socket::{PlainUsers, PubOptions};
///
/// let users = PlainUsers::new().user("weather", "10002");
/// let options = PubOptions::new().plain_server(users);
/// ```
#[derive(Clone, Default)]
pub struct PlainUsers(Vec<(Bytes, Bytes)>);

impl PlainUsers {
    /// Nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Also accepts `name` with `password`.
    pub fn user(mut self, name: impl Into<Bytes>, password: impl Into<Bytes>) -> Self {
        self.0.push((name.into(), password.into()));
        self
    }

    /// Whether one of the users is meant. Every entry is compared whole, so that the time it takes
    /// does not tell how much of a guess was right.
    pub fn allow(&self, credentials: &Credentials) -> bool {
        let Credentials::Plain { username, password: claimed } = credentials else { return false };
        let allowed = self.0.iter().fold(Choice::from(0), |allowed, (name, password)| {
            allowed
                | (name.as_ref().ct_eq(username.as_ref())
                    & password.as_ref().ct_eq(claimed.as_ref()))
        });
        allowed.into()
    }
}

impl fmt::Debug for PlainUsers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlainUsers({} users)", self.0.len())
    }
}
