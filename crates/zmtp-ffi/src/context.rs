//! A context: what its sockets have in common, and their end.

use std::collections::HashMap;
use std::ffi::c_int;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::errno::Errno;
use crate::handles::{Handle, Table, lock};
use crate::io::{Io, Threads};
use crate::signal::Signal;

/// The contexts that are open.
pub(crate) static CONTEXTS: Table<Arc<Context>> = Table::new(1);

const IO_THREADS: c_int = 1;
const MAX_SOCKETS: c_int = 2;
const SOCKET_LIMIT: c_int = 3;
/// To set it; the same number reads the limit of sockets.
const THREAD_PRIORITY: c_int = 3;
const THREAD_SCHED_POLICY: c_int = 4;
const MAX_MSGSZ: c_int = 5;
const MSG_T_SIZE: c_int = 6;
const THREAD_AFFINITY_CPU_ADD: c_int = 7;
const THREAD_AFFINITY_CPU_REMOVE: c_int = 8;
const THREAD_NAME_PREFIX: c_int = 9;
const ZERO_COPY_RECV: c_int = 10;
const IPV6: c_int = 42;
const BLOCKY: c_int = 70;

/// Sockets that a context may have at most.
const LIMIT: c_int = 65_535;

/// A context.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) engine: zmtp_socket::Context,
    state: Mutex<State>,
    /// Something may be on its way between its sockets.
    is_busy: AtomicBool,
    /// Every call on its sockets fails.
    is_terminated: AtomicBool,
    /// The process that it was made in.
    process: u32,
}

#[derive(Debug)]
struct State {
    options: Options,
    threads: Vec<Arc<Io>>,
    next_thread: usize,
    /// The signals that wake those who wait for one of the sockets.
    sockets: HashMap<usize, Arc<Signal>>,
    next_socket: usize,
    /// Sockets that are open, or deliver what is queued.
    count: c_int,
    /// Raised when a socket has gone, for the one who terminates.
    gone: Option<Arc<Signal>>,
}

#[derive(Clone, Debug)]
struct Options {
    io_threads: c_int,
    max_sockets: c_int,
    max_message: c_int,
    zero_copy: bool,
    ipv6: bool,
    blocky: bool,
    threads: Threads,
}

/// The settings that sockets take over from their context.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Defaults {
    pub(crate) ipv6: bool,
    pub(crate) linger: c_int,
    pub(crate) max_message: i64,
    /// What is received is copied out of the buffers that it was read into.
    pub(crate) copies: bool,
}

/// A socket's membership. The context's end waits for the end of this.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) context: Arc<Context>,
    number: usize,
}

impl Context {
    pub(crate) fn open() -> Option<Handle> {
        let context = Self {
            engine: zmtp_socket::Context::new(),
            state: Mutex::new(State {
                options: Options {
                    io_threads: 1,
                    max_sockets: 1023,
                    max_message: c_int::MAX,
                    zero_copy: true,
                    ipv6: false,
                    blocky: true,
                    threads: Threads::default(),
                },
                threads: Vec::new(),
                next_thread: 0,
                sockets: HashMap::new(),
                next_socket: 0,
                count: 0,
                gone: None,
            }),
            is_busy: AtomicBool::new(false),
            is_terminated: AtomicBool::new(false),
            process: process::id(),
        };
        CONTEXTS.insert(Arc::new(context))
    }

    pub(crate) fn get(handle: Handle) -> Result<Arc<Self>, Errno> {
        CONTEXTS.lock(handle).map(|context| context.clone()).ok_or(Errno::EFAULT)
    }

    #[inline]
    pub(crate) fn check(&self) -> Result<(), Errno> {
        match self.is_terminated.load(Ordering::Relaxed) {
            true => Err(Errno::ETERM),
            false => Ok(()),
        }
    }

    /// Whether the process is a copy that was forked off since.
    pub(crate) fn is_forked(&self) -> bool {
        self.process != process::id()
    }

    pub(crate) fn defaults(&self) -> Defaults {
        let options = &lock(&self.state).options;
        let max_message =
            if options.max_message == c_int::MAX { -1 } else { i64::from(options.max_message) };
        let linger = if options.blocky { -1 } else { 0 };
        Defaults { ipv6: options.ipv6, linger, max_message, copies: !options.zero_copy }
    }

    pub(crate) fn set(&self, option: c_int, value: c_int) -> Result<(), Errno> {
        let mut state = lock(&self.state);
        let options = &mut state.options;
        match option {
            IO_THREADS if value >= 0 => options.io_threads = value,
            MAX_SOCKETS if (1..=LIMIT).contains(&value) => options.max_sockets = value,
            MAX_MSGSZ if value >= 0 => options.max_message = value,
            ZERO_COPY_RECV if value == 0 || value == 1 => options.zero_copy = value == 1,
            IPV6 if value == 0 || value == 1 => options.ipv6 = value == 1,
            BLOCKY if value == 0 || value == 1 => options.blocky = value == 1,
            THREAD_PRIORITY if value >= 0 => options.threads.priority = Some(value),
            THREAD_SCHED_POLICY if value >= 0 => options.threads.policy = Some(value),
            THREAD_AFFINITY_CPU_ADD if value >= 0 => options.threads.add_cpu(value as usize),
            THREAD_AFFINITY_CPU_REMOVE if value >= 0 => {
                return options.threads.remove_cpu(value as usize).ok_or(Errno::EINVAL);
            }
            THREAD_NAME_PREFIX if value >= 0 => options.threads.prefix = Some(value),
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }

    pub(crate) fn get_option(&self, option: c_int) -> Result<c_int, Errno> {
        let options = &lock(&self.state).options;
        Ok(match option {
            IO_THREADS => options.io_threads,
            MAX_SOCKETS => options.max_sockets,
            SOCKET_LIMIT => LIMIT,
            THREAD_SCHED_POLICY => options.threads.policy.unwrap_or(-1),
            MAX_MSGSZ => options.max_message,
            MSG_T_SIZE => 64,
            THREAD_NAME_PREFIX => options.threads.prefix.unwrap_or(0),
            ZERO_COPY_RECV => options.zero_copy.into(),
            IPV6 => options.ipv6.into(),
            BLOCKY => options.blocky.into(),
            _ => return Err(Errno::EINVAL),
        })
    }

    /// Counts one more socket, which `signal` wakes.
    pub(crate) fn join(self: &Arc<Self>, signal: Arc<Signal>) -> Result<Member, Errno> {
        self.check()?;
        let mut state = lock(&self.state);
        if state.count >= state.options.max_sockets {
            return Err(Errno::EMFILE);
        }
        state.count += 1;
        let number = state.next_socket;
        state.next_socket += 1;
        state.sockets.insert(number, signal);
        Ok(Member { context: self.clone(), number })
    }

    /// The thread for another socket: those take turns whose bit is set, or all if none is.
    pub(crate) fn thread(&self, affinity: u64) -> Result<Arc<Io>, Errno> {
        let mut state = lock(&self.state);
        let count = usize::try_from(state.options.io_threads).unwrap_or(0).max(1);
        let is_meant = |thread: &usize| {
            affinity == 0
                || u32::try_from(*thread)
                    .is_ok_and(|it| affinity.checked_shr(it).is_some_and(|bits| bits & 1 == 1))
        };
        let first = state.next_thread;
        let turns = (first..first + count).map(|turn| turn % count);
        let next = turns.into_iter().find(is_meant).ok_or(Errno::EMTHREAD)?;
        state.next_thread = next + 1;
        while state.threads.len() <= next {
            let thread = Io::start(&state.options.threads)?;
            state.threads.push(thread);
        }
        Ok(state.threads[next].clone())
    }

    /// A socket has sent or received something inside the process.
    #[inline]
    pub(crate) fn touch(&self) {
        self.is_busy.store(true, Ordering::Release);
    }

    /// Waits until what is on its way between its sockets has arrived, if there may be something.
    pub(crate) fn settle(&self) {
        if self.is_busy.swap(false, Ordering::AcqRel) {
            self.settle_now();
        }
    }

    /// Waits until what is on its way between its sockets has arrived.
    pub(crate) fn settle_now(&self) {
        let threads = lock(&self.state).threads.clone();
        // With several threads, the answer of one may be another's to bring.
        for _ in 0..threads.len().min(2) {
            threads.iter().for_each(|thread| thread.settle());
        }
    }

    /// Every call on its sockets fails from now on, those that wait too.
    pub(crate) fn shut_down(&self) {
        self.is_terminated.store(true, Ordering::SeqCst);
        lock(&self.state).sockets.values().for_each(|signal| signal.raise());
    }

    /// Waits until all its sockets have been closed and have delivered what they are to. If a signal ends the
    /// wait, it can be begun again.
    pub(crate) fn terminate(&self) -> Result<(), Errno> {
        if self.is_forked() {
            return Ok(());
        }
        self.shut_down();
        let gone = {
            let mut state = lock(&self.state);
            if state.count == 0 {
                return Ok(());
            }
            match &state.gone {
                Some(gone) => gone.clone(),
                None => state.gone.insert(Signal::new()?).clone(),
            }
        };
        loop {
            gone.drain();
            if lock(&self.state).count == 0 {
                return Ok(());
            }
            gone.wait(None)?;
        }
    }
}

impl Member {
    /// Nobody waits for the socket any more.
    pub(crate) fn forget_signal(&self) {
        lock(&self.context.state).sockets.remove(&self.number);
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut state = lock(&self.context.state);
        state.sockets.remove(&self.number);
        state.count -= 1;
        if let Some(gone) = &state.gone {
            gone.raise();
        }
    }
}
