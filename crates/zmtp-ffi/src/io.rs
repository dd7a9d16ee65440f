//! The I/O threads.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ffi::c_int;
use std::panic::resume_unwind;
use std::process;
use std::sync::mpsc::{Sender, sync_channel};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::SigSet;
use nix::unistd::Pid;
use tokio::runtime::{Builder, Handle};
use tokio::task::yield_now;
use zmtp_socket::blocking::{SharedRuntime, Wait};

use crate::errno::Errno;
use crate::handles::lock;
use crate::{border, interrupt};

thread_local! {
    static IS_IO: Cell<bool> = const { Cell::new(false) };
    static DOES_JOBS: Cell<bool> = const { Cell::new(false) };
}

/// How often a barrier yields to the other tasks. A message between two sockets in the process
/// takes two steps, and a connection takes six.
const STEPS: usize = 12;

/// A thread whose runtime runs the connections of sockets. It ends when this value is dropped.
///
/// It blocks all signals, which are for the program's own threads. It rests while a thread of the program
/// [runs the runtime](interrupt).
#[derive(Debug)]
pub(crate) struct Io {
    runtime: SharedRuntime,
    /// Whether a thread that waits may run the runtime in place of this thread.
    may_rest: bool,
}

/// How to run the threads of a context.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Threads {
    /// The system's scheduling policy, and the priority within it.
    pub(crate) policy: Option<c_int>,
    pub(crate) priority: Option<c_int>,
    /// The processors that they may run on; all if empty.
    cpus: BTreeSet<usize>,
    /// The number at the beginning of their names.
    pub(crate) prefix: Option<c_int>,
}

impl Threads {
    pub(crate) fn add_cpu(&mut self, cpu: usize) {
        self.cpus.insert(cpu);
    }

    /// Removes a processor; `None` if it was not in the set.
    pub(crate) fn remove_cpu(&mut self, cpu: usize) -> Option<()> {
        self.cpus.remove(&cpu).then_some(())
    }

    fn name(&self) -> String {
        self.prefix.map_or_else(|| "ZMQbg/IO".into(), |prefix| format!("{prefix}/ZMQbg/IO"))
    }

    /// Applies the settings to this thread, as far as the system permits, as libzmq does.
    fn apply(&self) {
        if !self.cpus.is_empty() {
            let mut set = CpuSet::new();
            let known = self.cpus.iter().filter(|cpu| set.set(**cpu).is_ok()).count();
            if known > 0
                && let Err(error) = sched_setaffinity(Pid::from_raw(0), &set)
            {
                tracing::warn!(%error, "cannot set the processors of an I/O thread");
            }
        }
        if let Some(policy) = self.policy
            && let Err(error) = border::set_scheduling(policy, self.priority.unwrap_or(0))
        {
            tracing::warn!(?error, "cannot set the scheduling of an I/O thread");
        }
    }
}

impl Io {
    pub(crate) fn start(threads: &Threads) -> Result<Arc<Self>, Errno> {
        let may_rest = *threads == Threads::default();
        let threads = threads.clone();
        let thread = thread::Builder::new().name(threads.name());
        let mut runtime = Builder::new_current_thread();
        runtime
            .enable_all()
            .on_thread_start(block_signals)
            .on_thread_park(interrupt::before_sleep)
            .on_thread_unpark(interrupt::after_sleep);
        let begin = move || {
            block_signals();
            threads.apply();
            IS_IO.set(true);
        };
        let runtime = SharedRuntime::start(&mut runtime, thread, begin);
        let runtime = runtime.map_err(|error| Errno::from(&error))?;
        Ok(Arc::new(Self { runtime, may_rest }))
    }

    /// Makes a call that needs a runtime.
    pub(crate) fn within<T: Send>(&self, call: impl FnOnce() -> T + Send) -> T {
        let call = || {
            let _within = self.runtime.handle().enter();
            let made = call();
            self.attend();
            made
        };
        match Handle::try_current() {
            // A program's last functions (`atexit`, destructors of C++) run when the variables of their thread are
            // gone, tokio's among them.
            Err(error) if error.is_thread_local_destroyed() => thread::scope(|scope| {
                scope.spawn(call).join().unwrap_or_else(|panic| resume_unwind(panic))
            }),
            _ => call(),
        }
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if self.is_here() {
            self.runtime.handle().spawn(task);
            self.attend();
        }
    }

    /// Has the tasks run that a call has woken.
    #[inline]
    pub(crate) fn attend(&self) {
        self.runtime.attend();
    }

    /// Takes note that a program has looked for what is not there yet, and does not wait.
    pub(crate) fn looked_in_vain(&self) {
        self.runtime.looked_in_vain();
    }

    /// Begins a wait of this thread, in which it may be let run the runtime; `None` if the I/O thread was left behind by
    /// a fork.
    pub(crate) fn begin_wait(&self, may_run: bool) -> Option<Wait<'_>> {
        self.is_here().then(|| self.runtime.begin(may_run && self.may_rest))
    }

    /// Waits until `task`, which runs on this thread, is done. The task must be short.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        if !self.is_here() || is_io_thread() {
            return None;
        }
        let (sender, receiver) = sync_channel(1);
        self.spawn(async move {
            // The caller waits for the result.
            let _sent = sender.send(task.await);
        });
        receiver.recv().ok()
    }

    /// Waits until messages in transit between sockets of this process have arrived. libzmq's
    /// sockets see such messages at once.
    pub(crate) fn settle(&self) {
        self.run(async {
            for _ in 0..STEPS {
                yield_now().await;
            }
        });
    }

    /// Ends the thread, and waits for that. All sockets have been closed.
    pub(crate) fn end(&self) {
        self.runtime.end();
    }

    /// Whether the thread runs in this process, and was not left behind by a fork.
    pub(crate) fn is_here(&self) -> bool {
        self.runtime.is_here()
    }
}

/// Whether the current thread is an I/O thread, or does an I/O thread's work: it must not wait for itself.
pub(crate) fn is_io_thread() -> bool {
    IS_IO.get()
}

/// Does an I/O thread's work on this thread.
pub(crate) fn as_io_thread<T>(work: impl FnOnce() -> T) -> T {
    /// Also if the work panics.
    struct Until;
    impl Drop for Until {
        fn drop(&mut self) {
            IS_IO.set(false);
        }
    }
    IS_IO.set(true);
    let _until = Until;
    work()
}

/// Blocks all signals for this thread.
pub(crate) fn block_signals() {
    SigSet::all().thread_block().expect("the set of all signals is valid");
}

type Job = Box<dyn FnOnce() + Send>;

/// The jobs for the thread that must not be an I/O thread, and its process.
static JOBS: Mutex<Option<(u32, Sender<Job>)>> = Mutex::new(None);

/// Runs `job` on a thread of its own if this is an I/O thread: the job may wait for something that
/// the I/O thread must do.
pub(crate) fn off_io_thread(job: impl FnOnce() + Send + 'static) {
    if !is_io_thread() {
        return job();
    }
    let mut jobs = lock(&JOBS);
    let process = process::id();
    let (_, sender) = match jobs.take() {
        Some(running) if running.0 == process => jobs.insert(running),
        _ => {
            let (sender, receiver) = mpsc::channel::<Job>();
            let work = move || {
                block_signals();
                DOES_JOBS.set(true);
                receiver.into_iter().for_each(|job| job());
            };
            let thread = thread::Builder::new().name("ZMQbg/free".into()).spawn(work);
            if thread.is_err() {
                drop(jobs);
                return job();
            }
            jobs.insert((process, sender))
        }
    };
    // The thread ends when the last sender is dropped.
    let _sent = sender.send(Box::new(job));
}

/// Waits until all jobs that were given [off the I/O threads](off_io_thread) are done, unless this is one of them.
pub(crate) fn finish_jobs() {
    if DOES_JOBS.get() {
        return;
    }
    let (done, is_done) = sync_channel(1);
    let last = move || {
        let _told = done.send(());
    };
    let is_begun = match &*lock(&JOBS) {
        Some((process, sender)) if *process == process::id() => sender.send(Box::new(last)).is_ok(),
        _ => false,
    };
    if is_begun {
        let _done = is_done.recv();
    }
}
