//! Serves the counters of sockets over HTTP: for Prometheus and similar programs, and for
//! `zmtp top`.

use std::convert::Infallible;
use std::fmt;
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
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use zmtp_socket::kind::Kind;
use zmtp_socket::{Handle, Metric, MetricKind, Stats};

use crate::ending::Failure;
use crate::notes::Notes;

/// How long one connection may last.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many connections there may be at once.
const CONNECTIONS: usize = 32;

/// The sockets whose counters are served.
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
    /// Adds one more socket.
    pub(crate) fn with<T: Kind>(mut self, name: &'static str, handle: Handle<T>) -> Self {
        let kind = T::SOCKET_TYPE.name();
        self.0.push(Arc::new(move || SocketStats { name, kind, stats: handle.stats() }));
        self
    }

    /// The current counters of all sockets.
    pub(crate) fn stats(&self) -> Vec<SocketStats> {
        self.0.iter().map(|socket| socket()).collect()
    }
}

/// Serves the counters at this address, until the program ends.
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
            // A connection is accepted when there is room for it; others wait in the system's
            // queue.
            let permit = permits.clone().acquire_owned().await;
            let Ok((stream, _)) = listener.accept().await else {
                // Most often the process is out of descriptors.
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
                // A client that is slow or breaks off is not reported.
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
            (StatusCode::OK, kind, open_metrics(sockets.stats()))
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

/// The counters in the OpenMetrics format.
fn open_metrics(sockets: Vec<SocketStats>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Collected(sockets)));
    let mut text = String::new();
    encode(&mut text, &registry).expect("text can be written to");
    text
}

/// The counters of some sockets at one moment.
#[derive(Debug)]
struct Collected(Vec<SocketStats>);

impl Collector for Collected {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for metric in Metric::all() {
            let kind = match metric.kind {
                MetricKind::Counter => MetricType::Counter,
                MetricKind::Gauge => MetricType::Gauge,
            };
            let unit = metric.unit.map(|unit| Unit::Other(unit.to_owned()));
            let mut family =
                encoder.encode_descriptor(metric.stem(), metric.help, unit.as_ref(), kind)?;
            for socket in &self.0 {
                let value = metric.value(&socket.stats);
                let labels = [("socket", socket.name), ("type", socket.kind)];
                let sample = family.encode_family(&labels)?;
                match metric.kind {
                    MetricKind::Counter => ConstCounter::new(value).encode(sample)?,
                    MetricKind::Gauge => ConstGauge::new(value).encode(sample)?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_metric_of_each_socket_is_told_once_and_in_one_piece() {
        let socket = |name| SocketStats { name, kind: "PUB", stats: Stats::default() };
        let text = open_metrics(vec![socket("front"), socket("back")]);
        for Metric { name, .. } in Metric::all() {
            let samples = format!(
                "\n{name}{{socket=\"front\",type=\"PUB\"}} 0\n{name}{{socket=\"back\",type=\"PUB\"}} 0\n"
            );
            assert_eq!(text.matches(&samples).count(), 1, "{name} in {text}");
        }
        let descriptor = "# HELP zmtp_sent_bytes Octets of messages that a transport has taken\n\
                          # TYPE zmtp_sent_bytes counter\n\
                          # UNIT zmtp_sent_bytes bytes\n\
                          zmtp_sent_bytes_total{";
        assert!(text.contains(descriptor), "{text}");
        assert!(text.contains("# TYPE zmtp_peers gauge\nzmtp_peers{"), "{text}");
    }
}
