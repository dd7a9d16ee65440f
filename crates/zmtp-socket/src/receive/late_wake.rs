//! Waking a receiver once for all messages of a driver's turn.

use std::task::Waker;

/// The waker of a waiting receiver, which is called by [`wake`](Self::wake), or else when this is
/// dropped.
///
/// On a runtime with workers, a receiver that is woken for each batch runs beside the driver, and soon
/// waits again.
#[derive(Debug, Default)]
pub(crate) struct LateWake(Option<Waker>);

impl LateWake {
    /// Adds the waker of a receiver that is to be woken.
    pub(crate) fn add(&mut self, receiver: Option<Waker>) {
        if receiver.is_some() {
            self.0 = receiver;
        }
    }

    pub(crate) fn wake(&mut self) {
        self.0.take().into_iter().for_each(Waker::wake);
    }
}

impl Drop for LateWake {
    fn drop(&mut self) {
        self.wake();
    }
}
