//! Peers made of literal octets: they can send what no other implementation would, and check what ours
//! sends.
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

/// The greeting of a 3.1 peer with NULL; also that of our own sockets.
pub const GREETING: &[u8; 64] = b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\x01NULL\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// The greeting of a 3.0 peer with NULL.
pub const GREETING_3_0: &[u8; 64] = b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\0NULL\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// READY of a PUB.
pub const READY_PUB: &[u8] = b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03PUB";

/// READY of a SUB.
pub const READY_SUB: &[u8] = b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03SUB";

/// The longest wait of any step.
const DEADLINE: Duration = Duration::from_secs(20);

/// Waits for `future`.
///
/// # Panics
/// When it is not done within 20 seconds.
pub async fn in_time<F: Future>(what: &str, future: F) -> F::Output {
    let done = tokio::time::timeout(DEADLINE, future).await;
    done.unwrap_or_else(|_| panic!("in {DEADLINE:?} it did not come to this: {what}"))
}

/// Waits for a state that no event announces, checking every 2 ms.
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

/// The endpoint that our sockets bind: any free port of loopback.
pub const ANY_PORT: &str = "tcp://127.0.0.1:*";

impl RawPeer {
    /// Connects to one of our sockets, and sends nothing yet.
    pub async fn dial(endpoint: &Endpoint) -> Self {
        let stream = in_time("connected", TcpStream::connect(address(endpoint))).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    /// Does as [`dial`](Self::dial), with so small a receive buffer that unread octets soon wait at the
    /// sender.
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

    /// Exchanges greetings and READY: sends `ready` and expects `theirs`.
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

    /// The address of this peer in our sockets' events, when it has dialled them.
    pub fn address(&self) -> String {
        self.stream.local_addr().unwrap().to_string()
    }

    /// Sends `octets`.
    pub async fn send(&mut self, octets: impl AsRef<[u8]>) {
        self.try_send(octets).await.unwrap();
    }

    /// Sends `octets`, unless the other side has closed the connection.
    pub async fn try_send(&mut self, octets: impl AsRef<[u8]>) -> io::Result<()> {
        in_time("our octets are taken", self.stream.write_all(octets.as_ref())).await
    }

    /// Sends `octets` one at a time, each in a segment of its own.
    pub async fn drip(&mut self, octets: impl AsRef<[u8]>) {
        for &octet in octets.as_ref() {
            self.send([octet]).await;
            // The other tasks get their turn, and read this octet alone.
            tokio::task::yield_now().await;
        }
    }

    /// Reads exactly `octets` next.
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

    /// Reads so many octets next, whatever they are.
    pub async fn take(&mut self, count: usize) -> Vec<u8> {
        let mut octets = vec![0; count];
        in_time("more octets", self.stream.read_exact(&mut octets)).await.unwrap();
        octets
    }

    /// Reads one whole frame next: its flags and its body.
    pub async fn frame(&mut self) -> (u8, Vec<u8>) {
        let flags = self.take(1).await[0];
        let size = match flags & 2 {
            0 => usize::from(self.take(1).await[0]),
            _ => usize::from_str_radix(&hex(&self.take(8).await), 16).unwrap(),
        };
        (flags, self.take(size).await)
    }

    /// Expects no more octets, and that the other side has closed the connection.
    pub async fn expect_closed(&mut self) {
        let rest = self.heard_to_end().await;
        assert!(rest.is_empty(), "expected the end, heard \"{}\"", rest.escape_ascii());
    }

    /// Expects that nothing more has arrived so far. That is meaningful only after an event that would
    /// have come later.
    pub fn expect_nothing_yet(&self) {
        let mut octets = [0; 64];
        let heard = self.stream.try_read(&mut octets);
        assert!(
            heard.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock),
            "expected nothing, heard {heard:?}: \"{}\"",
            octets.escape_ascii()
        );
    }

    /// All octets until the other side closes the connection.
    pub async fn heard_to_end(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is an end too.
        let _reset = in_time("the connection's end", self.stream.read_to_end(&mut rest)).await;
        rest
    }

    /// Ends the writing (FIN), and reads the rest.
    pub async fn finish(&mut self) -> Vec<u8> {
        // A connection that was reset has nothing to shut down.
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

    /// The address of this listener in our sockets' events, when they have dialled it.
    pub fn address(&self) -> String {
        self.listener.local_addr().unwrap().to_string()
    }

    /// The endpoint for our sockets.
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

/// The end of one connection, as the monitor reports it.
#[derive(Debug)]
pub struct End {
    /// The number of the connection.
    pub id: PeerId,
    /// Whether the handshake had been done.
    pub established: bool,
    /// The reason.
    pub reason: Reason,
}

impl End {
    /// Checks the stage and the reason of the end.
    ///
    /// # Panics
    /// When the stage is the other one, or `rule` is not in the reason.
    pub fn expect(&self, established: bool, rule: &str) {
        let reason = self.reason.to_string();
        assert!(
            self.established == established && reason.contains(rule),
            "expected \"{rule}\" and a handshake done: {established}; got {self:?}"
        );
    }
}

/// Waits until the connection with the peer at `address` has ended. Earlier events are passed over.
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
