//! What a ws endpoint asks of the pages that connect to it.

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
