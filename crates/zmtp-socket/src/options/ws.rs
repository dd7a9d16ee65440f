//! The options of ws and wss endpoints: allowed origins, and TLS.

#[cfg(feature = "wss")]
use std::sync::Arc;

#[cfg(feature = "wss")]
use tokio_rustls::rustls;

use super::{Configured, Options};

/// Options for ws and wss.
impl<T: Configured> Options<T> {
    /// The origins whose pages may connect to a bound `ws` endpoint, as a browser sends them in the header
    /// Origin: `https://example.org`, with the port if it is not the scheme's default; `*` is any. A program
    /// that is not a browser sends no Origin, and is always let in. Default: pages from the host that they
    /// connect to, at any port; pages without an origin of their own, such as files, are refused.
    ///
    /// A browser lets any page connect anywhere. Without this rule, a page that somebody looks at could talk
    /// to every endpoint on their machine and in their network.
    pub fn ws_origins(mut self, origins: impl IntoIterator<Item: Into<String>>) -> Self {
        self.link.ws_origins = origins.into_iter().map(Into::into).collect();
        self
    }
}

/// Options for wss only.
#[cfg(feature = "wss")]
impl<T: Configured> Options<T> {
    /// The certificate and the key of bound `wss` endpoints, in a configuration of [`rustls`](crate::rustls).
    /// Default: none, and `bind` fails for `wss`.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use zmtp_socket::{PubOptions, rustls};
    ///
    /// # fn options(
    /// #     certificates: Vec<rustls::pki_types::CertificateDer<'static>>,
    /// #     key: rustls::pki_types::PrivateKeyDer<'static>,
    /// # ) -> Result<PubOptions, rustls::Error> {
    /// let server = rustls::ServerConfig::builder()
    ///     .with_no_client_auth()
    ///     .with_single_cert(certificates, key)?;
    /// Ok(PubOptions::new().wss_server(Arc::new(server)))
    /// # }
    /// ```
    ///
    /// `rustls` needs a cryptography provider from the program: depend on that crate with the feature
    /// `ring` or `aws-lc-rs`.
    pub fn wss_server(mut self, server: impl Into<Arc<rustls::ServerConfig>>) -> Self {
        self.link.wss_server = Some(server.into());
        self
    }

    /// The certificates that are accepted from the servers of connected `wss` endpoints, in a configuration
    /// of [`rustls`](crate::rustls). A server's certificate must be that of the endpoint's host. Default:
    /// none, and `connect` fails for `wss`.
    pub fn wss_client(mut self, client: impl Into<Arc<rustls::ClientConfig>>) -> Self {
        self.link.wss_client = Some(client.into());
        self
    }
}
