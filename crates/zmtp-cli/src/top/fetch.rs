//! Fetches counters over HTTP.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::Request;
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::ending::Failure;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many octets an answer may have.
const MOST: usize = 64 << 20;

/// The server of the counters, as HOST:PORT.
#[derive(Clone, Debug)]
pub(super) struct Source(String);

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("http://").unwrap_or(text);
        let address = rest.split('/').next().unwrap_or_default();
        match address.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                Ok(Self(address.to_owned()))
            }
            _ => Err("expected HOST:PORT, as given to --metrics, or http://HOST:PORT".to_owned()),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.0)
    }
}

/// One socket with its counters, as the server sends them.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Socket {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) stats: Totals,
}

/// The counters of a socket.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Totals {
    #[serde(flatten)]
    pub(super) counts: Counts,
    pub(super) subscriptions: u64,
    pub(super) peers: Vec<PeerCounts>,
}

/// The counters of one peer.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct PeerCounts {
    pub(super) peer: PeerName,
    /// In seconds.
    pub(super) age: f64,
    pub(super) state: String,
    #[serde(flatten)]
    pub(super) counts: Counts,
}

/// A peer, as the server sends it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct PeerName {
    pub(super) id: u64,
    pub(super) endpoint: String,
    pub(super) address: String,
}

/// The counters that sockets and peers share.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Counts {
    pub(super) sent: u64,
    pub(super) sent_octets: u64,
    pub(super) received: u64,
    pub(super) received_octets: u64,
    pub(super) dropped: u64,
    pub(super) queued: u64,
}

/// Fetches the counters once.
pub(super) async fn fetch(source: &Source) -> Result<Vec<Socket>, Failure> {
    let answer = timeout(PATIENCE, get(source)).await;
    let body = answer.map_err(|_| "no answer in time")??;
    let sockets = serde_json::from_slice(&body);
    Ok(sockets
        .map_err(|error| format!("the answer does not contain the counters of zmtp: {error}"))?)
}

async fn get(source: &Source) -> Result<Bytes, Failure> {
    let stream = TcpStream::connect(&source.0).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // The task ends with the request.
    let connection = tokio::spawn(connection);
    let request = Request::get("/stats.json").header(HOST, &source.0).body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    if !response.status().is_success() {
        return Err(format!("the server answers {}", response.status()).into());
    }
    let body = Limited::new(response.into_body(), MOST).collect().await?.to_bytes();
    connection.abort();
    Ok(body)
}
