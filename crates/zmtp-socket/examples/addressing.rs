//! How a ROUTER names its peers: by the identity that they announce, by the peer that a message came from,
//! or by a name that it gives them itself.
//!
//! ```text
//! cargo run --example addressing
//! ```

use std::error::Error;

use zmtp_socket::{DealerOptions, DealerSocket, Endpoint, RouterOptions, RouterSocket};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // A message for nobody is an error, and not dropped.
    let mut server = RouterSocket::with_options(RouterOptions::new().mandatory(true));
    let endpoint = server.bind("tcp://127.0.0.1:*").await?;
    by_identity(&mut server, &endpoint).await?;
    by_peer(&mut server, &endpoint).await?;
    between_routers(&mut server, &endpoint).await
}

async fn by_identity(server: &mut RouterSocket, endpoint: &Endpoint) -> Result<(), Box<dyn Error>> {
    let options = DealerOptions::new().identity("alice").probe(true);
    let mut alice = DealerSocket::with_options(options);
    alice.connect(endpoint)?;
    // The probe, an empty message, has come: the server knows that she is there.
    let (_alice, _empty) = server.recv().await?;
    server.send_to("alice", "for alice alone").await?;
    println!("alice gets {:?}", alice.recv().await?.first());

    let error = server.send_to("bob", "hello").await.expect_err("bob is not there");
    println!("bob gets nothing: {error}");
    Ok(())
}

async fn by_peer(server: &mut RouterSocket, endpoint: &Endpoint) -> Result<(), Box<dyn Error>> {
    let mut stranger = DealerSocket::new();
    stranger.connect(endpoint)?;
    stranger.send("who am I?").await?;
    let (peer, question) = server.recv().await?;
    let made_up = peer.identity().ok_or("a peer of a ROUTER has one")?;
    println!("a stranger asks {:?}, and is {made_up:?}", question.first());
    server.send_to(&peer, "nobody that I know").await?;
    println!("the stranger gets {:?}", stranger.recv().await?.first());
    Ok(())
}

/// Either ROUTER can speak first: one has named the other, and announces a name itself.
async fn between_routers(
    server: &mut RouterSocket,
    endpoint: &Endpoint,
) -> Result<(), Box<dyn Error>> {
    let mut node = RouterSocket::with_options(RouterOptions::new().identity("node"));
    node.connect_with(endpoint, |options| options.peer_identity("server"))?;
    node.send_to("server", "to the server").await?; // waits there until the connection is made
    let (_node, message) = server.recv().await?;
    println!("the server gets {:?}", message.first());
    server.send_to("node", "to the node").await?;
    let (_server, message) = node.recv().await?;
    println!("the node gets {:?}", message.first());
    Ok(())
}
