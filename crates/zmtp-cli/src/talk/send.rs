//! Sending: one message after the other, at a rate, until there are no more.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};
use zmtp_socket::{Handle, ReqSocket, RequestError, SendError};

use super::Session;
use super::args::{ReqArgs, SendArgs};
use super::kinds::Speaks;
use crate::ending::{Ending, Failure};
use crate::input::Source;
use crate::output::{Incoming, Writer};

/// The settings of sending.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sending<'a> {
    pub(super) args: &'a SendArgs,
    /// The first part of each message.
    pub(super) topic: Option<&'a Bytes>,
    /// The most messages to send.
    pub(super) limit: Option<u64>,
    /// Whether the messages of the command line are repeated.
    pub(super) again: bool,
}

/// Sends all messages of a source.
pub(super) async fn send_all<T: Speaks>(
    handle: &Handle<T>,
    session: &Session<'_>,
    source: &mut Source,
    sending: Sending<'_>,
) -> Result<Ending, Failure> {
    let Sending { args, topic, limit, again } = sending;
    let mut pace = None;
    for number in 0.. {
        if limit.is_some_and(|limit| number >= limit) {
            break;
        }
        let Some(mut message) = source.next(again).await? else { break };
        if let Some(topic) = topic {
            message.prepend(topic.clone());
        }
        if number == 0 && args.wait_for_peer {
            match session.limit(T::wait_for_peer(handle, message.first())).await {
                Some(waited) => waited?,
                None => return Ok(timed_out(session, "no peer came")),
            }
        }
        if let Some(rate) = args.rate {
            pace.get_or_insert_with(|| Pace::new(rate.get())).wait().await;
        }
        match session.limit(T::send(handle, message)).await {
            Some(Ok(())) => session.meter.sent(1),
            Some(Err(SendError::Unroutable)) => session.notes.warn(
                "a message was dropped: its first part is not the identity of a connected peer",
            ),
            Some(Err(error)) => return Err(error.into()),
            None => return Ok(timed_out(session, "no peer took the next message")),
        }
    }
    Ok(Ending::Done)
}

/// Sends each message of a source as a request, and prints the replies.
pub(super) async fn ask_all(
    socket: &mut ReqSocket,
    session: &Session<'_>,
    source: &mut Source,
    args: &ReqArgs,
    writer: &mut Writer,
) -> Result<Ending, Failure> {
    let mut printer = args.output.printer(session.base.json)?;
    let mut pace = args.rate.map(|rate| Pace::new(rate.get()));
    let again = session.base.count.is_some();
    for number in 0.. {
        if session.base.count.is_some_and(|count| number >= count) {
            break;
        }
        let Some(request) = source.next(again).await? else { break };
        if let Some(pace) = &mut pace {
            pace.wait().await;
        }
        session.meter.sent(1);
        match socket.request(&request).await {
            Ok(reply) => {
                session.meter.received(1);
                printer.print(&Incoming::Message(reply), writer.buffer());
                writer.flush().await?;
            }
            Err(RequestError::TimedOut) => return Ok(timed_out(session, "no reply came")),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Ending::Done)
}

/// Reports the time limit that was exceeded.
pub(super) fn timed_out(session: &Session<'_>, what: &str) -> Ending {
    if let Some(limit) = session.base.timeout {
        session.notes.warn(format_args!("{what} within {limit}"));
    }
    Ending::TimedOut
}

/// A rate of messages per second.
#[derive(Debug)]
struct Pace {
    begin: Instant,
    rate: f64,
    count: u64,
}

impl Pace {
    fn new(rate: f64) -> Self {
        Self { begin: Instant::now(), rate, count: 0 }
    }

    /// Waits until the next message is due.
    async fn wait(&mut self) {
        let after = Duration::try_from_secs_f64(self.count as f64 / self.rate);
        self.count += 1;
        if let Ok(after) = after
            && let Some(due) = self.begin.checked_add(after)
            && due > Instant::now()
        {
            sleep_until(due).await;
        }
    }
}
