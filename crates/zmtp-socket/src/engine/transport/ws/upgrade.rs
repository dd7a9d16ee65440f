//! The HTTP upgrade (RFC 6455, section 4), with the demands of ZWS and of the endpoint.

use std::io;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tungstenite::error::ProtocolError;
use tungstenite::handshake::client::{Response, generate_key};
use tungstenite::handshake::derive_accept_key;
use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server::{Request, create_response, write_response};
use tungstenite::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use tungstenite::http::uri::{Authority, Uri};
use tungstenite::http::{Response as HttpResponse, StatusCode};

use super::{FIRST_READ, Profile, Stream, Terms, Upgraded};

/// The longest request or answer, in octets.
const HEAD_MAX: usize = 8 << 10;

/// Serves a client, or sends it the reason of a refusal.
pub(super) async fn accept(mut stream: Stream, terms: &Terms) -> io::Result<Upgraded> {
    let head = read_head::<Request>(&mut stream).await;
    let judged = match &head {
        Ok((request, _)) => judge(request, terms),
        Err(Unread::Lost(_)) => Err((StatusCode::BAD_REQUEST, String::new())),
        Err(unread) => Err((StatusCode::BAD_REQUEST, unread.to_string())),
    };
    let (response, profile) = match judged {
        Ok(accepted) => accepted,
        Err((status, reason)) => {
            if let Err(Unread::Lost(error)) = head {
                return Err(error);
            }
            // The client may not read it; our own error has the reason too.
            let _heard = refuse(&mut stream, status, &reason).await;
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{reason} ({status})")));
        }
    };
    let mut octets = Vec::new();
    write_response(&mut octets, &response).map_err(io::Error::other)?;
    stream.write_all(&octets).await?;
    stream.flush().await?;
    let rest = head.map_or_else(|_| BytesMut::new(), |(_, rest)| rest);
    Ok(Upgraded { stream, profile, rest })
}

/// Asks a server at `host` for the upgrade.
pub(super) async fn dial(mut stream: Stream, host: &str, terms: &Terms) -> io::Result<Upgraded> {
    let (key, path) = (generate_key(), &terms.path);
    let offers: Vec<_> = terms.profiles.iter().map(|profile| profile.name()).collect();
    let offers = offers.join(", ");
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: {offers}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let (response, rest) = match read_head::<Response>(&mut stream).await {
        Ok(head) => head,
        Err(Unread::Lost(error)) => return Err(error),
        Err(unread) => return Err(invalid(unread.to_string())),
    };
    let profile = verify(&response, &key, terms)?;
    Ok(Upgraded { stream, profile, rest })
}

/// The reasons why the head of a message could not be read.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error("the connection was lost")]
    Lost(io::Error),
    #[error("the HTTP header has more than {HEAD_MAX} octets")]
    TooLarge,
    #[error("not an HTTP upgrade: {0}")]
    Invalid(tungstenite::Error),
}

/// Reads a request or an answer, and the octets that have arrived behind it.
async fn read_head<T: TryParse>(stream: &mut Stream) -> Result<(T, BytesMut), Unread> {
    let mut input = BytesMut::new();
    loop {
        input.reserve(FIRST_READ);
        if stream.read_buf(&mut input).await.map_err(Unread::Lost)? == 0 {
            return Err(Unread::Lost(io::ErrorKind::UnexpectedEof.into()));
        }
        let head = T::try_parse(&input).map_err(Unread::Invalid)?;
        if head.as_ref().map_or(input.len(), |(size, _)| *size) > HEAD_MAX {
            return Err(Unread::TooLarge);
        }
        if let Some((size, head)) = head {
            input.advance(size);
            return Ok((head, input));
        }
    }
}

type Accepted = (HttpResponse<()>, Profile);

/// Decides whether a client is served. Returns the answer, or the refusal to send instead.
fn judge(request: &Request, terms: &Terms) -> Result<Accepted, (StatusCode, String)> {
    let mut response = create_response(request).map_err(|error| {
        let status = match error {
            tungstenite::Error::Protocol(
                ProtocolError::MissingConnectionUpgradeHeader
                | ProtocolError::MissingUpgradeWebSocketHeader,
            ) => StatusCode::UPGRADE_REQUIRED,
            _ => StatusCode::BAD_REQUEST,
        };
        (status, format!("not an HTTP upgrade: {error}"))
    })?;
    let path = request.uri().path();
    if path != &*terms.path {
        let reason = format!("the path {path:?}, where {:?} is served", terms.path);
        return Err((StatusCode::NOT_FOUND, reason));
    }
    check_origin(request.headers(), &terms.origins).map_err(|it| (StatusCode::FORBIDDEN, it))?;
    let offers = offers(request.headers());
    // The last one that we support: NULL tells more than no mechanism.
    let profiles = terms.profiles.iter().rev();
    let Some(profile) = profiles.copied().find(|it| offers.contains(&it.name())) else {
        let names: Vec<_> = terms.profiles.iter().map(|profile| profile.name()).collect();
        let reason = format!("the sub-protocols {offers:?}, where one of {names:?} is spoken");
        return Err((StatusCode::BAD_REQUEST, reason));
    };
    let name = HeaderValue::from_static(profile.name());
    response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, name);
    Ok((response, profile))
}

/// The sub-protocols that a client offers.
fn offers(headers: &HeaderMap) -> Vec<&str> {
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).into_iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).map(str::trim).collect()
}

/// Checks the site of the page from which a browser connects. Without this, any page that a user looks
/// at could exchange messages with a server on the user's machine.
fn check_origin(headers: &HeaderMap, allowed: &[String]) -> Result<(), String> {
    let mut origins = headers.get_all(header::ORIGIN).into_iter();
    let Some(origin) = origins.next() else { return Ok(()) };
    let origin = origin.to_str().ok().filter(|_| origins.next().is_none());
    let Some(origin) = origin else { return Err("an Origin that cannot be read".to_owned()) };
    let is_allowed = match allowed {
        [] => is_same_host(origin, headers),
        some => some.iter().any(|it| it == "*" || it.eq_ignore_ascii_case(origin)),
    };
    if is_allowed {
        Ok(())
    } else {
        Err(format!("a page of {origin:?}, which is not in ws_origins"))
    }
}

/// Whether a page is from the host that it connects to, whatever the port.
fn is_same_host(origin: &str, headers: &HeaderMap) -> bool {
    let origin: Option<Uri> = origin.parse().ok();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host: Option<Authority> = host.and_then(|host| host.parse().ok());
    match (origin.as_ref().and_then(Uri::host), host.as_ref().map(Authority::host)) {
        (Some(origin), Some(host)) => origin.eq_ignore_ascii_case(host),
        _ => false,
    }
}

async fn refuse(stream: &mut Stream, status: StatusCode, reason: &str) -> io::Result<()> {
    let body = format!("{reason}\n");
    let more = match status {
        StatusCode::UPGRADE_REQUIRED => "Upgrade: websocket\r\n",
        _ => "",
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\n\
         X-Content-Type-Options: nosniff\r\nContent-Length: {}\r\nConnection: close\r\n{more}\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.flush().await?;
    stream.shutdown().await
}

/// The profile that the server has chosen.
fn verify(response: &Response, key: &str, terms: &Terms) -> io::Result<Profile> {
    let status = response.status();
    if status != StatusCode::SWITCHING_PROTOCOLS {
        return Err(invalid(format!("the server answers {status} to the upgrade")));
    }
    let headers = response.headers();
    let has = |name: HeaderName, expected: &str| {
        let texts = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        let mut words = texts.flat_map(|text| text.split(',')).map(str::trim);
        words.any(|word| word.eq_ignore_ascii_case(expected))
    };
    if !has(header::UPGRADE, "websocket") || !has(header::CONNECTION, "upgrade") {
        return Err(invalid("the server's answer upgrades nothing"));
    }
    let accept = headers.get(header::SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
    if accept != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
        return Err(invalid("the server's Sec-WebSocket-Accept is not that of our key"));
    }
    let chosen = headers.get(header::SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok());
    let profile = terms.profiles.iter().find(|profile| chosen == Some(profile.name()));
    profile
        .copied()
        .ok_or_else(|| invalid(format!("the server chooses the sub-protocol {chosen:?}")))
}

fn invalid(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}
