//! Descriptors, counted for the whole process: the one test here runs alone in it.

use std::time::Duration;

use zmtp_socket::{Linger, PubOptions, SubOptions};
use zmtp_tests::census::Census;
use zmtp_tests::story::{Place, subscribers, wanted, within};

#[tokio::test]
async fn after_close_every_descriptor_is_closed() {
    let (tcp, ipc) = (Place::tcp(), Place::ipc());
    let before = Census::now().descriptors;
    for round in 0..5 {
        let server = tcp.context.pub_socket(PubOptions::new());
        let mut clients = Vec::new();
        for endpoint in [&*tcp.endpoint, &*ipc.endpoint, "ipc://@zmtp-story-descriptors"] {
            server.bind(endpoint).await.unwrap();
            for _ in 0..3 {
                let client = tcp.subscriber("");
                client.connect(endpoint).unwrap();
                clients.push(client);
            }
        }
        subscribers(&server, 9).await;
        assert!(Census::now().descriptors >= before + 3 + 18, "in round {round}");
        for number in 0..100 {
            server.send(format!("{number}")).await.unwrap();
        }
        within("the publisher's end", server.close()).await;
        for client in clients {
            within("a subscriber's end", client.close()).await;
        }
        assert_eq!(Census::now().descriptors, before, "in round {round}");
    }

    // The same when the peer is stuck, and the time to linger is over.
    let options = PubOptions::new().linger(Linger::For(Duration::from_millis(10)));
    let server = tcp.context.pub_socket(options);
    server.bind(&*tcp.endpoint).await.unwrap();
    let options = SubOptions::new().receive_hwm("1".parse().unwrap());
    let stuck = tcp.context.sub_socket(options);
    stuck.subscribe("");
    stuck.connect(&*tcp.endpoint).unwrap();
    wanted(&server, "").await;
    for _ in 0..100 {
        server.send(vec![0; 256 << 10]).await.unwrap();
    }
    assert!(within("the close", server.close()).await.unsent > 0);
    within("the close", stuck.close()).await;
    assert_eq!(Census::now().descriptors, before);
}
