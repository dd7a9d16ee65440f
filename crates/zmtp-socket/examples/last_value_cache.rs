//! A cache between a publisher and its subscribers: a late subscriber is told the last value of each topic.
//!
//! The cache hears everything, keeps the last value of each topic, and passes all of it on. An XPUB hears who
//! subscribes to what; a newcomer is sent alone what it has missed.
//!
//! ```text
//! cargo run --example last_value_cache
//! ```

use std::collections::BTreeMap;
use std::error::Error;

use zmtp_socket::{
    Bytes, Message, PubSocket, Request, SubSocket, Verbosity, XPubOptions, XPubSocket,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (publisher, upstream) = (PubSocket::new(), SubSocket::new());
    upstream.subscribe_all();
    upstream.connect(publisher.bind("tcp://127.0.0.1:*").await?)?;
    // Each subscription is told, also one to a topic that somebody has subscribed to before.
    let options = XPubOptions::new().verbosity(Verbosity::Subscriptions);
    let downstream = XPubSocket::with_options(options);
    let endpoint = downstream.bind("tcp://127.0.0.1:*").await?;
    let subscribers = downstream.handle();

    let story = async {
        let mut early = SubSocket::new();
        early.subscribe_all();
        early.connect(&endpoint)?;
        publisher.wait_for_subscriber("").await?;
        subscribers.wait_for_subscriber("").await?;
        for (topic, value) in [("berlin", "17"), ("lisbon", "25"), ("berlin", "18")] {
            publisher.send((topic, value)).await?;
        }
        for _ in 0..3 {
            println!("early: {:?}", early.recv().await?.parts());
        }
        let mut late = SubSocket::new();
        late.subscribe("berlin");
        late.connect(&endpoint)?;
        println!("late:  {:?}", late.recv().await?.parts());
        publisher.send(("berlin", "19")).await?;
        println!("late:  {:?}", late.recv().await?.parts());
        Ok(())
    };
    tokio::select! {
        ended = cache(upstream, downstream) => ended,
        told = story => told,
    }
}

async fn cache(mut upstream: SubSocket, mut downstream: XPubSocket) -> Result<(), Box<dyn Error>> {
    let mut last = BTreeMap::<Bytes, Message>::new();
    loop {
        tokio::select! {
            update = upstream.recv() => {
                let update = update?;
                downstream.send(&update).await?;
                last.insert(update.first().clone(), update);
            }
            request = downstream.recv() => if let Request::Subscribe { peer, topic } = request? {
                for (_, value) in last.iter().filter(|(key, _)| key.starts_with(&topic)) {
                    downstream.send_to(&peer, value)?;
                }
            }
        }
    }
}
