//! Requests and replies: how long each takes.

use std::time::Instant;

use hdrhistogram::Histogram;
use indicatif::ProgressBar;
use tokio::sync::watch;
use tokio::task::JoinSet;
use zmtp_socket::{Context, Endpoint, Message, RepOptions, RepSocket, ReqOptions, RequestError};

use super::report::{Measured, Report};
use super::{Measure, Serve};
use crate::ending::Failure;
use crate::notes::Notes;

/// Echoes requests until it is stopped.
pub(super) async fn serve(
    args: &Serve,
    notes: &Notes,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let options = args.link.apply(RepOptions::new().receive_hwm(args.link.hwm()))?;
    let server = RepSocket::with_options(options);
    let endpoint = server.bind(&args.endpoint).await?;
    notes.info(format_args!("listening at {endpoint}"));
    tokio::select! {
        () = echo(server) => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
    Ok(())
}

async fn echo(mut server: RepSocket) {
    while let Ok((request, reply)) = server.recv().await {
        // The client may have gone.
        let _ = reply.send(request).await;
    }
}

/// Measures requests of one size.
pub(super) async fn measure(
    args: &Measure,
    size: usize,
    stopped: watch::Receiver<bool>,
) -> Result<Report, Failure> {
    let context = Context::new();
    let ours = ReqOptions::new().request_timeout(*args.timeout).send_hwm(args.link.hwm());
    let (ours, theirs) = args.options(ours, RepOptions::new())?;
    let mut server = None;
    let endpoint = match &args.endpoint {
        Some(endpoint) => endpoint.clone(),
        None => {
            let socket = context.socket(theirs);
            let endpoint = socket.bind(args.transport.endpoint()).await?;
            server = Some(tokio::spawn(echo(socket)));
            endpoint
        }
    };
    let count = args.count.unwrap_or(10_000);
    let bar = args.bar(count.saturating_mul(args.clients.into())).with_message("latency");
    let mut clients = JoinSet::new();
    for number in 0..args.clients {
        let client = Client {
            context: context.clone(),
            options: ours.clone(),
            endpoint: endpoint.clone(),
            size,
            warmup: args.warmup,
            count,
            bar: bar.clone(),
            stopped: stopped.clone(),
        };
        clients.spawn(client.run(number));
    }
    let mut report = Report::new(size);
    while let Some(measured) = clients.join_next().await {
        let (measured, timed_out) = measured??;
        report.clients.push(measured);
        report.timed_out |= timed_out;
    }
    bar.finish_and_clear();
    if let Some(server) = server {
        server.abort();
    }
    report.sum_up();
    Ok(report)
}

struct Client {
    context: Context,
    options: ReqOptions,
    endpoint: Endpoint,
    size: usize,
    warmup: u64,
    count: u64,
    bar: ProgressBar,
    stopped: watch::Receiver<bool>,
}

impl Client {
    /// Sends all requests, unless it is stopped or no reply comes. Returns the measurements, and
    /// whether a reply did not come in time.
    async fn run(mut self, number: u32) -> Result<(Measured, bool), Failure> {
        let mut socket = self.context.socket(self.options.clone());
        socket.connect(&self.endpoint)?;
        let request = Message::from(vec![b'x'; self.size]);
        let mut latencies = Histogram::new(3)?;
        let mut began = Instant::now();
        let mut timed_out = false;
        for asked in 0..self.warmup.saturating_add(self.count) {
            let sent = Instant::now();
            let replied = tokio::select! {
                biased;
                replied = socket.request(&request) => replied,
                _ = self.stopped.wait_for(|stopped| *stopped) => break,
            };
            match replied {
                Ok(_reply) => {}
                Err(RequestError::TimedOut) => {
                    timed_out = true;
                    break;
                }
                Err(error) => return Err(format!("{}: {error}", self.endpoint).into()),
            }
            if asked < self.warmup {
                began = Instant::now();
                continue;
            }
            let nanos = u64::try_from(sent.elapsed().as_nanos()).unwrap_or(u64::MAX);
            latencies.record(nanos)?;
            self.bar.inc(1);
        }
        let messages = latencies.len();
        let seconds = began.elapsed().as_secs_f64();
        let client = Some(number);
        Ok((Measured { client, messages, seconds, latencies: Some(latencies) }, timed_out))
    }
}
