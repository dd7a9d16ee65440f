//! As much of libzmq's interface as the benchmarks need. The `zmq` crate would do, but for its older
//! libzmq and for `ZMQ_XPUB_NODROP`.

use std::ffi::{CString, c_char, c_int, c_long, c_short, c_void};

const PUB: c_int = 1;
const SUB: c_int = 2;
const DONTWAIT: c_int = 1;
const POLLIN: c_short = 1;
const IO_THREADS: c_int = 1;
const MAX_SOCKETS: c_int = 2;

/// The socket options that are used.
#[derive(Clone, Copy, Debug)]
#[repr(i32)]
pub(crate) enum SocketOption {
    Linger = 17,
    SendHwm = 23,
    ReceiveHwm = 24,
    XpubNodrop = 69,
}

/// A context, which lives as long as the process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context(*mut c_void);

#[expect(unsafe_code, reason = "libzmq: contexts may be used by any thread")]
unsafe impl Send for Context {}
#[expect(unsafe_code, reason = "libzmq: contexts may be used by any thread")]
unsafe impl Sync for Context {}

/// A socket, which lives as long as the process.
#[derive(Debug)]
pub(crate) struct Socket(*mut c_void);

#[expect(unsafe_code, reason = "libzmq: a socket may be moved to another thread")]
unsafe impl Send for Socket {}

/// Room for one received message.
pub(crate) struct Message(ZmqMsg);

/// Sockets to wait for.
pub(crate) struct Poll(Vec<PollItem>);

#[repr(C, align(8))]
struct ZmqMsg([u8; 64]);

#[repr(C)]
struct PollItem {
    socket: *mut c_void,
    fd: c_int,
    events: c_short,
    revents: c_short,
}

#[link(name = "stdc++")]
#[expect(unsafe_code, reason = "libzmq is written in C++")]
unsafe extern "C" {}

#[expect(unsafe_code, reason = "libzmq's interface")]
unsafe extern "C" {
    fn zmq_ctx_new() -> *mut c_void;
    fn zmq_ctx_set(context: *mut c_void, option: c_int, value: c_int) -> c_int;
    fn zmq_socket(context: *mut c_void, socket_type: c_int) -> *mut c_void;
    fn zmq_setsockopt(s: *mut c_void, option: c_int, value: *const c_void, n: usize) -> c_int;
    fn zmq_bind(socket: *mut c_void, endpoint: *const c_char) -> c_int;
    fn zmq_connect(socket: *mut c_void, endpoint: *const c_char) -> c_int;
    fn zmq_send(socket: *mut c_void, body: *const c_void, n: usize, flags: c_int) -> c_int;
    fn zmq_msg_init(message: *mut ZmqMsg) -> c_int;
    fn zmq_msg_recv(message: *mut ZmqMsg, socket: *mut c_void, flags: c_int) -> c_int;
    fn zmq_msg_data(message: *mut ZmqMsg) -> *mut c_void;
    fn zmq_msg_size(message: *const ZmqMsg) -> usize;
    fn zmq_poll(items: *mut PollItem, n: c_int, timeout: c_long) -> c_int;
}

impl Context {
    #[expect(unsafe_code, reason = "a new context, with options of plain numbers")]
    pub(crate) fn new(io_threads: usize) -> Self {
        let context = unsafe { zmq_ctx_new() };
        assert!(!context.is_null());
        for (option, value) in [(IO_THREADS, io_threads as c_int), (MAX_SOCKETS, 20_000)] {
            assert_eq!(unsafe { zmq_ctx_set(context, option, value) }, 0, "context: {option}");
        }
        Self(context)
    }

    pub(crate) fn publisher(self) -> Socket {
        self.socket(PUB)
    }

    pub(crate) fn subscriber(self) -> Socket {
        self.socket(SUB)
    }

    #[expect(unsafe_code, reason = "the context lives as long as the process")]
    fn socket(self, socket_type: c_int) -> Socket {
        let socket = unsafe { zmq_socket(self.0, socket_type) };
        assert!(!socket.is_null());
        Socket(socket)
    }
}

impl Socket {
    #[expect(unsafe_code, reason = "the value is an int that outlives the call")]
    pub(crate) fn set(&self, option: SocketOption, value: i32) {
        let set = unsafe {
            zmq_setsockopt(self.0, option as c_int, (&raw const value).cast(), size_of::<c_int>())
        };
        assert_eq!(set, 0, "{option:?}");
    }

    #[expect(unsafe_code, reason = "the topic is given with its length and outlives the call")]
    pub(crate) fn subscribe(&self, topic: &str) {
        const SUBSCRIBE: c_int = 6;
        let set = unsafe { zmq_setsockopt(self.0, SUBSCRIBE, topic.as_ptr().cast(), topic.len()) };
        assert_eq!(set, 0, "subscribe");
    }

    #[expect(unsafe_code, reason = "the endpoint is a C string that outlives the call")]
    pub(crate) fn bind(&self, endpoint: &str) {
        let text = CString::new(endpoint).expect("no octet 0");
        assert_eq!(unsafe { zmq_bind(self.0, text.as_ptr()) }, 0, "bind {endpoint}");
    }

    #[expect(unsafe_code, reason = "the endpoint is a C string that outlives the call")]
    pub(crate) fn connect(&self, endpoint: &str) {
        let text = CString::new(endpoint).expect("no octet 0");
        assert_eq!(unsafe { zmq_connect(self.0, text.as_ptr()) }, 0, "connect {endpoint}");
    }

    #[expect(unsafe_code, reason = "the body is given with its length and copied by the call")]
    #[inline]
    pub(crate) fn send(&self, body: &[u8]) {
        let sent = unsafe { zmq_send(self.0, body.as_ptr().cast(), body.len(), 0) };
        assert!(sent >= 0, "send");
    }

    /// The next message; `None` if it would have to be waited for and is not to be.
    #[expect(unsafe_code, reason = "the message keeps its octets until it is received into again")]
    #[inline]
    pub(crate) fn receive<'a>(&self, message: &'a mut Message, wait: bool) -> Option<&'a [u8]> {
        let message = &raw mut message.0;
        let flags = if wait { 0 } else { DONTWAIT };
        unsafe {
            if zmq_msg_recv(message, self.0, flags) < 0 {
                return None;
            }
            let size = zmq_msg_size(message);
            Some(std::slice::from_raw_parts(zmq_msg_data(message).cast(), size))
        }
    }
}

impl Message {
    #[expect(unsafe_code, reason = "libzmq makes an empty message of the room")]
    pub(crate) fn new() -> Self {
        let mut message = ZmqMsg([0; 64]);
        unsafe { zmq_msg_init(&raw mut message) };
        Self(message)
    }
}

impl Poll {
    pub(crate) fn new(sockets: &[Socket]) -> Self {
        let item =
            |socket: &Socket| PollItem { socket: socket.0, fd: 0, events: POLLIN, revents: 0 };
        Self(sockets.iter().map(item).collect())
    }

    /// Waits until one of the sockets can be read.
    #[expect(unsafe_code, reason = "the sockets live as long as the process")]
    pub(crate) fn wait(&mut self) {
        unsafe { zmq_poll(self.0.as_mut_ptr(), self.0.len() as c_int, -1) };
    }

    pub(crate) fn is_ready(&self, index: usize) -> bool {
        self.0[index].revents & POLLIN != 0
    }

    /// Waits for this socket no more.
    pub(crate) fn leave(&mut self, index: usize) {
        self.0[index].events = 0;
    }
}
