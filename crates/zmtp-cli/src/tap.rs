//! `zmtp tap`: a relay that prints the traffic of both sides.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;
use zmtp_codec::{Observation, Observer, Side};
use zmtp_socket::wire::{Listener, Stream};
use zmtp_socket::{Endpoint, SubOptions};

use crate::capture;
use crate::ending::{Ending, Failure, Usage};
use crate::notes::{Notes, has_colours};
use crate::output::Writer;
use crate::signals::Signals;
use crate::text::counted;
use crate::traffic::{Heading, TrafficStyle};

/// How many pieces of output may wait; the relay then waits for the reader.
const WAITING: usize = 64;

/// How long a relay rests when a connection cannot be accepted, for lack of descriptors as a rule.
const PAUSE: Duration = Duration::from_millis(100);

/// `zmtp tap`
#[derive(Debug, Args)]
pub(crate) struct Tap {
    /// Where to listen: tcp://*:PORT or ipc:///PATH
    #[arg(required_unless_present = "read", requires = "target")]
    listen: Option<Endpoint>,

    /// Where connections are relayed to: tcp://HOST:PORT or ipc:///PATH
    target: Option<Endpoint>,

    /// Relay nothing: print what was sent on the connections in this capture, pcap or pcapng
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["listen", "target"])]
    read: Option<PathBuf>,

    #[command(flatten)]
    traffic: TrafficArgs,
}

/// How the traffic is shown.
#[derive(Debug, Args)]
pub(crate) struct TrafficArgs {
    /// Print lines of JSON, each with the whole part or command
    #[arg(short, long)]
    pub(crate) json: bool,

    /// Show at most N octets of a part or topic
    #[arg(long, value_name = "N", default_value = "80", conflicts_with = "json")]
    pub(crate) octets: usize,

    /// Begin each line with the time of day instead of the seconds since the start
    #[arg(long, conflicts_with = "json")]
    pub(crate) timestamp: bool,
}

impl TrafficArgs {
    /// The style of the lines on standard output.
    pub(crate) fn style(&self) -> TrafficStyle {
        let colours = has_colours(&io::stdout());
        let Self { json, octets, timestamp } = *self;
        TrafficStyle { json, octets, timestamp, colours }
    }
}

impl Tap {
    pub(crate) async fn run(&self, notes: &Notes) -> Result<Ending, Failure> {
        match (&self.read, &self.listen, &self.target) {
            (Some(file), ..) => capture::read(file, self.traffic.style(), notes).await,
            (None, Some(listen), Some(target)) => self.relay(listen, target, notes).await,
            _ => Err(Usage("tap needs LISTEN and TARGET, or --read FILE".to_owned()).into()),
        }
    }

    async fn relay(
        &self,
        listen: &Endpoint,
        target: &Endpoint,
        notes: &Notes,
    ) -> Result<Ending, Failure> {
        let mut signals = Signals::new()?;
        for endpoint in [listen, target] {
            if matches!(endpoint, Endpoint::Ws { .. }) {
                return Err(Usage(format!("{endpoint}: tap relays tcp and ipc only")).into());
            }
        }
        let (mut listener, name) = Listener::bind(listen, &SubOptions::new())
            .await
            .map_err(|error| format!("cannot listen at {listen}: {error}"))?;
        notes.info(format_args!("listening at {name}"));
        notes.info(format_args!("relaying to {target}"));
        let mut writer = Writer::new();
        let (lines, mut printed) = mpsc::channel::<Vec<u8>>(WAITING);
        let mut relays = JoinSet::new();
        let began = Instant::now();
        let mut number = 0;
        loop {
            tokio::select! {
                biased;
                _ = signals.next() => break,
                Some(piece) = printed.recv() => {
                    writer.buffer().extend_from_slice(&piece);
                    while let Ok(piece) = printed.try_recv() {
                        writer.buffer().extend_from_slice(&piece);
                    }
                    writer.flush().await?;
                }
                accepted = listener.accept() => match accepted {
                    Ok((stream, from)) => {
                        number += 1;
                        let relay = Relay {
                            began,
                            number,
                            style: self.traffic.style(),
                            observer: Mutex::default(),
                            lines: lines.clone(),
                        };
                        relays.spawn(Arc::new(relay).run(stream, from, target.clone()));
                    }
                    Err(error) => {
                        notes.warn(format_args!("cannot accept: {error}"));
                        sleep(PAUSE).await;
                    }
                },
                Some(_) = relays.join_next() => {}
            }
        }
        while let Ok(piece) = printed.try_recv() {
            writer.buffer().extend_from_slice(&piece);
        }
        writer.finish().await?;
        Ok(Ending::Done)
    }
}

/// One relayed connection.
#[derive(Debug)]
struct Relay {
    began: Instant,
    number: u64,
    style: TrafficStyle,
    observer: Mutex<Observer>,
    lines: mpsc::Sender<Vec<u8>>,
}

impl Relay {
    async fn run(self: Arc<Self>, stream: Stream, from: String, target: Endpoint) {
        let (theirs, address) = match Stream::connect(&target, &SubOptions::new()).await {
            Ok(dialled) => dialled,
            Err(error) => {
                return self.note(&format!("{from}: cannot reach {target}: {error}")).await;
            }
        };
        self.note(&format!("{from} → {address}")).await;
        let (from_client, to_client) = split(stream);
        let (from_server, to_server) = split(theirs);
        tokio::join!(
            self.pass(Side::Connecting, from_client, to_server),
            self.pass(Side::Binding, from_server, to_client),
        );
    }

    /// Relays one direction until it ends.
    async fn pass(&self, side: Side, mut from: ReadHalf<Stream>, mut to: WriteHalf<Stream>) {
        let mut buffer = vec![0; 64 << 10];
        let ended = loop {
            let count = match from.read(&mut buffer).await {
                Ok(0) => break "closes".to_owned(),
                Ok(count) => count,
                Err(error) => break format!("is cut off: {error}"),
            };
            let octets = &buffer[..count];
            let lines = self.observe(side, octets);
            if !lines.is_empty() && self.lines.send(lines).await.is_err() {
                return;
            }
            if to.write_all(octets).await.is_err() {
                break "is no longer read by the other side".to_owned();
            }
        };
        // The other side may have gone.
        let _ = to.shutdown().await;
        let waiting = self.observer().waiting(side);
        let ended = match waiting {
            0 => ended,
            waiting => {
                format!("{ended}, with {} of an unfinished frame", counted(waiting as u64, "octet"))
            }
        };
        let heading = self.heading();
        let mut line = Vec::new();
        self.style.push_end(heading, side, &ended, &mut line);
        let _ = self.lines.send(line).await;
    }

    fn observe(&self, side: Side, octets: &[u8]) -> Vec<u8> {
        let mut observer = self.observer();
        observer.feed(side, octets);
        let mut lines = Vec::new();
        while let Some(Observation { side, position, said, .. }) = observer.poll() {
            self.style.push(self.heading(), side, position, &said, &mut lines);
        }
        lines
    }

    async fn note(&self, text: &str) {
        let mut line = Vec::new();
        self.style.push_note(self.heading(), text, &mut line);
        // At the end of the program, nobody reads this any more.
        let _ = self.lines.send(line).await;
    }

    fn heading(&self) -> Heading {
        let (since, time) = (self.began.elapsed(), SystemTime::now());
        Heading { since, time, connection: self.number }
    }

    fn observer(&self) -> std::sync::MutexGuard<'_, Observer> {
        self.observer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
