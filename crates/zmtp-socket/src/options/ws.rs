//! What a ws endpoint asks of the pages that connect to it, and what a wss endpoint knows of TLS.

#[cfg(feature = "wss")]
use std::sync::Arc;

#[cfg(feature = "wss")]
use tokio_rustls::rustls;

use super::{Configured, Options};

/// For ws alone.
impl<T: Configured> Options<T> {
    /// The sites whose pages may connect to a bound `ws` endpoint, as a browser says them in the header Origin:
    /// `https://example.org`, with the port where it is not the scheme's own; `*` is any. Programs that are no
    /// browsers send none, and are let in whatever this says. Default: pages from the host that they connect to,
    /// at any port; pages without a site of their own, such as files, are refused.
    ///
    /// A browser lets any page connect anywhere, so without this rule a page that somebody looks at could speak
    /// with all that listens on their machine and in their network.
    pub fn ws_origins(mut self, origins: impl IntoIterator<Item: Into<String>>) -> Self {
        self.link.ws_origins = origins.into_iter().map(Into::into).collect();
        self
    }
}

/// For wss alone.
#[cfg(feature = "wss")]
impl<T: Configured> Options<T> {
    /// The certificate and the key of bound `wss` endpoints, and all else that [`rustls`](crate::rustls) can be
    /// told. Default: none, and to bind `wss` fails.
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
    /// `rustls` asks the program for its cryptography: depend on that crate with the feature `ring` or
    /// `aws-lc-rs`.
    pub fn wss_server(mut self, server: impl Into<Arc<rustls::ServerConfig>>) -> Self {
        self.link.wss_server = Some(server.into());
        self
    }

    /// Which certificates the servers of connected `wss` endpoints may have, and all else that
    /// [`rustls`](crate::rustls) can be told. The certificate must be that of the endpoint's host. Default: none,
    /// and to connect to `wss` fails.
    pub fn wss_client(mut self, client: impl Into<Arc<rustls::ClientConfig>>) -> Self {
        self.link.wss_client = Some(client.into());
        self
    }
}
