//! CURVE against libzmq (pyzmq's, since the other lacks CURVE), with the codec alone on our side.
//! `ZMTP_PYTHON` names its Python.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use zmtp_codec::{
    Allowed, Config, Connection, Credentials, CurveKeyPair, Denial, Event, Mechanism, Message,
    SocketType, Subscription,
};
use zmtp_tests::pyzmq::{Pyzmq, python};
use zmtp_tests::secured::{keys, secret};
use zmtp_tests::story::{Place, within};

const NOW: Duration = Duration::ZERO;

/// Our side: a codec and its stream.
struct Side {
    stream: TcpStream,
    connection: Connection,
}

impl Side {
    fn new(stream: TcpStream, socket_type: SocketType, mechanism: Mechanism) -> Self {
        let config = Config { mechanism, ..Config::new(socket_type) };
        Self { stream, connection: Connection::new(Arc::new(config)) }
    }

    /// The next event; `None` when the peer has closed the connection.
    async fn event(&mut self) -> Option<Event> {
        within("an event", async {
            loop {
                let event = self.connection.poll_event(NOW).expect("libzmq keeps the rules");
                self.write().await;
                if event.is_some() {
                    return event;
                }
                if self.stream.read_buf(self.connection.input()).await.unwrap_or(0) == 0 {
                    return None;
                }
            }
        })
        .await
    }

    async fn write(&mut self) {
        let output = self.connection.output().split();
        self.stream.write_all(&output).await.expect("libzmq reads");
    }
}

/// The sizes around which frames and buffers change.
fn parts() -> [Vec<u8>; 6] {
    [b"10001".to_vec(), vec![], vec![1; 222], vec![2; 223], vec![3; 256], vec![4; 70_000]]
}

#[tokio::test]
async fn a_subscriber_of_libzmq_proves_its_key_and_hears_us() {
    let Some(python) = python() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let endpoint = format!("tcp://{}", listener.local_addr().expect("it is bound"));
    let (ours, theirs) = (keys(), keys());
    let server_key = format!("server_key={}", ours.public());
    // It sends PINGs, in boxes.
    let options = [&secret(&theirs), &server_key, "subscribe=3130303031", "heartbeat=20"];
    let mut subscriber = Pyzmq::start(&python, "SUB", "connect", &endpoint, &options).await;
    let (stream, _) = within("a connection", listener.accept()).await.expect("it is made");
    let mut publisher = Side::new(stream, SocketType::Pub, Mechanism::CurveServer { keys: ours });

    let public_key = theirs.public();
    let Some(Event::Credentials(applicant)) = publisher.event().await else { panic!("it asks") };
    assert_eq!(applicant.credentials, Credentials::Curve { public_key });
    assert_eq!(applicant.metadata.socket_type(), Some(&b"SUB"[..]));
    publisher.connection.authorize(NOW, Ok(Allowed::new()));
    let Some(Event::Ready(peer)) = publisher.event().await else { panic!("it is let in") };
    assert_eq!((peer.public_key, peer.socket_type), (Some(public_key), Some(SocketType::Sub)));
    let wish = Event::Subscription(Subscription::Subscribe("10001".into()));
    assert_eq!(publisher.event().await, Some(wish));

    for _ in 0..3 {
        publisher.connection.send(&Message::multipart(parts()).expect("it has parts")).unwrap();
        publisher.write().await;
        assert!(subscriber.receive().await == parts());
    }
    subscriber.subscribe(b"2").await;
    let wish = Event::Subscription(Subscription::Subscribe("2".into()));
    assert_eq!(publisher.event().await, Some(wish), "its PINGs are answered on the way");
    subscriber.unsubscribe(b"2").await;
    let wish = Event::Subscription(Subscription::Cancel("2".into()));
    assert_eq!(publisher.event().await, Some(wish));
}

#[tokio::test]
async fn a_publisher_of_libzmq_hears_our_wishes_and_is_heard() {
    let Some(python) = python() else { return };
    let place = Place::tcp();
    let (ours, theirs) = (keys(), keys());
    let mut publisher =
        Pyzmq::start(&python, "XPUB", "bind", &place.endpoint, &[&secret(&theirs)]).await;
    let address = place.endpoint.strip_prefix("tcp://").expect("it is tcp");
    let connect = async |server: &CurveKeyPair| {
        let stream = TcpStream::connect(address).await.expect("it is bound");
        let mechanism = Mechanism::CurveClient { server_key: server.public(), keys: ours.clone() };
        Side::new(stream, SocketType::Sub, mechanism)
    };
    let mut subscriber = connect(&theirs).await;
    let Some(Event::Ready(peer)) = subscriber.event().await else { panic!("we are let in") };
    assert_eq!(peer.socket_type, Some(SocketType::XPub));
    subscriber.connection.subscribe(&Subscription::Subscribe("10001".into())).unwrap();
    subscriber.write().await;
    assert_eq!(publisher.receive().await, [b"\x0110001"]);
    let parts = parts();
    let words: Vec<&[u8]> = parts.iter().map(|part| &part[..]).collect();
    for _ in 0..3 {
        publisher.send(&words).await;
        let message = Message::multipart(parts.clone()).expect("it has parts");
        assert_eq!(subscriber.event().await, Some(Event::Message(message)));
    }
    subscriber.connection.subscribe(&Subscription::Cancel("10001".into())).unwrap();
    subscriber.write().await;
    assert_eq!(publisher.receive().await, [b"\x0010001"]);

    // A client with another server's key is disconnected at HELLO.
    assert_eq!(connect(&ours).await.event().await, None);
}

#[tokio::test]
async fn a_stranger_with_libzmq_is_told_that_it_is_refused() {
    let Some(python) = python() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let endpoint = format!("tcp://{}", listener.local_addr().expect("it is bound"));
    let (ours, theirs) = (keys(), keys());
    let server_key = format!("server_key={}", ours.public());
    let options = [&secret(&theirs), &server_key, "subscribe=-"];
    let _subscriber = Pyzmq::start(&python, "SUB", "connect", &endpoint, &options).await;
    let (stream, _) = within("a connection", listener.accept()).await.expect("it is made");
    let mut publisher = Side::new(stream, SocketType::Pub, Mechanism::CurveServer { keys: ours });
    assert!(matches!(publisher.event().await, Some(Event::Credentials(_))));
    publisher.connection.authorize(NOW, Err(Denial::refused("")));
    assert!(publisher.connection.poll_event(NOW).is_err());
    publisher.write().await;
    // libzmq understands it, and closes the connection.
    let mut rest = Vec::new();
    within("the end", publisher.stream.read_to_end(&mut rest)).await.expect("it is closed");
    assert_eq!(rest, b"");
}
