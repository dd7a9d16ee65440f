//! Requests and their answers: the senders' side, which checks the answers, and the receiver's.

use std::collections::VecDeque;
use std::time::Duration;

use crate::send::{body, end, number, sync};
use crate::{
    Args, Group, Receiver, Run, Sender, Tally, Usage, now, print, sleep, started, stopped,
};

/// Opens the sockets of this process, sends requests on all of them until the time is over, checks the
/// answers, which have to be copies, and reports. One task serves the sockets in turn: to find out which
/// of many can be read is not measured. A socket sends `--window` requests together when the last ones
/// have been answered, so that the number of sockets does not change the load of a connection.
pub async fn ask_all<S: Sender + Receiver>(args: &Args, open: impl AsyncFn(usize) -> S) {
    let group = Group::new(args);
    let mut clients = Vec::new();
    for index in 0..args.sockets {
        let tally = Tally::new(&group, index);
        clients.push(Client::greet(open(index).await, index, tally).await);
    }
    while !started() {
        if stopped() {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
    let mut request = body(args.size);
    let run = Run::begin(args);
    for client in &mut clients {
        client.ask(args.window, &mut request).await;
    }
    while !run.is_late() {
        for client in &mut clients {
            client.receive_all().await;
            client.ask(args.window, &mut request).await;
        }
    }
    for client in &mut clients {
        client.receive_all().await;
        client.tally.message(&end(client.index, client.sent));
    }
    run.end(clients.iter().map(|client| client.sent).sum()).report(args.name, 0);
    let tallies: Vec<Tally> = clients.into_iter().map(Client::into_tally).collect();
    group.report(&tallies);
}

/// For the process of the socket that answers: reports its use of resources from the driver's `go` to
/// its end, and ends the process, even if the socket is waiting.
pub fn report_answering(args: &Args) {
    let name = args.name;
    std::thread::spawn(move || {
        while !started() && !stopped() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let before = Usage::now();
        while !stopped() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let used = Usage::now().since(&before);
        let report = serde_json::json!({
            "impl": name, "role": "receiver", "user": used.user, "sys": used.sys,
            "peak_kb": used.peak_kib, "vcsw": used.voluntary, "ivcsw": used.involuntary,
        });
        print(&report.to_string());
        std::process::exit(0);
    });
}

/// A socket that makes requests.
struct Client<S> {
    socket: S,
    index: usize,
    tally: Tally,
    sent: u64,
    /// When each request without an answer was sent.
    asked: VecDeque<u64>,
}

impl<S: Sender + Receiver> Client<S> {
    /// Waits until the other side has answered for the first time.
    async fn greet(socket: S, index: usize, tally: Tally) -> Self {
        let mut client = Self { socket, index, tally, sent: 0, asked: VecDeque::new() };
        client.socket.send(&sync(index)).await;
        while !client.tally.is_synced() {
            client.take().await;
        }
        client
    }

    /// Sends `window` requests.
    async fn ask(&mut self, window: u64, request: &mut [u8]) {
        for _ in 0..window {
            request[1..9].copy_from_slice(&number(self.index, self.sent).to_le_bytes());
            self.asked.push_back(now());
            self.socket.send(request).await;
            self.sent += 1;
        }
    }

    /// Waits until no request is without an answer.
    async fn receive_all(&mut self) {
        while !self.asked.is_empty() {
            let before = self.tally.received();
            self.take().await;
            let now = now();
            for _ in before..self.tally.received() {
                if let Some(asked) = self.asked.pop_front() {
                    self.tally.answered_after(now - asked);
                }
            }
        }
    }

    async fn take(&mut self) {
        if let Err(error) = self.socket.receive(&mut self.tally).await {
            panic!("socket {}: {error}", self.index);
        }
    }

    /// Leaves the socket open: closing it is not measured.
    fn into_tally(self) -> Tally {
        std::mem::forget(self.socket);
        self.tally
    }
}
