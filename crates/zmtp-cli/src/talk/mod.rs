//! The eleven socket types: one loop for all.

mod args;
mod commands;
mod kinds;
mod receive;
mod send;

use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{sleep, timeout};
use zmtp_socket::{Options, Socket, Unfinished, kind};

use self::args::{Base, Conversation, SendArgs};
pub(crate) use self::commands::SocketCommand;
use self::kinds::{Hears, Speaks, Talks, Tuning};
use self::receive::{Reaction, receive_all};
use self::send::{Sending, ask_all, send_all};
use crate::ending::{Ending, Failure};
use crate::exec::ExecArgs;
use crate::notes::{Notes, watch};
use crate::output::{OutputArgs, Writer};
use crate::serving::{Sockets, serve};
use crate::signals::Signals;
use crate::summary::Meter;
use crate::text::counted;

/// How long a program still delivers after it was told to end, or after its time limit.
const FINAL_LINGER: Duration = Duration::from_secs(1);

/// How long delivery may take before it is reported.
const PATIENCE: Duration = Duration::from_secs(1);

/// The state of one run.
#[derive(Debug)]
struct Session<'a> {
    base: &'a Base,
    notes: &'a Notes,
    meter: Meter,
}

impl Session<'_> {
    /// Waits for at most the time of `--timeout`; `None` if that was too short.
    async fn limit<T>(&self, waiting: impl Future<Output = T>) -> Option<T> {
        match self.base.timeout {
            Some(limit) => timeout(*limit, waiting).await.ok(),
            None => Some(waiting.await),
        }
    }
}

impl SocketCommand {
    /// Runs the command.
    pub(crate) async fn run(&self, notes: &Notes) -> Result<Ending, Failure> {
        match self {
            Self::Pub(it) => {
                publish::<kind::Pub>(&it.base, &it.send, it.prefix.topic.clone(), notes).await
            }
            Self::Push(it) => publish::<kind::Push>(&it.base, &it.send, None, notes).await,
            Self::Sub(it) => {
                hear::<kind::Sub>(&it.base, &it.output, &it.exec, notes, |socket| {
                    it.topics.each(|topic| socket.subscribe(topic));
                })
                .await
            }
            Self::Pull(it) => {
                hear::<kind::Pull>(&it.base, &it.output, &it.exec, notes, |_| {}).await
            }
            Self::Pair(it) => converse::<kind::Pair>(it.into(), notes, |_| {}).await,
            Self::Dealer(it) => converse::<kind::Dealer>(it.into(), notes, |_| {}).await,
            Self::Router(it) => converse::<kind::Router>(it.into(), notes, |_| {}).await,
            Self::Xpub(it) => converse::<kind::XPub>(it.into(), notes, |_| {}).await,
            Self::Xsub(it) => {
                let subscribe = |socket: &Socket<kind::XSub>| {
                    it.topics.each(|topic| socket.subscribe(topic));
                };
                converse::<kind::XSub>(it.into(), notes, subscribe).await
            }
            Self::Req(it) => {
                let tuning = it.tuning();
                let mut source = it.input.source(it.base.json)?;
                run::<kind::Req>(
                    &it.base,
                    &tuning,
                    notes,
                    |_| {},
                    async |socket, session, writer| {
                        ask_all(socket, session, &mut source, it, writer).await
                    },
                )
                .await
            }
            Self::Rep(it) => {
                let mut reaction = it.reaction(notes)?;
                let tuning = Tuning::of(&it.base);
                run::<kind::Rep>(
                    &it.base,
                    &tuning,
                    notes,
                    |_| {},
                    async |socket, session, writer| {
                        receive_all(socket, session, &it.output, &mut reaction, writer).await
                    },
                )
                .await
            }
        }
    }
}

/// Sends only.
async fn publish<T: Speaks>(
    base: &Base,
    args: &SendArgs,
    topic: Option<Bytes>,
    notes: &Notes,
) -> Result<Ending, Failure> {
    let mut source = args.input.source(base.json)?;
    let again = args.repeat || base.count.is_some();
    run::<T>(
        base,
        &args.tuning(base),
        notes,
        |_| {},
        async |socket, session, _writer| {
            let sending = Sending { args, topic: topic.as_ref(), limit: base.count, again };
            send_all(&socket.handle(), session, &mut source, sending).await
        },
    )
    .await
}

/// Receives only.
async fn hear<T: Hears>(
    base: &Base,
    output: &OutputArgs,
    exec: &ExecArgs,
    notes: &Notes,
    begin: impl FnOnce(&Socket<T>),
) -> Result<Ending, Failure> {
    let mut reaction = Reaction::new(exec.commands(base.json, notes));
    run::<T>(base, &Tuning::of(base), notes, begin, async |socket, session, writer| {
        receive_all(socket, session, output, &mut reaction, writer).await
    })
    .await
}

/// Sends and receives at once, until enough is received.
async fn converse<T: Speaks + Hears>(
    conversation: Conversation<'_>,
    notes: &Notes,
    begin: impl FnOnce(&Socket<T>),
) -> Result<Ending, Failure> {
    let Conversation { base, topic, send: args, output, exec } = conversation;
    let mut reaction = Reaction::new(exec.commands(base.json, notes));
    let mut source = args.input.source(base.json)?;
    run::<T>(base, &args.tuning(base), notes, begin, async |socket, session, writer| {
        let handle = socket.handle();
        let sending = Sending { args, topic, limit: None, again: args.repeat };
        let sending = async {
            match send_all(&handle, session, &mut source, sending).await {
                // Further messages are to be received.
                Ok(Ending::Done) => std::future::pending().await,
                ended => ended,
            }
        };
        tokio::select! {
            ended = receive_all(socket, session, output, &mut reaction, writer) => ended,
            ended = sending => ended,
        }
    })
    .await
}

/// Makes a socket, calls `begin` with it, opens its endpoints, and works with it until the work is
/// done or a signal comes. Then closes it.
async fn run<T: Talks>(
    base: &Base,
    tuning: &Tuning,
    notes: &Notes,
    begin: impl FnOnce(&Socket<T>),
    work: impl AsyncFnOnce(&mut Socket<T>, &Session<'_>, &mut Writer) -> Result<Ending, Failure>,
) -> Result<Ending, Failure> {
    let mut signals = Signals::new()?;
    let options = T::tune(base.link.apply(Options::<T>::new())?, tuning);
    let mut socket = Socket::<T>::with_options(options);
    let monitor = socket.monitor();
    begin(&socket);
    let dialled = base.endpoints.open(&socket, T::USUAL, notes).await?;
    let session = Session { base, notes, meter: Meter::default() };
    let mut writer = Writer::new();
    let mut watching = pin!(watch(monitor, notes, dialled));
    if let Some(address) = base.metrics {
        let sockets = Sockets::default().with("zmtp", socket.handle());
        serve(address, sockets, notes).await?;
    }
    let ended = tokio::select! {
        biased;
        status = signals.next() => Ok(Ending::Interrupted(status)),
        ended = work(&mut socket, &session, &mut writer) => ended,
        refused = &mut watching => Err(refused.into()),
    };
    let hurries = matches!(ended, Ok(Ending::Interrupted(_) | Ending::TimedOut));
    let ending = match ended {
        // A command without an end of its own has done its work.
        Ok(Ending::Interrupted(_)) if T::RUNS_ON && base.count.is_none() => Ok(Ending::Done),
        ended => ended,
    };
    // A reader that does not read must not delay the end then.
    let writing = match hurries {
        true => timeout(FINAL_LINGER, writer.finish()).await.unwrap_or(Ok(())),
        false => writer.finish().await,
    };
    let ending = ending.and_then(|ending| writing.map(|()| ending).map_err(Failure::from))?;
    let handle = socket.handle();
    let linger = if hurries { FINAL_LINGER.min(base.link.linger()) } else { base.link.linger() };
    let unfinished = close(socket, linger, &mut signals, watching, notes).await;
    Ok(conclude(&session, &handle.totals(), unfinished, ending, T::DROPS_UNASKED))
}

/// Delivers queued messages, unless a signal ends that or no peer can take them.
async fn close<T: Talks>(
    socket: Socket<T>,
    linger: Duration,
    signals: &mut Signals,
    watching: Pin<&mut impl Future<Output = String>>,
    notes: &Notes,
) -> Unfinished {
    let handle = socket.handle();
    let announcement = async {
        sleep(PATIENCE).await;
        let queued = handle.totals().queued;
        let queued = counted(queued, "message");
        notes.info(format_args!("waiting for the delivery of {queued}; Ctrl-C gives up"));
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        unfinished = socket.close_within(linger) => return unfinished,
        _ = signals.next() => {}
        refused = watching => notes.error(refused),
        () = announcement => {}
    }
    // The socket is still closing; this returns what has not been delivered yet.
    handle.close_within(Duration::ZERO).await
}

/// Writes the final reports.
fn conclude(
    session: &Session<'_>,
    totals: &zmtp_socket::Stats,
    unfinished: Unfinished,
    ending: Ending,
    drops_unasked: bool,
) -> Ending {
    let Session { base, notes, meter } = session;
    if base.stats {
        meter.summary(totals, unfinished).print(base.json, notes);
    }
    if drops_unasked
        && meter.has_sent() > 0
        && totals.sent + totals.dropped == 0
        && unfinished.unsent == 0
    {
        notes.warn(format_args!(
            "nobody had subscribed to what was sent (--wait-for-peer waits for a subscriber)"
        ));
    }
    if unfinished.unsent == 0 {
        return ending;
    }
    notes.warn(match unfinished.unsent {
        1 => "1 message was not delivered".to_owned(),
        unsent => format!("{unsent} messages were not delivered"),
    });
    if ending == Ending::Done { Ending::Incomplete } else { ending }
}
