//! The buffers of a program whose octets wait to be sent.
//!
//! A program that gives a function to free a buffer learns by its call that the buffer's message has been sent: pyzmq
//! tells its users so. A few octets are copied into a queue, and the buffer could be freed at once; it is kept
//! until the transports have taken all that was queued.

use std::mem;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::engine::Pending;
use crate::handles::lock;

/// The buffers of one socket.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lent(Arc<Mutex<List>>);

#[derive(Debug, Default)]
struct List {
    buffers: Vec<Bytes>,
    /// Whether a task waits to free them.
    is_awaited: bool,
}

impl Lent {
    /// Keeps a buffer. If this returns true, the caller has to [wait](Self::free), or to free it
    /// [now](Self::free_now).
    pub(crate) fn keep(&self, buffer: Bytes) -> bool {
        let mut list = lock(&self.0);
        list.buffers.push(buffer);
        !mem::replace(&mut list.is_awaited, true)
    }

    /// Frees the buffers of a socket that cannot tell when its messages have been sent.
    pub(crate) fn free_now(&self) {
        // The program's functions run without the lock.
        let buffers = mem::take(&mut *lock(&self.0));
        drop(buffers);
    }

    /// Frees the buffers when their messages have been sent; `flush` begins to wait for all messages that are queued.
    pub(crate) async fn free(self, flush: impl Fn() -> Pending<()>) {
        loop {
            let mut buffers = {
                let mut list = lock(&self.0);
                list.is_awaited = !list.buffers.is_empty();
                mem::take(&mut list.buffers)
            };
            if buffers.is_empty() {
                return;
            }
            flush().await;
            buffers.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn a_buffer_is_freed_by_a_flush_that_began_after_it_was_queued() {
        let (lent, flushes) = (Lent::default(), Arc::new(Mutex::new(0)));
        let buffer = || Bytes::from(vec![7]);
        let (first, second) = (buffer(), buffer());
        let is_free = |buffer: &Bytes| buffer.is_unique();
        assert!(lent.keep(first.clone()), "somebody has to wait");

        let done = flushes.clone();
        let mut freeing = pin!(lent.clone().free(move || {
            let (done, mut begun) = (done.clone(), false);
            Box::pin(poll_fn(move |_| match mem::replace(&mut begun, true) {
                true => {
                    *lock(&done) += 1;
                    Poll::Ready(())
                }
                false => Poll::Pending,
            }))
        }));
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(freeing.as_mut().poll(cx).is_pending());
        assert!(!lent.keep(second.clone()), "somebody waits");
        assert!(!is_free(&first) && !is_free(&second));

        assert!(freeing.as_mut().poll(cx).is_pending(), "the second needs another flush");
        assert!(is_free(&first) && !is_free(&second));
        assert!(freeing.as_mut().poll(cx).is_ready());
        assert!(is_free(&second));
        assert_eq!(*lock(&flushes), 2);
        assert!(lent.keep(first.clone()), "somebody has to wait again");
        lent.free_now();
        assert!(is_free(&first));
        assert!(lent.keep(first), "nobody waits after that");
    }
}
