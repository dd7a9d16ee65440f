//! Peers made of literal octets: what no other implementation would send, and what ours must send.
//!
//! A test reads like a conversation:
//!
//! ```no_run
//! # async fn conversation(endpoint: zmtp_socket::Endpoint) {
//! use zmtp_tests::raw::{GREETING, RawPeer};
//!
//! let mut peer = RawPeer::dial(&endpoint).await;
//! peer.expect(GREETING).await;
//! peer.send(b"GET / HTTP/1.1\r\n").await;
//! peer.expect_closed().await;
//! # }
//! ```

pub mod breach;
pub mod neighbour;

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use zmtp_socket::{Endpoint, Event, Monitor, PeerId, Reason, Reconnect, SubOptions, SubSocket};

/// The greeting of a 3.1 peer that speaks NULL; also what our own sockets say.
pub const GREETING: &[u8; 64] = b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\x01NULL\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// The greeting of a 3.0 peer that speaks NULL.
pub const GREETING_3_0: &[u8; 64] = b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\0NULL\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// READY of a PUB.
pub const READY_PUB: &[u8] = b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03PUB";

/// READY of a SUB.
pub const READY_SUB: &[u8] = b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03SUB";

/// The longest that anything here is waited for.
const DEADLINE: Duration = Duration::from_secs(20);

/// Waits for `future`.
///
/// # Panics
/// When it is not done within 20 seconds.
pub async fn in_time<F: Future>(what: &str, future: F) -> F::Output {
    let done = tokio::time::timeout(DEADLINE, future).await;
    done.unwrap_or_else(|_| panic!("in {DEADLINE:?} it did not come to this: {what}"))
}

/// Waits for a state that no event tells of, looking every 2 ms.
///
/// # Panics
/// When it has not come after 20 seconds.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    in_time(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// The other side of one tcp connection.
#[derive(Debug)]
pub struct RawPeer {
    stream: TcpStream,
}

/// A tcp port where a [`RawPeer`] waits to be dialled.
#[derive(Debug)]
pub struct RawListener {
    listener: TcpListener,
}

/// Where one of our sockets bound: the text for `bind`.
pub const ANY_PORT: &str = "tcp://127.0.0.1:*";

impl RawPeer {
    /// Connects to one of our sockets and has said nothing yet.
    pub async fn dial(endpoint: &Endpoint) -> Self {
        let stream = in_time("connected", TcpStream::connect(address(endpoint))).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    /// As [`dial`](Self::dial), with so small a receive buffer that what it does not read soon
    /// waits at the sender.
    pub async fn dial_narrow(endpoint: &Endpoint) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(8 << 10).unwrap();
        let stream = socket.connect(address(endpoint).parse().unwrap());
        Self { stream: in_time("connected", stream).await.unwrap() }
    }

    /// Connects as a SUB and is subscribed to `topic`, of at most 200 octets.
    pub async fn subscriber(endpoint: &Endpoint, topic: &str) -> Self {
        let mut peer = Self::dial(endpoint).await;
        peer.open(READY_SUB, READY_PUB).await;
        peer.subscribe(topic).await;
        peer
    }

    /// Exchanges greetings and READY: says `ready` and hears `theirs`.
    pub async fn open(&mut self, ready: &[u8], theirs: &[u8]) {
        self.send(GREETING).await;
        self.expect(GREETING).await;
        self.send(ready).await;
        self.expect(theirs).await;
    }

    /// Sends SUBSCRIBE for a topic of at most 200 octets.
    pub async fn subscribe(&mut self, topic: &str) {
        let size = u8::try_from(10 + topic.len()).unwrap();
        self.send([&[0x04, size], &b"\x09SUBSCRIBE"[..], topic.as_bytes()].concat()).await;
    }

    /// What our sockets call this peer when it has dialled them.
    pub fn address(&self) -> String {
        self.stream.local_addr().unwrap().to_string()
    }

    /// Says `octets`.
    pub async fn send(&mut self, octets: impl AsRef<[u8]>) {
        self.try_send(octets).await.unwrap();
    }

    /// Says `octets`, unless the other side has had enough of us.
    pub async fn try_send(&mut self, octets: impl AsRef<[u8]>) -> io::Result<()> {
        in_time("our octets are taken", self.stream.write_all(octets.as_ref())).await
    }

    /// Says `octets` one at a time, each in a segment of its own.
    pub async fn drip(&mut self, octets: impl AsRef<[u8]>) {
        for &octet in octets.as_ref() {
            self.send([octet]).await;
            // The others' turn: they see this octet alone.
            tokio::task::yield_now().await;
        }
    }

    /// Hears exactly `octets` next.
    pub async fn expect(&mut self, octets: impl AsRef<[u8]>) {
        let octets = octets.as_ref();
        let mut heard = Vec::new();
        let what = format!("hearing \"{}\"", octets.escape_ascii());
        let result = in_time(&what, async {
            while heard.len() < octets.len() && octets.starts_with(&heard) {
                let missing = (octets.len() - heard.len()) as u64;
                if (&mut self.stream).take(missing).read_buf(&mut heard).await? == 0 {
                    break;
                }
            }
            io::Result::Ok(())
        });
        let result = result.await;
        assert!(
            heard == octets,
            "expected \"{}\", heard \"{}\" {result:?}",
            octets.escape_ascii(),
            heard.escape_ascii()
        );
    }

    /// Hears so many octets next, whatever they are.
    pub async fn take(&mut self, count: usize) -> Vec<u8> {
        let mut octets = vec![0; count];
        in_time("more octets", self.stream.read_exact(&mut octets)).await.unwrap();
        octets
    }

    /// Hears one whole frame next: its flags and its body.
    pub async fn frame(&mut self) -> (u8, Vec<u8>) {
        let flags = self.take(1).await[0];
        let size = match flags & 2 {
            0 => usize::from(self.take(1).await[0]),
            _ => usize::from_str_radix(&hex(&self.take(8).await), 16).unwrap(),
        };
        (flags, self.take(size).await)
    }

    /// Hears nothing more, and that the other side has closed the connection.
    pub async fn expect_closed(&mut self) {
        let rest = self.heard_to_end().await;
        assert!(rest.is_empty(), "expected the end, heard \"{}\"", rest.escape_ascii());
    }

    /// Has heard nothing more so far. Means something only when enough has happened since for it to
    /// have come.
    pub fn expect_nothing_yet(&self) {
        let mut octets = [0; 64];
        let heard = self.stream.try_read(&mut octets);
        assert!(
            heard.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock),
            "expected nothing, heard {heard:?}: \"{}\"",
            octets.escape_ascii()
        );
    }

    /// All that is heard until the other side closes the connection.
    pub async fn heard_to_end(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is an end too.
        let _reset = in_time("the connection's end", self.stream.read_to_end(&mut rest)).await;
        rest
    }

    /// Says that nothing more will be said (FIN), and hears the rest.
    pub async fn finish(&mut self) -> Vec<u8> {
        // Who has been reset already has nothing to shut down.
        let _reset = self.stream.shutdown().await;
        self.heard_to_end().await
    }

    /// Ends the connection with RST.
    pub fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }
}

impl RawListener {
    /// Listens on a port of its own.
    pub async fn bind() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    /// What our sockets call a peer that they have dialled here.
    pub fn address(&self) -> String {
        self.listener.local_addr().unwrap().to_string()
    }

    /// What our sockets are to connect to.
    pub fn endpoint(&self) -> String {
        format!("tcp://{}", self.address())
    }

    /// The next connection, as a PUB that has finished the handshake.
    pub async fn publisher(&self) -> RawPeer {
        let mut peer = self.accept().await;
        peer.open(READY_PUB, READY_SUB).await;
        peer
    }

    /// A SUB to "A" that has dialled here and comes back within milliseconds.
    pub fn quick_subscriber(&self, options: SubOptions) -> SubSocket {
        let (initial, max) = (Duration::from_millis(1), Duration::from_millis(2));
        let subscriber = SubSocket::with_options(options.reconnect(Reconnect::new(initial, max)));
        subscriber.subscribe("A");
        subscriber.connect(self.endpoint()).unwrap();
        subscriber
    }

    /// The next connection.
    pub async fn accept(&self) -> RawPeer {
        let (stream, _) = in_time("being dialled", self.listener.accept()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        RawPeer { stream }
    }
}

/// How one connection ended, as the monitor tells it.
#[derive(Debug)]
pub struct End {
    /// Which connection.
    pub id: PeerId,
    /// The handshake had been done.
    pub established: bool,
    /// Why.
    pub reason: Reason,
}

impl End {
    /// Checks when and why it ended.
    ///
    /// # Panics
    /// When it was another time, or `rule` is not in the reason.
    pub fn expect(&self, established: bool, rule: &str) {
        let reason = self.reason.to_string();
        assert!(
            self.established == established && reason.contains(rule),
            "expected \"{rule}\" and a handshake done: {established}; got {self:?}"
        );
    }
}

/// Waits until the connection with the peer at `address` has ended. Events before it are passed
/// over.
pub async fn end_of(monitor: &mut Monitor, address: &str) -> End {
    in_time("an event that tells of the end", async {
        loop {
            let (peer, end) = match monitor.next().await.unwrap() {
                Event::HandshakeFailed { peer, reason, .. } => {
                    (peer.clone(), End { id: peer.id(), established: false, reason })
                }
                Event::Disconnected { peer, reason, .. } => {
                    (peer.clone(), End { id: peer.id(), established: true, reason })
                }
                _ => continue,
            };
            if peer.address() == address {
                return end;
            }
        }
    })
    .await
}

/// The host and the port, without the transport before them and the path behind.
fn address(endpoint: &Endpoint) -> String {
    endpoint.to_string().split('/').nth(2).expect("an address").to_owned()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02X}")).collect()
}
