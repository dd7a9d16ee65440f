//! The text of the table: rates, computed from the counters at two times.

use std::cmp::Reverse;
use std::fmt::Display;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use indicatif::HumanCount;

use super::fetch::{Counts, PeerCounts, Socket, Source};
use super::screen::{Emphasis, Line};
use crate::text;

/// The order of the peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Order {
    /// The longest queues first
    Queued,
    /// The most dropped messages first
    Dropped,
    /// The highest rates first
    Rate,
    /// The oldest connections first
    Age,
}

/// The counters at one time.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) at: Instant,
    pub(super) sockets: Vec<Socket>,
}

/// The table.
#[derive(Debug)]
pub(super) struct View {
    order: Order,
    before: Option<Snapshot>,
    now: Option<Snapshot>,
    is_paused: bool,
    problem: Option<String>,
}

/// Rates, per second.
#[derive(Clone, Copy, Debug, Default)]
struct Rates {
    received: u64,
    sent: u64,
    octets: u64,
    dropped: u64,
}

impl View {
    pub(super) fn new(order: Order) -> Self {
        Self { order, before: None, now: None, is_paused: false, problem: None }
    }

    /// Takes the current counters.
    pub(super) fn take(&mut self, snapshot: Snapshot) {
        self.problem = None;
        if !self.is_paused {
            self.before = self.now.replace(snapshot);
        }
    }

    /// Takes note that no counters can be fetched.
    pub(super) fn lost(&mut self, error: &impl Display) {
        self.problem = Some(error.to_string());
    }

    pub(super) fn sort_otherwise(&mut self) {
        self.order = match self.order {
            Order::Queued => Order::Dropped,
            Order::Dropped => Order::Rate,
            Order::Rate => Order::Age,
            Order::Age => Order::Queued,
        };
    }

    pub(super) fn pause_or_go_on(&mut self) {
        self.is_paused = !self.is_paused;
    }

    /// The lines, limited to the width and height.
    pub(super) fn lines(&self, width: usize, height: usize, source: &Source) -> Vec<Line> {
        let mut lines = Vec::new();
        let order = self.order.to_possible_value();
        let order = order.as_ref().map_or("", |order| order.get_name());
        let paused = if self.is_paused { "  paused" } else { "" };
        let title = format!("zmtp top  {source}  by {order}{paused}  (q quit, s sort, p pause)");
        lines.push(Line { text: title, emphasis: Emphasis::Title });
        if let Some(problem) = &self.problem {
            lines.push(Line { text: problem.clone(), emphasis: Emphasis::Alarm });
        }
        let Some(now) = &self.now else { return lines };
        lines.push(heading(&format!(
            "{:<8} {:<7} {:>6} {:>8} {:>12} {:>12} {:>12} {:>10} {:>12}",
            "SOCKET", "TYPE", "PEERS", "TOPICS", "IN/s", "OUT/s", "OCTETS/s", "QUEUED", "DROPPED"
        )));
        for socket in &now.sockets {
            lines.push(self.socket_line(socket, now.at));
        }
        lines.push(heading(&format!(
            "{:<8} {:<22} {:>7} {:<9} {:>10} {:>10} {:>9} {:>10}  {}",
            "SOCKET", "PEER", "AGE", "STATE", "IN/s", "OUT/s", "QUEUED", "DROPPED", "ENDPOINT"
        )));
        let mut peers: Vec<_> = now
            .sockets
            .iter()
            .flat_map(|socket| socket.stats.peers.iter().map(move |peer| (socket, peer)))
            .map(|(socket, peer)| (socket, peer, self.peer_rates(socket, peer, now.at)))
            .collect();
        match self.order {
            Order::Queued => peers.sort_by_key(|(_, peer, _)| Reverse(peer.counts.queued)),
            Order::Dropped => peers.sort_by_key(|(_, peer, _)| Reverse(peer.counts.dropped)),
            Order::Rate => peers.sort_by_key(|(.., rates)| Reverse(rates.received + rates.sent)),
            Order::Age => peers.sort_by(|(_, one, _), (_, other, _)| other.age.total_cmp(&one.age)),
        }
        lines.extend(peers.iter().map(|(socket, peer, rates)| peer_line(socket, peer, *rates)));
        lines.truncate(height);
        for line in &mut lines {
            line.text = line.text.chars().filter(|it| !it.is_control()).take(width).collect();
        }
        lines
    }

    fn socket_line(&self, socket: &Socket, at: Instant) -> Line {
        let before = self.earlier(socket).map(|earlier| earlier.stats.counts);
        let rates = self.rates(before, socket.stats.counts, at);
        let Counts { queued, dropped, .. } = socket.stats.counts;
        let text = format!(
            "{:<8} {:<7} {:>6} {:>8} {:>12} {:>12} {:>12} {:>10} {:>12}",
            socket.name,
            socket.kind,
            socket.stats.peers.len(),
            count(socket.stats.subscriptions),
            count(rates.received),
            count(rates.sent),
            text::octets(rates.octets),
            count(queued),
            count(dropped),
        );
        let emphasis = if rates.dropped > 0 { Emphasis::Alarm } else { Emphasis::None };
        Line { text, emphasis }
    }

    fn peer_rates(&self, socket: &Socket, peer: &PeerCounts, at: Instant) -> Rates {
        let mut earlier = self.earlier(socket).into_iter().flat_map(|it| &it.stats.peers);
        let before = earlier.find(|before| before.peer.id == peer.peer.id).map(|it| it.counts);
        // A new peer has counted everything since the earlier time.
        let before = before.unwrap_or_default();
        self.rates(self.before.as_ref().map(|_| before), peer.counts, at)
    }

    fn earlier(&self, socket: &Socket) -> Option<&Socket> {
        self.before.as_ref()?.sockets.iter().find(|earlier| earlier.name == socket.name)
    }

    fn rates(&self, before: Option<Counts>, now: Counts, at: Instant) -> Rates {
        let (Some(before), Some(earlier)) = (before, &self.before) else { return Rates::default() };
        let seconds = at.duration_since(earlier.at).as_secs_f64().max(1e-3);
        let rate = |now: u64, before: u64| (now.saturating_sub(before) as f64 / seconds) as u64;
        Rates {
            received: rate(now.received, before.received),
            sent: rate(now.sent, before.sent),
            octets: rate(now.received_octets, before.received_octets)
                + rate(now.sent_octets, before.sent_octets),
            dropped: rate(now.dropped, before.dropped),
        }
    }
}

fn peer_line(socket: &Socket, peer: &PeerCounts, rates: Rates) -> Line {
    let text = format!(
        "{:<8} {:<22} {:>7} {:<9} {:>10} {:>10} {:>9} {:>10}  {}",
        socket.name,
        peer.peer.address,
        age(peer.age),
        peer.state,
        count(rates.received),
        count(rates.sent),
        count(peer.counts.queued),
        count(peer.counts.dropped),
        peer.peer.endpoint,
    );
    let is_losing = rates.dropped > 0 || peer.state == "congested";
    Line { text, emphasis: if is_losing { Emphasis::Alarm } else { Emphasis::None } }
}

fn heading(text: &str) -> Line {
    Line { text: text.to_owned(), emphasis: Emphasis::Heading }
}

fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

/// A time in whole seconds, minutes, hours or days.
fn age(seconds: f64) -> String {
    let seconds = Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(at: Instant, received: u64, queued: [u64; 2]) -> Snapshot {
        let peer = |id: usize| {
            serde_json::json!({
                "peer": {"id": id, "endpoint": "tcp://*:1", "address": format!("peer\u{1b}{id}")},
                "age": 61.5 * id as f64, "state": "flowing", "sent": 0, "sent_octets": 0,
                "received": received, "received_octets": received, "dropped": 0,
                "queued": queued[id],
            })
        };
        let sockets = serde_json::json!([{
            "name": "front", "kind": "PULL", "stats": {
                "sent": 0, "sent_octets": 0, "received": 2 * received, "received_octets": 0,
                "dropped": 0, "queued": 0, "subscriptions": 0, "peers": [peer(0), peer(1)],
            },
        }]);
        Snapshot { at, sockets: serde_json::from_value(sockets).unwrap() }
    }

    #[test]
    fn rates_come_of_two_times_and_peers_are_sorted() {
        let source: Source = "localhost:1".parse().unwrap();
        let mut view = View::new(Order::Queued);
        let at = Instant::now();
        view.take(snapshot(at, 1000, [5, 6]));
        view.take(snapshot(at + Duration::from_secs(2), 5000, [5, 6]));
        let texts = |view: &View, width, height| {
            let lines = view.lines(width, height, &source).into_iter();
            lines.map(|line| line.text).collect::<Vec<_>>()
        };
        let lines = texts(&view, usize::MAX, usize::MAX);
        assert!(lines[2].contains("front") && lines[2].contains(" 4,000 "), "{lines:#?}");
        assert!(lines[4].contains("peer1 ") && lines[4].contains(" 2,000 "), "{lines:#?}");
        assert!(lines[4].contains(" 1m01s "), "{lines:#?}");
        assert!(lines[5].contains("peer0 "), "{lines:#?}");
        let lines = texts(&view, 10, 3);
        assert!(lines.len() == 3 && lines.iter().all(|line| line.len() <= 10), "{lines:?}");
        view.pause_or_go_on();
        view.take(snapshot(at + Duration::from_secs(9), 9000, [5, 6]));
        let lines = texts(&view, usize::MAX, usize::MAX);
        assert!(lines[0].contains("paused") && lines[2].contains(" 4,000 "), "{lines:#?}");
    }
}
