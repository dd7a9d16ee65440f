//! Servers and clients of each mechanism, in a form that can be given to either implementation.

use std::fmt;

use zmtp_socket::{CurveKeyPair, CurvePublicKey, EndpointOptions, PlainUsers, allow_keys};

/// The user that PLAIN lets in, and its password.
pub const USER: (&str, &str) = ("ann", "secret");

/// A server under one mechanism.
#[derive(Clone, Debug)]
pub enum Server {
    /// Lets in every client of NULL.
    Null,
    /// Lets [`USER`] in.
    Plain,
    /// Lets in the client with one key.
    Curve {
        /// Its own keys.
        keys: CurveKeyPair,
        /// The keys of the one client that it lets in.
        known: CurveKeyPair,
    },
}

/// The credentials of a client.
#[derive(Clone, Debug)]
pub enum Client {
    /// Nothing.
    Null,
    /// The name of [`USER`].
    Plain {
        /// The password that it sends.
        password: &'static str,
    },
    /// A key.
    Curve {
        /// The key of the server that it expects.
        server: CurvePublicKey,
        /// Its keys.
        keys: CurveKeyPair,
    },
}

/// New keys.
pub fn keys() -> CurveKeyPair {
    CurveKeyPair::generate().expect("there is randomness")
}

impl Server {
    /// A CURVE server with new keys, that knows one client with new keys.
    pub fn curve() -> Self {
        Self::Curve { keys: keys(), known: keys() }
    }

    /// The client that is let in.
    pub fn client(&self) -> Client {
        match self {
            Self::Null => Client::Null,
            Self::Plain => Client::Plain { password: USER.1 },
            Self::Curve { keys, known } => {
                Client::Curve { server: keys.public(), keys: known.clone() }
            }
        }
    }

    /// Clients that are refused, and the reasons.
    pub fn strangers(&self) -> Vec<(&'static str, Client)> {
        let null = ("one that says nothing of itself", Client::Null);
        match self {
            Self::Null => vec![("one that speaks PLAIN", Self::Plain.client())],
            Self::Plain => vec![null, ("a wrong password", Client::Plain { password: "Secret" })],
            Self::Curve { keys: server, known } => {
                let (server, known) = (server.public(), known.clone());
                vec![
                    null,
                    ("one that speaks PLAIN", Self::Plain.client()),
                    ("a key that the server does not know", Client::Curve { server, keys: keys() }),
                    (
                        "a client of another server",
                        Client::Curve { server: keys().public(), keys: known },
                    ),
                ]
            }
        }
    }

    /// Makes an endpoint of ours this server.
    pub fn apply(&self, options: EndpointOptions) -> EndpointOptions {
        match self {
            Self::Null => options,
            Self::Plain => options.plain_server(PlainUsers::new().user(USER.0, USER.1)),
            Self::Curve { keys, known } => {
                options.curve_server(keys.clone()).authorize(allow_keys([known.public()]))
            }
        }
    }

    /// The options that make a socket of pyzmq this server.
    pub fn for_pyzmq(&self) -> Vec<String> {
        match self {
            Self::Null => Vec::new(),
            Self::Plain => [vec!["server=1".to_owned()], self.client().for_pyzmq()].concat(),
            Self::Curve { keys, known } => {
                vec![secret(keys), format!("known={}", known.public())]
            }
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "NULL",
            Self::Plain => "PLAIN",
            Self::Curve { .. } => "CURVE",
        })
    }
}

impl Client {
    /// Makes an endpoint of ours this client.
    pub fn apply(&self, options: EndpointOptions) -> EndpointOptions {
        match self {
            Self::Null => options,
            Self::Plain { password } => options.plain_client(USER.0, *password),
            Self::Curve { server, keys } => options.curve_client(*server, keys.clone()),
        }
    }

    /// The options that make a socket of pyzmq this client.
    pub fn for_pyzmq(&self) -> Vec<String> {
        match self {
            Self::Null => Vec::new(),
            Self::Plain { password } => {
                vec![format!("user={}", USER.0), format!("password={password}")]
            }
            Self::Curve { server, keys } => vec![secret(keys), format!("server_key={server}")],
        }
    }
}

/// The option that gives a socket of pyzmq its keys.
pub fn secret(keys: &CurveKeyPair) -> String {
    format!("curve={}", *keys.secret().to_z85())
}
