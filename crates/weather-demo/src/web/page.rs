//! The page, its style and its scripts, which are part of the program.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use zmtp_socket::Endpoint;

/// How many browsers may be connected at once, and how long the connection of each, which serves
/// one request, may last.
const CONNECTIONS: usize = 256;
const PATIENCE: Duration = Duration::from_secs(10);

/// The drawing of a chart: a line and the area below it, which the script fills in.
const CHART: &str = "<svg viewBox=\"0 0 100 30\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
                     <polygon /><polyline /></svg>";

/// The files that are served, with their policy.
pub(super) struct Page {
    html: String,
    policy: HeaderValue,
}

impl Page {
    /// The page of a feed.
    pub(super) fn of(feed: &Endpoint) -> Self {
        let (port, path) = match feed {
            Endpoint::Ws { port, path, .. } => (*port, path.as_str()),
            _ => unreachable!("the feed of a page is a ws endpoint"),
        };
        let at = escaped(&format!(":{port}{path}"));
        let html = include_str!("weather.html").replace("{feed}", &at).replace("{chart}", CHART);
        // The page loads nothing from elsewhere, and sends nothing there.
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; \
             connect-src ws://*:{port}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        Self { html, policy: policy.try_into().expect("a port is ASCII") }
    }

    /// Serves all requests. Ends only when dropped.
    pub(super) async fn serve(self, listener: TcpListener) -> ! {
        let (page, places) = (Arc::new(self), Arc::new(Semaphore::new(CONNECTIONS)));
        loop {
            let place = places.clone().acquire_owned().await.expect("it is never closed");
            let Ok((stream, _)) = listener.accept().await else {
                // Most often the process is out of descriptors, which passes.
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            let page = page.clone();
            tokio::spawn(async move {
                let answer = service_fn(|request| std::future::ready(page.answer(&request)));
                let connection = http1::Builder::new()
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(stream), answer);
                // A browser that goes away, or is slow, is not reported.
                let _ = timeout(PATIENCE, connection).await;
                drop(place);
            });
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        const HTML: &str = "text/html; charset=utf-8";
        const CSS: &str = "text/css; charset=utf-8";
        const SCRIPT: &str = "text/javascript; charset=utf-8";
        let (kind, body) = match request.uri().path() {
            "/" => (HTML, Bytes::from(self.html.clone())),
            "/weather.css" => (CSS, Bytes::from_static(include_bytes!("weather.css"))),
            "/weather.js" => (SCRIPT, Bytes::from_static(include_bytes!("weather.js"))),
            "/zmq.js" => (SCRIPT, Bytes::from_static(include_bytes!("zmq.js"))),
            _ => return Ok(plain(StatusCode::NOT_FOUND, "there is no such page\n")),
        };
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            return Ok(plain(StatusCode::METHOD_NOT_ALLOWED, "this can only be read\n"));
        }
        let mut response = Response::new(Full::new(body));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        Ok(response)
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Escapes a path, which may have characters of HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_its_feed_and_nothing_else() {
        let feed = "ws://127.0.0.1:8081/a&\"b".parse().expect("it is an endpoint");
        let page = Page::of(&feed);
        assert!(page.html.contains(r#"<meta name="feed" content=":8081/a&amp;&quot;b">"#));
        let policy = page.policy.to_str().expect("ASCII");
        assert!(policy.contains("connect-src ws://*:8081;"), "{policy}");
        let sources = [
            page.html.as_str(),
            include_str!("weather.css"),
            include_str!("weather.js"),
            include_str!("zmq.js"),
        ];
        for source in sources {
            for elsewhere in ["http://", "https://", "//cdn", "@import"] {
                assert!(!source.contains(elsewhere), "{elsewhere}");
            }
        }
    }
}
