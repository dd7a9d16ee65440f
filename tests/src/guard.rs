//! PLAIN as libzmq's server and client of it: the server asks a handler of RFC 27, which a program has
//! to provide.

use std::sync::Arc;

use crate::libzmq::Libzmq;

/// How often a handler checks whether it is still needed.
const GLANCE: i32 = 20;

/// A handler that lets only known users into one context of libzmq, until it is dropped.
#[derive(Debug)]
pub struct Guard {
    _handler: Libzmq,
    _alive: Arc<()>,
}

impl Guard {
    /// Makes `server` a PLAIN server that lets in these names with these passwords.
    pub async fn of(server: &Libzmq, users: Vec<(String, String)>) -> Self {
        let handler = server.sibling(zmq::REP);
        handler.set(|socket| socket.set_rcvtimeo(GLANCE));
        handler.bind("inproc://zeromq.zap.01").await;
        let alive = Arc::new(());
        let needed = Arc::downgrade(&alive);
        handler.leave_to(move |socket| {
            while needed.strong_count() > 0 {
                if let Ok(request) = socket.recv_multipart(0) {
                    let reply = verdict(&request, &users);
                    socket.send_multipart(reply, 0).expect("libzmq waits for the reply");
                }
            }
        });
        server.set(|socket| socket.set_plain_server(true));
        Self { _handler: handler, _alive: alive }
    }
}

/// Makes `client` a PLAIN client.
pub fn introduce(client: &Libzmq, user: &str, password: &str) {
    let (user, password) = (user.to_owned(), password.to_owned());
    client.set(move |socket| {
        socket.set_plain_username(Some(&user))?;
        socket.set_plain_password(Some(&password))
    });
}

fn verdict(request: &[Vec<u8>], users: &[(String, String)]) -> [Vec<u8>; 6] {
    let [version, id, _domain, _address, _identity, mechanism, user, password] = request else {
        panic!("RFC 27: a request for PLAIN has eight parts: {request:?}");
    };
    assert_eq!((&version[..], &mechanism[..]), (&b"1.0"[..], &b"PLAIN"[..]));
    let is_known = |(name, secret): &(String, String)| {
        (name.as_bytes(), secret.as_bytes()) == (&user[..], &password[..])
    };
    let status: &[u8] = if users.iter().any(is_known) { b"200" } else { b"400" };
    [version, id, status, b"", user, b""].map(<[u8]>::to_vec)
}
