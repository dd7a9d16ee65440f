//! Receiving: messages are printed, passed to a command, or answered.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use zmtp_socket::Socket;

use super::Session;
use super::kinds::Hears;
use super::send::timed_out;
use crate::ending::{Ending, Failure};
use crate::exec::{Commands, ReturnRoute};
use crate::input::Source;
use crate::output::{Incoming, OutputArgs, Writer};

/// How many messages are received together at most.
const TOGETHER: u64 = 1024;

/// The reaction to a received message.
#[derive(Debug)]
pub(super) enum Reaction {
    Print,
    /// A command gets the message, and answers if there is a route back.
    Run(Commands),
    /// The message is printed and sent back.
    Echo,
    /// The message is printed, and answered with the next message of a source.
    Answer(Source),
}

impl Reaction {
    pub(super) fn new(commands: Option<Commands>) -> Self {
        commands.map_or(Self::Print, Self::Run)
    }
}

/// Receives until `--count` messages have come.
pub(super) async fn receive_all<T: Hears>(
    socket: &mut Socket<T>,
    session: &Session<'_>,
    output: &OutputArgs,
    reaction: &mut Reaction,
    writer: &mut Writer,
) -> Result<Ending, Failure> {
    let mut printer = output.printer(session.base.json)?;
    if let Reaction::Run(_) = reaction {
        printer = printer.for_command();
    }
    // Requests are taken one by one: the others remain for the next receiver.
    let most = if matches!(reaction, Reaction::Print) { TOGETHER } else { 1 };
    let handle = socket.handle();
    let mut left = session.base.count.unwrap_or(u64::MAX);
    let mut batch = Vec::new();
    let mut ending = Ending::Done;
    while left > 0 {
        let limit = usize::try_from(left.min(most)).unwrap_or(usize::MAX);
        if !receive(socket, &mut batch, limit, session, writer).await? {
            ending = timed_out(session, "no message came");
            break;
        }
        left -= batch.len() as u64;
        session.meter.received(batch.len() as u64);
        for received in batch.drain(..) {
            let (mut incoming, route) = T::incoming(received, &handle);
            if let Reaction::Run(commands) = reaction {
                // The answer is routed without the identity, which may be any octets.
                if let (Incoming::Message(message), Some(ReturnRoute::Named(..))) =
                    (&mut incoming, &route)
                {
                    message.pop_front();
                }
                let mut input = Vec::new();
                printer.print(&incoming, &mut input);
                let topic = incoming.parts().first().map_or(&[][..], |part| part);
                commands.start(input, topic, route).await;
                continue;
            }
            printer.print(&incoming, writer.buffer());
            if !answer(reaction, incoming, route, session, writer).await? {
                return Ok(Ending::Done);
            }
        }
        writer.flush_if_full().await?;
    }
    if let Reaction::Run(commands) = reaction
        && commands.finish().await > 0
        && ending == Ending::Done
    {
        ending = Ending::Incomplete;
    }
    Ok(ending)
}

/// Waits for messages. If there are none yet, it first writes the printed output. Returns whether
/// any have come within the time.
async fn receive<T: Hears>(
    socket: &mut Socket<T>,
    batch: &mut Vec<T::Received>,
    limit: usize,
    session: &Session<'_>,
    writer: &mut Writer,
) -> Result<bool, Failure> {
    let mut receiving = pin!(socket.recv_many(batch, limit));
    let at_once = poll_fn(|cx| Poll::Ready(receiving.as_mut().poll(cx))).await;
    if let Poll::Ready(received) = at_once {
        received?;
        return Ok(true);
    }
    writer.flush().await?;
    match session.limit(receiving).await {
        Some(received) => received.map(|_count| true).map_err(Failure::from),
        None => Ok(false),
    }
}

/// Answers, if the reaction does. Returns whether further messages can be answered.
async fn answer(
    reaction: &mut Reaction,
    incoming: Incoming,
    route: Option<ReturnRoute>,
    session: &Session<'_>,
    writer: &mut Writer,
) -> Result<bool, Failure> {
    let message = match (reaction, incoming) {
        (Reaction::Echo, Incoming::Message(message)) => message,
        (Reaction::Answer(source), _) => {
            // A user who types the answer must see the request first.
            writer.flush().await?;
            match source.next(true).await? {
                Some(message) => message,
                None => return Ok(false),
            }
        }
        _ => return Ok(true),
    };
    if let Some(route) = route {
        match session.limit(route.answer(message)).await {
            Some(sent) => sent?,
            None => session.notes.warn("a peer did not take its reply in time"),
        }
        session.meter.sent(1);
    }
    Ok(true)
}
