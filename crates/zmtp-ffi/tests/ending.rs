//! What `zmq_ctx_term` waits for. The threads are those of the whole process, so there is one test here.

use std::ffi::{c_int, c_void};
use std::fs;
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};

use zmq::border::*;
use zmq::constants::*;

static FREED: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn free(_data: *mut c_void, _hint: *mut c_void) {
    FREED.fetch_add(1, Ordering::SeqCst);
}

/// Sends octets that the library has to give back.
fn lend(socket: *mut c_void) {
    static OCTETS: [u8; 100] = [7; 100];
    let mut message = MaybeUninit::zeroed();
    let (place, data) = (message.as_mut_ptr(), OCTETS.as_ptr().cast_mut().cast());
    // SAFETY: it is the place for a message; the octets are valid for ever, and nobody writes them.
    let made = unsafe { zmq_msg_init_data(place, data, OCTETS.len(), Some(free), null_mut()) };
    assert_eq!(made, 0);
    // SAFETY: it is a message.
    assert_eq!(unsafe { zmq_msg_send(place, socket, ZMQ_DONTWAIT) }, 100);
}

/// How many threads of this process the library has started for a context, and have not ended.
fn io_threads() -> usize {
    /// A bit in the flags of a thread that has ended, and may be listed for a moment more (`proc(5)`, `linux/sched.h`).
    const EXITING: u32 = 4;
    let is_one = |stat: &String| {
        let (name, fields) = stat.rsplit_once(") ").unwrap();
        let flags: u32 = fields.split(' ').nth(6).unwrap().parse().unwrap();
        name.contains("(ZMQbg/IO") && flags & EXITING == 0
    };
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let stats = threads.filter_map(|it| fs::read_to_string(it.ok()?.path().join("stat")).ok());
    stats.filter(is_one).count()
}

#[test]
fn when_a_context_has_ended_its_buffers_are_freed_and_its_threads_are_gone() {
    for round in 1..=200 {
        let context = zmq_ctx_new();
        let (bound, connected) = (zmq_socket(context, ZMQ_PAIR), zmq_socket(context, ZMQ_PAIR));
        // SAFETY: it is a text.
        assert_eq!(unsafe { zmq_bind(bound, c"inproc://pair".as_ptr()) }, 0);
        // SAFETY: it is a text.
        assert_eq!(unsafe { zmq_connect(connected, c"inproc://pair".as_ptr()) }, 0);
        let no_time: c_int = 0;
        for socket in [bound, connected] {
            // SAFETY: it is an `int`, and its length is said.
            let set = unsafe {
                zmq_setsockopt(socket, ZMQ_LINGER, (&raw const no_time).cast(), size_of::<c_int>())
            };
            assert_eq!(set, 0);
        }
        (0..5).for_each(|_| lend(connected));
        // A thread that one of them starts has its name at first.
        assert_ne!(io_threads(), 0);
        assert_eq!((zmq_close(bound), zmq_close(connected), zmq_ctx_term(context)), (0, 0, 0));
        assert_eq!(FREED.load(Ordering::SeqCst), 5 * round);
        assert_eq!(io_threads(), 0, "in round {round}");
    }
}
