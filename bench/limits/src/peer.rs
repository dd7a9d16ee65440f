//! A peer made of octets, which keeps no rule that it is not made to keep.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::victim::{Role, TICK};

/// The greeting of a 3.1 peer that speaks NULL.
pub(crate) const GREETING: &[u8; 64] = b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\x01NULL\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

pub(crate) const READY_PUB: &[u8] = b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03PUB";
pub(crate) const READY_SUB: &[u8] = b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03SUB";

/// The longest that one octet is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long it is waited for what may not come, before somebody is asked whether to go on.
const SHORT: Duration = Duration::from_millis(50);

/// The other side of one tcp connection. Dropping it ends the connection with RST, which leaves no port
/// behind to wait for late octets.
#[derive(Debug)]
pub(crate) struct Peer {
    stream: TcpStream,
}

/// How much of what comes a peer lets wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// As much as the system has for it.
    Wide,
    /// A few KiB, in segments as they come over Ethernet: what is not read soon waits at the victim. (With
    /// the segments of loopback, the victim's system takes 2.5 MiB for each connection at once.)
    Narrow,
}

impl Peer {
    /// Connects, and has said nothing yet.
    pub(crate) fn connect(endpoint: &str, width: Width) -> io::Result<Self> {
        let address = address(endpoint)?;
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&own_address().into())?;
        socket.set_linger(Some(Duration::ZERO))?;
        if width == Width::Narrow {
            socket.set_recv_buffer_size(4 << 10)?;
            socket.set_tcp_mss(1460)?;
        }
        socket.connect_timeout(&address.into(), PATIENCE)?;
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream })
    }

    /// Connects and shakes hands as what `ready` says.
    pub(crate) fn open(endpoint: &str, width: Width, ready: &[u8]) -> io::Result<Self> {
        let mut peer = Self::connect(endpoint, width)?;
        peer.say(GREETING)?;
        let mut greeting = [0; 64];
        peer.read(&mut greeting)?;
        peer.say(ready)?;
        peer.read_frame()?;
        Ok(peer)
    }

    /// Connects as a subscriber of `topic`.
    pub(crate) fn subscriber(endpoint: &str, width: Width, topic: &str) -> io::Result<Self> {
        let mut peer = Self::open(endpoint, width, READY_SUB)?;
        peer.say(&subscribe(topic.as_bytes()))?;
        Ok(peer)
    }

    /// Connects and does what is done with such a victim; says how long that took.
    pub(crate) fn newcomer(endpoint: &str, victim: Role) -> io::Result<Duration> {
        let start = Instant::now();
        match victim {
            Role::Pub => Self::subscriber(endpoint, Width::Wide, TICK)?.wait_for_tick()?,
            // A subscriber says what it subscribes to.
            Role::Sub => drop(Self::open(endpoint, Width::Wide, READY_PUB)?.read_frame()?),
        }
        Ok(start.elapsed())
    }

    pub(crate) fn say(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.write_all(octets)
    }

    /// Says `octets` over and over until `stop`, or until `most` have been said or the other side has
    /// closed the connection. Says how many it has taken.
    pub(crate) fn say_on(
        &mut self,
        octets: &[u8],
        most: u64,
        stop: &AtomicBool,
    ) -> io::Result<u64> {
        let mut said = 0;
        while said < most && !stop.load(Ordering::Relaxed) {
            let rest = &octets[(said % octets.len() as u64) as usize..];
            match self.say_some(rest, SHORT) {
                Ok(count) => said += count as u64,
                Err(error) if is_end(&error) => break,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(said)
    }

    /// Says as much as the other side takes at once, or within `patience`.
    pub(crate) fn say_some(&mut self, octets: &[u8], patience: Duration) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(patience))?;
        self.stream.write(octets)
    }

    /// Waits for octets, but not for long. Says how many came.
    pub(crate) fn read_some(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(SHORT))?;
        match self.stream.read(octets) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            result => result,
        }
    }

    /// Waits for so many octets, whatever they are, unless `stop` comes first. Returns whether they came.
    pub(crate) fn read_unless(&mut self, mut octets: usize, stop: &AtomicBool) -> io::Result<bool> {
        let mut room = vec![0; 64 << 10];
        while octets > 0 && !stop.load(Ordering::Relaxed) {
            octets = octets.saturating_sub(self.read_some(&mut room)?);
        }
        Ok(octets == 0)
    }

    /// Waits for so many octets.
    pub(crate) fn read(&mut self, octets: &mut [u8]) -> io::Result<()> {
        self.stream.read_exact(octets)
    }

    /// Waits for a tick, whatever comes before it.
    pub(crate) fn wait_for_tick(&mut self) -> io::Result<()> {
        while self.read_frame()? != TICK.as_bytes() {}
        Ok(())
    }

    /// Reads and forgets until the connection ends.
    pub(crate) fn read_all(mut self) -> io::Result<()> {
        self.stream.set_read_timeout(None)?;
        io::copy(&mut self.stream, &mut io::sink()).map(drop)
    }

    /// Another handle of the connection. It ends with whichever is dropped first.
    pub(crate) fn twin(&self) -> io::Result<Self> {
        Ok(Self { stream: self.stream.try_clone()? })
    }

    /// The body of the next frame.
    fn read_frame(&mut self) -> io::Result<Vec<u8>> {
        let mut flags = [0];
        self.read(&mut flags)?;
        let mut size = [0; 8];
        let is_long = flags[0] & 2 != 0;
        self.read(if is_long { &mut size } else { &mut size[7..] })?;
        let mut body = vec![0; u64::from_be_bytes(size) as usize];
        self.read(&mut body)?;
        Ok(body)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Whoever reads from a twin is told.
        let _gone_already = self.stream.shutdown(Shutdown::Both);
    }
}

/// Whether the other side has closed the connection.
pub(crate) fn is_end(error: &io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

/// The address of a tcp endpoint.
pub(crate) fn address(endpoint: &str) -> io::Result<SocketAddr> {
    let address = endpoint.strip_prefix("tcp://").and_then(|text| text.parse().ok());
    Ok(address.ok_or(ErrorKind::InvalidInput)?)
}

/// The next address to connect from. Each peer has an address of its own, so that no ports run short.
pub(crate) fn own_address() -> SocketAddr {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let [.., high, low] = COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    (Ipv4Addr::new(127, 1, high, low), 0).into()
}

/// SUBSCRIBE, for a topic of at most 245 octets.
pub(crate) fn subscribe(topic: &[u8]) -> Vec<u8> {
    command(b"\x09SUBSCRIBE", topic)
}

/// CANCEL, for a topic of at most 245 octets.
pub(crate) fn cancel(topic: &[u8]) -> Vec<u8> {
    command(b"\x06CANCEL", topic)
}

fn command(name: &[u8], topic: &[u8]) -> Vec<u8> {
    let size = u8::try_from(name.len() + topic.len()).expect("a short frame");
    [&[0x04, size], name, topic].concat()
}
