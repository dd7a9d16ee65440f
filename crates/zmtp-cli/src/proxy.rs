//! `zmtp proxy`: forwards messages between two sets of peers.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use indicatif::HumanCount;
use serde_json::json;
use tokio::time::interval;
use zmtp_socket::kind::{Dealer, Kind, Pair, Pull, Push, Router, XPub, XSub};
use zmtp_socket::{
    Endpoint, Handle, Options, ProxyHandle, PubSocket, Relays, Socket, WhenFull, proxy, relay,
};

use crate::ending::{Ending, Failure};
use crate::link::Link;
use crate::notes::{Notes, watch};
use crate::role::{Side, open};
use crate::serving::{Sockets, serve};
use crate::signals::Signals;
use crate::text::{counted, octets};

/// How long the sockets still deliver at the end.
const FINAL_LINGER: Duration = Duration::from_secs(1);

/// `zmtp proxy`
#[derive(Debug, Args)]
pub(crate) struct Proxy {
    /// The sockets of the two sides
    #[arg(value_enum)]
    pattern: Pattern,

    /// The endpoint of publishers, clients or pushers. Its form decides whether it is bound or connected, as
    /// with the other commands
    front: Endpoint,

    /// The endpoint of subscribers, workers or pullers
    back: Endpoint,

    /// A further endpoint of the front; may be repeated
    #[arg(long, value_name = "ENDPOINT")]
    also_front: Vec<Endpoint>,

    /// A further endpoint of the back; may be repeated
    #[arg(long, value_name = "ENDPOINT")]
    also_back: Vec<Endpoint>,

    /// Bind or connect the endpoints of the front, whatever their form
    #[arg(long, value_enum)]
    front_side: Option<Side>,

    /// Bind or connect the endpoints of the back, whatever their form
    #[arg(long, value_enum)]
    back_side: Option<Side>,

    /// Publish a copy of each message that passes, in both directions
    #[arg(long, value_name = "ENDPOINT")]
    tap: Option<Endpoint>,

    /// Wait for a subscriber that is too slow, which delays all others; without this, it alone loses messages
    #[arg(long)]
    wait: bool,

    /// Print to standard output every --interval what has passed
    #[arg(short, long)]
    stats: bool,

    /// How often --stats prints
    #[arg(long, value_name = "TIME", default_value = "1s")]
    interval: humantime::Duration,

    /// Print the statistics as lines of JSON
    #[arg(short, long)]
    json: bool,

    /// Serve counters over HTTP at this address: /metrics in the OpenMetrics format, /stats.json for zmtp top
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics: Option<SocketAddr>,

    #[command(flatten)]
    link: Link,
}

/// The sockets that a proxy stands between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Pattern {
    /// Publishers and subscribers (XSUB, XPUB)
    Pubsub,
    /// Clients that send requests and workers that reply (ROUTER, DEALER)
    Queue,
    /// Pushers and pullers (PULL, PUSH)
    Pipeline,
    /// DEALERs or ROUTERs, with messages unchanged (DEALER, DEALER)
    Dealer,
    /// One PAIR on each side (PAIR, PAIR)
    Pair,
}

impl Proxy {
    pub(crate) async fn run(&self, notes: &Notes) -> Result<Ending, Failure> {
        let signals = Signals::new()?;
        let hwm = self.link.hwm();
        let when_full = if self.wait { WhenFull::Wait } else { WhenFull::DropNew };
        match self.pattern {
            Pattern::Pubsub => {
                let options = Options::<XSub>::new().receive_hwm(hwm);
                let front = self.open(options, self.fronts(), notes).await?;
                let options = Options::<XPub>::new().send_hwm(hwm).when_full(when_full);
                let back = self.open(options, self.backs(), notes).await?;
                let (front, back, ends) = front.with(back);
                let mut proxy = proxy(front, back);
                if let Some(tap) = self.open_tap(notes).await? {
                    proxy = proxy.capture(tap);
                }
                let handle = proxy.handle();
                self.stand(ends, handle, async { proxy.run().await }, signals, notes).await
            }
            Pattern::Queue => {
                let front = Options::<Router>::new().receive_hwm(hwm).send_hwm(hwm);
                let front = front.when_full(when_full);
                let back = Options::<Dealer>::new().receive_hwm(hwm).send_hwm(hwm);
                self.relay(front, back, signals, notes).await
            }
            Pattern::Pipeline => {
                let front = Options::<Pull>::new().receive_hwm(hwm);
                self.relay(front, Options::<Push>::new().send_hwm(hwm), signals, notes).await
            }
            Pattern::Dealer => {
                let options = Options::<Dealer>::new().receive_hwm(hwm).send_hwm(hwm);
                self.relay(options.clone(), options, signals, notes).await
            }
            Pattern::Pair => {
                let options = Options::<Pair>::new().receive_hwm(hwm).send_hwm(hwm);
                self.relay(options.clone(), options, signals, notes).await
            }
        }
    }

    async fn relay<F: Relays<B>, B: Kind>(
        &self,
        front: Options<F>,
        back: Options<B>,
        signals: Signals,
        notes: &Notes,
    ) -> Result<Ending, Failure> {
        let front = self.open(front, self.fronts(), notes).await?;
        let back = self.open(back, self.backs(), notes).await?;
        let (front, back, ends) = front.with(back);
        let mut relay = relay(front, back);
        if let Some(tap) = self.open_tap(notes).await? {
            relay = relay.capture(tap);
        }
        let handle = relay.handle();
        self.stand(ends, handle, async { relay.run().await }, signals, notes).await
    }

    fn fronts(&self) -> Vec<(Option<Side>, &Endpoint)> {
        let all = [&self.front].into_iter().chain(&self.also_front);
        all.map(|endpoint| (self.front_side, endpoint)).collect()
    }

    fn backs(&self) -> Vec<(Option<Side>, &Endpoint)> {
        let all = [&self.back].into_iter().chain(&self.also_back);
        all.map(|endpoint| (self.back_side, endpoint)).collect()
    }

    async fn open<T: Kind>(
        &self,
        options: Options<T>,
        endpoints: Vec<(Option<Side>, &Endpoint)>,
        notes: &Notes,
    ) -> Result<End<T>, Failure> {
        let socket = Socket::with_options(self.link.apply(options)?);
        let monitor = socket.monitor();
        let dialled = open(&socket, endpoints.into_iter(), Side::Bind, notes).await?;
        Ok(End { socket, monitor, dialled })
    }

    async fn open_tap(&self, notes: &Notes) -> Result<Option<PubSocket>, Failure> {
        let Some(endpoint) = &self.tap else { return Ok(None) };
        let socket = PubSocket::with_options(self.link.apply(Options::new())?);
        open(&socket, [(None, endpoint)].into_iter(), Side::Bind, notes).await?;
        Ok(Some(socket))
    }

    /// Forwards until a signal comes, and reports the traffic.
    async fn stand<F: Kind, B: Kind>(
        &self,
        ends: Ends<F, B>,
        proxy: ProxyHandle,
        run: impl Future<Output = ()>,
        mut signals: Signals,
        notes: &Notes,
    ) -> Result<Ending, Failure> {
        let Ends { front, back, monitors: [front_monitor, back_monitor], dialled } = ends;
        let [front_dialled, back_dialled] = dialled;
        let sockets = Sockets::default().with("front", front.clone()).with("back", back.clone());
        if let Some(address) = self.metrics {
            serve(address, sockets, notes).await?;
        }
        let telling = async {
            if !self.stats {
                return std::future::pending::<()>().await;
            }
            self.print_stats(&front, &back, &proxy).await;
        };
        let refused = tokio::select! {
            biased;
            _ = signals.next() => None,
            () = run => None,
            () = telling => None,
            refused = watch(front_monitor, notes, front_dialled) => Some(refused),
            refused = watch(back_monitor, notes, back_dialled) => Some(refused),
        };
        let _front = front.close_within(FINAL_LINGER).await;
        let left = back.close_within(FINAL_LINGER).await.unsent;
        let stats = proxy.stats();
        notes.always(format_args!(
            "forwarded {} ({}) and {} the other way; {} dropped, {left} undelivered",
            counted(stats.messages, "message"),
            octets(stats.octets),
            HumanCount(stats.upstream),
            HumanCount(stats.dropped + front.totals().dropped + back.totals().dropped),
        ));
        match refused {
            Some(refused) => Err(refused.into()),
            None if left > 0 => Ok(Ending::Incomplete),
            None => Ok(Ending::Done),
        }
    }

    /// Reports the traffic at intervals, until nobody reads the output.
    async fn print_stats<F: Kind, B: Kind>(
        &self,
        front: &Handle<F>,
        back: &Handle<B>,
        proxy: &ProxyHandle,
    ) {
        let mut ticks = interval((*self.interval).max(Duration::from_millis(10)));
        ticks.tick().await;
        let (mut before, mut at) = (proxy.stats(), Instant::now());
        loop {
            ticks.tick().await;
            let (stats, now) = (proxy.stats(), Instant::now());
            let seconds = (now - at).as_secs_f64();
            let rate = |new: u64, old: u64| ((new - old) as f64 / seconds) as u64;
            let down = rate(stats.messages, before.messages);
            let volume = rate(stats.octets, before.octets);
            let up = rate(stats.upstream, before.upstream);
            let [fronts, backs] = [front.stats(), back.stats()];
            let dropped = stats.dropped + fronts.dropped + backs.dropped;
            let line = match self.json {
                true => json!({
                    "time": humantime::format_rfc3339_millis(std::time::SystemTime::now()).to_string(),
                    "messages": stats.messages, "octets": stats.octets, "upstream": stats.upstream,
                    "per_second": down, "octets_per_second": volume, "upstream_per_second": up,
                    "dropped": dropped, "queued": backs.queued,
                    "front_peers": fronts.peers.len(), "back_peers": backs.peers.len(),
                    "subscriptions": backs.subscriptions,
                })
                .to_string(),
                false => format!(
                    "{}/s ({}/s) to {} of the back, {}/s to {} of the front; {} queued, {} dropped",
                    HumanCount(down),
                    octets(volume),
                    backs.peers.len(),
                    HumanCount(up),
                    fronts.peers.len(),
                    HumanCount(backs.queued),
                    HumanCount(dropped),
                ),
            };
            if !crate::output::print_line(&line) {
                return;
            }
            (before, at) = (stats, now);
        }
    }
}

/// One side of a proxy.
struct End<T: Kind> {
    socket: Socket<T>,
    monitor: zmtp_socket::Monitor,
    dialled: HashSet<Endpoint>,
}

impl<F: Kind> End<F> {
    /// The two sockets for the proxy, with the handles and monitors that remain.
    fn with<B: Kind>(self, back: End<B>) -> (Socket<F>, Socket<B>, Ends<F, B>) {
        let ends = Ends {
            front: self.socket.handle(),
            back: back.socket.handle(),
            monitors: [self.monitor, back.monitor],
            dialled: [self.dialled, back.dialled],
        };
        (self.socket, back.socket, ends)
    }
}

/// Both sides.
struct Ends<F: Kind, B: Kind> {
    front: Handle<F>,
    back: Handle<B>,
    monitors: [zmtp_socket::Monitor; 2],
    dialled: [HashSet<Endpoint>; 2],
}
