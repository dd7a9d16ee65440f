//! A broker of services: workers register under a name, clients ask for a service by its name.
//!
//! This is the Majordomo of the ZeroMQ guide in small. The side of the clients is a REP: it may have many
//! requests in hand, and answer them in any order. Workers are REQs, as in the example `load_balancer`. A
//! service that no worker has registered is answered at once; a job that its worker takes along when it dies
//! is for the client to ask again, as in `request_retry`.
//!
//! ```text
//! cargo run --example service_broker
//! ```

use std::collections::{HashMap, VecDeque};
use std::error::Error;

use zmtp_socket::{
    Bytes, Message, Peer, RepSocket, Reply, ReqSocket, RequestError, RouterOptions, RouterSocket,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut broker = Broker {
        clients: RepSocket::new(),
        // A job for a worker that has gone is an error, and goes to the next one.
        workers: RouterSocket::with_options(RouterOptions::new().mandatory(true)),
        services: HashMap::new(),
        working: HashMap::new(),
    };
    let for_clients = broker.clients.bind("tcp://127.0.0.1:*").await?;
    let for_workers = broker.workers.bind("tcp://127.0.0.1:*").await?;

    for (name, serve) in [("upper", str::to_uppercase as fn(&str) -> String), ("twice", twice)] {
        let worker = ReqSocket::new();
        worker.connect(&for_workers)?;
        tokio::spawn(work(name, serve, worker));
        broker.turn().await?; // it has registered
    }
    let mut client = ReqSocket::new();
    client.connect(&for_clients)?;
    tokio::select! {
        ended = async { loop { broker.turn().await? } } => ended,
        asked = ask(&mut client) => Ok(asked?),
    }
}

async fn ask(client: &mut ReqSocket) -> Result<(), RequestError> {
    for request in [("upper", "hello"), ("twice", "hello"), ("weather", "hello")] {
        let reply = client.request(request).await?;
        println!("{request:?}: {:?}", reply.parts());
    }
    Ok(())
}

/// Registers, and goes on to answer.
async fn work(
    service: &str,
    serve: fn(&str) -> String,
    mut broker: ReqSocket,
) -> Result<(), RequestError> {
    let mut job = broker.request(service).await?;
    loop {
        let result = serve(&String::from_utf8_lossy(job.first()));
        job = broker.request(result).await?;
    }
}

fn twice(text: &str) -> String {
    text.repeat(2)
}

struct Broker {
    clients: RepSocket,
    workers: RouterSocket,
    services: HashMap<Bytes, Service>,
    /// The workers that have a job: for which service, and for whom.
    working: HashMap<Peer, (Bytes, Reply)>,
}

#[derive(Default)]
struct Service {
    idle: VecDeque<Peer>,
    waiting: VecDeque<(Message, Reply)>,
}

impl Broker {
    /// Takes one message, of a client or a worker, and does what is due then.
    async fn turn(&mut self) -> Result<(), Box<dyn Error>> {
        let name = tokio::select! {
            asked = self.clients.recv() => {
                let (mut request, reply) = asked?;
                let name = request.pop_front().unwrap_or_default();
                let Some(service) = self.services.get_mut(&name) else {
                    reply.send(("404", "there is no such service")).await?;
                    return Ok(());
                };
                service.waiting.push_back((request, reply));
                name
            }
            said = self.workers.recv() => {
                let (worker, mut message) = said?;
                message.take_envelope();
                let name = match self.working.remove(&worker) {
                    None => message.into_first(), // it registers
                    Some((name, reply)) => {
                        message.prepend("200");
                        reply.send(message).await?;
                        name
                    }
                };
                self.services.entry(name.clone()).or_default().idle.push_back(worker);
                name
            }
        };
        self.hand_out(name).await
    }

    /// Gives the requests that wait for a service to its idle workers.
    async fn hand_out(&mut self, name: Bytes) -> Result<(), Box<dyn Error>> {
        let service = self.services.entry(name.clone()).or_default();
        while !service.waiting.is_empty()
            && let Some(worker) = service.idle.pop_front()
            && let Some((mut job, reply)) = service.waiting.pop_front()
        {
            job.prepend("");
            match self.workers.send_to(&worker, &job).await {
                Ok(()) => drop(self.working.insert(worker, (name.clone(), reply))),
                Err(_gone) => {
                    job.pop_front();
                    service.waiting.push_front((job, reply));
                }
            }
        }
        Ok(())
    }
}
