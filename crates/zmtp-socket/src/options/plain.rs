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
///
/// The name of a user becomes the peer's [user id](crate::Allowed), unless a
/// [judge](crate::PubOptions::authorize), which is asked next, gives another.
#[derive(Clone, Default)]
pub struct PlainUsers(Vec<(Bytes, Bytes)>);

impl PlainUsers {
    /// An empty table: nobody is let in.
    pub fn new() -> Self {
        Self::default()
    }

    /// Also accepts `name` with `password`.
    pub fn user(mut self, name: impl Into<Bytes>, password: impl Into<Bytes>) -> Self {
        self.0.push((name.into(), password.into()));
        self
    }

    /// Whether the credentials are those of one of the users. Every entry is compared whole and at the
    /// same length. So the time that it takes does not show how much of a guess was right, how long
    /// the password is, or whether there is a user of that name.
    pub fn allow(&self, credentials: &Credentials) -> bool {
        let Credentials::Plain { username, password } = credentials else { return false };
        let (claimed_name, claimed_password) = (padded(username), padded(password));
        let allowed = self.0.iter().fold(Choice::from(0), |allowed, (name, password)| {
            let name = padded(name).ct_eq(&claimed_name);
            allowed | (name & padded(password).ct_eq(&claimed_password))
        });
        allowed.into()
    }
}

/// A name or a password, padded, with its length before it. One that is longer than a peer can send
/// (RFC 24) differs from all that a peer can send.
fn padded(text: &[u8]) -> [u8; 257] {
    let mut padded = [0; 257];
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    padded[..2].copy_from_slice(&length.to_be_bytes());
    padded[2..].iter_mut().zip(text).for_each(|(to, from)| *to = *from);
    padded
}

impl fmt::Debug for PlainUsers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlainUsers({} users)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_meant_by_the_whole_name_and_the_whole_password_of_one_entry() {
        let long = "x".repeat(255);
        let users = PlainUsers::new()
            .user("ann", "secret")
            .user("bob", "")
            .user(long.clone(), long.clone())
            .user("eve", format!("{long}x"));
        let rows = [
            ("ann", "secret", true),
            ("bob", "", true),
            (&*long, &*long, true),
            ("ann", "", false),
            ("ann", "secre", false),
            ("ann", "secret\0", false),
            ("ann\0", "secret", false),
            ("an", "nsecret", false),
            ("bob", "secret", false),
            ("", "", false),
            ("carl", "secret", false),
            // The password of eve, cut to the length that a peer can send, would be this.
            ("eve", &*long, false),
        ];
        for (username, password, expected) in rows {
            let (username, password) = (username.to_owned().into(), password.to_owned().into());
            let credentials = Credentials::Plain { username, password };
            assert_eq!(users.allow(&credentials), expected, "{credentials:?}");
        }
        assert!(!users.allow(&Credentials::Null));
    }
}
