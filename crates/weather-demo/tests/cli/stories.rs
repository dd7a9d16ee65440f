//! The stories of a server and a client: who comes first, who leaves, who is slow.

use weather_demo::Update;
use zmtp_socket::{Context, CurveKeyPair, Message, PubOptions};

use crate::process::{PROXY, PUBLISHER, Place, Process, SUBSCRIBER};

/// So many updates of a seed are searched for those that a client got; at the rates used here, more
/// than are sent before a deadline.
const SEARCHED: usize = 500_000;

macro_rules! over_tcp_and_ipc {
    ($($story:ident)*) => {
        mod tcp { $(#[test] fn $story() { super::$story(&crate::process::Place::tcp().endpoint); })* }
        mod ipc {
            $(#[test] fn $story() {
                let place = crate::process::Place::ipc();
                super::$story(&place.endpoint);
            })*
        }
    };
}

over_tcp_and_ipc! {
    a_client_collects_what_the_server_sends
    a_client_gets_what_begins_with_its_topic
    a_client_is_there_first
    a_client_leaves_and_another_comes
    a_server_is_killed_and_another_takes_its_place
    a_slow_client_reads_on_after_a_fast_server_is_gone
    a_fast_client_waits_for_a_slow_server
    a_server_connects_to_a_client_that_listens
    a_client_has_two_servers
    a_client_passes_over_what_is_no_update
    a_proxy_stands_between_two_servers_and_a_client
    a_server_with_a_key_serves_who_knows_it
    a_server_with_users_serves_who_is_one
}

fn a_client_collects_what_the_server_sends(endpoint: &str) {
    let _server =
        Process::publisher(endpoint, &["--zipcode", "10002", "--seed", "7", "--rate", "1000"]);
    let ended = Process::subscriber(endpoint, &[]).end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert_eq!(ended.stderr, [""; 0]);
    assert_collected(
        &ended.stdout,
        5,
        "zipcode '10002'",
        Seed { seed: 7, zipcode: Some(10002), topic: "" },
    );
}

fn a_client_gets_what_begins_with_its_topic(endpoint: &str) {
    let _server = Process::publisher(endpoint, &["--seed", "8", "--rate", "5000"]);
    let ended = Process::subscriber(endpoint, &["1", "--updates", "30"]).end();
    assert_collected(&ended.stdout, 30, "zipcode '1'", Seed { seed: 8, zipcode: None, topic: "1" });
    let ended = Process::subscriber(endpoint, &["--all", "--updates", "200"]).end();
    assert_collected(
        &ended.stdout,
        200,
        "all zipcodes",
        Seed { seed: 8, zipcode: None, topic: "" },
    );
}

fn a_proxy_stands_between_two_servers_and_a_client(endpoint: &str) {
    let place = Place::tcp();
    let upstream = ["--listen", &place.endpoint, "--bind", endpoint];
    let mut proxy = Process::start(PROXY, &upstream);
    proxy.stderr.wait_for("serving subscribers");
    let server = |seed| {
        let zipcode = ["--zipcode", "10002", "--rate", "1000", "--seed", seed];
        Process::start(PUBLISHER, &[&["--connect", &place.endpoint], &zipcode[..]].concat())
    };
    let _first = server("7");
    let ended = Process::subscriber(endpoint, &[]).end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    let seed = Seed { seed: 7, zipcode: Some(10002), topic: "" };
    assert_collected(&ended.stdout, 5, "zipcode '10002'", seed);
    let _second = server("8");
    let ended = Process::subscriber(endpoint, &["--updates", "50"]).end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    proxy.interrupt();
    let ended = proxy.end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert!(ended.stderr.iter().any(|line| line.contains("forwarded")), "{ended:#?}");
}

fn a_server_with_a_key_serves_who_knows_it(endpoint: &str) {
    let directory = tempfile::tempdir().unwrap();
    let [secret, other] = ["secret", "other"].map(|name| {
        let (file, keys) = (directory.path().join(name), CurveKeyPair::generate().unwrap());
        std::fs::write(&file, keys.secret().to_z85().as_bytes()).unwrap();
        (file.to_str().unwrap().to_owned(), keys.public().to_string())
    });
    let zipcode =
        ["--zipcode", "10002", "--rate", "1000", "--seed", "7", "--curve-secret", &secret.0];
    let _server = Process::publisher(endpoint, &zipcode);
    // With a wrong key there is a line that says so.
    let mut stranger = Process::subscriber(endpoint, &["--curve-server", &other.1]);
    stranger.stderr.wait_for("closed the connection in the handshake");
    drop(stranger);
    let known = ["--curve-server", &secret.1, "--curve-secret", &other.0];
    for arguments in [&known[..2], &known[..]] {
        let ended = Process::subscriber(endpoint, arguments).end();
        assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
        let seed = Seed { seed: 7, zipcode: Some(10002), topic: "" };
        assert_collected(&ended.stdout, 5, "zipcode '10002'", seed);
    }
    let ended = Process::subscriber(endpoint, &["--curve-server", "too short"]).end();
    assert_eq!(ended.status.code(), Some(2), "{ended:#?}");
}

fn a_server_with_users_serves_who_is_one(endpoint: &str) {
    let directory = tempfile::tempdir().unwrap();
    let users = directory.path().join("users.txt");
    std::fs::write(&users, "ann:secret\nbob:too\n").unwrap();
    let users = users.to_str().unwrap();
    let zipcode = ["--zipcode", "10002", "--rate", "1000", "--seed", "7", "--plain", users];
    let _server = Process::publisher(endpoint, &zipcode);
    let stranger = Process::subscriber(endpoint, &["--user", "ann:guess"]).end();
    assert_eq!(stranger.status.code(), Some(1), "{stranger:#?}");
    let said = stranger.stderr.join("\n");
    assert!(
        said.contains("\"400\"; not trying again") && said.contains("no server lets us in"),
        "{said}"
    );
    let ended = Process::subscriber(endpoint, &["--user", "bob:too"]).end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
}

fn a_client_is_there_first(endpoint: &str) {
    let mut client = Process::subscriber(endpoint, &[]);
    client.stderr.wait_for("trying again");
    let _server =
        Process::publisher(endpoint, &["--zipcode", "10002", "--seed", "9", "--rate", "1000"]);
    client.stderr.wait_for("connected");
    let ended = client.end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert_collected(
        &ended.stdout,
        5,
        "zipcode '10002'",
        Seed { seed: 9, zipcode: Some(10002), topic: "" },
    );
}

fn a_client_leaves_and_another_comes(endpoint: &str) {
    let mut server =
        Process::publisher(endpoint, &["--zipcode", "10002", "--seed", "10", "--rate", "1000"]);
    for _ in 0..3 {
        let ended = Process::subscriber(endpoint, &[]).end();
        assert_collected(
            &ended.stdout,
            5,
            "zipcode '10002'",
            Seed { seed: 10, zipcode: Some(10002), topic: "" },
        );
    }
    assert!(!server.has_ended());
    server.interrupt();
    assert_eq!(server.end().status.code(), Some(0));
}

fn a_server_is_killed_and_another_takes_its_place(endpoint: &str) {
    let server = Process::publisher(endpoint, &["--zipcode", "10001", "--rate", "100"]);
    let mut client = Process::subscriber(endpoint, &["1000", "--updates", "1000000"]);
    client.stdout.wait_for("10001 ");
    server.kill();
    client.stderr.wait_for("trying again");
    let _server = Process::publisher(endpoint, &["--zipcode", "10002", "--rate", "100"]);
    client.stdout.wait_for("10002 ");
    assert!(!client.has_ended());
}

fn a_slow_client_reads_on_after_a_fast_server_is_gone(endpoint: &str) {
    let mut server = Process::publisher(endpoint, &["--zipcode", "10002", "--stats"]);
    let mut client = Process::subscriber(endpoint, &["--updates", "1000000", "--delay", "2ms"]);
    // Messages that have been sent and are not printed are in the client's buffers, or the transport's.
    let (mut sent, mut printed) = (0, 0);
    while sent < printed + 800 {
        sent += number_before(" sent/s", &server.stderr.wait_for(" sent/s"));
        printed += client.stdout.drain();
    }
    server.kill();
    client.stdout.drain();
    for _ in 0..300 {
        let line = client.stdout.next();
        assert!(line.starts_with("10002 "), "{line}");
    }
    client.interrupt();
    assert_eq!(client.end().status.code(), Some(130));
}

fn a_fast_client_waits_for_a_slow_server(endpoint: &str) {
    let _server =
        Process::publisher(endpoint, &["--zipcode", "10002", "--seed", "11", "--interval", "50ms"]);
    let ended = Process::subscriber(endpoint, &["--updates", "10"]).end();
    assert_collected(
        &ended.stdout,
        10,
        "zipcode '10002'",
        Seed { seed: 11, zipcode: Some(10002), topic: "" },
    );
}

fn a_server_connects_to_a_client_that_listens(endpoint: &str) {
    let mut client = Process::start(SUBSCRIBER, &["--bind", endpoint]);
    client.stderr.wait_for("listening at");
    let arguments = ["--zipcode", "10002", "--seed", "12", "--rate", "1000", "--connect", endpoint];
    let _server = Process::start(PUBLISHER, &arguments);
    let ended = client.end();
    assert_collected(
        &ended.stdout,
        5,
        "zipcode '10002'",
        Seed { seed: 12, zipcode: Some(10002), topic: "" },
    );
}

fn a_client_has_two_servers(endpoint: &str) {
    let other = &Place::tcp().endpoint;
    let _server = Process::publisher(endpoint, &["--zipcode", "10001", "--rate", "100"]);
    let _other = Process::publisher(other, &["--zipcode", "10002", "--rate", "100"]);
    let mut client =
        Process::subscriber(endpoint, &["1000", "--connect", other, "--updates", "1000000"]);
    for _ in 0..3 {
        client.stdout.wait_for("10001 ");
        client.stdout.wait_for("10002 ");
    }
}

#[tokio::main]
async fn a_client_passes_over_what_is_no_update(endpoint: &str) {
    let server = Context::new().pub_socket(PubOptions::new());
    server.bind(endpoint).await.unwrap();
    let mut client = Process::subscriber(endpoint, &["--updates", "3"]);
    server.wait_for_subscriber("10002").await.unwrap();
    for text in ["10002 10 10", "10002 warm\n", "10002", "10002 -20 20"] {
        server.send(text).await.unwrap();
    }
    let parts = Message::multipart(["10002 30 30", "and more"]).unwrap();
    server.send(parts).await.unwrap();
    server.send("1000210 30 30").await.unwrap();
    let ended = tokio::task::spawn_blocking(move || {
        client.stderr.wait_for("not an update: '10002 warm\\n': the temperature is not a number");
        client.stderr.wait_for("not an update: '10002': the temperature is missing");
        client.stderr.wait_for("not an update: '10002 30 30': it has 2 parts");
        client.end()
    });
    let ended = ended.await.unwrap();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert_eq!(
        ended.stdout,
        [
            "Collecting updates from weather server...",
            "10002 10 10",
            "10002 -20 20",
            "1000210 30 30",
            "Average temperature for zipcode '10002' was 7F",
        ]
    );
}

/// The number that stands before `unit` in a line of rates.
fn number_before(unit: &str, rates: &str) -> usize {
    let (before, _) = rates.split_once(unit).unwrap();
    before.rsplit(' ').next().unwrap().replace(',', "").parse().unwrap()
}

/// The updates that a server makes from a seed, as far as they begin with a topic.
struct Seed {
    seed: u64,
    zipcode: Option<u32>,
    topic: &'static str,
}

impl Seed {
    fn updates(&self) -> Vec<String> {
        let mut rng = fastrand::Rng::with_seed(self.seed);
        let all = (0..SEARCHED).map(|_| Update::random(&mut rng, self.zipcode).to_string());
        all.filter(|update| update.starts_with(self.topic)).collect()
    }
}

/// The output is all that a client prints: its first line, `count` updates that the server sent one
/// after the other, and their average.
fn assert_collected(output: &[String], count: usize, place: &str, seed: Seed) {
    let [first, updates @ .., last] = output else { panic!("{output:#?}") };
    assert_eq!(first, "Collecting updates from weather server...");
    assert_eq!(updates.len(), count, "{output:#?}");
    let sent = seed.updates();
    assert!(sent.windows(count).any(|sent| sent == updates), "not what was sent: {output:#?}");
    let temperature = |update: &String| i64::from(update.parse::<Update>().unwrap().temperature);
    let mean = updates.iter().map(temperature).sum::<i64>() as f64 / count as f64;
    // Adding 0 makes 0 of -0.
    let mean = mean.round() + 0.0;
    assert_eq!(last, &format!("Average temperature for {place} was {mean}F"));
}
