//! A runtime that its I/O thread runs, or in its place a thread that waits.
//!
//! If the I/O thread runs it, a message takes two switches of threads: the system wakes the I/O thread, which wakes
//! the thread that waits for the message. A thread that waits often saves the second one: it runs the runtime while it
//! waits, and the I/O thread rests.
//!
//! ```text
//!                     a thread begins to wait, and may run it
//!   I/O thread runs ───────────────────────────────────────────▶ I/O thread rests
//!                   ◀───────────────────────────────────────────
//!                     work is left that nobody runs, or nobody has waited for a while, or a thread
//!                     looks often without waiting, or sends much, or two threads would get more done
//! ```

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fmt, io, mem, process};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Notify;

use super::measure::{Measure, Moment};

/// After how many waits a thread may run the runtime. The number doubles whenever that did not pay, up to the most.
const PATIENCE: u32 = 8;
const MOST_PATIENCE: u32 = 64;

/// How often a resting I/O thread looks whether threads still wait: less and less often while they do, since each look
/// may delay a message. But a thread that sends several messages between two waits may leave some of them to a timer or
/// to a slow peer: if it waits no more, they are late by two of the shortest times.
const TICK: Duration = Duration::from_millis(1);
const LONGEST_TICK: Duration = Duration::from_millis(8);

/// A thread that sends so many messages between two waits does not wait often: the I/O thread is to do its work.
const MUCH: u32 = 10_000;

/// The same for one that looks so often between two waits, and finds nothing. One that receives until there is nothing
/// left, and then waits, looks in vain once for each of its sockets.
const OFTEN: u32 = 8;

/// A runtime with an I/O thread, which ends when this value is dropped.
///
/// A fork copies this value, but not the thread: in the new process there is [nobody](Self::is_here) to run the
/// runtime.
pub struct SharedRuntime {
    handle: Handle,
    /// The I/O thread owns it, and so is the one to drop it: no task may.
    runtime: Weak<Runtime>,
    duty: Arc<Duty>,
    /// The I/O thread, until somebody waits for its end.
    thread: Mutex<Option<JoinHandle<()>>>,
    /// The process of the thread.
    process: u32,
}

/// Whose turn it is to run the runtime.
#[derive(Default)]
struct Duty {
    state: Mutex<State>,
    /// Whether the I/O thread rests, or is about to.
    rests: AtomicBool,
    /// How often something was sent since the last wait began in which a thread ran the runtime, and how often a thread
    /// has looked in vain.
    sent: AtomicU32,
    looks: AtomicU32,
    /// Tells the running I/O thread that it is to rest or to end.
    stop: Notify,
    /// Tells the resting one that the state has changed.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Whether a thread that waits runs the runtime.
    is_run: bool,
    /// How often such a thread has begun to.
    turns: u64,
    /// How many threads wait and do not run it.
    others: u32,
    patience: Patience,
    measure: Measure,
    /// Whether a thread has sent several messages between two waits since the I/O thread looked.
    sends_several: bool,
    tick: Duration,
    is_called: bool,
    /// Whether the I/O thread sleeps until the thread that waits now is done.
    sleeps: bool,
    has_ended: bool,
}

/// How many waits are left until a thread may run the runtime.
struct Patience {
    left: u32,
    /// How many there were after the last time that it did not pay.
    all: u32,
}

/// A thread's wait, which lasts until this value is dropped.
pub struct Wait<'a> {
    shared: &'a SharedRuntime,
    runtime: Option<Arc<Runtime>>,
    /// When the wait began, if it is measured.
    begun: Option<Moment>,
}

impl SharedRuntime {
    /// Starts the thread, whose first act is `begin`.
    ///
    /// # Errors
    /// If the system gives no thread, or no descriptors for a runtime.
    pub fn start(
        runtime: &mut Builder,
        thread: thread::Builder,
        begin: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let runtime = Arc::new(runtime.build()?);
        let duty = Arc::new(Duty::default());
        let (handle, weak) = (runtime.handle().clone(), Arc::downgrade(&runtime));
        let ours = duty.clone();
        let thread = thread.spawn(move || {
            begin();
            while !ours.lock().has_ended {
                runtime.block_on(ours.stop.notified());
                ours.rest();
            }
            // A name that is still being looked up is not waited for.
            if let Some(runtime) = Arc::into_inner(runtime) {
                runtime.shutdown_background();
            }
        })?;
        let process = process::id();
        Ok(Self { handle, runtime: weak, duty, thread: Mutex::new(Some(thread)), process })
    }

    /// Whether the thread belongs to this process, and was not left behind by a fork.
    pub fn is_here(&self) -> bool {
        self.process == process::id()
    }

    /// Ends the I/O thread, and waits until that has dropped all tasks. No thread may begin to wait afterwards.
    pub fn end(&self) {
        if !self.is_here() {
            return;
        }
        self.duty.end();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // If it has panicked, it has ended.
            let _ended = thread.join();
        }
    }

    /// The runtime, for tasks. A caller that spawns some calls [`attend`](Self::attend) afterwards.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Begins a wait of this thread, in which it may be let run the runtime: not if another thread waits, too, and not
    /// in the first waits.
    pub fn begin(&self, may_run: bool) -> Wait<'_> {
        let mut state = self.duty.lock();
        let may_run = may_run
            && state.is_patient()
            && state.others == 0
            && !state.is_run
            && !state.is_called
            && Handle::try_current().is_err_and(|error| error.is_missing_context());
        let runtime = if may_run { self.runtime.upgrade() } else { None };
        let mut begun = None;
        if runtime.is_some() {
            state.is_run = true;
            state.turns += 1;
            begun = state.measure.begin(Moment::now);
            state.sends_several |= self.duty.sent.swap(0, Ordering::Relaxed) > 1;
            self.duty.looks.store(0, Ordering::Relaxed);
            if !self.duty.rests.swap(true, Ordering::Relaxed) {
                self.duty.stop.notify_one();
            }
        } else {
            state.others += 1;
            self.duty.call_back(&mut state);
        }
        drop(state);
        Wait { shared: self, runtime, begun }
    }

    /// Has the I/O thread do what was just given to the runtime, if it rests and nobody else runs it.
    #[inline]
    pub fn attend(&self) {
        if !self.duty.rests.load(Ordering::Relaxed) {
            return;
        }
        let sent = 1 + self.duty.sent.fetch_add(1, Ordering::Relaxed);
        if sent == MUCH || self.has_work() {
            self.duty.call_back(&mut self.duty.lock());
        }
    }

    /// Takes note that a thread has looked for what is not there yet, and does not wait for it. One that does so again
    /// and again needs the I/O thread.
    pub fn looked_in_vain(&self) {
        if self.duty.rests.load(Ordering::Relaxed)
            && self.duty.looks.fetch_add(1, Ordering::Relaxed) + 1 >= OFTEN
        {
            self.duty.call_back(&mut self.duty.lock());
        }
    }

    /// Whether a task has been woken from outside the runtime and has not run since.
    fn has_work(&self) -> bool {
        self.handle.metrics().global_queue_depth() > 0
    }
}

impl Wait<'_> {
    /// The runtime that this thread is to run, with [`block_on`](Runtime::block_on), while it waits; if it is to.
    pub fn runtime(&self) -> Option<&Runtime> {
        self.runtime.as_deref()
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let duty = &self.shared.duty;
        let mut state = duty.lock();
        if self.runtime.is_none() {
            state.others -= 1;
            return;
        }
        state.is_run = false;
        state.measure.end(self.begun, Moment::now);
        if state.others > 0 || self.shared.has_work() {
            duty.call_back(&mut state);
        } else if state.sleeps {
            duty.changed.notify_one();
        }
    }
}

impl Duty {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is locked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the I/O thread end.
    fn end(&self) {
        self.lock().has_ended = true;
        self.stop.notify_one();
        self.changed.notify_one();
    }

    /// Calls the I/O thread back, if it rests and nobody runs the runtime.
    fn call_back(&self, state: &mut State) {
        if self.rests.load(Ordering::Relaxed) && !state.is_run && !state.is_called {
            state.is_called = true;
            state.patience.double();
            self.changed.notify_one();
        }
    }

    /// Rests for as long as the I/O thread is not needed.
    fn rest(&self) {
        let mut state = self.lock();
        let mut seen = None;
        state.tick = TICK;
        while self.rests.load(Ordering::Relaxed) && !state.is_called && !state.has_ended {
            if seen != Some(state.turns) {
                seen = Some(state.turns);
                let tick = state.tick;
                let waited = self.changed.wait_timeout(state, tick);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                let sends_several =
                    mem::take(&mut state.sends_several) || self.sent.load(Ordering::Relaxed) > 1;
                state.tick = if sends_several { TICK } else { LONGEST_TICK.min(2 * tick) };
            } else if state.is_run {
                // The same wait as a tick ago: it may be a long one.
                state.sleeps = true;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.sleeps = false;
                seen = None;
            } else {
                break;
            }
        }
        state.is_called = false;
        self.rests.store(false, Ordering::Relaxed);
    }
}

impl State {
    /// Another wait begins. Returns whether its thread may run the runtime: enough waits have passed, and two threads
    /// would not get more done.
    fn is_patient(&mut self) -> bool {
        if self.measure.was_long(Moment::now) {
            self.patience.left = self.patience.all;
        }
        let is_over = self.patience.left == 0;
        self.patience.left = self.patience.left.saturating_sub(1);
        is_over
    }
}

impl Patience {
    fn double(&mut self) {
        self.all = MOST_PATIENCE.min(2 * self.all);
        self.left = self.all;
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self { left: PATIENCE, all: PATIENCE }
    }
}

impl Drop for SharedRuntime {
    fn drop(&mut self) {
        if self.is_here() {
            return self.duty.end();
        }
        // The parent's thread may hold the locks, and a thread of this process may have its number.
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner);
        mem::forget(thread.take());
    }
}

impl fmt::Debug for SharedRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedRuntime").finish_non_exhaustive()
    }
}

impl fmt::Debug for Wait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("runs", &self.runtime.is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread::ThreadId;
    use std::time::Instant;

    use tokio::sync::oneshot;

    use super::*;
    use crate::sockets::blocking::measure::LONG;

    fn start() -> SharedRuntime {
        let mut runtime = Builder::new_current_thread();
        let shared =
            SharedRuntime::start(runtime.enable_all(), thread::Builder::new(), || {}).unwrap();
        // No wait of a test is measured: how long it works depends on the machine.
        shared.duty.lock().measure = Measure::never();
        shared
    }

    impl SharedRuntime {
        /// A task that tells which thread runs it.
        fn task(&self) -> oneshot::Receiver<ThreadId> {
            let (tell, told) = oneshot::channel();
            self.handle.spawn(async move { tell.send(thread::current().id()) });
            told
        }

        /// Waits for a task, and returns whether this thread was to run it.
        fn runs(&self) -> bool {
            let wait = self.begin(true);
            let task = self.task();
            match wait.runtime() {
                Some(runtime) => runtime.block_on(task).unwrap(),
                None => task.blocking_recv().unwrap(),
            };
            wait.runtime().is_some()
        }

        /// Waits so often that this thread runs the next tasks, and returns how often that was.
        fn wait_until_patient(&self) -> u32 {
            (0..).find(|_| self.runs()).unwrap()
        }

        /// Does what is to call the I/O thread back from its rest, until it has done so: if this thread is slow, the I/O
        /// thread comes back by itself.
        fn until_called_back(&self, calls_back: impl Fn()) {
            let begun = Instant::now();
            while self.duty.lock().patience.all == PATIENCE {
                assert!(begun.elapsed() < Duration::from_secs(60), "it is not called back");
                self.wait_until_patient();
                calls_back();
            }
            // It may not have rested yet: the runtime may have it run some more tasks before.
            self.until("it is back", |state| !state.is_called);
        }

        fn until(&self, what: &str, is_so: impl Fn(&State) -> bool) {
            let begun = Instant::now();
            while !is_so(&self.duty.lock()) {
                assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
                thread::yield_now();
            }
        }
    }

    #[test]
    fn a_thread_that_waits_again_and_again_runs_the_tasks() {
        let (shared, here) = (start(), thread::current().id());
        assert_eq!(shared.wait_until_patient(), PATIENCE);
        assert!((0..1000).all(|_| shared.runs()));
        // The I/O thread may still have run the first ones.
        let wait = shared.begin(true);
        assert_eq!(wait.runtime().unwrap().block_on(shared.task()).unwrap(), here);
    }

    #[test]
    fn a_wait_that_may_not_run_the_tasks_calls_the_io_thread_back() {
        let shared = start();
        shared.until_called_back(|| {
            let wait = shared.begin(false);
            assert!(wait.runtime().is_none());
            assert_ne!(shared.task().blocking_recv().unwrap(), thread::current().id());
        });
        assert_eq!(shared.wait_until_patient(), 2 * PATIENCE);
    }

    #[test]
    fn the_io_thread_is_back_when_nobody_waits_any_more() {
        let shared = start();
        shared.wait_until_patient();
        // Nothing calls it back.
        assert_ne!(shared.task().blocking_recv().unwrap(), thread::current().id());
        assert_eq!(shared.duty.lock().patience.all, PATIENCE);
    }

    #[test]
    fn the_io_thread_is_called_back_for_work_and_then_it_takes_more_waits() {
        let shared = start();
        let mut patience = PATIENCE;
        for _ in 0..100 {
            assert_eq!(shared.wait_until_patient(), patience);
            let task = shared.task();
            shared.attend();
            task.blocking_recv().unwrap();
            shared.until("it is back", |_| !shared.duty.rests.load(Ordering::Relaxed));
            // Now and then it has come back by itself.
            let called = shared.duty.lock().patience.all;
            assert!(called == patience || called == MOST_PATIENCE.min(2 * patience));
            if called == patience && called < MOST_PATIENCE {
                continue;
            }
            patience = called;
        }
        assert_eq!(patience, MOST_PATIENCE);
    }

    #[test]
    fn the_io_thread_is_called_back_when_one_thread_leaves_and_another_still_waits() {
        let shared = start();
        shared.wait_until_patient();
        let runs = shared.begin(true);
        assert!(runs.runtime().is_some());
        let waits = shared.begin(true);
        assert!(waits.runtime().is_none());
        assert_eq!(shared.duty.lock().patience.all, PATIENCE);
        drop(runs);
        assert_eq!(shared.duty.lock().patience.all, 2 * PATIENCE);
        shared.until("it is back", |_| !shared.duty.rests.load(Ordering::Relaxed));
        drop(waits);
    }

    #[test]
    fn the_io_thread_looks_often_while_a_thread_sends_several_messages_between_its_waits() {
        let shared = start();
        shared.wait_until_patient();
        for (sends, tick) in [(1, LONGEST_TICK), (2, TICK), (1, LONGEST_TICK)] {
            let begun = Instant::now();
            while shared.duty.lock().tick != tick {
                assert!(
                    begun.elapsed() < Duration::from_secs(60),
                    "{sends} do not lead to {tick:?}"
                );
                shared.runs();
                (0..sends).for_each(|_| shared.attend());
            }
        }
    }

    #[test]
    fn the_io_thread_is_called_back_by_a_thread_that_looks_often_without_waiting_or_sends_much() {
        let looks = |shared: &SharedRuntime| {
            for _ in 0..2 {
                shared.runs();
                (1..OFTEN).for_each(|_| shared.looked_in_vain());
            }
            assert_eq!(shared.duty.lock().patience.all, PATIENCE, "that was not often");
            shared.looked_in_vain();
        };
        let sends_much = |shared: &SharedRuntime| {
            shared.duty.sent.store(MUCH - 2, Ordering::Relaxed);
            shared.attend();
            assert_eq!(shared.duty.lock().patience.all, PATIENCE, "that was not much");
            shared.attend();
        };
        for calls_back in [looks, sends_much] {
            let shared = start();
            shared.until_called_back(|| calls_back(&shared));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_io_thread_runs_the_next_waits_after_a_long_one() {
        let shared = start();
        shared.wait_until_patient();
        assert!(shared.runs());
        let (now, time) = (Moment::now().unwrap(), Instant::now());
        let at = |worked| Moment { worked, time: time + worked };
        shared.duty.lock().measure.end(Some(at(now.worked)), || Some(at(now.worked + LONG)));
        while Moment::now().unwrap().worked < now.worked + 2 * LONG {}
        assert!(!shared.runs());
        // Perhaps the I/O thread had come back by itself, and was not called back.
        assert!([PATIENCE - 1, 2 * PATIENCE].contains(&shared.wait_until_patient()));
    }

    /// A program that does nothing else takes no processor time.
    #[test]
    fn the_io_thread_sleeps_through_a_long_wait() {
        let shared = start();
        shared.wait_until_patient();
        let wait = shared.begin(true);
        shared.until("it sleeps", |state| state.sleeps);
        drop(wait);
        shared.until("it is back", |state| !state.sleeps);
        assert_ne!(shared.task().blocking_recv().unwrap(), thread::current().id());
    }

    #[test]
    fn a_thread_of_another_runtime_does_not_run_this_one() {
        let shared = start();
        let other = Builder::new_current_thread().build().unwrap();
        shared.wait_until_patient();
        let wait = other.block_on(async { shared.begin(true) });
        assert!(wait.runtime().is_none());
    }

    #[test]
    fn the_end_ends_the_thread_also_while_that_rests() {
        /// Dropped with the runtime.
        struct Last(mpsc::Sender<ThreadId>);
        impl Drop for Last {
            fn drop(&mut self) {
                self.0.send(thread::current().id()).unwrap();
            }
        }
        for (rests, is_awaited) in [(false, false), (true, false), (false, true), (true, true)] {
            let shared = start();
            let (last, dropped) = mpsc::channel();
            let last = Last(last);
            shared.handle.spawn(async move {
                std::future::pending::<()>().await;
                drop(last);
            });
            if rests {
                shared.wait_until_patient();
            }
            if is_awaited {
                shared.end();
                assert_ne!(dropped.try_recv(), Ok(thread::current().id()));
                shared.end();
            } else {
                drop(shared);
                assert_ne!(dropped.recv().unwrap(), thread::current().id());
            }
        }
    }

    #[test]
    fn the_end_waits_for_no_thread_that_blocks() {
        let shared = start();
        let (go, went) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        shared.handle.spawn_blocking(move || {
            tell.send(()).unwrap();
            went.recv()
        });
        told.recv().unwrap();
        shared.end();
        drop(go);
    }
}
