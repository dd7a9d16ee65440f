//! Runs sockets on one thread, with time that passes only when no task has anything to do.

use std::{cell::Cell, panic, sync::Once, time::Duration};

use tokio::{
    runtime::{Builder, Handle},
    time::timeout,
};

thread_local! {
    static HAS_PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `scene` to its end. Then none of its tasks may be left, and none may have panicked.
pub(crate) fn play(scene: impl Future<Output = ()>) {
    notice_panics();
    HAS_PANICKED.set(false);
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime can be made").block_on(async {
        scene.await;
        let alive = Handle::current().metrics().num_alive_tasks();
        assert_eq!(alive, 0, "tasks that outlive their sockets");
    });
    assert!(!HAS_PANICKED.get(), "a task has panicked");
}

/// Awaits `future`, and fails if it has not ended after `time`, which passes at once when all tasks
/// are idle.
pub(crate) async fn within<T>(time: Duration, what: &str, future: impl Future<Output = T>) -> T {
    match timeout(time, future).await {
        Ok(value) => value,
        Err(_elapsed) => panic!("waited {time:?} for {what}"),
    }
}

/// Takes note of the panics of tasks, which a runtime does not report.
fn notice_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let next = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            HAS_PANICKED.set(true);
            next(panic);
        }));
    });
}
