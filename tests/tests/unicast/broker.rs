//! Requests through two brokers, ours and libzmq's: each reply reaches its own requester.

use tokio::task::JoinHandle;
use zmtp_socket::{DealerSocket, Message, RepSocket, ReqSocket, RouterSocket};
use zmtp_tests::libzmq::{Libzmq, Proxy};
use zmtp_tests::story::within;

const ASKING: usize = 4;
const REQUESTS: usize = 25;
const PORT: &str = "tcp://127.0.0.1:*";

/// Passes requests on from `front` to `back`, and replies the other way.
fn broker(mut front: RouterSocket, mut back: DealerSocket) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            tokio::select! {
                request = front.recv() => {
                    let (peer, mut request) = request.unwrap();
                    request.prepend(peer.identity().expect("it has one").clone());
                    back.send(request).await.unwrap();
                }
                reply = back.recv() => {
                    let mut reply: Message = reply.unwrap();
                    let identity = reply.pop_front().expect("it came through here");
                    front.send_to(&identity, reply).await.unwrap();
                }
            }
        }
    })
}

/// Servers of both implementations, which answer each request with itself and one part more.
fn answers(endpoint: &str) -> [JoinHandle<()>; 2] {
    let mut ours = RepSocket::new();
    ours.connect(endpoint).unwrap();
    let endpoint = endpoint.to_owned();
    let ours = tokio::spawn(async move {
        while let Ok((mut request, reply)) = ours.recv().await {
            request.push_back("answered");
            reply.send(request).await.unwrap();
        }
    });
    let theirs = tokio::spawn(async move {
        let theirs = Libzmq::new(zmq::REP);
        theirs.connect(&endpoint).await;
        loop {
            let mut request = theirs.receive_parts().await;
            request.push(b"answered".to_vec());
            theirs.send_parts(request).await;
        }
    });
    [ours, theirs]
}

/// Half of the clients are ours, half are libzmq's; each one gets the replies to its own requests.
async fn ask(endpoint: &str) {
    let mut asking = Vec::new();
    for number in 0..ASKING {
        let text = move |round| format!("request {round} of {number}");
        let mut req = ReqSocket::new();
        req.connect(endpoint).unwrap();
        asking.push(tokio::spawn(async move {
            for round in 0..REQUESTS {
                let reply = within("a reply", req.request(text(round))).await.unwrap();
                assert_eq!(reply.parts(), [text(round).as_str(), "answered"]);
            }
        }));
        let endpoint = endpoint.to_owned();
        asking.push(tokio::spawn(async move {
            let req = Libzmq::new(zmq::REQ);
            req.connect(&endpoint).await;
            for round in 0..REQUESTS {
                req.send(format!("their {}", text(round))).await;
                let reply = req.receive_parts().await;
                assert_eq!(reply[0], format!("their {}", text(round)).into_bytes());
                assert_eq!(reply[1..], [b"answered"]);
            }
            req.close().await;
        }));
    }
    for asking in asking {
        within("all replies", asking).await.unwrap();
    }
}

#[tokio::test]
async fn requests_go_through_our_broker_and_libzmqs() {
    let queue = Proxy::queue();
    let (front, back) = (RouterSocket::new(), DealerSocket::new());
    let endpoint = front.bind(PORT).await.unwrap();
    back.connect(queue.for_requests()).unwrap();
    let answering = answers(queue.for_replies());
    let broker = broker(front, back);
    ask(&endpoint.to_string()).await;
    broker.abort();
    answering.iter().for_each(JoinHandle::abort);
}

#[tokio::test]
async fn requests_go_through_libzmqs_broker_and_ours() {
    let queue = Proxy::queue();
    let (front, back) = (RouterSocket::new(), DealerSocket::new());
    front.connect(queue.for_replies()).unwrap();
    let endpoint = back.bind(PORT).await.unwrap();
    let answering = answers(&endpoint.to_string());
    let broker = broker(front, back);
    ask(queue.for_requests()).await;
    broker.abort();
    answering.iter().for_each(JoinHandle::abort);
}

#[tokio::test]
async fn requests_go_through_two_of_our_brokers() {
    let (outer, inner) =
        ((RouterSocket::new(), DealerSocket::new()), (RouterSocket::new(), DealerSocket::new()));
    let endpoint = outer.0.bind(PORT).await.unwrap();
    outer.1.connect(inner.0.bind(PORT).await.unwrap()).unwrap();
    let at_back = inner.1.bind(PORT).await.unwrap();
    let answering = answers(&at_back.to_string());
    let brokers = [broker(outer.0, outer.1), broker(inner.0, inner.1)];
    ask(&endpoint.to_string()).await;
    brokers.iter().chain(&answering).for_each(JoinHandle::abort);
}
