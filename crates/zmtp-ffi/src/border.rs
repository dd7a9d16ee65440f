//! The functions of the interface. Pointers become safe values here, and nowhere else.
//!
//! Each function sets C's `errno` when it fails. A panic does not leave a function: it becomes an
//! error and a line in the log.
//!
//! # Safety
//! The manual pages of libzmq 4.3.5 state the contract of each function. In short: a pointer that
//! is not null points to a value of its type, which nobody else uses during the call. A handle may
//! be any number. A `zmq_msg_t` was made by one of the functions that make them.
#![expect(clippy::missing_safety_doc, reason = "it is the same for all, and stands above")]
#![expect(non_camel_case_types, reason = "the names are C's")]

use std::ffi::{CStr, c_char, c_int, c_long, c_ulong, c_void};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{ptr, slice};

use bytes::Bytes;

use crate::context::{CONTEXTS, Context};
use crate::errno::Errno;
use crate::handles::{Handle, Table};
use crate::io::{block_signals, off_io_thread};
use crate::message::Part;
use crate::options::{PLAIN_PASSWORD, PLAIN_USERNAME, SOCKS_PROXY, Value};
pub use crate::poll::zmq_pollitem_t;
use crate::socket::{Received, SNDMORE, Sending};
use crate::util::{self, Timers};
use crate::{poll, properties, proxy, socket};

const MORE: c_int = 1;
const SRCFD: c_int = 2;
const SHARED: c_int = 3;

/// The mark of a message in use, and of a closed one.
const IN_USE: u64 = 0x9a1e_55a6_e0f0_0d5e;
const CLOSED: u64 = 0;

/// One part of a message. Its memory is the program's; its content is ours.
#[repr(C)]
#[expect(missing_debug_implementations, reason = "it may hold anything")]
pub struct zmq_msg_t {
    part: MaybeUninit<Part>,
    mark: u64,
}

const _: () = assert!(size_of::<zmq_msg_t>() == 64, "as large as libzmq's");
const _: () = assert!(align_of::<zmq_msg_t>() == align_of::<*const ()>(), "aligned as libzmq's");

/// Frees the octets of a message; its arguments are the octets and the hint.
pub type zmq_free_fn = unsafe extern "C" fn(data: *mut c_void, hint: *mut c_void);

/// A function that a timer calls.
pub type zmq_timer_fn = unsafe extern "C" fn(timer_id: c_int, arg: *mut c_void);

/// A function that a thread runs.
pub type zmq_thread_fn = unsafe extern "C" fn(arg: *mut c_void);

/// A piece of memory, in the layout of `readv(2)`.
#[repr(C)]
#[expect(missing_debug_implementations, reason = "it is C's")]
pub struct iovec {
    /// The beginning of the piece.
    pub iov_base: *mut c_void,
    /// The length of the piece, in octets.
    pub iov_len: usize,
}

static COUNTERS: Table<AtomicI32> = Table::new(3);
static TIMERS: Table<Timers<Job<zmq_timer_fn>>> = Table::new(4);
static WATCHES: Table<Instant> = Table::new(5);
static THREADS: Table<JoinHandle<()>> = Table::new(6);

// Helpers of all functions.

fn fail(errno: Errno) {
    errno::set_errno(errno::Errno(errno.0));
}

/// Runs the body of a function. On an error it sets `errno` and returns `failed`.
#[inline]
fn call<T>(failed: T, body: impl FnOnce() -> Result<T, Errno>) -> T {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(done)) => done,
        Ok(Err(errno)) => {
            fail(errno);
            failed
        }
        Err(_panic) => {
            tracing::error!("a function of the C interface panicked");
            fail(Errno(libc::ENOTRECOVERABLE));
            failed
        }
    }
}

fn call_int(body: impl FnOnce() -> Result<(), Errno>) -> c_int {
    call(-1, || body().map(|()| 0))
}

fn call_pointer(body: impl FnOnce() -> Result<Handle, Errno>) -> *mut c_void {
    call(ptr::null_mut(), || body().map(Handle::to_pointer))
}

/// A text from C.
///
/// # Safety
/// The pointer is null, or points to a text that ends with a NUL and is valid for `'a`.
unsafe fn text<'a>(pointer: *const c_char) -> Result<&'a str, Errno> {
    // SAFETY: the caller's promise is the same.
    unsafe { c_text(pointer)? }.to_str().map_err(|_| Errno::EINVAL)
}

/// # Safety
/// As [`text`].
unsafe fn c_text<'a>(pointer: *const c_char) -> Result<&'a CStr, Errno> {
    if pointer.is_null() {
        return Err(Errno::EINVAL);
    }
    // SAFETY: it is not null, and the caller promises a text with its NUL.
    Ok(unsafe { CStr::from_ptr(pointer) })
}

/// Octets from C.
///
/// # Safety
/// The pointer is null, or points to `length` octets, which are valid and unchanged for `'a`.
unsafe fn octets<'a>(pointer: *const c_void, length: usize) -> Result<&'a [u8], Errno> {
    if length == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() {
        return Err(Errno::EFAULT);
    }
    possible(length)?;
    // SAFETY: it is not null, and the caller promises `length` octets.
    Ok(unsafe { slice::from_raw_parts(pointer.cast(), length) })
}

/// Refuses a length over `isize::MAX`: no object and no slice has so many octets. It comes from a negative
/// number that was made unsigned.
fn possible(length: usize) -> Result<(), Errno> {
    isize::try_from(length).map(drop).map_err(|_| Errno::EINVAL)
}

/// Writes octets to memory of C.
///
/// # Safety
/// The pointer points to memory for as many octets, which nobody else uses.
unsafe fn write_octets(pointer: *mut u8, octets: &[u8]) {
    // SAFETY: the caller promises room for the octets, and our own memory is elsewhere.
    unsafe { ptr::copy_nonoverlapping(octets.as_ptr(), pointer, octets.len()) };
}

/// The value at a pointer from C.
///
/// # Safety
/// The pointer is null, or points to a valid value that nobody else uses for `'a`.
unsafe fn place<'a, T>(pointer: *mut T) -> Result<&'a mut T, Errno> {
    // SAFETY: the caller promises that it is null or may be used.
    unsafe { pointer.as_mut() }.ok_or(Errno::EFAULT)
}

/// The message at a pointer, if it is in use.
///
/// # Safety
/// The pointer is null, or points to a `zmq_msg_t` that nobody else uses for `'a`.
#[inline]
unsafe fn part<'a>(message: *const zmq_msg_t) -> Result<&'a mut Part, Errno> {
    // SAFETY: the caller's promise is the same. C's `const` does not bind us: C cannot see what we
    // change.
    let message = unsafe { place(message.cast_mut()) }?;
    if message.mark != IN_USE {
        return Err(Errno::EFAULT);
    }
    // SAFETY: only `put_part` sets this mark, after it has written a part, and `close_part` removes
    // both.
    Ok(unsafe { message.part.assume_init_mut() })
}

/// Makes a message in memory of any content.
///
/// # Safety
/// The pointer is null, or points to memory for a `zmq_msg_t` that nobody else uses.
#[inline]
unsafe fn put_part(message: *mut zmq_msg_t, part: Part) -> Result<(), Errno> {
    if message.is_null() {
        return Err(Errno::EFAULT);
    }
    let value = zmq_msg_t { part: MaybeUninit::new(part), mark: IN_USE };
    // SAFETY: it is not null, and the caller promises the memory. Its former content is not
    // dropped, since it may be anything.
    unsafe { message.write(value) };
    Ok(())
}

/// Closes a message. Returns the octets that it shared: dropping them may call their owner.
///
/// # Safety
/// As [`part`].
#[inline]
unsafe fn close_part(message: *mut zmq_msg_t) -> Result<Option<Bytes>, Errno> {
    // SAFETY: the caller's promise is the same.
    let shared = unsafe { part(message) }?.clear();
    // SAFETY: the caller's promise is the same. The empty part that remains needs no drop.
    unsafe { place(message) }?.mark = CLOSED;
    Ok(shared)
}

/// A descriptor that the program declares to be open.
pub(crate) fn borrow_descriptor<'a>(fd: c_int) -> BorrowedFd<'a> {
    debug_assert!(fd >= 0, "it is a descriptor");
    // SAFETY: it is not negative. For one that is not open, or is closed meanwhile, `poll(2)`
    // reports that; the descriptor is used for nothing else.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// A descriptor that the program passes to us (`ZMQ_USE_FD`), and that we close.
pub(crate) fn own_descriptor(fd: c_int) -> OwnedFd {
    // SAFETY: by the manual page, the descriptor is that of a listening socket, which is ours from now on.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Sets the scheduling of this thread.
pub(crate) fn set_scheduling(policy: c_int, priority: c_int) -> Result<(), Errno> {
    let parameters = libc::sched_param { sched_priority: priority };
    // SAFETY: the parameters are valid during the call.
    match unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) } {
        0 => Ok(()),
        _ => Err(Errno(errno::errno().0)),
    }
}

/// Whether the program has a function for a signal that may come at any time.
pub(crate) fn handles_signals() -> bool {
    // The others come from what a thread itself does. The standard library handles some of them.
    const FAULTS: [c_int; 7] = [
        libc::SIGABRT,
        libc::SIGBUS,
        libc::SIGFPE,
        libc::SIGILL,
        libc::SIGSEGV,
        libc::SIGSYS,
        libc::SIGTRAP,
    ];
    let is_handled = |signal| {
        let mut action = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: no action is given, and there is room for the one that is asked for.
        if unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) } != 0 {
            return false;
        }
        // SAFETY: the call has succeeded, and so has filled the action in.
        let action = unsafe { action.assume_init() };
        ![libc::SIG_DFL, libc::SIG_IGN].contains(&action.sa_sigaction)
    };
    (1..=libc::SIGRTMAX()).any(|signal| !FAULTS.contains(&signal) && is_handled(signal))
}

/// A function of the program, with its argument. It is called on any thread.
#[derive(Clone, Copy, Debug)]
struct Job<F> {
    function: F,
    arg: *mut c_void,
}

// SAFETY: by the manual pages, such a function may be called with its argument on any thread.
unsafe impl<F> Send for Job<F> {}

/// `size` octets that hold anything, as `malloc(3)` gives them; `None` if there is no such memory. To write zeros to a
/// large message costs as much as to copy it.
///
/// # Safety
/// The program gets the place of the octets before they are read: it may have written them, for all that a compiler
/// knows.
#[inline]
unsafe fn unwritten(size: usize) -> Option<Box<[u8]>> {
    let mut octets = Vec::<MaybeUninit<u8>>::new();
    octets.try_reserve_exact(size).ok()?;
    octets.resize_with(size, MaybeUninit::uninit);
    // SAFETY: by the caller's promise, they are taken as written.
    Some(unsafe { octets.into_boxed_slice().assume_init() })
}

/// Octets of the program, which the program frees.
struct External {
    data: *mut c_void,
    length: usize,
    free: Job<zmq_free_fn>,
}

// SAFETY: by the manual page of `zmq_msg_init_data`, the octets are not changed, and may be read and freed by
// any thread.
unsafe impl Send for External {}

impl AsRef<[u8]> for External {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: by the manual page, this many octets are valid and unchanged until they are freed.
        unsafe { octets(self.data, self.length) }.unwrap_or_default()
    }
}

impl Drop for External {
    fn drop(&mut self) {
        let (data, free) = (Job { function: (), arg: self.data }, self.free);
        // The function may send messages and wait for that.
        off_io_thread(move || {
            let (data, free) = (data, free);
            // SAFETY: by the manual page, the function frees these octets, which nobody uses any
            // more.
            unsafe { (free.function)(data.arg, free.arg) };
        });
    }
}

// Information about the library.

/// Returns the error number of the last call that failed on this thread.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_errno() -> c_int {
    errno::errno().0
}

/// Returns the text of an error number.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_strerror(errnum: c_int) -> *const c_char {
    match Errno(errnum).own_text() {
        Some(text) => text.as_ptr(),
        // SAFETY: it takes any number. As with libzmq, the text is valid until the next call on
        // this thread.
        None => unsafe { libc::strerror(errnum) },
    }
}

/// Returns the version of libzmq whose behaviour this library has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_version(major: *mut c_int, minor: *mut c_int, patch: *mut c_int) {
    for (pointer, number) in [(major, 4), (minor, 3), (patch, 5)] {
        // SAFETY: the caller gives places for three numbers; see the module's section.
        if let Ok(place) = unsafe { place(pointer) } {
            *place = number;
        }
    }
}

/// Returns 1 if this optional part of libzmq is supported, and 0 otherwise.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_has(capability: *const c_char) -> c_int {
    call(0, || {
        // SAFETY: the caller gives a text; see the module's section.
        let capability = unsafe { text(capability) }?;
        Ok(matches!(capability, "ipc" | "curve").into())
    })
}

// Contexts.

/// Makes a context.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_ctx_new() -> *mut c_void {
    call_pointer(|| Context::open().ok_or(Errno::ENOMEM))
}

/// Makes a context with this number of I/O threads.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_init(io_threads: c_int) -> *mut c_void {
    call_pointer(|| {
        let handle = Context::open().ok_or(Errno::ENOMEM)?;
        match Context::get(handle)?.set(1, io_threads) {
            Ok(()) => Ok(handle),
            Err(errno) => {
                CONTEXTS.remove(handle);
                Err(errno)
            }
        }
    })
}

/// Waits until all sockets of a context are closed and their lingering messages delivered, and ends the context.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_ctx_term(context: *mut c_void) -> c_int {
    call_int(|| {
        let handle = Handle::of(context);
        Context::get(handle)?.terminate()?;
        CONTEXTS.remove(handle);
        Ok(())
    })
}

/// The same as `zmq_ctx_term`.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_term(context: *mut c_void) -> c_int {
    zmq_ctx_term(context)
}

/// The same as `zmq_ctx_term`.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_ctx_destroy(context: *mut c_void) -> c_int {
    zmq_ctx_term(context)
}

/// Makes all calls on the sockets of a context fail with `ETERM`, including those that are waiting.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_ctx_shutdown(context: *mut c_void) -> c_int {
    call_int(|| {
        Context::get(Handle::of(context))?.shut_down();
        Ok(())
    })
}

/// Sets an option of a context.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_ctx_set(context: *mut c_void, option: c_int, optval: c_int) -> c_int {
    call_int(|| Context::get(Handle::of(context))?.set(option, optval))
}

/// Returns the value of an option of a context.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_ctx_get(context: *mut c_void, option: c_int) -> c_int {
    call(-1, || Context::get(Handle::of(context))?.get_option(option))
}

// Messages.

/// Makes an empty message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_init(msg: *mut zmq_msg_t) -> c_int {
    // SAFETY: the caller gives the place for a message; see the module's section.
    call_int(|| unsafe { put_part(msg, Part::default()) })
}

/// Makes a message of `size` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_init_size(msg: *mut zmq_msg_t, size: usize) -> c_int {
    call_int(|| {
        // Made where it stays: it is never copied.
        // SAFETY: the caller gives the place for a message; see the module's section.
        unsafe { put_part(msg, Part::default()) }?;
        // SAFETY: it is a message now.
        let part = unsafe { part(msg) }?;
        // SAFETY: nothing reads them in this call, and after it their place is the program's.
        part.set_size(size, |size| unsafe { unwritten(size) }).ok_or(Errno::ENOMEM)
    })
}

/// Makes a message from the program's own octets. `ffn` frees them when they are no longer needed; if it is null, they
/// must stay valid for ever.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_init_data(
    msg: *mut zmq_msg_t,
    data: *mut c_void,
    size: usize,
    ffn: Option<unsafe extern "C" fn(data: *mut c_void, hint: *mut c_void)>,
    hint: *mut c_void,
) -> c_int {
    call_int(|| {
        possible(size)?;
        let octets = match ffn {
            Some(function) => {
                let free = Job { function, arg: hint };
                Bytes::from_owner(External { data, length: size, free })
            }
            // SAFETY: by the manual page, this many octets are valid for ever, unchanged.
            None => Bytes::from_static(unsafe { octets(data, size) }?),
        };
        let mut part = Part::sharing(octets);
        (part.is_shared, part.is_lent) = (ffn.is_none(), ffn.is_some());
        // SAFETY: the caller gives the place for a message; see the module's section.
        unsafe { put_part(msg, part) }
    })
}

/// Closes a message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_close(msg: *mut zmq_msg_t) -> c_int {
    // SAFETY: the caller gives a message; see the module's section.
    call_int(|| unsafe { close_part(msg) }.map(drop))
}

/// Moves the content of `src` to `dest`, whose own content is released first. `src` is empty afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_move(dest: *mut zmq_msg_t, src: *mut zmq_msg_t) -> c_int {
    call_int(|| {
        // SAFETY: the caller gives a message; see the module's section.
        unsafe { part(dest) }?;
        // SAFETY: the caller gives a message; see the module's section.
        let moved = std::mem::take(unsafe { part(src) }?);
        // SAFETY: the caller gives a message; see the module's section.
        *unsafe { part(dest) }? = moved;
        Ok(())
    })
}

/// Makes `dest` share the octets of `src`. The former content of `dest` is released first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_copy(dest: *mut zmq_msg_t, src: *mut zmq_msg_t) -> c_int {
    call_int(|| {
        // SAFETY: the caller gives a message; see the module's section.
        unsafe { part(dest) }?;
        // SAFETY: the caller gives a message; see the module's section.
        let copy = unsafe { part(src) }?.copy();
        // SAFETY: the caller gives a message; see the module's section.
        *unsafe { part(dest) }? = copy;
        Ok(())
    })
}

/// The octets of a message. They may be written to only if nobody shares them: those of a message that was
/// made with a size, and was neither copied nor sent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_data(msg: *mut zmq_msg_t) -> *mut c_void {
    call(ptr::null_mut(), || {
        // SAFETY: the caller gives a message; see the module's section.
        let part = unsafe { part(msg) }?;
        let pointer = match part.octets_mut() {
            Some(octets) => octets.as_mut_ptr(),
            None => part.octets().as_ptr().cast_mut(),
        };
        Ok(pointer.cast())
    })
}

/// Returns the number of octets of a message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_size(msg: *const zmq_msg_t) -> usize {
    // SAFETY: the caller gives a message; see the module's section.
    call(0, || Ok(unsafe { part(msg) }?.octets().len()))
}

/// Returns 1 if another part of the same message follows, and 0 otherwise.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_more(msg: *const zmq_msg_t) -> c_int {
    // SAFETY: the caller gives a message; see the module's section.
    unsafe { zmq_msg_get(msg, MORE) }
}

/// Returns a property of a message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_get(msg: *const zmq_msg_t, property: c_int) -> c_int {
    call(-1, || {
        // SAFETY: the caller gives a message; see the module's section.
        let part = unsafe { part(msg) }?;
        match property {
            MORE => Ok(part.more.into()),
            SHARED => Ok(part.is_shared.into()),
            SRCFD => part.descriptor().ok_or(Errno::EINVAL),
            _ => Err(Errno::EINVAL),
        }
    })
}

/// Fails with `EINVAL`: a message has no property that can be set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_set(
    _msg: *mut zmq_msg_t,
    _property: c_int,
    _optval: c_int,
) -> c_int {
    call_int(|| Err(Errno::EINVAL))
}

/// Returns a property of the peer that sent a message, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_gets(
    msg: *const zmq_msg_t,
    property: *const c_char,
) -> *const c_char {
    call(ptr::null(), || {
        // SAFETY: the caller gives a message; see the module's section.
        let part = unsafe { part(msg) }?;
        // SAFETY: the caller gives a text; see the module's section.
        let name = unsafe { c_text(property) }?;
        let peer = part.peer.as_ref().ok_or(Errno::EINVAL)?;
        properties::of(peer, name).map(CStr::as_ptr).ok_or(Errno::EINVAL)
    })
}

/// Sends a message, which is empty afterwards. Returns the number of octets sent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_send(
    msg: *mut zmq_msg_t,
    socket: *mut c_void,
    flags: c_int,
) -> c_int {
    call(-1, || {
        // SAFETY: the caller gives a message; see the module's section.
        let part = unsafe { part(msg) }?;
        let length = length_of(part.octets());
        socket::send(Handle::of(socket), Sending::Part(part), flags)?;
        drop(part.clear());
        Ok(length)
    })
}

/// Receives a message into `msg`, whose former content is released. Returns its number of octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_recv(
    msg: *mut zmq_msg_t,
    socket: *mut c_void,
    flags: c_int,
) -> c_int {
    call(-1, || {
        // SAFETY: the caller gives a message; see the module's section.
        let part = unsafe { part(msg) }?;
        let handle = Handle::of(socket);
        let mut shared = None;
        let received = socket::receive_with(
            handle,
            flags,
            |octets, peer| {
                shared = part.refill(octets, peer);
                None
            },
            Some,
        )?;
        if let Some(Received { octets, more, peer }) = received {
            *part = Part::received(octets, more, peer);
        }
        Ok(length_of(part.octets()))
    })
}

fn length_of(octets: &[u8]) -> c_int {
    c_int::try_from(octets.len()).unwrap_or(c_int::MAX)
}

// Sockets.

/// Makes a socket of a context.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_socket(context: *mut c_void, kind: c_int) -> *mut c_void {
    call_pointer(|| socket::open(&Context::get(Handle::of(context))?, kind))
}

/// Closes a socket.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_close(socket: *mut c_void) -> c_int {
    call_int(|| socket::close(Handle::of(socket)))
}

/// Sets an option of a socket.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_setsockopt(
    socket: *mut c_void,
    option: c_int,
    optval: *const c_void,
    optvallen: usize,
) -> c_int {
    call_int(|| {
        let handle = Handle::of(socket);
        socket::kind(handle)?;
        let can_be_none = [SOCKS_PROXY, PLAIN_USERNAME, PLAIN_PASSWORD].contains(&option);
        if can_be_none && optvallen == 0 && !optval.is_null() {
            // Only a null pointer means none.
            return Err(Errno::EINVAL);
        }
        // SAFETY: the caller gives this many octets; see the module's section.
        let octets = unsafe { octets(optval, optvallen) }.map_err(|_| Errno::EINVAL)?;
        socket::set_option(handle, option, octets)
    })
}

/// Returns the value of an option of a socket.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_getsockopt(
    socket: *mut c_void,
    option: c_int,
    optval: *mut c_void,
    optvallen: *mut usize,
) -> c_int {
    call_int(|| {
        let value = {
            let handle = Handle::of(socket);
            socket::kind(handle)?;
            socket::option(handle, option)?
        };
        // SAFETY: the caller gives the place of the length; see the module's section.
        let length = unsafe { place(optvallen) }?;
        let octets = value.to_octets(*length).ok_or(Errno::EINVAL)?;
        if octets.len() > *length {
            return Err(Errno::EINVAL);
        }
        if !octets.is_empty() && optval.is_null() {
            return Err(Errno::EFAULT);
        }
        let mut padded = octets.clone();
        if let Value::Int(_) = value {
            // A program may have room for 64 bits, and read all of them.
            padded.resize((*length).min(size_of::<i64>()), 0);
        }
        // SAFETY: the caller gives memory of this length, and the octets are no more.
        unsafe { write_octets(optval.cast(), &padded) };
        *length = octets.len();
        Ok(())
    })
}

impl Value {
    /// The octets of the value for C. A key is its 32 octets, or its text if there is room for it.
    fn to_octets(&self, room: usize) -> Option<Vec<u8>> {
        let with_nul = |text: &[u8]| [text, &[0]].concat();
        Some(match self {
            Self::Int(value) => value.to_ne_bytes().to_vec(),
            Self::Long(value) => value.to_ne_bytes().to_vec(),
            Self::Octets(octets) => octets.to_vec(),
            Self::Text(text) => with_nul(text),
            Self::Key(key) if room == 32 => key.to_vec(),
            Self::Key(key) if room == 41 => with_nul(&util::z85_encode(key)?),
            Self::Key(_) => return None,
        })
    }
}

/// Binds an endpoint, to which peers connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_bind(socket: *mut c_void, addr: *const c_char) -> c_int {
    // SAFETY: the caller gives a text; see the module's section.
    call_int(|| unsafe { with_endpoint(socket, addr, socket::bind) })
}

/// Connects to the endpoint of a peer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_connect(socket: *mut c_void, addr: *const c_char) -> c_int {
    // SAFETY: the caller gives a text; see the module's section.
    call_int(|| unsafe { with_endpoint(socket, addr, socket::connect) })
}

/// Closes an endpoint that was bound.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_unbind(socket: *mut c_void, addr: *const c_char) -> c_int {
    // SAFETY: the caller gives a text; see the module's section.
    call_int(|| unsafe { with_endpoint(socket, addr, socket::end) })
}

/// Closes an endpoint that was connected.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_disconnect(socket: *mut c_void, addr: *const c_char) -> c_int {
    // SAFETY: the caller gives a text; see the module's section.
    call_int(|| unsafe { with_endpoint(socket, addr, socket::end) })
}

/// # Safety
/// As [`text`], for the address.
unsafe fn with_endpoint(
    socket: *mut c_void,
    addr: *const c_char,
    does: impl FnOnce(Handle, &str) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let handle = Handle::of(socket);
    socket::kind(handle)?;
    // SAFETY: the caller's promise is the same.
    does(handle, unsafe { text(addr) }?)
}

/// Sends a copy of the octets. Returns the number of octets sent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_send(
    socket: *mut c_void,
    buf: *const c_void,
    len: usize,
    flags: c_int,
) -> c_int {
    call(-1, || {
        // SAFETY: the caller gives this many octets; see the module's section.
        let octets = unsafe { octets(buf, len) }?;
        socket::send(Handle::of(socket), Sending::Lent(octets), flags)?;
        Ok(length_of(octets))
    })
}

/// Sends octets that stay valid and unchanged for ever. Returns the number of octets sent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_send_const(
    socket: *mut c_void,
    buf: *const c_void,
    len: usize,
    flags: c_int,
) -> c_int {
    call(-1, || {
        // SAFETY: by the manual page, this many octets are valid for ever, unchanged.
        let octets: &'static [u8] = unsafe { octets(buf, len) }?;
        let shared = Sending::Shared(Bytes::from_static(octets));
        socket::send(Handle::of(socket), shared, flags)?;
        Ok(length_of(octets))
    })
}

/// Receives octets; those beyond `len` are lost. Returns the number that came, which may be greater than `len`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_recv(
    socket: *mut c_void,
    buf: *mut c_void,
    len: usize,
    flags: c_int,
) -> c_int {
    call(-1, || {
        if buf.is_null() && len > 0 {
            socket::kind(Handle::of(socket))?;
            return Err(Errno::EFAULT);
        }
        let write = |octets: &[u8]| {
            let fitting = octets.len().min(len);
            // SAFETY: the caller gives memory of this length, and the octets are no more.
            unsafe { write_octets(buf.cast(), &octets[..fitting]) };
            length_of(octets)
        };
        let handle = Handle::of(socket);
        socket::receive_with(handle, flags, |octets, _| write(octets), |it| write(&it.octets))
    })
}

/// Reports the events of a socket to a PAIR socket at an `inproc` endpoint.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_socket_monitor(
    socket: *mut c_void,
    addr: *const c_char,
    events: c_int,
) -> c_int {
    call_int(|| {
        let handle = Handle::of(socket);
        socket::kind(handle)?;
        let addr = match addr.is_null() {
            true => None,
            // SAFETY: the caller gives a text; see the module's section.
            false => Some(unsafe { text(addr) }?),
        };
        socket::watch(handle, addr, events)
    })
}

/// Sends a message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_sendmsg(
    socket: *mut c_void,
    msg: *mut zmq_msg_t,
    flags: c_int,
) -> c_int {
    // SAFETY: it has the same contract.
    unsafe { zmq_msg_send(msg, socket, flags) }
}

/// Receives a message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_recvmsg(
    socket: *mut c_void,
    msg: *mut zmq_msg_t,
    flags: c_int,
) -> c_int {
    // SAFETY: it has the same contract.
    unsafe { zmq_msg_recv(msg, socket, flags) }
}

/// Sends pieces of memory as the parts of a message. Returns the number of octets of the last part.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_sendiov(
    socket: *mut c_void,
    iov: *mut iovec,
    count: usize,
    flags: c_int,
) -> c_int {
    call(-1, || {
        let handle = Handle::of(socket);
        socket::kind(handle)?;
        if iov.is_null() || count == 0 {
            return Err(Errno::EINVAL);
        }
        // SAFETY: it is not null, and the caller gives this many pieces; see the module's section.
        let pieces = unsafe { slice::from_raw_parts(iov, count) };
        let mut last = 0;
        for (index, piece) in pieces.iter().enumerate() {
            let flags = if index + 1 < count { flags | SNDMORE } else { flags & !SNDMORE };
            // SAFETY: the caller gives pieces of this length; see the module's section.
            let octets = unsafe { octets(piece.iov_base, piece.iov_len) }?;
            socket::send(handle, Sending::Lent(octets), flags)?;
            last = length_of(octets);
        }
        Ok(last)
    })
}

/// Receives the parts of a message, each into memory that the program must `free`. Returns the number of parts, and
/// stores it in `count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_recviov(
    socket: *mut c_void,
    iov: *mut iovec,
    count: *mut usize,
    flags: c_int,
) -> c_int {
    call(-1, || {
        let handle = Handle::of(socket);
        socket::kind(handle)?;
        // SAFETY: the caller gives the place of the count; see the module's section.
        let count = unsafe { place(count) }.map_err(|_| Errno::EINVAL)?;
        if iov.is_null() || *count == 0 {
            return Err(Errno::EINVAL);
        }
        // SAFETY: it is not null, and the caller gives the places of this many pieces.
        let pieces = unsafe { slice::from_raw_parts_mut(iov, *count) };
        *count = 0;
        for piece in pieces {
            let received = socket::receive(handle, flags)?;
            let length = received.octets.len();
            // SAFETY: it takes any size.
            let memory = unsafe { libc::malloc(length.max(1)) };
            if memory.is_null() {
                return Err(Errno::ENOMEM);
            }
            // SAFETY: the memory has this length, and is new.
            unsafe { write_octets(memory.cast(), &received.octets) };
            (piece.iov_base, piece.iov_len) = (memory, length);
            *count += 1;
            if !received.more {
                break;
            }
        }
        Ok(c_int::try_from(*count).unwrap_or(c_int::MAX))
    })
}

// Polling and proxies.

/// Waits for events of sockets and file descriptors. Returns the number of items that have some.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_poll(
    items: *mut zmq_pollitem_t,
    nitems: c_int,
    timeout: c_long,
) -> c_int {
    call(-1, || {
        let count = usize::try_from(nitems).map_err(|_| Errno::EINVAL)?;
        if count == 0 {
            return poll::wait(&mut [], timeout);
        }
        if items.is_null() {
            return Err(Errno::EFAULT);
        }
        // SAFETY: it is not null, and the caller gives this many items; see the module's section.
        poll::wait(unsafe { slice::from_raw_parts_mut(items, count) }, timeout)
    })
}

/// Forwards messages between two sockets, and copies to a third unless it is null, until the context ends.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_proxy(
    frontend: *mut c_void,
    backend: *mut c_void,
    capture: *mut c_void,
) -> c_int {
    zmq_proxy_steerable(frontend, backend, capture, ptr::null_mut())
}

/// The same as `zmq_proxy`, controlled by messages to a fourth socket.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_proxy_steerable(
    frontend: *mut c_void,
    backend: *mut c_void,
    capture: *mut c_void,
    control: *mut c_void,
) -> c_int {
    call_int(|| {
        if frontend.is_null() || backend.is_null() {
            return Err(Errno::EFAULT);
        }
        let optional = |socket: *mut c_void| (!socket.is_null()).then(|| Handle::of(socket));
        let (front, back) = (Handle::of(frontend), Handle::of(backend));
        proxy::run(front, back, optional(capture), optional(control))
    })
}

/// The same as `zmq_proxy`; the type is ignored.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_device(_kind: c_int, frontend: *mut c_void, backend: *mut c_void) -> c_int {
    zmq_proxy(frontend, backend, ptr::null_mut())
}

// Keys.

/// Encodes octets as text (Z85, RFC 32) that ends with a NUL. Returns `dest`, or null on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_z85_encode(
    dest: *mut c_char,
    data: *const u8,
    size: usize,
) -> *mut c_char {
    call(ptr::null_mut(), || {
        // SAFETY: the caller gives this many octets; see the module's section.
        let octets = unsafe { octets(data.cast(), size) }.map_err(|_| Errno::EINVAL)?;
        let text = util::z85_encode(octets).ok_or(Errno::EINVAL)?;
        // SAFETY: the caller gives memory for the text and a NUL; see the module's section.
        unsafe { write_octets(dest.cast(), &[&text[..], &[0]].concat()) };
        Ok(dest)
    })
}

/// Decodes text (Z85, RFC 32) to octets. Returns `dest`, or null on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_z85_decode(dest: *mut u8, string: *const c_char) -> *mut u8 {
    call(ptr::null_mut(), || {
        // SAFETY: the caller gives a text; see the module's section.
        let text = unsafe { c_text(string) }?.to_bytes();
        let octets = util::z85_decode(text).filter(|it| !it.is_empty()).ok_or(Errno::EINVAL)?;
        // SAFETY: the caller gives memory for four octets of each five characters; see the module's section.
        unsafe { write_octets(dest, &octets) };
        Ok(dest)
    })
}

/// Makes a pair of CURVE keys, each as 40 characters and a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_curve_keypair(
    z85_public_key: *mut c_char,
    z85_secret_key: *mut c_char,
) -> c_int {
    call_int(|| {
        let (public, secret) = util::new_keys()?;
        // SAFETY: the caller gives memory for 41 characters; see the module's section.
        unsafe { write_key(z85_public_key, &public) }?;
        // SAFETY: the caller gives memory for 41 characters; see the module's section.
        unsafe { write_key(z85_secret_key, &secret) }
    })
}

/// Computes the public CURVE key that belongs to a secret key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_curve_public(
    z85_public_key: *mut c_char,
    z85_secret_key: *const c_char,
) -> c_int {
    call_int(|| {
        // SAFETY: the caller gives a text; see the module's section.
        let secret = unsafe { c_text(z85_secret_key) }?.to_bytes();
        let public = util::public_key_of(secret)?;
        // SAFETY: the caller gives memory for 41 characters; see the module's section.
        unsafe { write_key(z85_public_key, &public) }
    })
}

/// # Safety
/// The pointer is null, or that of memory for 41 characters.
unsafe fn write_key(pointer: *mut c_char, key: &str) -> Result<(), Errno> {
    if pointer.is_null() {
        return Err(Errno::EFAULT);
    }
    let text = [key.as_bytes(), &[0]].concat();
    // SAFETY: it is not null, and a key has 40 characters.
    unsafe { write_octets(pointer.cast(), &text) };
    Ok(())
}

// Counters, timers, watches and threads.

/// Makes a counter, which is 0.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_atomic_counter_new() -> *mut c_void {
    call_pointer(|| COUNTERS.insert(AtomicI32::new(0)).ok_or(Errno::ENOMEM))
}

fn counter<T>(handle: *mut c_void, does: impl FnOnce(&AtomicI32) -> T) -> Result<T, Errno> {
    COUNTERS.lock(Handle::of(handle)).map(|counter| does(&counter)).ok_or(Errno::EFAULT)
}

/// Sets a counter.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_atomic_counter_set(handle: *mut c_void, value: c_int) {
    call((), || counter(handle, |counter| counter.store(value, Ordering::SeqCst)));
}

/// Adds 1 to a counter. Returns its former value.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_atomic_counter_inc(handle: *mut c_void) -> c_int {
    call(0, || counter(handle, |counter| counter.fetch_add(1, Ordering::SeqCst)))
}

/// Subtracts 1 from a counter. Returns 0 if it is 0 then, and 1 otherwise.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_atomic_counter_dec(handle: *mut c_void) -> c_int {
    call(0, || counter(handle, |counter| (counter.fetch_sub(1, Ordering::SeqCst) != 1).into()))
}

/// Returns the value of a counter.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_atomic_counter_value(handle: *mut c_void) -> c_int {
    call(0, || counter(handle, |counter| counter.load(Ordering::SeqCst)))
}

/// Destroys a counter, and sets its handle to null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_atomic_counter_destroy(counter_p: *mut *mut c_void) {
    call((), || {
        // SAFETY: the caller gives the place of a handle; see the module's section.
        let place = unsafe { place(counter_p) }?;
        COUNTERS.remove(Handle::of(*place));
        *place = ptr::null_mut();
        Ok(())
    });
}

/// Makes a set of timers.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_timers_new() -> *mut c_void {
    call_pointer(|| TIMERS.insert(Timers::default()).ok_or(Errno::ENOMEM))
}

/// Destroys a set of timers, and sets its handle to null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_timers_destroy(timers_p: *mut *mut c_void) -> c_int {
    call_int(|| {
        // SAFETY: the caller gives the place of a handle; see the module's section.
        let place = unsafe { place(timers_p) }?;
        TIMERS.remove(Handle::of(*place)).ok_or(Errno::EFAULT)?;
        *place = ptr::null_mut();
        Ok(())
    })
}

fn timers<T>(
    handle: *mut c_void,
    does: impl FnOnce(&mut Timers<Job<zmq_timer_fn>>) -> Result<T, Errno>,
) -> Result<T, Errno> {
    does(&mut *TIMERS.lock(Handle::of(handle)).ok_or(Errno::EFAULT)?)
}

fn milliseconds(interval: usize) -> Duration {
    Duration::from_millis(interval as u64)
}

/// Adds a timer, whose `handler` is called by `zmq_timers_execute` every `interval` milliseconds. Returns its number.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_timers_add(
    handle: *mut c_void,
    interval: usize,
    handler: Option<unsafe extern "C" fn(timer_id: c_int, arg: *mut c_void)>,
    arg: *mut c_void,
) -> c_int {
    call(-1, || {
        timers(handle, |timers| {
            let function = handler.ok_or(Errno::EFAULT)?;
            Ok(timers.add(milliseconds(interval), Job { function, arg }))
        })
    })
}

/// Removes a timer.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_timers_cancel(handle: *mut c_void, timer_id: c_int) -> c_int {
    call_int(|| timers(handle, |timers| timers.cancel(timer_id)))
}

/// Changes the interval of a timer. The new interval begins now.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_timers_set_interval(
    handle: *mut c_void,
    timer_id: c_int,
    interval: usize,
) -> c_int {
    call_int(|| timers(handle, |timers| timers.set_interval(timer_id, milliseconds(interval))))
}

/// Restarts the interval of a timer.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_timers_reset(handle: *mut c_void, timer_id: c_int) -> c_int {
    call_int(|| timers(handle, |timers| timers.reset(timer_id)))
}

/// Returns the milliseconds until the next timer is due, or -1 if there is none.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_timers_timeout(handle: *mut c_void) -> c_long {
    call(-1, || {
        let left = timers(handle, |timers| Ok(timers.timeout()))?.ok_or(Errno::EINVAL)?;
        // Rounded up: a caller that waits this long finds the timer due.
        Ok(c_long::try_from(left.as_micros().div_ceil(1000)).unwrap_or(c_long::MAX))
    })
}

/// Calls the handlers of all timers that are due.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_timers_execute(handle: *mut c_void) -> c_int {
    call_int(|| {
        for (id, job) in timers(handle, |timers| Ok(timers.take_due()))? {
            // A function called before may have ended this timer.
            if timers(handle, |timers| Ok(timers.has(id)))? {
                // SAFETY: by the manual page, the function may be called with its argument until
                // the timer is ended.
                unsafe { (job.function)(id, job.arg) };
            }
        }
        Ok(())
    })
}

/// Starts a stopwatch.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_stopwatch_start() -> *mut c_void {
    call_pointer(|| WATCHES.insert(Instant::now()).ok_or(Errno::ENOMEM))
}

fn microseconds_since(begun: Instant) -> c_ulong {
    c_ulong::try_from(begun.elapsed().as_micros()).unwrap_or(c_ulong::MAX)
}

/// Returns the microseconds since the stopwatch was started.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_stopwatch_intermediate(watch: *mut c_void) -> c_ulong {
    call(0, || {
        let begun = WATCHES.lock(Handle::of(watch)).ok_or(Errno::EFAULT)?;
        Ok(microseconds_since(*begun))
    })
}

/// Returns the microseconds since the stopwatch was started, and destroys it.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_stopwatch_stop(watch: *mut c_void) -> c_ulong {
    call(0, || {
        let begun = WATCHES.remove(Handle::of(watch)).ok_or(Errno::EFAULT)?;
        Ok(microseconds_since(begun))
    })
}

/// Sleeps for this number of seconds.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_sleep(seconds: c_int) {
    thread::sleep(Duration::from_secs(seconds.max(0).unsigned_abs().into()));
}

/// Runs a function on a thread of its own, which handles no signals, and has as much stack as any other thread of C.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_threadstart(
    func: Option<unsafe extern "C" fn(arg: *mut c_void)>,
    arg: *mut c_void,
) -> *mut c_void {
    call_pointer(|| {
        let job = Job { function: func.ok_or(Errno::EFAULT)?, arg };
        let run = move || {
            let job = job;
            block_signals();
            // SAFETY: by the manual page, the function may be called with its argument on another thread.
            unsafe { (job.function)(job.arg) };
        };
        let thread = thread::Builder::new().stack_size(util::stack_size());
        let thread = thread.spawn(run).map_err(|error| Errno::from(&error))?;
        THREADS.insert(thread).ok_or(Errno::ENOMEM)
    })
}

/// Waits for the end of a thread.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_threadclose(thread: *mut c_void) {
    call((), || {
        let thread = THREADS.remove(Handle::of(thread)).ok_or(Errno::EFAULT)?;
        thread.join().map_err(|_panic| Errno(libc::ENOTRECOVERABLE))
    });
}
