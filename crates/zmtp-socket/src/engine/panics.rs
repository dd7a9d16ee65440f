//! A panic, in code of ours or of others (a judge, a subscriber of the log, a waker), ends one
//! connection and nothing else.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use crate::error::Reason;

/// Calls `call` and turns its panic into a reason.
///
/// Our locks stay usable after a panic, and the data behind them is consistent between any two
/// statements that can panic. The data that belongs to the connection alone is dropped after it.
pub(crate) fn catch<T>(call: impl FnOnce() -> T) -> Result<T, Reason> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| reason(&*panic))
}

/// Awaits `future` and turns its panic into a reason.
pub(crate) async fn caught<F: Future>(future: F) -> Result<F::Output, Reason> {
    let mut future = pin!(future);
    poll_fn(|cx| match catch(|| future.as_mut().poll(cx)) {
        Ok(poll) => poll.map(Ok),
        Err(reason) => Poll::Ready(Err(reason)),
    })
    .await
}

/// The message of a panic.
pub(crate) fn reason(panic: &(dyn Any + Send)) -> Reason {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Reason::Panicked(text.unwrap_or("a value that is no text").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_text() {
        let text = |call: fn()| catch(call).map_err(|reason| reason.to_string());
        assert_eq!(text(|| {}), Ok(()));
        assert_eq!(text(|| panic!("as it is")), Err("a panic: as it is".to_owned()));
        assert_eq!(text(|| panic!("{}", 1)), Err("a panic: 1".to_owned()));
        let other = text(|| std::panic::panic_any(1));
        assert_eq!(other, Err("a panic: a value that is no text".to_owned()));
    }
}
