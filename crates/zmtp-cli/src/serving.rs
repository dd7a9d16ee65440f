//! The counters of sockets over HTTP: for Prometheus and its relatives, and for `zmtp top`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use zmtp_socket::kind::Kind;
use zmtp_socket::{Handle, Stats};

use crate::ending::Failure;
use crate::notes::Notes;

/// How long one connection may last.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many there may be at once.
const CONNECTIONS: usize = 32;

/// The sockets whose counters are told.
#[derive(Clone, Default)]
pub(crate) struct Sockets(Vec<Arc<dyn Fn() -> SocketStats + Send + Sync>>);

/// The counters of one socket.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SocketStats {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) stats: Stats,
}

impl Sockets {
    /// These and one more.
    pub(crate) fn with<T: Kind>(mut self, name: &'static str, handle: Handle<T>) -> Self {
        let kind = T::SOCKET_TYPE.name();
        self.0.push(Arc::new(move || SocketStats { name, kind, stats: handle.stats() }));
        self
    }

    /// Their counters now.
    pub(crate) fn stats(&self) -> Vec<SocketStats> {
        self.0.iter().map(|socket| socket()).collect()
    }
}

/// Serves the counters at this address, as long as the program runs.
pub(crate) async fn serve(
    address: SocketAddr,
    sockets: Sockets,
    notes: &Notes,
) -> Result<(), Failure> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|error| format!("--metrics {address}: {error}"))?;
    notes.info(format_args!("statistics at http://{}/metrics", listener.local_addr()?));
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    tokio::spawn(async move {
        loop {
            // A connection is accepted when there is room for it; the others wait with the system.
            let permit = permits.clone().acquire_owned().await;
            let Ok((stream, _)) = listener.accept().await else {
                // Out of descriptors, most often.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let sockets = sockets.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let response = answer(&request, &sockets);
                    async move { Ok::<_, Infallible>(response) }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                // A client that is slow or breaks off is its own affair.
                let _ = timeout(PATIENCE, connection).await;
                drop(permit);
            });
        }
    });
    Ok(())
}

fn answer(request: &Request<Incoming>, sockets: &Sockets) -> Response<Full<Bytes>> {
    const TEXT: &str = "text/plain; charset=utf-8";
    let (status, kind, body) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            (StatusCode::OK, kind, open_metrics(&sockets.stats()))
        }
        (&Method::GET | &Method::HEAD, "/stats.json") => {
            let json = serde_json::to_string(&sockets.stats());
            (StatusCode::OK, "application/json", json.unwrap_or_default())
        }
        (&Method::GET | &Method::HEAD, _) => {
            (StatusCode::NOT_FOUND, TEXT, "/metrics or /stats.json\n".to_owned())
        }
        _ => (StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET is what can be done\n".to_owned()),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}

type OfSocket = [(&'static str, &'static str); 2];

/// The counters in the OpenMetrics format.
fn open_metrics(sockets: &[SocketStats]) -> String {
    type Row = (&'static str, &'static str, Option<Unit>, fn(&Stats) -> u64);
    let counters: [Row; 9] = [
        ("sent", "Messages that a transport has taken", None, |it| it.sent),
        ("sent", "Octets of messages that a transport has taken", Some(Unit::Bytes), |it| {
            it.sent_octets
        }),
        ("received", "Messages that have arrived", None, |it| it.received),
        ("received", "Octets of messages that have arrived", Some(Unit::Bytes), |it| {
            it.received_octets
        }),
        ("dropped", "Messages lost at a high-water mark", None, |it| it.dropped),
        ("undelivered", "Messages lost with their connection", None, |it| it.undelivered),
        ("filtered", "Messages that nobody had asked for", None, |it| it.filtered),
        ("refused", "Connections turned away at a limit", None, |it| it.refused),
        ("dropped", "Octets of messages lost at a high-water mark", Some(Unit::Bytes), |it| {
            it.dropped_octets
        }),
    ];
    let gauges: [Row; 5] = [
        ("queued", "Messages that wait", None, |it| it.queued),
        ("queued", "Octets of messages that wait", Some(Unit::Bytes), |it| it.queued_octets),
        ("peers", "Connections whose handshake is done", None, |it| it.peers.len() as u64),
        ("handshakes", "Connections in their handshake", None, |it| it.handshakes),
        ("subscriptions", "Topics of peers, or of a subscriber", None, |it| it.subscriptions),
    ];
    let mut registry = Registry::with_prefix("zmtp");
    for (name, help, unit, value) in counters {
        let family = Family::<OfSocket, Counter>::default();
        for socket in sockets {
            family.get_or_create_owned(&labels(socket)).inc_by(value(&socket.stats));
        }
        match unit {
            Some(unit) => registry.register_with_unit(name, help, unit, family),
            None => registry.register(name, help, family),
        }
    }
    for (name, help, unit, value) in gauges {
        let family = Family::<OfSocket, Gauge>::default();
        for socket in sockets {
            let value = i64::try_from(value(&socket.stats)).unwrap_or(i64::MAX);
            family.get_or_create_owned(&labels(socket)).set(value);
        }
        match unit {
            Some(unit) => registry.register_with_unit(name, help, unit, family),
            None => registry.register(name, help, family),
        }
    }
    let mut text = String::new();
    encode(&mut text, &registry).expect("text can be written to");
    text
}

fn labels(socket: &SocketStats) -> OfSocket {
    [("socket", socket.name), ("type", socket.kind)]
}
