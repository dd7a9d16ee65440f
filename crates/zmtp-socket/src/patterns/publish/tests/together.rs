//! Drivers that are left waiting, and woken together.

use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::*;
use crate::send::pace::Pace;

fn readers(core: &Arc<PubCore>) -> [Reader; 3] {
    let mut readers =
        [(0, "a"), (1, "b"), (2, "c")].map(|(id, topic)| Reader::with_id(core, id, topic));
    // Their drivers wait.
    assert!(!readers.each_mut().map(Reader::take).contains(&true));
    readers
}

fn woken(readers: &[Reader; 3]) -> [usize; 3] {
    readers.each_ref().map(|reader| reader.woken.0.load(Ordering::Relaxed))
}

/// Waits until the drivers have been woken so often.
async fn until_woken(readers: &[Reader; 3], times: [usize; 3]) {
    let waiting = async {
        while woken(readers) != times {
            yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), waiting).await.expect("they are woken");
}

/// Sends from a thread outside of every runtime, as a sender that has just sent another message.
fn send_busily(core: &Arc<PubCore>, message: &str) {
    thread::scope(|scope| {
        scope.spawn(|| {
            lock(&core.state).pace = Pace::busy();
            core.try_send(&message.into()).unwrap();
        });
    });
}

#[tokio::test]
async fn a_busy_sender_beside_the_drivers_leaves_them_to_the_task() {
    let core = publisher(10);
    let mut readers = readers(&core);
    core.try_send(&"a 1".into()).unwrap();
    assert_eq!(woken(&readers), [1, 0, 0], "on the thread of the drivers, they are woken at once");
    send_busily(&core, "b 1");
    send_busily(&core, "b 2");
    send_busily(&core, "c 1");
    assert_eq!(woken(&readers), [1, 0, 0]);
    until_woken(&readers, [1, 1, 1]).await;
    for (reader, messages) in readers.iter_mut().zip([1, 2, 1]) {
        assert!(reader.take());
        assert_eq!(
            reader.session.core.settled().peers[reader.session.key()].outbox.queued(),
            messages
        );
    }
}

#[tokio::test]
async fn where_only_the_driver_may_write_a_full_queue_is_left_to_it_whole() {
    let core = publisher_that_waits(2);
    let readers = readers(&core);
    send_busily(&core, "a 1");
    send_busily(&core, "a 2");
    let state = core.settled();
    let outbox = &state.peers[readers[0].session.key()].outbox;
    assert!(outbox.is_full() && !outbox.has_begun(), "it may have to be sealed");
    drop(state);
    until_woken(&readers, [1, 0, 0]).await;
}

#[tokio::test]
async fn a_socket_that_closes_leaves_nobody_waiting() {
    let core = publisher(10);
    let readers = readers(&core);
    yield_now().await;
    send_busily(&core, "b");
    core.close();
    until_woken(&readers, [0, 1, 0]).await;
}

#[tokio::test]
async fn the_task_ends_with_the_last_peer_and_another_begins_with_the_next() {
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let core = publisher(10);
    for _ in 0..2 {
        let readers = readers(&core);
        yield_now().await;
        assert_eq!(tasks(), 1);
        drop(readers);
        yield_now().await;
        assert_eq!(tasks(), 0);
    }
}

#[test]
fn without_the_task_drivers_are_woken_at_once() {
    let core = publisher(10);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let readers = runtime.block_on(async { readers(&core) });
    send_busily(&core, "a");
    assert_eq!(woken(&readers), [0; 3]);
    drop(runtime);
    assert_eq!(woken(&readers), [1, 0, 0], "the task has woken it at its end");
    send_busily(&core, "b");
    assert_eq!(woken(&readers), [1, 1, 0]);
}

#[test]
fn a_peer_that_comes_while_the_runtime_ends_keeps_no_lock() {
    let core = publisher(10);
    let (tell, told) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        drop(runtime);
        let _within = handle.enter();
        let readers = readers(&core);
        send_busily(&core, "a");
        tell.send(woken(&readers))
    });
    assert_eq!(told.recv_timeout(Duration::from_secs(10)), Ok([1, 0, 0]), "there is no task");
}
