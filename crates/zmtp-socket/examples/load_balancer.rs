//! A broker that gives each request to the worker that has been idle for longest.
//!
//! Clients and workers are REQs, and both sides of the broker are ROUTERs. A worker asks for work: its first
//! request says that it is ready, each further one carries a result, and each reply is the next job. While
//! no worker is idle the broker takes no request, so clients wait in their own queues.
//!
//! ```text
//! cargo run --example load_balancer
//! ```

use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;
use zmtp_socket::{Peer, ReqSocket, RequestError, RouterOptions, RouterSocket};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let frontend = RouterSocket::new();
    // A job for a worker that has gone is an error, and goes to the next one.
    let backend = RouterSocket::with_options(RouterOptions::new().mandatory(true));
    let for_clients = frontend.bind("tcp://127.0.0.1:*").await?;
    let for_workers = backend.bind("tcp://127.0.0.1:*").await?;

    let mut workers = JoinSet::new();
    for (name, pace) in [("fast", 10), ("slow", 40)] {
        let worker = ReqSocket::new();
        worker.connect(&for_workers)?;
        workers.spawn(work(name, Duration::from_millis(pace), worker));
    }
    let mut clients = JoinSet::new();
    for name in ["ann", "bob", "eve"] {
        let client = ReqSocket::new();
        client.connect(&for_clients)?;
        clients.spawn(ask(name, client));
    }
    tokio::select! {
        ended = balance(frontend, backend) => ended,
        answered = clients.join_all() => Ok(answered.into_iter().collect::<Result<_, _>>()?),
    }
}

/// Passes messages on as they are: the empty part that a REQ puts first is what a REQ expects, too.
async fn balance(
    mut clients: RouterSocket,
    mut workers: RouterSocket,
) -> Result<(), Box<dyn Error>> {
    let (mut idle, mut busy) = (VecDeque::new(), HashMap::<Peer, Peer>::new());
    loop {
        tokio::select! {
            request = clients.recv(), if !idle.is_empty() => {
                let (client, job) = request?;
                while let Some(worker) = idle.pop_front() {
                    if workers.send_to(&worker, &job).await.is_ok() {
                        busy.insert(worker, client);
                        break;
                    }
                }
            }
            message = workers.recv() => {
                let (worker, result) = message?;
                if let Some(client) = busy.remove(&worker) {
                    clients.send_to(&client, result).await?;
                }
                idle.push_back(worker);
            }
        }
    }
}

async fn work(name: &str, pace: Duration, mut worker: ReqSocket) -> Result<(), RequestError> {
    let mut job = worker.request("ready").await?;
    loop {
        sleep(pace).await;
        let result = format!("{} is done by {name}", String::from_utf8_lossy(job.first()));
        job = worker.request(result).await?;
    }
}

async fn ask(name: &str, mut client: ReqSocket) -> Result<(), RequestError> {
    for number in 1..=4 {
        let reply = client.request(format!("{name}'s job {number}")).await?;
        println!("{}", String::from_utf8_lossy(reply.first()));
    }
    Ok(())
}
