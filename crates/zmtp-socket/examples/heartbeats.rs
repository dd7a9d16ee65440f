//! A peer that hangs is noticed, although its connection is open: by heartbeats, and the monitor tells.
//!
//! The library sends the PINGs, and answers those of its peers, by itself. A program that blocks the thread
//! which its sockets run on answers none: here that is the peer, for a while.
//!
//! ```text
//! cargo run --example heartbeats
//! ```

use std::error::Error;
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::sleep;
use zmtp_socket::{DealerSocket, Endpoint, Event, Heartbeat, RouterOptions, RouterSocket};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let heartbeat = Heartbeat::every(Duration::from_millis(100));
    let server = RouterSocket::with_options(RouterOptions::new().heartbeat(heartbeat));
    let mut monitor = server.monitor();
    let endpoint = server.bind("tcp://127.0.0.1:*").await?;
    let _worker = thread::spawn(move || hang(&endpoint));

    let mut connections = 0;
    while connections < 2 {
        match monitor.next().await.ok_or("the socket has been closed")? {
            Event::HandshakeSucceeded { peer, .. } => {
                connections += 1;
                println!("peer {} is there", peer.id());
            }
            Event::Disconnected { peer, reason, .. } => {
                println!("peer {} is lost: {reason}", peer.id());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Lives for a while, is busy without giving the socket a turn, and lives again: it reconnects by itself.
fn hang(endpoint: &Endpoint) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let worker = DealerSocket::new();
        worker.connect(endpoint).expect("an endpoint that has been bound");
        sleep(Duration::from_millis(300)).await;
        thread::sleep(Duration::from_millis(500));
        sleep(Duration::from_secs(10)).await;
    });
}
