//! The options of ipc endpoints.

use super::{Configured, Options};

/// Options for ipc only.
impl<T: Configured> Options<T> {
    /// The permissions of the socket file of a bound `ipc` path, as for `chmod`: `0o660` for the owner and
    /// the group. A peer needs write permission to connect. Default: what the process's umask leaves of
    /// `0o777`.
    ///
    /// The umask does not change permissions that are set here, and nobody can connect before they are in
    /// place. The folder should be one in which no other user can replace the file.
    pub fn ipc_mode(mut self, mode: u32) -> Self {
        self.link.ipc_mode = Some(mode);
        self
    }
}
