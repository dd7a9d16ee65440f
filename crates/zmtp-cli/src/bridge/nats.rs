//! The connection to NATS. It is made again whenever it breaks, and known losses are counted.

use std::collections::HashSet;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream::context::{ContextBuilder, CreateStreamErrorKind, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, stream};
use async_nats::{Client, ConnectOptions, Event, HeaderMap, ServerAddr, Subscriber};
use bytes::Bytes;
use futures_core::Stream as _;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::envelope::{Envelope, PARTS};
use super::subject::Prefix;
use crate::ending::Failure;
use crate::keys::login;
use crate::notes::Notes;

/// How long to wait for an answer of JetStream before publishing again.
const PATIENCE: Duration = Duration::from_secs(5);

/// The pause after an answer that came at once but was no acknowledgement.
const PAUSE: Duration = Duration::from_millis(500);

/// How many different problems are reported until the next connection.
const PROBLEMS: usize = 16;

/// A message that NATS does not accept: it is too large for the server.
#[derive(Debug)]
pub(super) struct Refused(pub(super) String);

/// The history of the connection, for counters and notes.
#[derive(Debug, Default)]
pub(super) struct History {
    connections: AtomicU64,
    /// Messages that were dropped because they came faster than they were taken, and the queue was
    /// full.
    dropped: AtomicU64,
    reported: Mutex<HashSet<String>>,
}

/// A connection to NATS.
pub(super) struct Nats {
    client: Client,
    history: Arc<History>,
    notes: Notes,
}

impl Nats {
    /// Connects when the server can be reached, and again after each loss. In each direction,
    /// `capacity` messages may wait. Our own messages do not come back to us.
    pub(super) async fn connect(
        server: &ServerAddr,
        file: Option<&Path>,
        capacity: usize,
        notes: &Notes,
    ) -> Result<Self, Failure> {
        let history = Arc::new(History::default());
        let observed = (history.clone(), notes.clone(), server.as_url_str().to_owned());
        let mut options = ConnectOptions::new()
            .name("zmtp bridge")
            .no_echo()
            .retry_on_initial_connect()
            .max_reconnects(None)
            .client_capacity(capacity)
            .subscription_capacity(capacity)
            .event_callback(move |event| {
                let (history, notes, server) = &observed;
                history.record(&event, notes, server);
                std::future::ready(())
            });
        if let Some(file) = file {
            let (name, password) = login(file)?;
            options = options.user_and_password(name, password);
        }
        let client = options.connect(server.clone()).await;
        let client = client.map_err(|error| format!("{}: {error}", server.as_url_str()))?;
        Ok(Self { client, history, notes: notes.clone() })
    }

    pub(super) fn connections(&self) -> u64 {
        self.history.connections.load(Ordering::Relaxed)
    }

    pub(super) fn dropped(&self) -> u64 {
        self.history.dropped.load(Ordering::Relaxed)
    }

    /// Subscribes to all topics.
    pub(super) async fn subscribe(&self, prefix: &Prefix) -> Result<Subscriber, Failure> {
        Ok(self.client.subscribe(prefix.all()).await?)
    }

    /// Publishes without an acknowledgement. Waits while there is no room for more messages.
    pub(super) async fn publish(
        &self,
        subject: String,
        envelope: Envelope,
    ) -> Result<Result<(), Refused>, Failure> {
        let headers = headers(envelope.parts.as_deref());
        let published = match headers {
            Some(headers) => {
                self.client.publish_with_headers(subject, headers, envelope.payload).await
            }
            None => self.client.publish(subject, envelope.payload).await,
        };
        match published {
            Ok(()) => Ok(Ok(())),
            Err(error) if error.kind() == async_nats::PublishErrorKind::MaxPayloadExceeded => {
                Ok(Err(Refused(error.to_string())))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// How many of the `published` messages wait for the server.
    pub(super) fn waiting(&self, published: u64) -> u64 {
        let out = self.client.statistics().out_messages.load(Ordering::Relaxed);
        published.saturating_sub(out)
    }

    /// Sends the waiting messages to the server.
    pub(super) async fn flush(&self) {
        // An error cannot be reported to anybody any more.
        let _ = self.client.flush().await;
    }

    /// The stream of this name; made for the topics of this prefix if there is none. Waits until
    /// the server can be reached.
    pub(super) async fn stream(&self, name: &str, prefix: &Prefix) -> Result<Persistent, Failure> {
        let context = ContextBuilder::new()
            .timeout(PATIENCE)
            .max_ack_inflight(usize::from(u16::MAX))
            .build(self.client.clone());
        let config = stream::Config {
            name: name.to_owned(),
            subjects: vec![prefix.all()],
            ..Default::default()
        };
        loop {
            match context.get_or_create_stream(&config).await {
                Ok(_) => break,
                Err(error) if error.kind() == CreateStreamErrorKind::TimedOut => {}
                Err(error) => return Err(format!("--jetstream {name}: {error}").into()),
            }
        }
        let problems = ProblemReporter { history: self.history.clone(), notes: self.notes.clone() };
        // The numbers of another run must not look like duplicates of ours.
        let run = format!("{:016x}", fastrand::u64(..));
        Ok(Persistent { context, problems, run, number: 0, in_flight: JoinSet::new() })
    }
}

/// A stream of JetStream into which we publish.
pub(super) struct Persistent {
    context: jetstream::Context,
    problems: ProblemReporter,
    run: String,
    number: u64,
    in_flight: JoinSet<()>,
}

impl Persistent {
    /// Publishes a message until it is acknowledged. First it waits until fewer than `limit` others
    /// are unacknowledged. Returns how many have been acknowledged meanwhile. An identifier keeps
    /// the stream from storing a message twice.
    pub(super) async fn publish(
        &mut self,
        subject: String,
        envelope: Envelope,
        limit: usize,
    ) -> Result<u64, Refused> {
        let mut acknowledged = 0;
        while self.in_flight.len() >= limit {
            acknowledged += self.next_acknowledged().await;
        }
        while self.in_flight.try_join_next().is_some() {
            acknowledged += 1;
        }
        let id = format!("{}-{}", self.run, self.number);
        self.number += 1;
        let mut message = PublishMessage::build().payload(envelope.payload);
        if let Some(headers) = headers(envelope.parts.as_deref()) {
            message = message.headers(headers);
        }
        let message = message.message_id(id);
        // The first attempts are sent in the order of the messages.
        let first = self.context.send_publish(subject.clone(), message.clone()).await;
        if let Err(error) = &first
            && error.kind() == PublishErrorKind::MaxPayloadExceeded
        {
            return Err(Refused(error.to_string()));
        }
        let (context, problems) = (self.context.clone(), self.problems.clone());
        self.in_flight.spawn(async move {
            let mut attempt = first;
            loop {
                let error = match attempt {
                    Ok(answer) => match answer.await {
                        Ok(_) => return,
                        Err(error) => error,
                    },
                    Err(error) => error,
                };
                problems.report(&format!("JetStream: {error}"));
                if error.kind() != PublishErrorKind::TimedOut {
                    sleep(PAUSE).await;
                }
                attempt = context.send_publish(subject.clone(), message.clone()).await;
            }
        });
        Ok(acknowledged)
    }

    /// Waits for an acknowledgement, for ever if none is due. Returns 1. Cancel safe.
    pub(super) async fn next_acknowledged(&mut self) -> u64 {
        match self.in_flight.join_next().await {
            Some(_) => 1,
            None => std::future::pending().await,
        }
    }

    /// Waits for all acknowledgements for at most `time`. Returns how many came.
    pub(super) async fn finish(&mut self, time: Duration) -> u64 {
        let before = self.in_flight.len();
        let _ = timeout(time, async { while self.in_flight.join_next().await.is_some() {} }).await;
        (before - self.in_flight.len()) as u64
    }
}

/// The next message of a subscription. Cancel safe.
pub(super) async fn next(subscriber: &mut Subscriber) -> Option<async_nats::Message> {
    std::future::poll_fn(|cx| Pin::new(&mut *subscriber).poll_next(cx)).await
}

/// The envelope of a received message.
pub(super) fn envelope(topic: Bytes, message: async_nats::Message) -> Envelope {
    let parts = message.headers.as_ref().and_then(|headers| headers.get(PARTS));
    Envelope { topic, payload: message.payload, parts: parts.map(|it| it.as_str().to_owned()) }
}

fn headers(parts: Option<&str>) -> Option<HeaderMap> {
    let parts = parts?;
    let mut headers = HeaderMap::new();
    headers.insert(PARTS, parts);
    Some(headers)
}

/// Reports each problem once per connection.
#[derive(Clone)]
struct ProblemReporter {
    history: Arc<History>,
    notes: Notes,
}

impl ProblemReporter {
    fn report(&self, text: &str) {
        if self.history.is_news(text) {
            self.notes.warn(format_args!("{text}; trying again"));
        }
    }
}

impl History {
    fn record(&self, event: &Event, notes: &Notes, server: &str) {
        match event {
            Event::Connected => {
                self.reported.lock().unwrap_or_else(PoisonError::into_inner).clear();
                self.connections.fetch_add(1, Ordering::Relaxed);
                notes.info(format_args!("connected: {server}"));
            }
            Event::Disconnected => {
                notes.warn(format_args!("{server}: the connection broke; trying again"));
            }
            Event::SlowConsumer(_) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                if self.is_news("slow") {
                    notes.warn(format_args!(
                        "{server} sends faster than its messages go on, and some are lost \
                         (--hwm sets how many may wait)"
                    ));
                }
            }
            Event::ServerError(_) | Event::ClientError(_) if self.is_news(&event.to_string()) => {
                notes.warn(format_args!("{server}: {event}; trying again"));
            }
            _ => {}
        }
    }

    fn is_news(&self, problem: &str) -> bool {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        reported.len() < PROBLEMS && reported.insert(problem.to_owned())
    }
}
