//! The buffers of a program whose octets wait to be sent.
//!
//! A program that gives a function to free a buffer learns by its call that the buffer's message has been sent: pyzmq
//! tells its users so. A few octets are copied into a queue, and the buffer could be freed at once; it is kept
//! until the transports have taken all that was queued.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::engine::Pending;
use crate::handles::lock;

/// The largest number of buffers that are kept for one socket: as many as a queue holds, if the program asks for
/// nothing else. A peer that never reads must not fill the memory.
const MOST: usize = 1000;

/// The buffers of one socket.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lent(Arc<Mutex<List>>);

#[derive(Debug, Default)]
struct List {
    /// The oldest first.
    buffers: VecDeque<Bytes>,
    /// The number of buffers that have been here before the oldest one.
    before: u64,
    /// Whether a task waits to free them.
    is_awaited: bool,
}

impl List {
    fn pop(&mut self) -> Option<Bytes> {
        self.before += 1;
        self.buffers.pop_front()
    }
}

impl Lent {
    /// Keeps a buffer. Returns whether the caller has to [wait](Self::free) for it, and the oldest buffer, if they are
    /// too many: the caller frees it.
    pub(crate) fn keep(&self, buffer: Bytes) -> (bool, Option<Bytes>) {
        let mut list = lock(&self.0);
        list.buffers.push_back(buffer);
        let oldest = if list.buffers.len() > MOST { list.pop() } else { None };
        (!mem::replace(&mut list.is_awaited, true), oldest)
    }

    /// Takes back the buffer that was kept last, since nobody can wait for it.
    pub(crate) fn take_back(&self) -> Option<Bytes> {
        let mut list = lock(&self.0);
        list.is_awaited = false;
        list.buffers.pop_back()
    }

    /// Frees the buffers when their messages have been sent; `flush` begins to wait for all messages that are queued.
    pub(crate) async fn free(self, flush: impl Fn() -> Pending<()>) {
        loop {
            let end = {
                let mut list = lock(&self.0);
                list.is_awaited = !list.buffers.is_empty();
                if !list.is_awaited {
                    return;
                }
                list.before + list.buffers.len() as u64
            };
            flush().await;
            // Each is freed without the lock, since that calls a function of the program.
            while let Some(_sent) = self.pop_before(end) {}
        }
    }

    /// Takes the oldest buffer out, if it came before so many others.
    fn pop_before(&self, end: u64) -> Option<Bytes> {
        let mut list = lock(&self.0);
        if list.before < end { list.pop() } else { None }
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
        assert_eq!(lent.keep(first.clone()), (true, None), "somebody has to wait");

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
        assert_eq!(lent.keep(second.clone()), (false, None), "somebody waits");
        assert!(!is_free(&first) && !is_free(&second));

        assert!(freeing.as_mut().poll(cx).is_pending(), "the second needs another flush");
        assert!(is_free(&first) && !is_free(&second));
        assert!(freeing.as_mut().poll(cx).is_ready());
        assert!(is_free(&second));
        assert_eq!(*lock(&flushes), 2);
        assert_eq!(lent.keep(first.clone()), (true, None), "somebody has to wait again");
        assert_eq!(lent.take_back(), Some(first.clone()));
        assert_eq!(lent.keep(first), (true, None), "nobody waits after that");
    }

    #[test]
    fn too_many_buffers_are_freed_from_the_oldest_on_though_nothing_is_sent() {
        let lent = Lent::default();
        let buffer = |number: usize| Bytes::from(number.to_be_bytes().to_vec());
        let is_sent = Arc::new(Mutex::new(false));
        let sent = is_sent.clone();
        let mut freeing = pin!(lent.clone().free(move || {
            let sent = sent.clone();
            Box::pin(poll_fn(move |_| if *lock(&sent) { Poll::Ready(()) } else { Poll::Pending }))
        }));
        let cx = &mut Context::from_waker(Waker::noop());
        for number in 0..2 * MOST {
            let (_is_first, oldest) = lent.keep(buffer(number));
            assert_eq!(oldest, number.checked_sub(MOST).map(buffer));
            assert!(freeing.as_mut().poll(cx).is_pending());
        }
        let last = buffer(2 * MOST);
        lent.keep(last.clone());
        *lock(&is_sent) = true;
        assert!(freeing.as_mut().poll(cx).is_ready());
        assert!(last.is_unique());
    }
}
