//! How a thread waits for messages: it runs the I/O itself, but only for a moment if the program handles signals. That
//! is a fact of the whole process, so there is one test here.

use std::ffi::{CString, c_int, c_short, c_void};
use std::net::TcpListener;
use std::ptr::{self, null_mut};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use std::{fs, thread};

use zmq::border::*;
use zmq::constants::*;

const ETERM: c_int = 156_384_765;

/// Sends or receives one octet.
fn send(socket: *mut c_void) {
    // SAFETY: the octet is there.
    assert_eq!(unsafe { zmq_send(socket, b"x".as_ptr().cast(), 1, 0) }, 1);
}

fn receive(socket: *mut c_void) -> Result<(), c_int> {
    receive_with(socket, 0)
}

fn receive_with(socket: *mut c_void, flags: c_int) -> Result<(), c_int> {
    let mut octet = 0_u8;
    // SAFETY: there is room for it.
    let received = unsafe { zmq_recv(socket, (&raw mut octet).cast(), 1, flags) };
    if received == 1 { Ok(()) } else { Err(zmq_errno()) }
}

/// As a program that waits for several sockets, and receives from each until there is nothing left.
fn poll_and_receive(socket: *mut c_void) -> Result<(), c_int> {
    let mut item = zmq_pollitem_t { socket, fd: 0, events: ZMQ_POLLIN as c_short, revents: 0 };
    loop {
        let received = receive_with(socket, ZMQ_DONTWAIT);
        if received != Err(libc::EAGAIN) {
            return received;
        }
        // SAFETY: there is one item.
        if unsafe { zmq_poll(&raw mut item, 1, -1) } != 1 {
            return Err(zmq_errno());
        }
    }
}

/// The number of the system call in which a thread of this process waits; `None` if it runs.
fn waits_in(thread: libc::pid_t) -> Option<i64> {
    let call = fs::read_to_string(format!("/proc/self/task/{thread}/syscall")).unwrap();
    call.split(' ').next().unwrap().parse().ok()
}

extern "C" fn ignore(_signal: c_int) {}

#[test]
fn a_thread_runs_the_io_while_it_waits_and_only_for_a_moment_if_the_program_handles_signals() {
    waits(receive);
    waits(poll_and_receive);
}

/// Each outcome of the thread's calls is told before the next call.
fn waits(receive: fn(*mut c_void) -> Result<(), c_int>) {
    let (context, others) = (zmq_ctx_new(), zmq_ctx_new());
    let (pull, push) = (zmq_socket(context, ZMQ_PULL), zmq_socket(others, ZMQ_PUSH));
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let endpoint = CString::new(format!("tcp://127.0.0.1:{port}")).unwrap();
    // SAFETY: it is a text with its NUL.
    assert_eq!(unsafe { zmq_bind(pull, endpoint.as_ptr()) }, 0);
    // SAFETY: it is a text with its NUL.
    assert_eq!(unsafe { zmq_connect(push, endpoint.as_ptr()) }, 0);

    let (tell_id, id) = channel();
    let (tell, outcomes) = channel();
    let handle = pull.addr();
    let waiting = thread::spawn(move || {
        // SAFETY: it says which thread this is.
        tell_id.send(unsafe { libc::gettid() }).unwrap();
        let pull = ptr::without_provenance_mut(handle);
        let mut is_open = true;
        while is_open {
            let outcome = receive(pull);
            is_open = outcome != Err(ETERM);
            tell.send(outcome).unwrap();
        }
        assert_eq!(zmq_close(pull), 0);
    });
    let thread = id.recv().unwrap();

    // Each message is sent when the thread waits for it.
    let next = || {
        while !matches!(waits_in(thread), Some(libc::SYS_poll | libc::SYS_epoll_wait)) {
            thread::yield_now();
        }
        send(push);
        assert_eq!(outcomes.recv().unwrap(), Ok(()));
    };
    let until_it_runs_the_io = || {
        let begun = Instant::now();
        while waits_in(thread) != Some(libc::SYS_epoll_wait) {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "it leaves the I/O to the I/O thread"
            );
            next();
        }
    };
    until_it_runs_the_io();

    // SAFETY: the handler does nothing, and all else of the action is zero.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = ignore as *const () as usize;
    // SAFETY: the action is valid; what was there before is not asked for.
    assert_eq!(unsafe { libc::sigaction(libc::SIGUSR2, &raw const action, null_mut()) }, 0);
    for _ in 0..100 {
        next();
    }
    let interrupt = || {
        let process = std::process::id();
        // A handler that runs while the thread is between two sleeps ends no wait.
        let outcome = std::iter::repeat_with(|| {
            // SAFETY: the thread has not been joined.
            unsafe { libc::syscall(libc::SYS_tgkill, process, thread, libc::SIGUSR2) };
            outcomes.recv_timeout(Duration::from_secs(1))
        });
        assert_eq!(outcome.take(60).flatten().next(), Some(Err(libc::EINTR)));
    };
    until_it_runs_the_io();
    interrupt();
    while waits_in(thread) != Some(libc::SYS_poll) {
        thread::yield_now();
    }
    interrupt();

    action.sa_sigaction = libc::SIG_DFL;
    // SAFETY: as before.
    assert_eq!(unsafe { libc::sigaction(libc::SIGUSR2, &raw const action, null_mut()) }, 0);
    until_it_runs_the_io();
    assert_eq!(zmq_ctx_term(context), 0, "it ends the wait");
    assert_eq!(outcomes.recv().unwrap(), Err(ETERM));
    waiting.join().unwrap();
    assert_eq!((zmq_close(push), zmq_ctx_term(others)), (0, 0));
}
