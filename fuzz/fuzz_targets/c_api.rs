#![no_main]
//! Calls of libzmq's C interface, in any order and with any arguments that a C program may give, beside a model
//! of what the interface promises.
//!
//! Two sockets, which nothing else touches, are the ends of a pipe: each message that one end took comes out of
//! the other, once, whole and in order. All other sockets are called at random: each call succeeds or fails with
//! an error that it may have, and a handle that is none fails as such. No call waits, and in the end each context
//! ends, and each buffer has been freed once.

use std::collections::VecDeque;
use std::ffi::{CString, c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr::{self, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering};

use libfuzzer_sys::fuzz_target;
use zmq::border::*;
use zmq::constants::*;

const EFAULT: c_int = 14;
const ENOTSOCK: c_int = 88;
const ENOTSUP: c_int = 95;

/// libzmq's own error numbers begin here.
const OWN: c_int = 156_384_712;
const EFSM: c_int = OWN + 51;
const ETERM: c_int = OWN + 53;

const EINTR: c_int = 4;
const EAGAIN: c_int = 11;
const EINVAL: c_int = 22;
const EHOSTUNREACH: c_int = 113;

/// How many sockets are open at a time, beside the pipe.
const MOST_SOCKETS: usize = 64;

/// The last of the stable socket types.
const STREAM: c_int = 11;
const SUBSCRIBERS: [c_int; 2] = [ZMQ_SUB, ZMQ_PULL];
const PUBLISHERS: [c_int; 2] = [ZMQ_PUB, ZMQ_PUSH];

/// Endpoints inside the process, and texts that are none.
const ENDPOINTS: [&str; 10] = [
    "inproc://a",
    "inproc://b",
    "inproc://",
    "tcp://",
    "tcp://127.0.0.1:99999",
    "tcp://127.0.0.1",
    "udp://x",
    "ipc://",
    "nonsense",
    "",
];

/// How long the last messages of the pipe may take, in milliseconds.
const PATIENCE: c_int = 10_000;

/// Buffers that messages were made of, and those that have been freed.
static LENT: AtomicUsize = AtomicUsize::new(0);
static FREED: AtomicUsize = AtomicUsize::new(0);

/// The octets that decide what is called.
struct Dice<'a>(&'a [u8]);

impl<'a> Dice<'a> {
    fn octet(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::from(self.octet()) % limit.max(1)
    }

    fn octets(&mut self) -> &'a [u8] {
        let length = self.below(80).min(self.0.len());
        let (octets, rest) = self.0.split_at(length);
        self.0 = rest;
        octets
    }

    /// Small numbers are likely, and all are possible.
    fn number(&mut self) -> c_int {
        match self.octet() {
            255 => c_int::from_ne_bytes([self.octet(), self.octet(), self.octet(), self.octet()]),
            small => c_int::from(small) - 2,
        }
    }
}

/// A message of the program.
struct Slot {
    message: Box<MaybeUninit<zmq_msg_t>>,
    /// The octets of the message, if there is one.
    content: Option<Vec<u8>>,
}

struct Program {
    context: *mut c_void,
    is_shut: bool,
    sockets: Vec<(*mut c_void, c_int)>,
    /// Handles that were closed, and others that never were any.
    dead: Vec<*mut c_void>,
    slots: Vec<Slot>,
    pipe: [*mut c_void; 2],
    /// Messages that have been sent from each end and not received at the other.
    under_way: [VecDeque<Vec<u8>>; 2],
}

fuzz_target!(|data: &[u8]| {
    let mut program = Program::begin();
    let mut dice = Dice(data);
    while !dice.0.is_empty() {
        program.call(&mut dice);
    }
    program.end();
});

impl Program {
    fn begin() -> Self {
        let context = zmq_ctx_new();
        assert!(!context.is_null());
        let pipe = [zmq_socket(context, ZMQ_PAIR), zmq_socket(context, ZMQ_PAIR)];
        assert_eq!(with_text("inproc://pipe", |text| unsafe { zmq_bind(pipe[0], text) }), 0);
        assert_eq!(with_text("inproc://pipe", |text| unsafe { zmq_connect(pipe[1], text) }), 0);
        let empty = || Slot { message: Box::new(MaybeUninit::zeroed()), content: None };
        Self {
            context,
            is_shut: false,
            sockets: Vec::new(),
            dead: vec![null_mut(), context, ptr::without_provenance_mut(0x1234_5678)],
            slots: (0..4).map(|_| empty()).collect(),
            pipe,
            under_way: Default::default(),
        }
    }

    fn call(&mut self, dice: &mut Dice<'_>) {
        match dice.below(20) {
            0 | 1 => self.open(dice),
            2 => self.close(dice),
            3 | 4 => self.endpoint(dice),
            5 | 6 => self.set_option(dice),
            7 => self.get_option(dice),
            8 => self.send(dice),
            9 => self.receive(dice),
            10 => self.poll(dice),
            11 | 12 => self.message(dice),
            13 => self.send_message(dice),
            14 => self.receive_message(dice),
            15 => self.push(dice),
            16 => self.pull(dice),
            17 => keys(dice),
            18 => self.dead(dice),
            _ => self.of_context(dice),
        }
    }

    /// Any of the sockets but those of the pipe, or a handle that is none.
    fn any(&self, dice: &mut Dice<'_>) -> (*mut c_void, Option<c_int>) {
        let number = dice.below(self.sockets.len() + 1);
        match self.sockets.get(number) {
            Some(&(socket, kind)) => (socket, Some(kind)),
            None => (self.dead[dice.below(self.dead.len())], None),
        }
    }

    fn open(&mut self, dice: &mut Dice<'_>) {
        // No more than a context may have.
        if self.sockets.len() == MOST_SOCKETS {
            return;
        }
        let kind = c_int::from(dice.octet() % 14);
        let socket = zmq_socket(self.context, kind);
        let is_valid = (0..=STREAM).contains(&kind);
        if is_valid && !self.is_shut {
            assert!(!socket.is_null(), "socket type {kind}: {}", zmq_errno());
            self.sockets.push((socket, kind));
        } else {
            assert!(socket.is_null(), "socket type {kind}");
            assert!([EINVAL, ETERM].contains(&zmq_errno()), "{}", zmq_errno());
        }
    }

    fn close(&mut self, dice: &mut Dice<'_>) {
        if self.sockets.is_empty() {
            return;
        }
        let (socket, _) = self.sockets.swap_remove(dice.below(self.sockets.len()));
        end_socket(socket);
        fails(zmq_close(socket), &[ENOTSOCK]);
        self.dead.push(socket);
    }

    fn endpoint(&mut self, dice: &mut Dice<'_>) {
        let (socket, kind) = self.any(dice);
        let octets;
        let text = match dice.octet() {
            255 => {
                octets = String::from_utf8_lossy(dice.octets()).replace('\0', "");
                // No connection leaves the process.
                if octets.contains("://") { "inproc://c" } else { &*octets }
            }
            number => ENDPOINTS[usize::from(number) % ENDPOINTS.len()],
        };
        let which = dice.below(4);
        let outcome = with_text(text, |text| unsafe {
            match which {
                0 => zmq_bind(socket, text),
                1 => zmq_connect(socket, text),
                2 => zmq_unbind(socket, text),
                _ => zmq_disconnect(socket, text),
            }
        });
        if kind.is_none() {
            fails(outcome, &[ENOTSOCK]);
        } else {
            assert!(outcome == 0 || outcome == -1 && zmq_errno() != 0);
        }
    }

    fn set_option(&mut self, dice: &mut Dice<'_>) {
        let (socket, kind) = self.any(dice);
        let (option, octets) = (dice.number(), dice.octets());
        let (data, length) = match dice.octet() {
            0 => (ptr::null(), octets.len()),
            1 => (octets.as_ptr(), usize::MAX),
            _ => (octets.as_ptr(), octets.len()),
        };
        let outcome = unsafe { zmq_setsockopt(socket, option, data.cast(), length) };
        match (kind, length) {
            (None, _) => fails(outcome, &[ENOTSOCK]),
            (Some(_), usize::MAX) if self.is_shut => fails(outcome, &[ETERM]),
            (Some(_), usize::MAX) => fails(outcome, &[EINVAL]),
            _ => assert!(outcome == 0 || outcome == -1 && zmq_errno() != 0),
        }
    }

    fn get_option(&mut self, dice: &mut Dice<'_>) {
        let (socket, kind) = self.any(dice);
        let (option, room) = (dice.number(), dice.below(300));
        let mut place = vec![0xA5_u8; room + 1];
        let mut length = room;
        let data = place.as_mut_ptr().cast();
        let outcome = unsafe { zmq_getsockopt(socket, option, data, &raw mut length) };
        assert_eq!(place[room], 0xA5, "it has written beyond its room");
        match kind {
            None => fails(outcome, &[ENOTSOCK]),
            Some(_) => assert!(outcome == -1 || length <= room),
        }
    }

    fn send(&mut self, dice: &mut Dice<'_>) {
        let (socket, kind) = self.any(dice);
        let octets = dice.octets();
        let flags = ZMQ_DONTWAIT | if dice.octet().is_multiple_of(4) { ZMQ_SNDMORE } else { 0 };
        let sent = unsafe { zmq_send(socket, octets.as_ptr().cast(), octets.len(), flags) };
        self.judge_send(kind, sent, octets.len());
    }

    fn judge_send(&self, kind: Option<c_int>, sent: c_int, length: usize) {
        match kind {
            None => fails(sent, &[ENOTSOCK]),
            Some(_) if self.is_shut => fails(sent, &[ETERM]),
            Some(kind) if SUBSCRIBERS.contains(&kind) => fails(sent, &[ENOTSUP]),
            Some(_) if sent == -1 => {
                fails(sent, &[EAGAIN, EFSM, EHOSTUNREACH, EINVAL]);
            }
            Some(_) => assert_eq!(usize::try_from(sent), Ok(length)),
        }
    }

    fn receive(&mut self, dice: &mut Dice<'_>) {
        let (socket, kind) = self.any(dice);
        let room = dice.below(100);
        let mut place = vec![0xA5_u8; room + 1];
        let received = unsafe { zmq_recv(socket, place.as_mut_ptr().cast(), room, ZMQ_DONTWAIT) };
        assert_eq!(place[room], 0xA5, "it has written beyond its room");
        self.judge_receive(kind, received);
    }

    fn judge_receive(&self, kind: Option<c_int>, received: c_int) {
        match kind {
            None => fails(received, &[ENOTSOCK]),
            Some(_) if self.is_shut => fails(received, &[ETERM]),
            Some(kind) if PUBLISHERS.contains(&kind) => fails(received, &[ENOTSUP]),
            Some(_) if received < 0 => fails(received, &[EAGAIN, EFSM]),
            Some(_) => {}
        }
    }

    fn poll(&mut self, dice: &mut Dice<'_>) {
        let mut items = Vec::new();
        let mut has_dead = false;
        for _ in 0..dice.below(5) {
            let (socket, kind) = self.any(dice);
            let events = i16::from(dice.octet() % 8);
            // Without a socket it is a descriptor.
            let fd = if socket.is_null() { -1 } else { 0 };
            has_dead |= kind.is_none() && !socket.is_null();
            items.push(zmq_pollitem_t { socket, fd, events, revents: -1 });
        }
        let count = c_int::try_from(items.len()).expect("a few");
        let ready = unsafe { zmq_poll(items.as_mut_ptr(), count, 0) };
        if has_dead {
            // The first item with an error decides.
            fails(ready, if self.is_shut { &[ENOTSOCK, ETERM] } else { &[ENOTSOCK] });
        } else if ready >= 0 {
            let with_events = items.iter().filter(|item| item.revents != 0).count();
            assert_eq!(usize::try_from(ready), Ok(with_events));
            for item in items.iter().filter(|item| !item.socket.is_null()) {
                assert_eq!(item.revents & !item.events, 0, "an event that nobody asked for");
            }
        } else {
            fails(ready, &[ETERM]);
            assert!(self.is_shut);
        }
    }

    fn message(&mut self, dice: &mut Dice<'_>) {
        let (number, other) = (dice.below(self.slots.len()), dice.below(self.slots.len()));
        let octets = dice.octets().to_vec();
        let action = dice.below(6);
        let at = self.slots[other].message.as_mut_ptr();
        let slot = &mut self.slots[number];
        let message = slot.message.as_mut_ptr();
        match action {
            // A message that is one would be lost by another beginning.
            0 if slot.content.is_none() => {
                assert_eq!(unsafe { zmq_msg_init_size(message, octets.len()) }, 0);
                let data = unsafe { zmq_msg_data(message) };
                unsafe { ptr::copy_nonoverlapping(octets.as_ptr(), data.cast(), octets.len()) };
                slot.content = Some(octets);
            }
            1 if slot.content.is_none() => {
                let content = octets.clone();
                let lent = Box::into_raw(Box::new(octets));
                // SAFETY: the box has just been made, and its buffer does not move.
                let (data, length) = unsafe { ((*lent).as_mut_ptr(), (*lent).len()) };
                LENT.fetch_add(1, Ordering::SeqCst);
                let made = unsafe {
                    zmq_msg_init_data(message, data.cast(), length, Some(give_back), lent.cast())
                };
                assert_eq!(made, 0);
                slot.content = Some(content);
            }
            2 => {
                let closed = unsafe { zmq_msg_close(message) };
                match slot.content.take() {
                    Some(_) => assert_eq!(closed, 0),
                    None => fails(closed, &[EFAULT]),
                }
            }
            3 | 4 if number != other => {
                let outcome = match action {
                    3 => unsafe { zmq_msg_move(message, at) },
                    _ => unsafe { zmq_msg_copy(message, at) },
                };
                let content = self.slots[other].content.clone();
                if self.slots[number].content.is_none() || content.is_none() {
                    return fails(outcome, &[EFAULT]);
                }
                assert_eq!(outcome, 0);
                self.slots[number].content = content;
                if action == 3 {
                    self.slots[other].content = Some(Vec::new());
                }
            }
            _ => {}
        }
        self.slots.iter_mut().for_each(Slot::check);
    }

    fn send_message(&mut self, dice: &mut Dice<'_>) {
        let (socket, kind) = self.any(dice);
        let number = dice.below(self.slots.len());
        let slot = &mut self.slots[number];
        let sent = unsafe { zmq_msg_send(slot.message.as_mut_ptr(), socket, ZMQ_DONTWAIT) };
        let Some(content) = slot.content.clone() else {
            return fails(sent, &[EFAULT, ENOTSOCK]);
        };
        if sent >= 0 {
            slot.content = Some(Vec::new());
        }
        slot.check();
        self.judge_send(kind, sent, content.len());
    }

    fn receive_message(&mut self, dice: &mut Dice<'_>) {
        let (socket, kind) = self.any(dice);
        let number = dice.below(self.slots.len());
        let slot = &mut self.slots[number];
        let message = slot.message.as_mut_ptr();
        let received = unsafe { zmq_msg_recv(message, socket, ZMQ_DONTWAIT) };
        if slot.content.is_none() {
            return fails(received, &[EFAULT, ENOTSOCK]);
        }
        if let Ok(length) = usize::try_from(received) {
            assert_eq!(unsafe { zmq_msg_size(message) }, length);
            slot.content = Some(unsafe { content(message) });
        }
        slot.check();
        self.judge_receive(kind, received);
    }

    /// Sends a message through the pipe.
    fn push(&mut self, dice: &mut Dice<'_>) {
        let end = dice.below(2);
        let octets = dice.octets().repeat(1 + dice.below(40));
        let data = octets.as_ptr().cast();
        let sent = unsafe { zmq_send(self.pipe[end], data, octets.len(), ZMQ_DONTWAIT) };
        if self.is_shut {
            return fails(sent, &[ETERM]);
        }
        match usize::try_from(sent) {
            Ok(length) => {
                assert_eq!(length, octets.len());
                self.under_way[end].push_back(octets);
            }
            // Its mark is 1000 messages, and so is that of the other end.
            Err(_) => {
                fails(sent, &[EAGAIN]);
                assert!(self.under_way[end].len() >= 1000, "{}", self.under_way[end].len());
            }
        }
    }

    /// Receives a message through the pipe, if there is one.
    fn pull(&mut self, dice: &mut Dice<'_>) {
        self.pull_from(dice.below(2), ZMQ_DONTWAIT);
    }

    fn pull_from(&mut self, end: usize, flags: c_int) {
        let mut place = vec![0; 80 * 40];
        let data = place.as_mut_ptr().cast();
        let received = unsafe { zmq_recv(self.pipe[1 - end], data, place.len(), flags) };
        if self.is_shut {
            return fails(received, &[ETERM]);
        }
        match usize::try_from(received) {
            Ok(length) => {
                let sent = self.under_way[end].pop_front().expect("nothing was sent");
                assert_eq!(place[..length], sent);
            }
            Err(_) => {
                fails(received, &[EAGAIN]);
                assert_eq!(flags, ZMQ_DONTWAIT, "a message has not come in time");
            }
        }
    }

    /// A call with a handle that is none.
    fn dead(&mut self, dice: &mut Dice<'_>) {
        let handle = self.dead[dice.below(self.dead.len())];
        let is_context = handle == self.context;
        match dice.below(6) {
            0 if !is_context => fails(zmq_ctx_term(handle), &[EFAULT]),
            1 if !is_context => fails(zmq_ctx_shutdown(handle), &[EFAULT]),
            2 => fails(zmq_close(handle), &[ENOTSOCK]),
            3 => assert_eq!(zmq_atomic_counter_inc(handle), 0),
            4 => assert_eq!(zmq_timers_timeout(handle), -1),
            _ => {
                let outcome = with_text("inproc://m", |text| unsafe {
                    zmq_socket_monitor(handle, text, c_int::from(dice.octet()))
                });
                fails(outcome, &[ENOTSOCK]);
            }
        }
    }

    fn of_context(&mut self, dice: &mut Dice<'_>) {
        match dice.below(8) {
            // Rarely: nothing works any more.
            0 if dice.octet() == 7 => {
                assert_eq!(zmq_ctx_shutdown(self.context), 0);
                self.is_shut = true;
            }
            1 => {
                // The number of sockets stays, so that the model knows it.
                let option = dice.number();
                if option != ZMQ_MAX_SOCKETS {
                    let _any = zmq_ctx_set(self.context, option, dice.number());
                }
            }
            2 => {
                let _any = zmq_ctx_get(self.context, dice.number());
            }
            _ => counters(dice),
        }
    }

    fn end(mut self) {
        if !self.is_shut {
            for end in 0..2 {
                let patience = PATIENCE;
                let (patience, length) = ((&raw const patience).cast(), size_of::<c_int>());
                let socket = self.pipe[1 - end];
                assert_eq!(unsafe { zmq_setsockopt(socket, ZMQ_RCVTIMEO, patience, length) }, 0);
                while !self.under_way[end].is_empty() {
                    self.pull_from(end, 0);
                }
            }
        }
        for slot in &mut self.slots {
            if slot.content.take().is_some() {
                assert_eq!(unsafe { zmq_msg_close(slot.message.as_mut_ptr()) }, 0);
            }
        }
        for (socket, _) in self.sockets.drain(..) {
            end_socket(socket);
        }
        self.pipe.into_iter().for_each(end_socket);
        // The fuzzer's own clock is a signal, which interrupts the call now and then.
        while zmq_ctx_term(self.context) != 0 {
            assert_eq!(zmq_errno(), EINTR);
        }
        fails(zmq_ctx_term(self.context), &[EFAULT]);
        let (lent, freed) = (LENT.load(Ordering::SeqCst), FREED.load(Ordering::SeqCst));
        assert_eq!(lent, freed, "buffers that were lent, and freed");
    }
}

impl Slot {
    /// A message holds what the model says.
    fn check(&mut self) {
        let message = self.message.as_mut_ptr();
        match &self.content {
            Some(expected) => assert_eq!(unsafe { content(message) }, *expected),
            None => assert!(unsafe { zmq_msg_data(message) }.is_null()),
        }
    }
}

/// # Safety
/// The pointer is that of a message.
unsafe fn content(message: *mut zmq_msg_t) -> Vec<u8> {
    unsafe {
        let length = zmq_msg_size(message);
        match length {
            0 => Vec::new(),
            _ => std::slice::from_raw_parts(zmq_msg_data(message).cast(), length).to_vec(),
        }
    }
}

/// Frees a buffer that a message was made of.
unsafe extern "C" fn give_back(_data: *mut c_void, hint: *mut c_void) {
    // SAFETY: the hint is the box, and this is called once.
    drop(unsafe { Box::from_raw(hint.cast::<Vec<u8>>()) });
    FREED.fetch_add(1, Ordering::SeqCst);
}

/// Ends a socket, without waiting for what it has not sent.
fn end_socket(socket: *mut c_void) {
    let linger: c_int = 0;
    let (linger, length) = ((&raw const linger).cast(), size_of::<c_int>());
    let _ended_context = unsafe { zmq_setsockopt(socket, ZMQ_LINGER, linger, length) };
    assert_eq!(zmq_close(socket), 0);
}

/// Keys, and their texts.
fn keys(dice: &mut Dice<'_>) {
    let octets = dice.octets();
    let mut text = [0; 200];
    let encoded = unsafe { zmq_z85_encode(text.as_mut_ptr(), octets.as_ptr(), octets.len()) };
    assert_eq!(encoded.is_null(), !octets.len().is_multiple_of(4));
    // No octets have a text, which is no text of a key.
    if encoded.is_null() || octets.is_empty() {
        return;
    }
    let mut back = [0; 200];
    assert!(!unsafe { zmq_z85_decode(back.as_mut_ptr(), text.as_ptr()) }.is_null());
    assert_eq!(back[..octets.len()], *octets);
}

fn counters(dice: &mut Dice<'_>) {
    let mut counter = zmq_atomic_counter_new();
    let mut model = 0_i32;
    for _ in 0..dice.below(8) {
        match dice.below(3) {
            0 => {
                model = dice.number();
                zmq_atomic_counter_set(counter, model);
            }
            1 => {
                assert_eq!(zmq_atomic_counter_inc(counter), model);
                model = model.wrapping_add(1);
            }
            _ => {
                model = model.wrapping_sub(1);
                assert_eq!(zmq_atomic_counter_dec(counter), c_int::from(model != 0));
            }
        }
        assert_eq!(zmq_atomic_counter_value(counter), model);
    }
    unsafe { zmq_atomic_counter_destroy(&raw mut counter) };
    assert!(counter.is_null());
}

/// The call has failed, with one of these errors.
#[track_caller]
fn fails(outcome: c_int, errors: &[c_int]) {
    let error = zmq_errno();
    assert_eq!(outcome, -1, "it should fail with one of {errors:?}");
    assert!(errors.contains(&error), "error {error} and not one of {errors:?}");
}

/// Calls with a text of C.
fn with_text<T>(text: &str, call: impl FnOnce(*const std::ffi::c_char) -> T) -> T {
    let text = CString::new(text).expect("no NUL inside");
    call(text.as_ptr())
}
