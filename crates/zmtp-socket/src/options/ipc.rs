//! What an ipc endpoint asks of the system.

use super::{Configured, Options};

/// For ipc alone.
impl<T: Configured> Options<T> {
    /// The permissions of the socket file of a bound `ipc` path, as for `chmod`: `0o660` for the owner and
    /// the group. To connect takes the permission to write. Default: what the process's umask leaves of
    /// `0o777`.
    ///
    /// They are as asked for whatever the umask, and nobody can connect before. The folder should be one in
    /// which nobody else may put another file in the place of this one.
    pub fn ipc_mode(mut self, mode: u32) -> Self {
        self.link.ipc_mode = Some(mode);
        self
    }
}
