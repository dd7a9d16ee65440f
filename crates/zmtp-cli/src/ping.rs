//! `zmtp ping`: measures how long a peer takes to answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use serde_json::json;
use tokio::time::sleep;
use zmtp_codec::{Config, CurveKeyPair, Greeting, Mechanism, MechanismName, PeerInfo, SocketType};
use zmtp_socket::Endpoint;

use crate::ending::{Ending, Failure};
use crate::keys::Security;
use crate::notes::Notes;
use crate::probe::{
    HARMLESS, Probe, ProbeError, diagnose, harmless_partner, is_refused_upgrade, mismatching_type,
    wants,
};
use crate::signals::Signals;

/// `zmtp ping`
#[derive(Debug, Args)]
pub(crate) struct Ping {
    /// The peer: tcp://HOST:PORT, ipc:///PATH or ws://HOST:PORT/PATH
    endpoint: Endpoint,

    /// How many PINGs to send
    #[arg(short = 'n', long, value_name = "N", default_value = "4")]
    count: u32,

    /// The time between them
    #[arg(short, long, value_name = "TIME", default_value = "200ms")]
    interval: humantime::Duration,

    /// Print lines of JSON
    #[arg(short, long)]
    json: bool,

    #[command(flatten)]
    probing: ProbeArgs,
}

/// How a peer is approached.
#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    /// How long to wait for each answer
    #[arg(short = 'w', long, value_name = "TIME", default_value = "2s")]
    pub(crate) timeout: humantime::Duration,

    /// Our socket type, such as pull [default: one that takes no messages meant for others]
    #[arg(long = "as", value_name = "TYPE", value_parser = socket_type)]
    pub(crate) kind: Option<SocketType>,

    #[command(flatten)]
    pub(crate) security: Security,
}

fn socket_type(text: &str) -> Result<SocketType, String> {
    let name = text.to_ascii_uppercase();
    SocketType::from_name(name.as_bytes())
        .ok_or_else(|| "not a socket type, such as sub or pull".to_owned())
}

/// The result of probing a peer.
pub(crate) enum ProbeOutcome {
    /// The handshake is done.
    Open { probe: Probe, config: Arc<Config>, info: Box<PeerInfo>, took: Duration },
    /// The peer's type would give us messages that are for others, so we left before its handshake
    /// was done.
    Left { theirs: SocketType, probe: Probe },
    /// The peer could not be reached, or its handshake failed.
    Failed { probe: Option<Box<Probe>>, diagnosis: String },
}

impl ProbeArgs {
    /// Does a handshake with the peer, as a type that is compatible with it.
    pub(crate) async fn go(&self, endpoint: &Endpoint) -> Result<ProbeOutcome, Failure> {
        let mechanism = self.security.mechanism()?;
        let mut types = match self.kind {
            Some(kind) => vec![kind],
            None => HARMLESS.to_vec(),
        };
        types.reverse();
        let mut first_failure = None;
        while let Some(kind) = types.pop() {
            let config = Config { mechanism: mechanism.clone(), ..Config::new(kind) };
            config.validate()?;
            let config = Arc::new(config);
            let mut probe = match Probe::dial(endpoint, config.clone(), *self.timeout).await {
                Ok(probe) => probe,
                Err(failed) => {
                    let diagnosis = diagnose(&failed, &Default::default(), &mechanism);
                    return Ok(ProbeOutcome::Failed { probe: None, diagnosis });
                }
            };
            let failed = match probe.handshake(*self.timeout).await {
                Ok((info, took)) => {
                    let info = Box::new(info);
                    return Ok(ProbeOutcome::Open { probe, config, info, took });
                }
                Err(failed) => failed,
            };
            let theirs = mismatching_type(&failed);
            let theirs = theirs.and_then(|name| SocketType::from_name(name.as_bytes()));
            if let Some(theirs) = theirs
                && self.kind.is_none()
            {
                match harmless_partner(theirs) {
                    Some(partner) => types = vec![partner],
                    None => return Ok(ProbeOutcome::Left { theirs, probe }),
                }
                continue;
            }
            let mut diagnosis = diagnose(&failed, &probe.observed, &mechanism);
            if probe.observed.greeting.is_none()
                && (probe.observed.octets > 0 || is_refused_upgrade(&failed))
                && let Some(greeting) = self.find_greeting(endpoint, mechanism.name()).await
            {
                diagnosis = wants(greeting.mechanism);
                probe.observed.greeting = Some(greeting);
            }
            // A peer that closes the connection at our INITIATE, or in silence, may want another
            // type.
            let may_be_type = matches!(failed, ProbeError::Wire(_))
                && probe.observed.greeting.is_some_and(|it| it.mechanism == mechanism.name())
                && (mechanism.name() == MechanismName::NULL
                    || probe.observed.commands.iter().any(|command| command == "WELCOME"));
            first_failure
                .get_or_insert(ProbeOutcome::Failed { probe: Some(Box::new(probe)), diagnosis });
            if !may_be_type {
                break;
            }
        }
        Ok(first_failure.expect("some type was tried"))
    }

    /// The greeting of a peer that closes the connection within it, as libzmq does on a mechanism
    /// that it does not accept, or that refuses our WebSocket upgrade. It is found by announcing the
    /// other mechanisms.
    async fn find_greeting(&self, endpoint: &Endpoint, ours: MechanismName) -> Option<Greeting> {
        let keys = CurveKeyPair::generate().ok()?;
        let others = [
            Mechanism::CurveClient { server_key: keys.public(), keys },
            Mechanism::PlainClient { username: Bytes::new(), password: Bytes::new() },
            Mechanism::Null,
        ];
        for mechanism in others.into_iter().filter(|mechanism| mechanism.name() != ours) {
            let config = Config { mechanism, ..Config::new(SocketType::Sub) };
            let mut probe = Probe::dial(endpoint, config.into(), *self.timeout).await.ok()?;
            // The handshake need not succeed.
            let _ = probe.handshake(*self.timeout).await;
            if probe.observed.greeting.is_some() {
                return probe.observed.greeting;
            }
        }
        None
    }
}

impl Ping {
    pub(crate) async fn run(&self, notes: &Notes) -> Result<Ending, Failure> {
        let mut signals = Signals::new()?;
        tokio::select! {
            biased;
            status = signals.next() => Ok(Ending::Interrupted(status)),
            ended = self.ping(notes) => ended,
        }
    }

    async fn ping(&self, notes: &Notes) -> Result<Ending, Failure> {
        let Self { endpoint, .. } = self;
        let (mut probe, info, took) = match self.probing.go(endpoint).await? {
            ProbeOutcome::Open { probe, info, took, .. } => (probe, info, took),
            ProbeOutcome::Left { theirs, .. } => {
                return Err(format!(
                    "{endpoint}: it is a {theirs}, and would send us messages meant for others; with \
                     --as, name the socket type to connect with nevertheless"
                )
                .into());
            }
            ProbeOutcome::Failed { diagnosis, .. } => {
                return Err(format!("{endpoint}: {diagnosis}").into());
            }
        };
        let peer = info.socket_type.map_or("a peer", SocketType::name);
        let (connected, handshake) = (probe.connected_in, took);
        match self.json {
            true => println!(
                "{}",
                json!({"peer": peer, "address": probe.address,
                    "connect_ms": millis(connected), "handshake_ms": millis(handshake)})
            ),
            false => println!(
                "{peer} at {}: connected in {:.3} ms, handshake in {:.3} ms",
                probe.address,
                millis(connected),
                millis(handshake)
            ),
        }
        let mut times = Vec::new();
        for number in 1..=self.count {
            if number > 1 {
                sleep(*self.interval).await;
            }
            let answered = probe.ping(*self.probing.timeout).await;
            let answered = answered.map_err(|failed| {
                format!("{endpoint}: {}", diagnose(&failed, &probe.observed, &self.mechanism()))
            })?;
            match (answered, self.json) {
                (Some(time), true) => println!("{}", json!({"ping": number, "ms": millis(time)})),
                (Some(time), false) => println!("PONG {number}: {:.3} ms", millis(time)),
                (None, true) => println!("{}", json!({"ping": number, "ms": null})),
                (None, false) => println!("no PONG {number} within {}", self.probing.timeout),
            }
            times.extend(answered);
        }
        if times.is_empty() && self.count > 0 {
            notes.warn("the peer does not answer PING (with ZMTP 3.0 it need not)");
            return Ok(Ending::TimedOut);
        }
        if let (Some(least), Some(most), false) =
            (times.iter().min(), times.iter().max(), self.json)
        {
            let mean = times.iter().sum::<Duration>() / u32::try_from(times.len()).unwrap_or(1);
            println!(
                "min {:.3} ms, mean {:.3} ms, max {:.3} ms",
                millis(*least),
                millis(mean),
                millis(*most)
            );
        }
        Ok(if times.len() < self.count as usize { Ending::Incomplete } else { Ending::Done })
    }

    fn mechanism(&self) -> Mechanism {
        self.probing.security.mechanism().unwrap_or(Mechanism::Null)
    }
}

/// A time in milliseconds.
pub(crate) fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
