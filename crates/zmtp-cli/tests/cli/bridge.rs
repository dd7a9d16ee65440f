//! The bridge to NATS, with Debian's `nats-server`, and with a client of NATS that is written out here.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::process::{Folder, Process, zmtp};

/// A server, which keeps its streams in a folder.
struct Server {
    process: Option<Process>,
    port: String,
    folder: Folder,
}

impl Server {
    /// `None` where there is no `nats-server`, which is said; it is a failure where `ZMTP_REQUIRE_NATS` is 1.
    fn start() -> Option<Self> {
        let is_there = Command::new("nats-server").arg("-v").stdout(Stdio::null()).status().is_ok();
        if !is_there {
            let required = std::env::var_os("ZMTP_REQUIRE_NATS").is_some_and(|value| value == "1");
            assert!(!required, "ZMTP_REQUIRE_NATS is 1 and there is no nats-server");
            eprintln!("skipped: there is no nats-server");
            return None;
        }
        let mut server = Self { process: None, port: "-1".to_owned(), folder: Folder::new() };
        server.begin();
        Some(server)
    }

    /// Begins, at the port that it has had before.
    fn begin(&mut self) {
        let mut command = Command::new("nats-server");
        command.args([
            "-a",
            "127.0.0.1",
            "-p",
            &self.port,
            "-js",
            "-sd",
            &self.folder.path("store"),
        ]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process::of(command);
        let line = process.stderr.wait_for("Listening for client connections on ");
        self.port = line.rsplit(':').next().unwrap().to_owned();
        process.stderr.wait_for("Server is ready");
        self.process = Some(process);
    }

    fn end(&mut self) {
        let process = self.process.take().unwrap();
        process.terminate();
        process.end();
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// A client that hears these subjects.
    fn client(&self, subjects: &str) -> Client {
        let stream = TcpStream::connect(format!("127.0.0.1:{}", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut client = Client(BufReader::new(stream));
        assert!(client.line().starts_with("INFO "));
        client.say(b"CONNECT {\"verbose\":false,\"headers\":true,\"protocol\":1}\r\n");
        client.say(format!("SUB {subjects} 1\r\n").as_bytes());
        client.sync();
        client
    }
}

/// A client of NATS.
struct Client(BufReader<TcpStream>);

impl Client {
    fn say(&mut self, octets: &[u8]) {
        self.0.get_mut().write_all(octets).unwrap();
    }

    /// The server has heard all before.
    fn sync(&mut self) {
        self.say(b"PING\r\n");
        assert_eq!(self.line(), "PONG");
    }

    fn line(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            match line.trim_end() {
                "PING" => self.say(b"PONG\r\n"),
                line => return line.to_owned(),
            }
        }
    }

    /// The next message: its subject, header lines, and payload.
    fn message(&mut self) -> (String, String, String) {
        let line = self.line();
        let words: Vec<_> = line.split(' ').collect();
        let sizes: Vec<usize> = words[3..].iter().map(|word| word.parse().unwrap()).collect();
        let mut octets = vec![0; sizes.last().unwrap() + 2];
        self.0.read_exact(&mut octets).unwrap();
        let text = String::from_utf8_lossy(&octets[..octets.len() - 2]).into_owned();
        let (headers, payload) = match words[0] {
            "HMSG" => text.split_at(sizes[0]),
            "MSG" => ("", &text[..]),
            other => panic!("{other}"),
        };
        (words[1].to_owned(), headers.to_owned(), payload.to_owned())
    }

    #[track_caller]
    fn hears(&mut self, subject: &str, headers: &str, payload: &str) {
        assert_eq!(self.message(), (subject.to_owned(), headers.to_owned(), payload.to_owned()));
    }
}

/// Publishes lines of JSON to a bridge, once that has subscribed.
#[track_caller]
fn publish(endpoint: &str, lines: &str) {
    let arguments = ["pub", "--connect", endpoint, "--json", "--wait-for-peer"];
    Process::fed(&arguments, lines.as_bytes()).end().expect(0, &[]);
}

#[test]
fn a_plain_user_of_nats_hears_publishers_and_is_heard_by_subscribers() {
    let Some(server) = Server::start() else { return };
    let mut user = server.client("zmq.>");
    let folder = Folder::new();
    let there = folder.ipc("there");
    let (mut bridge, here) =
        Process::bound(&["bridge", "tcp://127.0.0.1:*", &server.url(), "--publish", &there]);
    assert_eq!(bridge.endpoint(), there);
    publish(&here, "[\"weather.nyc\",\"27\"]\n[\"a b\",\"1\",\"\",\"3\"]\n\"10002 27 40\"\n");
    user.hears("zmq.weather.nyc", "", "27");
    user.hears("zmq.a%20b", "NATS/1.0\r\nZmtp-Parts: topic 1 0 1\r\n\r\n", "13");
    user.hears("zmq.10002", "NATS/1.0\r\nZmtp-Parts: 11\r\n\r\n", "10002 27 40");

    // The first that the subscriber gets is the user's: what the bridge has published does not come back to it.
    let mut sub = Process::start(&["sub", &there, "-n", "1"]);
    while !sub.has_ended() {
        publish(&here, "[\"from\",\"zmq\"]\n");
        user.say(b"PUB zmq.x%20y 4\r\nnats\r\n");
    }
    sub.end().expect(0, &["x y\tnats"]);
    bridge.terminate();
    let ended = bridge.end();
    ended.expect(0, &[]);
    ended.says("0 refused, 0 undelivered; from NATS: ");
    assert!(ended.stderr.iter().any(|line| line.ends_with("connected 1 time")), "{ended:#?}");
}

#[test]
fn any_message_comes_out_of_another_bridge_as_it_was() {
    let Some(server) = Server::start() else { return };
    let (_one, here) = Process::bound(&["bridge", "tcp://127.0.0.1:*", &server.url(), "-t", "a"]);
    let (_other, there) =
        Process::bound(&["bridge", "tcp://127.0.0.1:*", &server.url(), "--from-nats"]);
    let lines = [
        "{\"parts\":[\"a\"]}",
        "{\"parts\":[\"a b\",\"\"]}",
        "{\"parts\":[\"a.\",\"x\",\"\",{\"base64\":\"/wA=\"}]}",
        "{\"parts\":[{\"base64\":\"Yf8=\"},\"y\"]}",
        "{\"parts\":[\"a*>%41\",\"z\"]}",
    ];
    let mut sub = Process::start(&["sub", &there, "--json"]);
    // Both bridges and the subscriber have found each other when the first line comes.
    let first = loop {
        publish(&here, "[\"a-begin\",\"0\"]\n");
        if let Some(line) = sub.stdout.try_next() {
            break line;
        }
    };
    assert!(first.contains("a-begin"), "{first}");
    publish(
        &here,
        &format!("{}\n[\"b\",\"not asked for\"]\n{}\n", lines[0], lines[1..].join("\n")),
    );
    let mut come = Vec::new();
    while come.len() < lines.len() {
        let line = sub.stdout.next();
        if !line.contains("a-begin") {
            come.push(line);
        }
    }
    assert_eq!(come, lines);
}

#[test]
fn a_server_that_goes_and_comes_back_is_found_again() {
    let Some(mut server) = Server::start() else { return };
    let (mut bridge, here) =
        Process::bound(&["bridge", "tcp://127.0.0.1:*", &server.url(), "--json"]);
    bridge.stderr.wait_for("connected: nats://");
    server.end();
    bridge.stderr.wait_for("the connection broke; trying again");
    // It waits for the server.
    publish(&here, "[\"a\",\"1\"]\n");
    server.begin();
    let mut user = server.client("zmq.>");
    bridge.stderr.wait_for("connected: nats://");
    publish(&here, "[\"a\",\"2\"]\n");
    while user.message().2 != "2" {}
    bridge.interrupt();
    let ended = bridge.end();
    ended.expect(0, &[]);
    ended.says("{\"to_nats\":2,\"refused\":0,\"undelivered_to_nats\":0,");
    ended.says("\"connections\":2}");
}

#[test]
fn what_waits_for_a_server_that_is_gone_is_counted() {
    let folder = Folder::new();
    let endpoint = folder.ipc("there");
    let arguments = ["bridge", &endpoint, "nats://127.0.0.1:1", "--bind", "--json"];
    let mut bridge = Process::start(&arguments);
    bridge.stderr.wait_for("trying again");
    publish(&endpoint, "[\"a\",\"1\"]\n[\"a\",\"2\"]\n");
    bridge.interrupt();
    let ended = bridge.end();
    ended.expect(1, &[]);
    ended.says("{\"to_nats\":0,\"refused\":0,\"undelivered_to_nats\":2,");
}

#[test]
fn a_stream_keeps_what_was_published_even_while_the_server_was_gone() {
    let Some(mut server) = Server::start() else { return };
    let url = server.url();
    let (mut bridge, here) =
        Process::bound(&["bridge", "tcp://127.0.0.1:*", &url, "--jetstream", "FEED", "--json"]);
    publish(&here, "[\"a\",\"1\"]\n[\"b\",\"2\"]\n");
    let kept = |server: &Server, count: &str| {
        let mut user = server.client("answer");
        loop {
            user.say(b"PUB $JS.API.STREAM.INFO.FEED answer 0\r\n\r\n");
            let (_, _, info) = user.message();
            if info.contains(&format!("\"messages\":{count},")) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    kept(&server, "2");
    server.end();
    bridge.stderr.wait_for("the connection broke");
    publish(&here, "[\"c\",\"3\"]\n");
    server.begin();
    kept(&server, "3");
    // The acknowledgement is on its way; what is acknowledged is counted, at the latest in the second of farewell.
    bridge.interrupt();
    let ended = bridge.end();
    ended.expect(0, &[]);
    ended.says("{\"to_nats\":3,\"refused\":0,\"undelivered_to_nats\":0,");
}

#[test]
fn what_cannot_be_handed_on_is_counted() {
    let Some(server) = Server::start() else { return };
    let mut user = server.client("zmq.>");
    let folder = Folder::new();
    let there = folder.ipc("there");
    let arguments = ["bridge", "tcp://127.0.0.1:*", &server.url(), "--publish", &there, "--json"];
    let (mut bridge, here) = Process::bound(&arguments);
    let mut sub = Process::start(&["sub", &there, "-n", "1"]);
    while !sub.has_ended() {
        user.say(b"PUB zmq.a 2\r\nhi\r\n");
        std::thread::sleep(Duration::from_millis(10));
    }
    user.say(b"HPUB zmq.a 27 29\r\nNATS/1.0\r\nZmtp-Parts: 9\r\n\r\nxx\r\n");
    bridge.stderr.wait_for("is not what its header Zmtp-Parts says");
    // The server takes a mebibyte.
    publish(&here, &format!("[\"a\",\"{}\"]\n[\"a\",\"fits\"]\n", "x".repeat((1 << 20) + 1)));
    while user.message().2 != "fits" {}
    bridge.interrupt();
    let ended = bridge.end();
    ended.expect(0, &[]);
    ended.says("a message cannot go to NATS: ");
    ended.says("{\"to_nats\":1,\"refused\":1,\"undelivered_to_nats\":0,");
    ended.says("\"torn\":1,");
}

#[test]
fn secrets_are_no_part_of_the_command_line() {
    for (server, said) in
        [("nats://me:secret@localhost", "--nats-login"), ("http://localhost", "scheme")]
    {
        let ended = zmtp(&["bridge", "tcp://localhost:1", server]);
        assert_eq!(ended.status.code(), Some(2), "{ended:#?}");
        ended.says(said);
    }
}
