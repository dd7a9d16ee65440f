//! A client that asks again: its server dies with a request in its hands, and comes back later.
//!
//! This is the Lazy Pirate of the ZeroMQ guide. A REQ whose peer goes away is not stuck: the request fails
//! at once, or is sent again as often as the options say. A server may so get a request twice.
//!
//! ```text
//! cargo run --example request_retry
//! ```

use std::error::Error;
use std::time::Duration;

use tokio::time::sleep;
use zmtp_socket::{Endpoint, RepSocket, ReqOptions, ReqSocket};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = RepSocket::new();
    let endpoint = server.bind("tcp://127.0.0.1:*").await?;
    tokio::select! {
        ended = serve(server, &endpoint) => ended,
        ended = ask(&endpoint) => ended,
    }
}

async fn ask(endpoint: &Endpoint) -> Result<(), Box<dyn Error>> {
    let options = ReqOptions::new().request_timeout(Duration::from_millis(200)).retries(9);
    let mut client = ReqSocket::with_options(options);
    client.connect(endpoint)?;
    for number in 1..=6 {
        let reply = client.request(format!("request {number}")).await?;
        println!("client: {}", String::from_utf8_lossy(reply.first()));
    }
    Ok(())
}

/// Answers two requests, dies with the third, and is started again: without end.
async fn serve(mut server: RepSocket, endpoint: &Endpoint) -> Result<(), Box<dyn Error>> {
    loop {
        for _ in 0..2 {
            let (request, reply) = server.recv().await?;
            reply.send((request.into_first(), "is done")).await?;
        }
        let (request, _unanswered) = server.recv().await?;
        println!("server: dies with {:?}", request.first());
        server.close().await;
        sleep(Duration::from_millis(300)).await;

        println!("server: is back");
        server = RepSocket::new();
        server.bind(endpoint).await?;
    }
}
