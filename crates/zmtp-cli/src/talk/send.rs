//! Sending: one message after the other, at a rate, until there are no more.

use std::future::pending;
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

/// How far a pace may be behind and catches up: a timer is not more exact.
const SLACK: Duration = Duration::from_millis(10);

/// A rate of messages per second. Time in which nothing was sent is not made up for.
#[derive(Debug)]
struct Pace {
    /// When the next message is due; `None` if that is never.
    due: Option<Instant>,
    step: Duration,
}

impl Pace {
    fn new(rate: f64) -> Self {
        let step = Duration::try_from_secs_f64(1.0 / rate).unwrap_or(Duration::MAX);
        Self { due: Some(Instant::now()), step }
    }

    /// Waits until the next message is due.
    async fn wait(&mut self) {
        let Some(due) = self.due else { return pending().await };
        let now = Instant::now();
        let due = now.checked_sub(SLACK).map_or(due, |earliest| due.max(earliest));
        self.due = due.checked_add(self.step);
        if due > now {
            sleep_until(due).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pace_is_kept_after_a_pause_too() {
        let mut pace = Pace::new(1000.0);
        for pause in [0, 60] {
            sleep(Duration::from_secs(pause)).await;
            let begin = Instant::now();
            for _ in 0..1000 {
                pace.wait().await;
            }
            let time = begin.elapsed();
            let least = Duration::from_secs(1) - 2 * SLACK;
            assert!(time >= least && time <= Duration::from_secs(1), "{time:?} after {pause} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_message_of_the_slowest_pace_never_comes() {
        let mut pace = Pace::new(1e-300);
        pace.wait().await;
        let second = tokio::time::timeout(Duration::from_secs(1 << 40), pace.wait());
        second.await.expect_err("it never comes");
    }
}
