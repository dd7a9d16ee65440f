//! What messages are sent with.

use std::future::Future;

use tokio::task::yield_now;
use tokio::time::timeout;

use super::Outgoing;
use crate::engine::driver::Core;
use crate::error::SendError;
use crate::options::WhenFull;

/// A core that messages are sent with.
pub(crate) trait SendCore: Core {
    /// What becomes of a message for a peer without room.
    fn when_full(&self) -> WhenFull;

    /// Whether the sender should let others run first. The next one need not.
    fn take_turn(&self) -> bool;

    /// Queues `message` for all that are to get it, as far as there is room and, if the socket is to wait
    /// for room, for all or nobody.
    fn try_send(&self, message: &Outgoing<'_>) -> Result<(), SendError>;

    /// Does as [`try_send`](Self::try_send) does, unless the sender has first to wait: for the
    /// runtime's other tasks, which get their turn now and then, or, if the socket is to, for room.
    fn send_now(&self, message: &Outgoing<'_>) -> Option<Result<(), SendError>>;

    /// Waits for room as long as it takes, then sends.
    fn send_when_room(
        &self,
        message: &Outgoing<'_>,
    ) -> impl Future<Output = Result<(), SendError>> + Send;

    /// Waits for what [`send_now`](Self::send_now) did not, then sends.
    fn send_later(
        &self,
        message: &Outgoing<'_>,
    ) -> impl Future<Output = Result<(), SendError>> + Send {
        async move {
            if self.take_turn() {
                yield_now().await;
            }
            match self.when_full() {
                WhenFull::DropNew | WhenFull::DropOldest | WhenFull::Disconnect => {
                    self.try_send(message)
                }
                WhenFull::Wait => self.send_when_room(message).await,
                WhenFull::WaitFor(time) => {
                    let sent = timeout(time, self.send_when_room(message)).await;
                    sent.unwrap_or(Err(SendError::Full))
                }
            }
        }
    }
}
