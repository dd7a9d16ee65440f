//! A forked process and its parent's context. A fork copies only the calling thread, so there is one test here.

use std::ffi::{c_int, c_void};
use std::process::exit;

use zmq::border::*;
use zmq::constants::*;

/// A context with a socket that has made it start its I/O thread.
fn context() -> (*mut c_void, *mut c_void) {
    let context = zmq_ctx_new();
    let socket = zmq_socket(context, ZMQ_PAIR);
    // SAFETY: it is a text.
    assert_eq!(unsafe { zmq_bind(socket, c"tcp://127.0.0.1:*".as_ptr()) }, 0);
    (context, socket)
}

fn end((context, socket): (*mut c_void, *mut c_void)) -> bool {
    zmq_close(socket) == 0 && zmq_ctx_term(context) == 0
}

/// The system may give the memory of the parent's thread, and with it the thread's number, to one of the child's.
#[test]
fn a_child_that_ends_its_parents_context_leaves_its_own_threads_alone() {
    let parents = context();
    // SAFETY: the child uses this library only, and exits.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        let own = context();
        exit((!end(parents) || !end(own)).into());
    }
    let mut status: c_int = 0;
    // SAFETY: it is a place for the status.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "{status:x}");
    assert!(end(parents), "it is as before");
}
