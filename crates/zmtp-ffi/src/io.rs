//! The threads that do the network's work.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ffi::c_int;
use std::process;
use std::sync::mpsc::{Sender, sync_channel};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::SigSet;
use nix::unistd::Pid;
use tokio::runtime::{Builder, EnterGuard, Handle};
use tokio::sync::oneshot;
use tokio::task::yield_now;

use crate::border;
use crate::errno::Errno;
use crate::handles::lock;

thread_local! {
    static IS_IO: Cell<bool> = const { Cell::new(false) };
}

/// How often a barrier lets the other tasks run: a message goes from one socket to another inside the
/// process in two steps, and a connection is made in six.
const STEPS: usize = 12;

/// A thread with a runtime, on which the connections of sockets run. It ends when this is dropped.
///
/// It blocks all signals: they are for the program's own threads.
#[derive(Debug)]
pub(crate) struct Io {
    runtime: Handle,
    _end: oneshot::Sender<()>,
    /// The process that the thread runs in: a fork does not copy it.
    process: u32,
}

/// How the threads of a context are to be run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Threads {
    /// The system's scheduling policy, and the priority within it.
    pub(crate) policy: Option<c_int>,
    pub(crate) priority: Option<c_int>,
    /// The processors that they may run on; empty for all.
    cpus: BTreeSet<usize>,
    /// The beginning of their names.
    pub(crate) prefix: Option<c_int>,
}

impl Threads {
    pub(crate) fn add_cpu(&mut self, cpu: usize) {
        self.cpus.insert(cpu);
    }

    /// `None` if it was not there.
    pub(crate) fn remove_cpu(&mut self, cpu: usize) -> Option<()> {
        self.cpus.remove(&cpu).then_some(())
    }

    fn name(&self) -> String {
        self.prefix.map_or_else(|| "ZMQbg/IO".into(), |prefix| format!("{prefix}/ZMQbg/IO"))
    }

    /// Does as asked for to this thread, as far as the system lets us, as libzmq does.
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
        let threads = threads.clone();
        let name = threads.name();
        let (end, ended) = oneshot::channel::<()>();
        let runtime = Builder::new_current_thread()
            .enable_all()
            .on_thread_start(block_signals)
            .build()
            .map_err(|error| Errno::from(&error))?;
        let handle = runtime.handle().clone();
        let work = move || {
            block_signals();
            threads.apply();
            IS_IO.set(true);
            // Either way the context has been dropped.
            let _end = runtime.block_on(ended);
        };
        let thread = thread::Builder::new().name(name).spawn(work);
        thread.map_err(|error| Errno::from(&error))?;
        Ok(Arc::new(Self { runtime: handle, _end: end, process: process::id() }))
    }

    /// Lets what is called meanwhile use the runtime.
    pub(crate) fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if self.is_here() {
            self.runtime.spawn(task);
        }
    }

    /// Waits until `task` is done, which runs on this thread. It must be short.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        if !self.is_here() || is_io_thread() {
            return None;
        }
        let (sender, receiver) = sync_channel(1);
        self.runtime.spawn(async move {
            // The caller waits for it.
            let _sent = sender.send(task.await);
        });
        receiver.recv().ok()
    }

    /// Waits until what is on its way between sockets of this process has arrived: as libzmq's sockets see
    /// at once what is queued for them inside the process.
    pub(crate) fn settle(&self) {
        self.run(async {
            for _ in 0..STEPS {
                yield_now().await;
            }
        });
    }

    /// Whether the thread is there, and not left behind by a fork.
    pub(crate) fn is_here(&self) -> bool {
        self.process == process::id()
    }
}

/// Whether this is one of our threads, which must not wait for itself.
pub(crate) fn is_io_thread() -> bool {
    IS_IO.get()
}

fn block_signals() {
    SigSet::all().thread_block().expect("the set of all signals is valid");
}

/// Runs `job` on a thread of its own if this is an I/O thread: the job may wait for what that one brings
/// about.
pub(crate) fn off_io_thread(job: impl FnOnce() + Send + 'static) {
    type Job = Box<dyn FnOnce() + Send>;
    static JOBS: Mutex<Option<(u32, Sender<Job>)>> = Mutex::new(None);
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
    // The thread ends with the last sender.
    let _sent = sender.send(Box::new(job));
}
