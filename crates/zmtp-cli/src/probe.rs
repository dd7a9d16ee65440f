//! A single connection that does the handshake with any peer, and notes each step.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{timeout, timeout_at};
use zmtp_codec::{
    Command, Config, Connection, Error, Event, Greeting, Mechanism, MechanismName, Mismatch,
    Observer, PeerInfo, Said, Side, SocketType,
};
use zmtp_socket::wire::Stream;
use zmtp_socket::{Endpoint, SubOptions};

use crate::keys::with_mechanism;

/// A connection that was dialled.
pub(crate) struct Probe {
    stream: Stream,
    connection: Connection,
    observer: Observer,
    began: Instant,
    /// The address of the peer.
    pub(crate) address: String,
    /// How long the transport took to connect.
    pub(crate) connected_in: Duration,
    /// Everything that the peer has sent so far.
    pub(crate) observed: Observed,
}

/// Everything that a peer has sent.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    pub(crate) greeting: Option<Greeting>,
    /// How many octets have come.
    pub(crate) octets: usize,
    /// The names of the commands of its handshake.
    pub(crate) commands: Vec<String>,
    /// The contexts of its PONGs that were not checked yet.
    pongs: Vec<Bytes>,
    /// Whether sealed traffic has come.
    sealed: bool,
}

/// Why a probe cannot go on.
#[derive(Debug)]
pub(crate) enum ProbeError {
    Transport(io::Error),
    Wire(Error),
    /// Nothing more came in time.
    Silence,
}

impl From<io::Error> for ProbeError {
    fn from(error: io::Error) -> Self {
        Self::Transport(error)
    }
}

/// A time so much later than `time`, or in a year if no clock goes so far.
fn later(time: Instant, patience: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    time.checked_add(patience).unwrap_or_else(|| time + YEAR)
}

impl Probe {
    /// Connects.
    pub(crate) async fn dial(
        endpoint: &Endpoint,
        config: Arc<Config>,
        patience: Duration,
    ) -> Result<Self, ProbeError> {
        let began = Instant::now();
        let options = with_mechanism(SubOptions::new(), config.mechanism.clone());
        let dialled = timeout(patience, Stream::connect(endpoint, &options)).await;
        let (stream, address) = dialled.map_err(|_| ProbeError::Silence)??;
        Ok(Self {
            stream,
            connection: Connection::new(config),
            observer: Observer::default(),
            began,
            address,
            connected_in: began.elapsed(),
            observed: Observed::default(),
        })
    }

    /// Does the handshake. Returns the properties of the peer, and the time from the first octet.
    pub(crate) async fn handshake(
        &mut self,
        patience: Duration,
    ) -> Result<(PeerInfo, Duration), ProbeError> {
        let began = Instant::now();
        let deadline = later(began, patience);
        loop {
            if let Event::Ready(info) = self.next(deadline).await? {
                self.stream.establish();
                return Ok((*info, began.elapsed()));
            }
        }
    }

    /// The next subscription or message; `None` if nothing comes for `patience`.
    pub(crate) async fn listen(&mut self, patience: Duration) -> Result<Option<Event>, ProbeError> {
        match self.next(later(Instant::now(), patience)).await {
            Err(ProbeError::Silence) => Ok(None),
            other => other.map(Some),
        }
    }

    /// The WebSocket sub-protocol, over `ws://`.
    pub(crate) fn sub_protocol(&self) -> Option<&'static str> {
        self.stream.sub_protocol()
    }

    /// Whether traffic is sealed, so that a PONG looks like any other frame.
    pub(crate) fn is_sealed(&self) -> bool {
        self.connection.is_sealed()
    }

    /// Sends a PING, and waits for its PONG, or for any frame if traffic is sealed. `None` if none
    /// comes in time.
    pub(crate) async fn ping(
        &mut self,
        patience: Duration,
    ) -> Result<Option<Duration>, ProbeError> {
        let context = Bytes::copy_from_slice(&fastrand::u64(..).to_be_bytes());
        let mut ping = BytesMut::new();
        Command::Ping { ttl: 0, context: context.clone() }.encode(&mut ping);
        self.observed.sealed = false;
        let began = Instant::now();
        self.say(&ping).await?;
        let deadline = later(began, patience);
        loop {
            if self.observed.sealed || self.observed.pongs.contains(&context) {
                self.observed.pongs.clear();
                return Ok(Some(began.elapsed()));
            }
            match self.read(deadline).await {
                Err(ProbeError::Silence) => return Ok(None),
                read => read?,
            }
            // Other events are ignored.
            while self.poll()?.is_some() {}
        }
    }

    /// Writes whole frames after the connection's own output, sealed if traffic is.
    pub(crate) async fn say(&mut self, frames: &[u8]) -> Result<(), ProbeError> {
        self.flush().await?;
        let mut sealed = BytesMut::new();
        if self.connection.seal([frames], &mut sealed).is_err() {
            sealed.extend_from_slice(frames);
        }
        Ok(self.stream.write_all(&sealed).await?)
    }

    async fn next(&mut self, deadline: Instant) -> Result<Event, ProbeError> {
        loop {
            if let Some(event) = self.poll()? {
                return Ok(event);
            }
            self.read(deadline).await?;
        }
    }

    fn poll(&mut self) -> Result<Option<Event>, ProbeError> {
        self.connection.poll_event(self.began.elapsed()).map_err(ProbeError::Wire)
    }

    /// Writes the output, and reads what comes.
    async fn read(&mut self, deadline: Instant) -> Result<(), ProbeError> {
        self.flush().await?;
        let mut octets = [0; 16 << 10];
        let read = timeout_at(deadline.into(), self.stream.read(&mut octets)).await;
        let count = read.map_err(|_| ProbeError::Silence)??;
        if count == 0 {
            let waiting = self.observer.waiting(Side::Binding);
            let ended = self.connection.handle_eof();
            return Err(ProbeError::Wire(ended.err().unwrap_or(Error::CutOff { waiting })));
        }
        let octets = &octets[..count];
        self.observed.octets += count;
        self.observer.feed(Side::Binding, octets);
        while let Some(observation) = self.observer.poll() {
            self.observed.note(observation.said);
        }
        self.connection.receive(self.began.elapsed(), octets);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), ProbeError> {
        let output = self.connection.output().split();
        Ok(self.stream.write_all(&output).await?)
    }
}

impl Observed {
    fn note(&mut self, said: Said) {
        match said {
            Said::Greeting(greeting) => self.greeting = Some(greeting),
            Said::Command(Command::Pong { context }) => self.pongs.push(context),
            Said::Command(command) => self.commands.push(command_name(&command)),
            Said::Sealed { .. } => self.sealed = true,
            _ => {}
        }
    }

    fn has_sent(&self, command: &str) -> bool {
        self.commands.iter().any(|sent| sent == command)
    }
}

/// The name of a command, in capitals.
pub(crate) fn command_name(command: &Command) -> String {
    match command {
        Command::Ready(_) => "READY",
        Command::Error(_) => "ERROR",
        Command::Subscribe(_) => "SUBSCRIBE",
        Command::Cancel(_) => "CANCEL",
        Command::Join(_) => "JOIN",
        Command::Leave(_) => "LEAVE",
        Command::Ping { .. } => "PING",
        Command::Pong { .. } => "PONG",
        Command::Hello { .. } => "HELLO",
        Command::Welcome => "WELCOME",
        Command::Initiate(_) => "INITIATE",
        Command::Opaque { name, .. } => return name.escape_ascii().to_string(),
        _ => "?",
    }
    .to_owned()
}

/// Whether a WebSocket server has refused the upgrade.
pub(crate) fn is_refused_upgrade(failed: &ProbeError) -> bool {
    matches!(failed, ProbeError::Transport(error) if error.kind() == io::ErrorKind::InvalidData)
}

/// The type of the peer, if the handshake failed for that.
pub(crate) fn mismatching_type(failed: &ProbeError) -> Option<&str> {
    match failed {
        ProbeError::Wire(Error::Mismatch(Mismatch::SocketType { theirs, .. })) => Some(theirs),
        _ => None,
    }
}

/// Explains a failure, with a possible remedy.
pub(crate) fn diagnose(failed: &ProbeError, observed: &Observed, mechanism: &Mechanism) -> String {
    match failed {
        ProbeError::Transport(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            format!("{error}: nobody listens there")
        }
        ProbeError::Transport(error) if error.kind() != io::ErrorKind::ConnectionReset => {
            error.to_string()
        }
        ProbeError::Wire(Error::Mismatch(Mismatch::Mechanism { theirs, .. })) => wants(*theirs),
        ProbeError::Wire(Error::Mismatch(Mismatch::TwoServers { .. })) => {
            "it is a CURVE server, as we are: give its public key with --curve-server".to_owned()
        }
        ProbeError::Wire(Error::Refused { reason }) => format!(
            "it refused us, with the reason {reason:?}: {}",
            match mechanism {
                Mechanism::Null => "perhaps it does not admit our address",
                Mechanism::PlainClient { .. } => "perhaps the name or the password is wrong",
                _ => "perhaps it does not know our key",
            }
        ),
        ProbeError::Transport(_) | ProbeError::Wire(Error::CutOff { .. } | Error::Closed) => {
            format!("it closed the connection {}", where_it_ended(observed, mechanism))
        }
        ProbeError::Wire(error) => error.to_string(),
        ProbeError::Silence => {
            format!("it stopped sending {}", where_it_ended(observed, mechanism))
        }
    }
}

/// Tells which mechanism a peer wants.
pub(crate) fn wants(mechanism: MechanismName) -> String {
    match mechanism {
        MechanismName::CURVE => {
            "it requires CURVE: give its public key with --curve-server".to_owned()
        }
        MechanismName::PLAIN => {
            "it requires PLAIN: give a name and a password with --plain-login".to_owned()
        }
        MechanismName::NULL => {
            "it has no security (NULL): leave out the keys or the password".to_owned()
        }
        other => format!("it requires the mechanism {other}, which zmtp does not have"),
    }
}

/// How far the handshake went, with the likely cause.
fn where_it_ended(observed: &Observed, mechanism: &Mechanism) -> &'static str {
    let Some(greeting) = observed.greeting else {
        if observed.octets > 0 {
            return "within its greeting: it requires another mechanism (--curve-server, --plain-login)";
        }
        return "before its greeting: is it a ZeroMQ peer, and does it accept one more?";
    };
    let is_curve = greeting.mechanism == MechanismName::CURVE;
    match mechanism {
        Mechanism::CurveClient { .. } if is_curve && !observed.has_sent("WELCOME") => {
            "at our HELLO: its key is not the one given with --curve-server"
        }
        Mechanism::CurveClient { .. } => {
            "at our INITIATE: it does not admit our key (--curve-secret), or does not accept our \
             socket type (--as)"
        }
        Mechanism::PlainClient { .. } if !observed.has_sent("WELCOME") => {
            "at our HELLO: the name or the password is wrong (--plain-login)"
        }
        _ => {
            "in the handshake: it requires another mechanism, or does not accept our socket type (--as)"
        }
    }
}

/// A type for a connection to the peer that takes nothing from others; `None` if the peer would
/// give us messages, or its only place.
pub(crate) fn harmless_partner(theirs: SocketType) -> Option<SocketType> {
    Some(match theirs {
        SocketType::Pub | SocketType::XPub => SocketType::Sub,
        SocketType::Sub | SocketType::XSub => SocketType::Pub,
        SocketType::Rep | SocketType::Router => SocketType::Req,
        SocketType::Pull => SocketType::Push,
        SocketType::Server => SocketType::Client,
        SocketType::Gather => SocketType::Scatter,
        _ => return None,
    })
}

/// The types to try if a peer does not announce its own.
pub(crate) const HARMLESS: [SocketType; 4] =
    [SocketType::Sub, SocketType::Req, SocketType::Pub, SocketType::Push];
