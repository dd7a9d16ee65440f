//! The rate of messages from PUSH to PULL.

use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use zmtp_socket::{Context, Endpoint, Message, PullOptions, PullSocket, PushOptions};

use super::Measure;
use super::report::{Measured, Report};
use crate::ending::{Failure, Usage};
use crate::notes::Notes;

/// How many messages pass between two updates of the progress bar.
const STEP: u64 = 4096;

/// How many messages are received together at most.
const TOGETHER: usize = 1024;

/// Measures messages of one size: those that our PULL receives, or those that a PULL elsewhere
/// takes.
pub(super) async fn measure(
    args: &Measure,
    size: usize,
    stopped: watch::Receiver<bool>,
) -> Result<Report, Failure> {
    let context = Context::new();
    let (ours, theirs) = args.options(
        PushOptions::new().send_hwm(args.link.hwm()),
        PullOptions::new().receive_hwm(args.link.hwm()),
    )?;
    let count = args.count.unwrap_or(1_000_000);
    let all = count.saturating_mul(args.clients.into());
    let mut puller = None;
    let endpoint = match &args.endpoint {
        Some(endpoint) => endpoint.clone(),
        None => {
            let socket = context.socket(theirs);
            let endpoint = socket.bind(args.transport.endpoint()).await?;
            puller = Some(socket);
            endpoint
        }
    };
    let bar = args.bar(all).with_message("throughput");
    let is_ours = puller.is_some();
    let mut pushers = JoinSet::new();
    for number in 0..args.clients {
        let pusher = Pusher {
            context: context.clone(),
            options: ours.clone(),
            endpoint: endpoint.clone(),
            size,
            count,
            patience: *args.timeout,
            bar: if is_ours { ProgressBar::hidden() } else { bar.clone() },
            stopped: stopped.clone(),
        };
        pushers.spawn(pusher.run(number));
    }
    let mut report = Report::new(size);
    let received = match puller {
        Some(socket) => Some(receive(socket, all, *args.timeout, &bar, stopped).await),
        None => None,
    };
    while let Some(measured) = pushers.join_next().await {
        let (measured, timed_out) = measured??;
        report.clients.push(measured);
        report.timed_out |= timed_out;
    }
    bar.finish_and_clear();
    report.sum_up();
    if let Some((received, timed_out)) = received {
        report.all = received;
        report.timed_out |= timed_out;
    }
    Ok(report)
}

/// Receives from PUSH sockets elsewhere.
pub(super) async fn sink(
    args: &Measure,
    size: usize,
    notes: &Notes,
    mut stopped: watch::Receiver<bool>,
) -> Result<Report, Failure> {
    let Some(endpoint) = &args.endpoint else {
        return Err(Usage("bench sink needs an ENDPOINT, such as tcp://*:5557".to_owned()).into());
    };
    let options = args.link.apply(PullOptions::new().receive_hwm(args.link.hwm()))?;
    let socket = PullSocket::with_options(options);
    let bound = socket.bind(endpoint).await?;
    notes.info(format_args!("listening at {bound}"));
    tokio::select! {
        waited = socket.wait_for_peer() => waited?,
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
    let count = args.count.unwrap_or(1_000_000).saturating_mul(args.clients.into());
    let bar = args.bar(count).with_message("sink");
    let (received, timed_out) = receive(socket, count, *args.timeout, &bar, stopped).await;
    bar.finish_and_clear();
    let mut report = Report::new(size);
    report.all = received;
    report.timed_out = timed_out;
    Ok(report)
}

/// Receives `count` messages. The time runs from the first one on. Returns whether too few came in
/// time.
async fn receive(
    mut socket: PullSocket,
    count: u64,
    patience: Duration,
    bar: &ProgressBar,
    mut stopped: watch::Receiver<bool>,
) -> (Measured, bool) {
    let mut batch = Vec::new();
    let mut received = 0_u64;
    let mut shown = 0;
    let mut span = None;
    let mut timed_out = false;
    while received < count {
        let next = tokio::select! {
            biased;
            next = timeout(patience, socket.recv_many(&mut batch, TOGETHER)) => next,
            _ = stopped.wait_for(|stopped| *stopped) => break,
        };
        let Ok(Ok(_)) = next else {
            timed_out = true;
            break;
        };
        let now = Instant::now();
        let (first, _) = span.unwrap_or((now, now));
        span = Some((first, now));
        received += batch.len() as u64;
        batch.clear();
        if received - shown >= STEP {
            bar.set_position(received);
            shown = received;
        }
    }
    let seconds =
        span.map_or(0.0, |(first, last): (Instant, Instant)| (last - first).as_secs_f64());
    (Measured { client: None, messages: received, seconds, latencies: None }, timed_out)
}

struct Pusher {
    context: Context,
    options: PushOptions,
    endpoint: Endpoint,
    size: usize,
    count: u64,
    patience: Duration,
    bar: ProgressBar,
    stopped: watch::Receiver<bool>,
}

impl Pusher {
    /// Sends all messages, and waits until the transport has taken them. Returns whether that took
    /// too long.
    async fn run(mut self, number: u32) -> Result<(Measured, bool), Failure> {
        let socket = self.context.socket(self.options.clone());
        socket.connect(&self.endpoint)?;
        let peer = timeout(self.patience, socket.wait_for_peer());
        let mut sent = 0;
        let mut began = Instant::now();
        let work = async {
            if peer.await.is_err() {
                return true;
            }
            began = Instant::now();
            let message = Message::from(vec![b'x'; self.size]);
            while sent < self.count {
                match timeout(self.patience, send_some(&socket, &message, self.count - sent)).await
                {
                    Ok(Ok(count)) => sent += count,
                    _ => return true,
                }
                self.bar.set_position(sent);
            }
            false
        };
        let timed_out = tokio::select! {
            biased;
            timed_out = work => timed_out,
            _ = self.stopped.wait_for(|stopped| *stopped) => false,
        };
        let unfinished = socket.close_within(self.patience).await;
        let messages = sent.saturating_sub(unfinished.unsent as u64);
        let seconds = began.elapsed().as_secs_f64();
        let measured = Measured { client: Some(number), messages, seconds, latencies: None };
        Ok((measured, timed_out || !unfinished.is_empty()))
    }
}

/// Sends the next messages; returns how many.
async fn send_some(
    socket: &zmtp_socket::PushSocket,
    message: &Message,
    left: u64,
) -> Result<u64, zmtp_socket::SendError> {
    let count = left.min(STEP);
    for _ in 0..count {
        socket.send(message).await?;
    }
    Ok(count)
}
