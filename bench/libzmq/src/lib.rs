//! As much of libzmq's interface as the benchmarks need. The `zmq` crate would do, but for its older
//! libzmq and for `ZMQ_XPUB_NODROP`.

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_short, c_void};

const DONTWAIT: c_int = 1;
const SNDMORE: c_int = 2;
const POLLIN: c_short = 1;
const IO_THREADS: c_int = 1;
const MAX_SOCKETS: c_int = 2;
const CURVE_PUBLICKEY: c_int = 48;
const CURVE_SECRETKEY: c_int = 49;
const CURVE_SERVERKEY: c_int = 50;

/// The socket options that are used.
#[derive(Clone, Copy, Debug)]
#[repr(i32)]
pub enum SocketOption {
    /// Milliseconds that what is unsent outlives the socket.
    Linger = 17,
    /// Connections that wait until they are accepted.
    Backlog = 19,
    /// Messages queued for each peer; 0 is no limit.
    SendHwm = 23,
    /// Messages queued from each peer; 0 is no limit.
    ReceiveHwm = 24,
    /// Whether this is the server's side of CURVE.
    CurveServer = 47,
    /// Whether a full queue makes `send` wait.
    XpubNodrop = 69,
    /// Milliseconds between two PINGs.
    HeartbeatInterval = 75,
}

/// The types of sockets that are used.
#[derive(Clone, Copy, Debug)]
#[repr(i32)]
pub enum SocketType {
    /// PUB
    Pub = 1,
    /// SUB
    Sub = 2,
    /// REQ
    Req = 3,
    /// REP
    Rep = 4,
    /// DEALER
    Dealer = 5,
    /// ROUTER
    Router = 6,
    /// PULL
    Pull = 7,
    /// PUSH
    Push = 8,
    /// XPUB
    XPub = 9,
    /// XSUB
    XSub = 10,
}

/// A context, which lives as long as the process.
#[derive(Clone, Copy, Debug)]
pub struct Context(*mut c_void);

#[expect(unsafe_code, reason = "libzmq: contexts may be used by any thread")]
unsafe impl Send for Context {}
#[expect(unsafe_code, reason = "libzmq: contexts may be used by any thread")]
unsafe impl Sync for Context {}

/// A socket, which lives as long as the process.
#[derive(Debug)]
pub struct Socket(*mut c_void);

#[expect(unsafe_code, reason = "libzmq: a socket may be moved to another thread")]
unsafe impl Send for Socket {}

/// Room for one received message.
#[derive(Debug)]
pub struct Message(ZmqMsg);

/// Sockets to wait for.
#[derive(Debug)]
pub struct Poll(Vec<PollItem>);

#[derive(Debug)]
#[repr(C, align(8))]
struct ZmqMsg([u8; 64]);

#[derive(Debug)]
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
    fn zmq_getsockopt(s: *mut c_void, option: c_int, value: *mut c_void, n: *mut usize) -> c_int;
    fn zmq_bind(socket: *mut c_void, endpoint: *const c_char) -> c_int;
    fn zmq_connect(socket: *mut c_void, endpoint: *const c_char) -> c_int;
    fn zmq_send(socket: *mut c_void, body: *const c_void, n: usize, flags: c_int) -> c_int;
    fn zmq_msg_init(message: *mut ZmqMsg) -> c_int;
    fn zmq_msg_recv(message: *mut ZmqMsg, socket: *mut c_void, flags: c_int) -> c_int;
    fn zmq_msg_data(message: *mut ZmqMsg) -> *mut c_void;
    fn zmq_msg_size(message: *const ZmqMsg) -> usize;
    fn zmq_proxy(front: *mut c_void, back: *mut c_void, capture: *mut c_void) -> c_int;
    fn zmq_poll(items: *mut PollItem, n: c_int, timeout: c_long) -> c_int;
}

impl Context {
    /// A context with so many threads for I/O, and room for many sockets.
    #[expect(unsafe_code, reason = "a new context, with options of plain numbers")]
    pub fn new(io_threads: usize) -> Self {
        let context = unsafe { zmq_ctx_new() };
        assert!(!context.is_null());
        for (option, value) in [(IO_THREADS, io_threads as c_int), (MAX_SOCKETS, 20_000)] {
            assert_eq!(unsafe { zmq_ctx_set(context, option, value) }, 0, "context: {option}");
        }
        Self(context)
    }

    /// A socket of this type.
    #[expect(unsafe_code, reason = "the context lives as long as the process")]
    pub fn socket(self, socket_type: SocketType) -> Socket {
        let socket = unsafe { zmq_socket(self.0, socket_type as c_int) };
        assert!(!socket.is_null());
        Socket(socket)
    }
}

impl Socket {
    /// Sets an option.
    #[expect(unsafe_code, reason = "the value is an int that outlives the call")]
    pub fn set(&self, option: SocketOption, value: i32) {
        let set = unsafe {
            zmq_setsockopt(self.0, option as c_int, (&raw const value).cast(), size_of::<c_int>())
        };
        assert_eq!(set, 0, "{option:?}");
    }

    /// Sets the largest message, in octets, that a peer may send.
    #[expect(unsafe_code, reason = "the value is an int64_t that outlives the call")]
    pub fn set_max_message_size(&self, octets: i64) {
        const MAXMSGSIZE: c_int = 22;
        let value = (&raw const octets).cast();
        let set = unsafe { zmq_setsockopt(self.0, MAXMSGSIZE, value, size_of::<i64>()) };
        assert_eq!(set, 0, "the largest message");
    }

    /// Encrypts, with CURVE, as the server whose secret key this is, in Z85.
    pub fn curve_server(&self, secret: &str) {
        self.set_text(CURVE_SECRETKEY, secret);
        self.set(SocketOption::CurveServer, 1);
    }

    /// Encrypts, with CURVE, as a client of the server with this public key; all in Z85.
    pub fn curve_client(&self, server_key: &str, public: &str, secret: &str) {
        self.set_text(CURVE_SERVERKEY, server_key);
        self.set_text(CURVE_PUBLICKEY, public);
        self.set_text(CURVE_SECRETKEY, secret);
    }

    #[expect(unsafe_code, reason = "the text is given with its octet 0 and outlives the call")]
    fn set_text(&self, option: c_int, text: &str) {
        let text = CString::new(text).expect("no octet 0");
        let octets = text.as_bytes_with_nul();
        let set = unsafe { zmq_setsockopt(self.0, option, octets.as_ptr().cast(), octets.len()) };
        assert_eq!(set, 0, "option {option}: is libzmq built with libsodium?");
    }

    /// Subscribes to what begins with `topic`.
    #[expect(unsafe_code, reason = "the topic is given with its length and outlives the call")]
    pub fn subscribe(&self, topic: &str) {
        const SUBSCRIBE: c_int = 6;
        let set = unsafe { zmq_setsockopt(self.0, SUBSCRIBE, topic.as_ptr().cast(), topic.len()) };
        assert_eq!(set, 0, "subscribe");
    }

    /// Binds; panics where it cannot.
    #[expect(unsafe_code, reason = "the endpoint is a C string that outlives the call")]
    pub fn bind(&self, endpoint: &str) {
        let text = CString::new(endpoint).expect("no octet 0");
        assert_eq!(unsafe { zmq_bind(self.0, text.as_ptr()) }, 0, "bind {endpoint}");
    }

    /// Connects.
    #[expect(unsafe_code, reason = "the endpoint is a C string that outlives the call")]
    pub fn connect(&self, endpoint: &str) {
        let text = CString::new(endpoint).expect("no octet 0");
        assert_eq!(unsafe { zmq_connect(self.0, text.as_ptr()) }, 0, "connect {endpoint}");
    }

    /// Sends a message of one part.
    #[inline]
    pub fn send(&self, body: &[u8]) {
        self.send_part(body, 0);
    }

    /// Sends a part of a message that more parts follow.
    #[inline]
    pub fn send_more(&self, part: &[u8]) {
        self.send_part(part, SNDMORE);
    }

    #[expect(unsafe_code, reason = "the part is given with its length and copied by the call")]
    #[inline]
    fn send_part(&self, part: &[u8], flags: c_int) {
        let sent = unsafe { zmq_send(self.0, part.as_ptr().cast(), part.len(), flags) };
        assert!(sent >= 0, "send");
    }

    /// Does now what the I/O threads have left for the caller's: a PUB takes all subscriptions that have
    /// come. `send` does so too, but only now and then.
    #[expect(unsafe_code, reason = "the value is an int that outlives the call")]
    pub fn handle_commands(&self) {
        const EVENTS: c_int = 15;
        let (mut events, mut n) = (0 as c_int, size_of::<c_int>());
        let got = unsafe { zmq_getsockopt(self.0, EVENTS, (&raw mut events).cast(), &raw mut n) };
        assert_eq!(got, 0, "events");
    }

    /// The endpoint that was bound last, its port spelt out.
    #[expect(unsafe_code, reason = "libzmq writes no more than fits, with an octet 0 behind it")]
    pub fn last_endpoint(&self) -> String {
        const LAST_ENDPOINT: c_int = 32;
        let mut text = [0_u8; 256];
        let mut n = text.len();
        let got =
            unsafe { zmq_getsockopt(self.0, LAST_ENDPOINT, text.as_mut_ptr().cast(), &raw mut n) };
        assert_eq!(got, 0, "last endpoint");
        let text = CStr::from_bytes_until_nul(&text).expect("libzmq ends it");
        text.to_string_lossy().into_owned()
    }

    /// The next message, or the next part of one; `None` if it would have to be waited for and is not to be.
    #[expect(unsafe_code, reason = "the message keeps its octets until it is received into again")]
    #[inline]
    pub fn receive<'a>(&self, message: &'a mut Message, wait: bool) -> Option<&'a [u8]> {
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

/// Hands messages and subscriptions on between two sockets, as long as the process lives.
#[expect(unsafe_code, reason = "the sockets live as long as the process")]
pub fn proxy(frontend: &Socket, backend: &Socket) {
    unsafe { zmq_proxy(frontend.0, backend.0, std::ptr::null_mut()) };
}

impl Default for Message {
    #[expect(unsafe_code, reason = "libzmq makes an empty message of the room")]
    fn default() -> Self {
        let mut message = ZmqMsg([0; 64]);
        unsafe { zmq_msg_init(&raw mut message) };
        Self(message)
    }
}

impl Poll {
    /// Waits for what can be read from any of these, which have to stay.
    pub fn new(sockets: &[Socket]) -> Self {
        let item =
            |socket: &Socket| PollItem { socket: socket.0, fd: 0, events: POLLIN, revents: 0 };
        Self(sockets.iter().map(item).collect())
    }

    /// Waits until one of the sockets can be read.
    #[expect(unsafe_code, reason = "the sockets live as long as the process")]
    pub fn wait(&mut self) {
        unsafe { zmq_poll(self.0.as_mut_ptr(), self.0.len() as c_int, -1) };
    }

    /// Whether this socket can be read, as the last wait found.
    pub fn is_ready(&self, index: usize) -> bool {
        self.0[index].revents & POLLIN != 0
    }

    /// Waits for this socket no more.
    pub fn leave(&mut self, index: usize) {
        self.0[index].events = 0;
    }
}
