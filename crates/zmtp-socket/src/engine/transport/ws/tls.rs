//! `wss://`: TLS below HTTP, by rustls.

use std::io;
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{Stream, Terms};
use crate::endpoint::Host;
use crate::options::LinkOptions;

/// Our side of TLS.
#[derive(Clone, Debug)]
pub(super) enum Tls {
    Server(Arc<ServerConfig>),
    Client(Arc<ClientConfig>, ServerName<'static>),
}

impl Terms {
    /// The same for a bound `wss` endpoint.
    pub(in crate::engine::transport) fn over_tls_as_server(
        self,
        options: &LinkOptions,
    ) -> io::Result<Self> {
        let server = options.wss_server.clone().ok_or_else(|| missing("wss_server"))?;
        Ok(Self { tls: Some(Tls::Server(server)), ..self })
    }

    /// The same for a connected one.
    pub(in crate::engine::transport) fn over_tls_as_client(
        self,
        host: &Host,
        options: &LinkOptions,
    ) -> io::Result<Self> {
        let client = options.wss_client.clone().ok_or_else(|| missing("wss_client"))?;
        let name = match host {
            Host::Ip(address) => ServerName::from(*address),
            Host::Name(name) => ServerName::try_from(name.clone()).map_err(|error| {
                let reason = format!("no certificate can be that of {name:?}: {error}");
                io::Error::new(io::ErrorKind::InvalidInput, reason)
            })?,
            Host::Any => return Err(io::ErrorKind::InvalidInput.into()),
        };
        Ok(Self { tls: Some(Tls::Client(client, name)), ..self })
    }
}

impl Tls {
    /// Does the TLS handshake.
    pub(super) async fn open(&self, stream: Stream) -> io::Result<Stream> {
        let opened: io::Result<Stream> = match self {
            Self::Server(config) => {
                let accepted = TlsAcceptor::from(config.clone()).accept(stream).await;
                accepted.map(|stream| Stream::Pipe(Box::new(stream), None))
            }
            Self::Client(config, name) => {
                let connector = TlsConnector::from(config.clone());
                let connected = connector.connect(name.clone(), stream).await;
                connected.map(|stream| Stream::Pipe(Box::new(stream), None))
            }
        };
        opened.map_err(|error| io::Error::new(error.kind(), format!("TLS: {error}")))
    }
}

fn missing(option: &str) -> io::Error {
    let reason = format!("wss asks for the option {option}");
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}
