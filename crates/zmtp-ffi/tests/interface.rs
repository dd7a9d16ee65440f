//! The interface as a C program sees it, where libzmq's own suites do not look: handles that are none, messages
//! that are none, and signals.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_int, c_void};
use std::io::{Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::ptr::{self, null_mut};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use zmq::border::*;
use zmq::constants::*;

fn errno() -> c_int {
    zmq_errno()
}

fn fails(outcome: c_int, expected: c_int) {
    assert_eq!((outcome, errno()), (-1, expected));
}

fn bind(socket: *mut c_void, endpoint: &str) -> c_int {
    let endpoint = CString::new(endpoint).unwrap();
    // SAFETY: it is a text with its NUL.
    unsafe { zmq_bind(socket, endpoint.as_ptr()) }
}

fn connect(socket: *mut c_void, endpoint: &str) -> c_int {
    let endpoint = CString::new(endpoint).unwrap();
    // SAFETY: it is a text with its NUL.
    unsafe { zmq_connect(socket, endpoint.as_ptr()) }
}

fn send(socket: *mut c_void, octets: &[u8], flags: c_int) -> c_int {
    // SAFETY: so many octets are there.
    unsafe { zmq_send(socket, octets.as_ptr().cast(), octets.len(), flags) }
}

fn receive(socket: *mut c_void, octets: &mut [u8], flags: c_int) -> c_int {
    // SAFETY: there is room for so many octets.
    unsafe { zmq_recv(socket, octets.as_mut_ptr().cast(), octets.len(), flags) }
}

fn option(socket: *mut c_void, option: c_int) -> c_int {
    let (mut value, mut length) = (0_i32, size_of::<c_int>());
    // SAFETY: there is room for an `int`, and its length is said.
    let read = unsafe { zmq_getsockopt(socket, option, (&raw mut value).cast(), &raw mut length) };
    assert_eq!((read, length), (0, size_of::<c_int>()));
    value
}

#[test]
fn a_handle_that_is_none_is_an_error_and_nothing_else() {
    let context = zmq_ctx_new();
    let socket = zmq_socket(context, ZMQ_PAIR);
    let closed = zmq_socket(context, ZMQ_PAIR);
    assert_eq!(zmq_close(closed), 0);
    let invented = ptr::without_provenance_mut(0x1234_5678);
    for handle in [null_mut(), closed, context, invented] {
        fails(zmq_close(handle), libc::ENOTSOCK);
        fails(send(handle, b"x", 0), libc::ENOTSOCK);
        fails(receive(handle, &mut [0], 0), libc::ENOTSOCK);
        fails(bind(handle, "inproc://x"), libc::ENOTSOCK);
        fails(connect(handle, "inproc://x"), libc::ENOTSOCK);
    }
    for handle in [null_mut(), socket, invented] {
        fails(zmq_ctx_term(handle), libc::EFAULT);
        fails(zmq_ctx_shutdown(handle), libc::EFAULT);
        fails(zmq_ctx_get(handle, ZMQ_IO_THREADS), libc::EFAULT);
        assert!(zmq_socket(handle, ZMQ_PAIR).is_null());
        assert_eq!(zmq_atomic_counter_value(handle), 0);
        assert_eq!(zmq_timers_timeout(handle), -1);
    }
    assert_eq!((zmq_close(socket), zmq_ctx_term(context)), (0, 0));
    fails(zmq_ctx_term(context), libc::EFAULT);
}

/// CZMQ reads the word behind a pointer, to learn whether it is an object of its own or the number of a descriptor.
#[test]
fn the_memory_behind_a_handle_can_be_read_and_is_no_descriptor() {
    let context = zmq_ctx_new();
    let socket = zmq_socket(context, ZMQ_PAIR);
    for handle in [context, socket] {
        assert!(handle.cast::<u64>().is_aligned());
        // SAFETY: it is the address of a whole word, which nobody writes while its handle is open.
        let word = unsafe { handle.cast::<c_int>().read() };
        assert_eq!(word, -1);
    }
    assert_eq!((zmq_close(socket), zmq_ctx_term(context)), (0, 0));
}

/// As in a function of `atexit`: tokio's variables of the thread are gone then.
#[test]
fn a_thread_that_ends_may_still_use_sockets_and_end_their_context() {
    struct Last(Sender<[c_int; 8]>, *mut c_void, *mut c_void);

    impl Drop for Last {
        fn drop(&mut self) {
            let (context, first) = (self.1, self.2);
            assert!(tokio::runtime::Handle::try_current().unwrap_err().is_thread_local_destroyed());
            let second = zmq_socket(context, ZMQ_PAIR);
            let last = zmq_socket(context, ZMQ_PAIR);
            let outcomes = [
                connect(second, "inproc://first"),
                send(second, b"late", 0),
                receive(first, &mut [0; 4], 0),
                bind(last, "tcp://127.0.0.1:*"),
                zmq_close(last),
                zmq_close(second),
                zmq_close(first),
                zmq_ctx_term(context),
            ];
            self.0.send(outcomes).unwrap();
        }
    }

    thread_local! {
        static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
    }

    let (sender, receiver) = channel();
    let thread = thread::spawn(move || {
        let context = zmq_ctx_new();
        let first = zmq_socket(context, ZMQ_PAIR);
        // This comes before tokio's, so it goes after them.
        LAST.set(Some(Last(sender, context, first)));
        assert_eq!(bind(first, "inproc://first"), 0);
        assert!(tokio::runtime::Handle::try_current().is_err());
    });
    let outcomes = receiver.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(outcomes, [0, 4, 4, 0, 0, 0, 0, 0]);
    thread.join().unwrap();
}

/// CZMQ ends the program when a setter fails.
#[test]
fn options_of_multicast_are_kept_as_in_a_libzmq_without_it() {
    let context = zmq_ctx_new();
    let socket = zmq_socket(context, ZMQ_PAIR);
    // The last is one of libzmq's that its header only names for drafts.
    let multicast_loop = 96;
    let options =
        [ZMQ_RATE, ZMQ_RECOVERY_IVL, ZMQ_MULTICAST_HOPS, ZMQ_MULTICAST_MAXTPDU, multicast_loop];
    for name in options {
        for (value, expected) in [(1_i32, 0), (-1, -1)] {
            // SAFETY: it is an `int`, and its length is said.
            let set = unsafe {
                zmq_setsockopt(socket, name, (&raw const value).cast(), size_of::<c_int>())
            };
            assert_eq!((set, option(socket, name)), (expected, 1), "option {name}");
        }
    }
    assert_eq!((zmq_close(socket), zmq_ctx_term(context)), (0, 0));
}

#[test]
fn a_length_that_nothing_can_have_is_an_error() {
    let context = zmq_ctx_new();
    let socket = zmq_socket(context, ZMQ_PAIR);
    let octets = b"octets".as_ptr();
    for length in [usize::MAX, isize::MAX as usize + 1] {
        // SAFETY: such a length is refused before anything is read.
        fails(unsafe { zmq_setsockopt(socket, ZMQ_LINGER, octets.cast(), length) }, libc::EINVAL);
        // SAFETY: likewise.
        fails(unsafe { zmq_send(socket, octets.cast(), length, ZMQ_DONTWAIT) }, libc::EINVAL);
        // SAFETY: likewise.
        fails(unsafe { zmq_send_const(socket, octets.cast(), length, 0) }, libc::EINVAL);
        // SAFETY: likewise; nothing is written then.
        assert!(unsafe { zmq_z85_encode(null_mut(), octets, length) }.is_null());
        let mut message = MaybeUninit::zeroed();
        let (place, data) = (message.as_mut_ptr(), octets.cast_mut().cast());
        for function in [None, Some(never as unsafe extern "C" fn(*mut c_void, *mut c_void))] {
            // SAFETY: it is the place for a message, and such a length is refused.
            let made = unsafe { zmq_msg_init_data(place, data, length, function, null_mut()) };
            fails(made, libc::EINVAL);
        }
        // SAFETY: it is the place for a message.
        fails(unsafe { zmq_msg_init_size(place, length) }, libc::ENOMEM);
    }
    let mut message = MaybeUninit::zeroed();
    // SAFETY: it is the place for a message.
    let made = unsafe { zmq_msg_init_size(message.as_mut_ptr(), isize::MAX as usize) };
    fails(made, libc::ENOMEM);
    assert_eq!((zmq_close(socket), zmq_ctx_term(context)), (0, 0));
}

/// Sends one octet, if there is room.
fn send_octet(socket: *mut c_void) -> bool {
    // SAFETY: the octet is there.
    unsafe { zmq_send(socket, b"x".as_ptr().cast(), 1, ZMQ_DONTWAIT) == 1 }
}

#[test]
fn what_was_sent_to_a_name_that_nobody_binds_does_not_hold_up_the_end() {
    for (kind, other) in
        [(ZMQ_PUSH, ZMQ_PULL), (ZMQ_DEALER, ZMQ_DEALER), (ZMQ_PAIR, ZMQ_PAIR), (ZMQ_REQ, ZMQ_REP)]
    {
        for was_bound in [false, true] {
            let context = zmq_ctx_new();
            let (sender, receiver) = (zmq_socket(context, kind), zmq_socket(context, other));
            if was_bound {
                assert_eq!(bind(receiver, "inproc://name"), 0);
            }
            // SAFETY: it is a text.
            assert_eq!(unsafe { zmq_connect(sender, c"inproc://name".as_ptr()) }, 0);
            assert!(send_octet(sender));
            while kind != ZMQ_REQ && send_octet(sender) {}
            // Without an option, they linger for ever.
            assert_eq!((zmq_close(receiver), zmq_close(sender)), (0, 0));
            let (handle, (tell, told)) = (context.addr(), channel());
            thread::spawn(move || tell.send(zmq_ctx_term(ptr::without_provenance_mut(handle))));
            let ended = told.recv_timeout(Duration::from_secs(20));
            assert_eq!(ended, Ok(0), "socket type {kind}, bound: {was_bound}");
        }
    }
}

unsafe extern "C" fn never(_: *mut c_void, _: *mut c_void) {
    unreachable!("it was refused");
}

#[test]
fn memory_that_is_no_message_is_an_error() {
    let mut message = MaybeUninit::<zmq_msg_t>::zeroed();
    let pointer = message.as_mut_ptr();
    // SAFETY: there is room for a message, which is zero.
    fails(unsafe { zmq_msg_close(pointer) }, libc::EFAULT);
    // SAFETY: as before.
    assert_eq!(unsafe { zmq_msg_init_size(pointer, 100) }, 0);
    // SAFETY: it is a message now, and wherever it is moved it stays one.
    let mut moved = unsafe { ptr::read(pointer) };
    let pointer = &raw mut moved;
    // SAFETY: as before.
    assert_eq!(unsafe { zmq_msg_size(pointer) }, 100);
    // SAFETY: as before.
    assert_eq!(unsafe { zmq_msg_close(pointer) }, 0);
    // SAFETY: as before.
    fails(unsafe { zmq_msg_close(pointer) }, libc::EFAULT);
}

static ZERO: c_int = 0;

/// Sends octets that the function frees, with the socket as its hint.
fn lend(
    socket: *mut c_void,
    octets: &'static [u8],
    free: unsafe extern "C" fn(*mut c_void, *mut c_void),
    flags: c_int,
) -> c_int {
    let mut message = MaybeUninit::zeroed();
    let (place, data) = (message.as_mut_ptr(), octets.as_ptr().cast_mut().cast());
    // SAFETY: it is the place for a message, and the octets stay for ever.
    let made = unsafe { zmq_msg_init_data(place, data, octets.len(), Some(free), socket) };
    assert_eq!(made, 0);
    // SAFETY: it is a message now.
    unsafe { zmq_msg_send(place, socket, flags) }
}

/// A program that waits for the call knows by it that the message has been sent.
#[test]
fn a_buffer_is_freed_when_its_message_has_been_sent_however_short_it_is() {
    static FREED: AtomicUsize = AtomicUsize::new(0);
    static OCTETS: &[u8] = b"lent";

    unsafe extern "C" fn free(_: *mut c_void, _: *mut c_void) {
        FREED.fetch_add(1, Ordering::Relaxed);
    }

    let context = zmq_ctx_new();
    let (push, pull) = (zmq_socket(context, ZMQ_PUSH), zmq_socket(context, ZMQ_PULL));
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let endpoint = format!("tcp://127.0.0.1:{port}");
    assert_eq!(connect(push, &endpoint), 0);
    for flags in [0, ZMQ_SNDMORE, 0] {
        assert_eq!(lend(push, OCTETS, free, flags), 4);
    }
    assert_eq!(FREED.load(Ordering::Relaxed), 0, "nobody has got the messages");
    assert_eq!(bind(pull, &endpoint), 0);
    for _ in 0..3 {
        assert_eq!(receive(pull, &mut [0; 4], 0), 4);
    }
    while FREED.load(Ordering::Relaxed) < 3 {
        thread::yield_now();
    }
    assert_eq!((zmq_close(push), zmq_close(pull), zmq_ctx_term(context)), (0, 0, 0));
}

#[test]
fn a_function_that_frees_a_buffer_may_use_the_socket_that_was_to_send_it() {
    static FREED: AtomicUsize = AtomicUsize::new(0);

    unsafe extern "C" fn free(_: *mut c_void, socket: *mut c_void) {
        // It answers, or it is closed by now.
        send(socket, b"", ZMQ_DONTWAIT);
        FREED.fetch_add(1, Ordering::Relaxed);
    }

    let context = zmq_ctx_new();
    // One that cannot tell when it has sent a message, and one that keeps only so many.
    for (kind, messages, freed) in [(ZMQ_XSUB, 1, 1), (ZMQ_ROUTER, 1, 1), (ZMQ_PUSH, 1500, 500)] {
        let socket = zmq_socket(context, kind);
        for number in [ZMQ_LINGER, ZMQ_SNDHWM] {
            // SAFETY: it is an `int`, and its length is said.
            unsafe { zmq_setsockopt(socket, number, (&raw const ZERO).cast(), size_of::<c_int>()) };
        }
        assert_eq!(connect(socket, "tcp://127.0.0.1:1"), 0);
        FREED.store(0, Ordering::Relaxed);
        for _ in 0..messages {
            assert_eq!(lend(socket, b"name", free, ZMQ_SNDMORE), 4);
            assert_eq!(send(socket, b"body", 0), 4);
        }
        assert_eq!(FREED.load(Ordering::Relaxed), freed);
        assert_eq!(zmq_close(socket), 0);
    }
    assert_eq!(zmq_ctx_term(context), 0);
}

#[test]
fn parts_go_together_and_a_descriptor_tells_of_them() {
    let context = zmq_ctx_new();
    let (one, other) = (zmq_socket(context, ZMQ_PAIR), zmq_socket(context, ZMQ_PAIR));
    assert_eq!(bind(one, "inproc://pair"), 0);
    assert_eq!(connect(other, "inproc://pair"), 0);
    fails(receive(one, &mut [0; 9], ZMQ_DONTWAIT), libc::EAGAIN);
    let fd = option(one, ZMQ_FD);
    assert_eq!(option(one, ZMQ_EVENTS) & ZMQ_POLLIN, 0);
    assert_eq!(send(other, b"first", ZMQ_SNDMORE), 5);
    fails(receive(one, &mut [0; 9], ZMQ_DONTWAIT), libc::EAGAIN);
    assert_eq!(send(other, b"second", 0), 6);
    let mut item =
        [zmq_pollitem_t { socket: null_mut(), fd, events: ZMQ_POLLIN as i16, revents: 0 }];
    // SAFETY: it is one item.
    assert_eq!(unsafe { zmq_poll(item.as_mut_ptr(), 1, 20_000) }, 1, "the descriptor can be read");
    assert_eq!(option(one, ZMQ_EVENTS) & ZMQ_POLLIN, ZMQ_POLLIN);
    let mut octets = [0; 3];
    assert_eq!(receive(one, &mut octets, 0), 5, "it says how many they were");
    assert_eq!((&octets, option(one, ZMQ_RCVMORE)), (b"fir", 1));
    assert_eq!((receive(one, &mut [0; 9], 0), option(one, ZMQ_RCVMORE)), (6, 0));
    assert_eq!((zmq_close(one), zmq_close(other), zmq_ctx_term(context)), (0, 0, 0));
}

#[test]
fn a_stream_carries_octets_and_goes_by_the_name_of_its_peer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    let context = zmq_ctx_new();
    let stream = zmq_socket(context, ZMQ_STREAM);
    let (none, time) = (0_i32, 20_000_i32);
    for (number, value) in [(ZMQ_STREAM_NOTIFY, &none), (ZMQ_RCVTIMEO, &time)] {
        // SAFETY: it is an `int`.
        let set = unsafe { zmq_setsockopt(stream, number, ptr::from_ref(value).cast(), 4) };
        assert_eq!(set, 0, "{number}");
    }
    fails(bind(stream, "inproc://raw"), ZMQ_ENOCOMPATPROTO);
    assert_eq!(send(stream, b"nobody", ZMQ_SNDMORE), -1);
    assert_eq!(errno(), libc::EHOSTUNREACH);
    assert_eq!(connect(stream, &endpoint), 0);
    fails(connect(stream, &endpoint), libc::EADDRINUSE);
    let (mut name, mut length) = ([1; 9], 9);
    // SAFETY: there is room for so many octets.
    let read = unsafe {
        zmq_getsockopt(stream, ZMQ_ROUTING_ID, name.as_mut_ptr().cast(), &raw mut length)
    };
    assert_eq!((read, length, name[0]), (0, 5, 0));
    let name = &name[..5];
    assert_eq!(send(stream, name, ZMQ_SNDMORE), 5);
    // The flag of the second part counts for nothing.
    assert_eq!(send(stream, b"there", ZMQ_SNDMORE), 5);
    let (mut peer, _) = listener.accept().unwrap();
    let mut octets = [0; 5];
    peer.read_exact(&mut octets).unwrap();
    assert_eq!(&octets, b"there");
    peer.write_all(b"back").unwrap();
    assert_eq!(receive(stream, &mut octets, 0), 5);
    assert_eq!((&octets[..], option(stream, ZMQ_RCVMORE)), (name, 1));
    assert_eq!((receive(stream, &mut octets, 0), option(stream, ZMQ_RCVMORE)), (4, 0));
    assert_eq!(&octets[..4], b"back");
    assert_eq!((send(stream, name, ZMQ_SNDMORE), send(stream, b"", 0)), (5, 0));
    assert_eq!(peer.read(&mut octets).unwrap(), 0);
    fails(send(stream, name, ZMQ_SNDMORE), libc::EHOSTUNREACH);
    assert_eq!((zmq_close(stream), zmq_ctx_term(context)), (0, 0));
}

static WAS_INTERRUPTED: AtomicBool = AtomicBool::new(false);

extern "C" fn note(_signal: c_int) {}

#[test]
fn a_signal_ends_a_call_that_waits_and_the_end_of_the_context_too() {
    // SAFETY: the handler does nothing, and all else of the action is zero.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = note as *const () as usize;
    // SAFETY: the action is valid; what was there before is not asked for.
    assert_eq!(unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, null_mut()) }, 0);
    let context = zmq_ctx_new();
    let socket = zmq_socket(context, ZMQ_PULL);
    assert_eq!(bind(socket, "tcp://127.0.0.1:*"), 0);
    let handle = socket.addr();
    let (id_of, id) = std::sync::mpsc::channel();
    let waiting = thread::spawn(move || {
        // SAFETY: it says which thread this is.
        id_of.send(unsafe { libc::pthread_self() }).unwrap();
        let socket = ptr::without_provenance_mut(handle);
        fails(receive(socket, &mut [0; 9], 0), libc::EINTR);
        WAS_INTERRUPTED.store(true, Ordering::SeqCst);
        // A last signal may have been under way.
        while receive(socket, &mut [0; 9], 0) == -1 && errno() == libc::EINTR {}
        assert_eq!(errno(), ZMQ_ETERM);
        assert_eq!(zmq_close(socket), 0);
    });
    let id = id.recv().unwrap();
    // Again and again: the first may come before the call waits.
    while !WAS_INTERRUPTED.load(Ordering::SeqCst) {
        thread::sleep(Duration::from_millis(20));
        // SAFETY: the thread waits, and has not been joined.
        unsafe { libc::pthread_kill(id, libc::SIGUSR1) };
    }
    thread::sleep(Duration::from_millis(50));
    assert_eq!(zmq_ctx_term(context), 0, "it waits for the socket to be closed");
    waiting.join().unwrap();
}

const ZMQ_ETERM: c_int = 156_384_765;
const ZMQ_ENOCOMPATPROTO: c_int = 156_384_764;

#[test]
fn every_error_has_a_text() {
    for number in [libc::EAGAIN, ZMQ_ETERM, ZMQ_ETERM - 2, -1] {
        // SAFETY: it is a text that stays until the next call on this thread.
        let text = unsafe { CStr::from_ptr(zmq_strerror(number)) };
        assert!(!text.is_empty(), "{number}");
    }
}
