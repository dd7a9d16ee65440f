//! A context: the state that its sockets share, and its end.

use std::collections::HashMap;
use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::{mem, process};

use crate::errno::Errno;
use crate::handles::{Handle, Table, lock};
use crate::io::{Io, Threads, finish_jobs};
use crate::signal::Signal;

/// The open contexts.
pub(crate) static CONTEXTS: Table<Arc<Context>> = Table::new(1);

const IO_THREADS: c_int = 1;
const MAX_SOCKETS: c_int = 2;
const SOCKET_LIMIT: c_int = 3;
/// For setting; the same number reads the limit of sockets.
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

/// The most sockets that a context may have.
const LIMIT: c_int = 65_535;

/// A context.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) engine: zmtp_socket::Context,
    state: Mutex<State>,
    /// Whether messages may be in transit between its sockets.
    is_busy: AtomicBool,
    /// Whether the program may wait for a socket's descriptor (`ZMQ_FD`), in a way that is not known here.
    is_watched: AtomicBool,
    /// Whether every call on its sockets fails.
    is_terminated: AtomicBool,
    /// The process in which it was made.
    process: u32,
}

#[derive(Debug)]
struct State {
    options: Options,
    threads: Vec<Arc<Io>>,
    next_thread: usize,
    /// The signals that wake the waiters of each socket.
    sockets: HashMap<usize, Arc<Signal>>,
    next_socket: usize,
    /// How many sockets are open, or still deliver queued messages.
    count: c_int,
    /// Raised when a socket has gone, to wake the caller of `terminate`.
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

/// The settings that sockets inherit from their context.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Defaults {
    pub(crate) ipv6: bool,
    pub(crate) linger: c_int,
    pub(crate) max_message: i64,
    /// Whether received octets are copied out of the read buffers.
    pub(crate) copies: bool,
}

/// The membership of a socket in its context. The context's end waits until it is dropped.
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
            is_watched: AtomicBool::new(false),
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

    /// Whether the process was forked off after the context was made.
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

    /// Adds a socket, which `signal` wakes.
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

    /// The thread for another socket: the threads whose bit is set in `affinity` take turns, or all
    /// if it is zero.
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

    /// Takes note that the program has been given a socket's descriptor.
    pub(crate) fn watch(&self) {
        self.is_watched.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.is_watched.load(Ordering::Relaxed)
    }

    /// Takes note that a socket has sent or received inside the process.
    #[inline]
    pub(crate) fn touch(&self) {
        // Read first: a write takes the cache line away from the threads of the other sockets.
        if !self.is_busy.load(Ordering::Relaxed) {
            self.is_busy.store(true, Ordering::Release);
        }
    }

    /// Waits until messages in transit between its sockets have arrived, if there may be any.
    pub(crate) fn settle(&self) {
        if self.is_busy.swap(false, Ordering::AcqRel) {
            self.settle_now();
        }
    }

    /// Waits until messages in transit between its sockets have arrived.
    pub(crate) fn settle_now(&self) {
        let threads = lock(&self.state).threads.clone();
        // With several threads, one may have to act after the other before a message arrives.
        for _ in 0..threads.len().min(2) {
            threads.iter().for_each(|thread| thread.settle());
        }
    }

    /// From now on every call on its sockets fails, and waiting calls end.
    pub(crate) fn shut_down(&self) {
        self.is_terminated.store(true, Ordering::SeqCst);
        lock(&self.state).sockets.values().for_each(|signal| signal.raise());
    }

    /// Waits until all its sockets have been closed and have delivered their queued messages, its threads have ended,
    /// and the program's functions have freed its buffers. If a signal interrupts the wait, the call can be repeated.
    pub(crate) fn terminate(&self) -> Result<(), Errno> {
        if self.is_forked() {
            return Ok(());
        }
        self.shut_down();
        self.engine.complete_inproc();
        self.wait_for_sockets()?;
        let threads = mem::take(&mut lock(&self.state).threads);
        threads.iter().for_each(|thread| thread.end());
        finish_jobs();
        Ok(())
    }

    fn wait_for_sockets(&self) -> Result<(), Errno> {
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
    /// Takes note that nobody waits for the socket any more.
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
