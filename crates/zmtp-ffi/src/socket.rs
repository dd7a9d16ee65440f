//! A socket of C: its life, and its parts sent and received one at a time.

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd};
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context as TaskContext, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use zmtp_socket::blocking::Wait;
use zmtp_socket::{Endpoint, IpcAddress, Message, Outgoing, Peer, SendError};

use crate::address;
use crate::context::{Context, Member};
use crate::engine::{Engine, Incoming, Pending};
use crate::errno::Errno;
use crate::handles::{Guard, Handle, Missing, Table};
use crate::interrupt::{self, Waited, Waiting};
use crate::io::{Io, is_io_thread};
use crate::kind::Kind;
use crate::lent::Lent;
use crate::message::{LARGE_INSIDE, Part};
use crate::options::{self, Options, Row, Value};
use crate::patience::{LONGEST, Patience};
use crate::signal::{Signal, deadline_in};
use crate::{border, link, monitor};

/// The open sockets.
pub(crate) static SOCKETS: Table<Box<Socket>> = Table::new(2);

pub(crate) const DONTWAIT: c_int = 1;
pub(crate) const SNDMORE: c_int = 2;

/// Received parts of up to this many octets are copied, if that saves them memory of their own. Larger ones that come
/// from the same process have it.
const COPIED: usize = LARGE_INSIDE - 1;

pub(crate) const POLLIN: c_int = 1;
pub(crate) const POLLOUT: c_int = 2;

/// A socket.
#[derive(Debug)]
pub(crate) struct Socket {
    kind: Kind,
    pub(crate) options: Options,
    /// Raised by everything that may end a wait.
    signal: Arc<Signal>,
    waker: Waker,
    /// The library's socket, made when it is first needed; options may be set until then.
    built: Option<Built>,
    /// The topics subscribed to before the socket was built.
    subscriptions: Vec<Bytes>,
    endpoints: Vec<Known>,
    last_endpoint: String,
    /// Whether it may have peers inside the process.
    is_local: bool,
    /// The octets sent since other threads were last let run.
    spent: usize,
    /// Whether it is a publisher that waits for room.
    waits: bool,
    copies: bool,
    /// The parts of an incomplete message to be sent, and the buffers of those that are lent.
    outgoing: Vec<Bytes>,
    lent_parts: Vec<Bytes>,
    /// The buffers of sent messages.
    lent: Lent,
    /// The message whose parts are being received, and the index of the next part.
    incoming: Option<(Incoming, usize)>,
    /// Whether further parts follow the last received one.
    has_more: bool,
    turn: Turn,
    /// Its waits for messages.
    waiting: Waiting,
    /// The same for messages of its own process.
    patience: Patience,
    monitor: Option<monitor::Monitoring>,
    // The last field: the context waits until this is dropped.
    member: Member,
}

/// The octets after which a sender in the process lets other threads run.
const TURN: usize = 256 << 10;

#[derive(Debug)]
struct Built {
    engine: Engine,
    io: Arc<Io>,
}

/// An endpoint of the socket.
#[derive(Debug)]
struct Known {
    /// The text as the program gave it.
    text: String,
    endpoint: Endpoint,
    is_bound: bool,
    /// The name of the dialled peer of a STREAM.
    name: Option<Bytes>,
    /// Whether the end of the connection was sent to that peer.
    is_ended: bool,
}

/// The next step of a REQ or a REP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Any,
    Send,
    Receive,
}

/// One part of a received message.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) octets: Bytes,
    pub(crate) more: bool,
    pub(crate) peer: Option<Peer>,
}

/// A part to be sent.
#[derive(Debug)]
pub(crate) enum Sending<'a> {
    /// Octets of the caller, which are copied.
    Lent(&'a [u8]),
    Shared(Bytes),
    /// Copied or shared, whichever costs less.
    Part(&'a mut Part),
}

impl Sending<'_> {
    #[inline]
    fn outgoing(&mut self, is_local: bool) -> Outgoing<'_> {
        match self {
            Self::Lent(octets) => Outgoing::from(*octets),
            Self::Shared(octets) => Outgoing::from(octets.clone()),
            Self::Part(part) if part.is_sent_shared(is_local) => Outgoing::from(part.share()),
            Self::Part(part) => Outgoing::from(part.octets()),
        }
    }

    fn share(&mut self) -> Bytes {
        match self {
            Self::Lent(octets) => Bytes::copy_from_slice(octets),
            Self::Shared(octets) => octets.clone(),
            Self::Part(part) => part.share(),
        }
    }

    /// The octets, if the program waits to free them and sending copies them.
    #[inline]
    fn lent(&mut self) -> Option<Bytes> {
        match self {
            Self::Part(part) => part.lent(),
            _ => None,
        }
    }

    fn octets(&self) -> &[u8] {
        match self {
            Self::Lent(octets) => octets,
            Self::Shared(octets) => octets,
            Self::Part(part) => part.octets(),
        }
    }
}

type Locked = Guard<'static, Box<Socket>>;

pub(crate) fn open(context: &Arc<Context>, kind: c_int) -> Result<Handle, Errno> {
    context.check()?;
    let kind = Kind::of(kind).ok_or(Errno::EINVAL)?;
    let signal = Signal::new()?;
    let member = context.join(signal.clone())?;
    let socket = Socket {
        kind,
        options: Options::new(kind, context.defaults()),
        waker: signal.clone().into(),
        signal,
        built: None,
        subscriptions: Vec::new(),
        endpoints: Vec::new(),
        last_endpoint: String::new(),
        is_local: false,
        spent: 0,
        waits: false,
        copies: context.defaults().copies,
        outgoing: Vec::new(),
        lent_parts: Vec::new(),
        lent: Lent::default(),
        incoming: None,
        has_more: false,
        turn: match kind {
            Kind::Req => Turn::Send,
            Kind::Rep => Turn::Receive,
            _ => Turn::Any,
        },
        waiting: Waiting::default(),
        patience: Patience::default(),
        monitor: None,
        member,
    };
    SOCKETS.insert(Box::new(socket)).ok_or(Errno::EMFILE)
}

pub(crate) fn close(handle: Handle) -> Result<(), Errno> {
    let mut socket = *SOCKETS.remove(handle).ok_or(Errno::ENOTSOCK)?;
    for known in socket.endpoints.iter().filter(|known| known.is_bound) {
        if let Some(monitor) = &socket.monitor {
            monitor.closed(&known.endpoint);
        }
    }
    socket.monitor = None;
    socket.member.forget_signal();
    socket.touch();
    let Socket { built, options, member, .. } = socket;
    let Some(Built { engine, io }) = built else { return Ok(()) };
    if !io.is_here() {
        // The descriptors also belong to another process.
        drop(engine);
        return Ok(());
    }
    let linger = u64::try_from(options.int(options::LINGER)).ok().map(Duration::from_millis);
    let mut closing = engine.close(linger);
    // It begins now: the addresses and names are free from now on.
    let begun = io.within(|| closing.as_mut().poll(&mut TaskContext::from_waker(Waker::noop())));
    if begun.is_pending() {
        io.spawn(async move {
            closing.await;
            drop(member);
        });
    }
    Ok(())
}

#[inline(always)]
fn lock(handle: Handle) -> Result<Locked, Errno> {
    let socket = SOCKETS.lock(handle).ok_or(Errno::ENOTSOCK)?;
    socket.member.context.check()?;
    Ok(socket)
}

/// Locks a socket for a thread that runs the runtime.
fn poll_lock(handle: Handle, cx: &TaskContext<'_>) -> Poll<Result<Locked, Errno>> {
    match SOCKETS.try_lock(handle) {
        Ok(socket) => Poll::Ready(socket.member.context.check().map(|()| socket)),
        Err(Missing::Closed) => Poll::Ready(Err(Errno::ENOTSOCK)),
        // A call of another thread has it, and may wait for the runtime.
        Err(Missing::Busy) => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    }
}

/// Sends one part.
#[inline]
pub(crate) fn send(handle: Handle, mut part: Sending<'_>, flags: c_int) -> Result<(), Errno> {
    let mut socket = lock(handle)?;
    if socket.outgoing.is_empty() && flags & SNDMORE == 0 && socket.turn == Turn::Any {
        let (is_local, waits) = (socket.is_local, socket.waits);
        let sends_as_is = socket.kind.sends_as_is();
        match &mut socket.built {
            Some(built) if sends_as_is => {
                match built.engine.try_send(part.outgoing(is_local), waits) {
                    Ok(()) => {
                        built.io.attend();
                        let free = part.lent().and_then(|buffer| socket.keep(buffer));
                        if is_local {
                            socket.touch();
                            give_turn(socket, part.octets().len());
                        } else {
                            drop(socket);
                        }
                        // The program's function may use the socket.
                        drop(free);
                        return Ok(());
                    }
                    Err(SendError::Full) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            _ => {}
        }
    }
    send_slowly(socket, handle, part, flags)
}

/// Lets other threads run after so many octets: a receiver in the process should get them while they are
/// in the processor's cache.
fn give_turn(mut socket: Locked, octets: usize) {
    socket.spent += octets;
    if socket.spent >= TURN {
        socket.spent = 0;
        drop(socket);
        std::thread::yield_now();
    }
}

#[inline(never)]
fn send_slowly(
    mut socket: Locked,
    handle: Handle,
    mut part: Sending<'_>,
    flags: c_int,
) -> Result<(), Errno> {
    if !socket.kind.sends() {
        return Err(Errno::ENOTSUP);
    }
    let is_relaxed = socket.options.flag(options::REQ_RELAXED);
    if socket.turn == Turn::Receive && !is_relaxed {
        return Err(Errno::EFSM);
    }
    if is_relaxed {
        // The rest of an earlier reply does not answer the new request.
        socket.incoming = None;
    }
    let is_first = socket.outgoing.is_empty();
    // A message to a STREAM's peer has one part, whatever the flags say.
    let more = flags & SNDMORE != 0 && (is_first || socket.kind != Kind::Stream);
    let dontwait = flags & DONTWAIT != 0;
    let time = socket.options.int(options::SNDTIMEO);
    if is_first && (more || socket.kind.names_peer()) {
        // Room is checked for the first part; the others follow it in any case.
        let (first, mut pending) = (part.octets(), None);
        socket = wait(socket, handle, dontwait, time, |socket, cx| {
            socket.poll_first(first, &mut pending, cx)
        })?
        .0;
    }
    socket.outgoing.push(part.share());
    let lent = part.lent();
    if more {
        socket.lent_parts.extend(lent);
        return Ok(());
    }
    let parts = std::mem::take(&mut socket.outgoing);
    let message = Message::multipart(parts).expect("there is one part at least");
    send_message(socket, handle, message, lent, dontwait, time)
}

/// Sends a whole message, whose last part may have a buffer that is `lent`. If a signal interrupts that, the parts
/// before the last one are kept, and the program sends the last one again. After any other failure, nothing is left of
/// the message.
fn send_message(
    socket: Locked,
    handle: Handle,
    message: Message,
    lent: Option<Bytes>,
    dontwait: bool,
    time: c_int,
) -> Result<(), Errno> {
    let mut pending = None;
    let ended = match message.parts() {
        [name, end] if end.is_empty() && socket.kind == Kind::Stream => Some(name.clone()),
        _ => None,
    };
    let sent = wait(socket, handle, dontwait, time, |socket, cx| {
        socket.poll_send(&message, &mut pending, cx)
    });
    match sent {
        Ok((mut socket, ())) => {
            if let Some(built) = &socket.built {
                built.io.attend();
            }
            if socket.turn != Turn::Any {
                socket.turn = Turn::Receive;
            }
            if ended.is_some()
                && let Some(known) = socket.endpoints.iter_mut().find(|it| it.name == ended)
            {
                known.is_ended = true;
            }
            socket.touch();
            let buffers = std::mem::take(&mut socket.lent_parts).into_iter().chain(lent);
            let free: Vec<_> = buffers.filter_map(|buffer| socket.keep(buffer)).collect();
            // The program's functions may use the socket.
            drop(socket);
            drop(free);
            Ok(())
        }
        Err(errno) => {
            let Ok(mut socket) = lock(handle) else { return Err(errno) };
            if errno == Errno::EINTR {
                let parts = message.parts();
                socket.outgoing = parts[..parts.len() - 1].to_vec();
                return Err(errno);
            }
            let free = std::mem::take(&mut socket.lent_parts);
            drop(socket);
            drop(free);
            Err(errno)
        }
    }
}

/// Receives one part.
pub(crate) fn receive(handle: Handle, flags: c_int) -> Result<Received, Errno> {
    receive_slowly(lock(handle)?, handle, flags)
}

/// Receives one part. A small message of the current batch is lent to `copy`; any other part is
/// given to `keep`.
#[inline]
pub(crate) fn receive_with<R>(
    handle: Handle,
    flags: c_int,
    copy: impl FnOnce(&[u8], &Peer) -> R,
    keep: impl FnOnce(Received) -> R,
) -> Result<R, Errno> {
    let mut socket = lock(handle)?;
    if socket.incoming.is_none()
        && socket.turn == Turn::Any
        && let Some(built) = &mut socket.built
        && let Some(copied) = built.engine.lend_next(COPIED, copy)
    {
        socket.has_more = false;
        socket.touch();
        return Ok(copied);
    }
    receive_slowly(socket, handle, flags).map(keep)
}

#[inline(never)]
fn receive_slowly(mut socket: Locked, handle: Handle, flags: c_int) -> Result<Received, Errno> {
    if socket.incoming.is_none() {
        if !socket.kind.receives() {
            return Err(Errno::ENOTSUP);
        }
        if socket.turn == Turn::Send {
            return Err(Errno::EFSM);
        }
        let dontwait = flags & DONTWAIT != 0;
        if socket.is_local && !dontwait {
            socket = yield_first(socket, handle)?;
        }
        if socket.incoming.is_none() {
            socket = receive_message(socket, handle, dontwait)?;
        }
    }
    socket.touch();
    Ok(socket.next_part())
}

/// Receives a whole message, and begins to give out its parts.
fn receive_message(mut socket: Locked, handle: Handle, dontwait: bool) -> Result<Locked, Errno> {
    if let Some(received) = socket.try_recv() {
        socket.begin(received?);
        return Ok(socket);
    }
    let time = socket.options.int(options::RCVTIMEO);
    let poll = |socket: &mut Socket, cx: &mut TaskContext<'_>| match &mut socket.built {
        Some(built) => built.engine.poll_recv(cx),
        None => Poll::Pending,
    };
    let (mut socket, received) = wait(socket, handle, dontwait, time, poll)?;
    socket.begin(received);
    Ok(socket)
}

/// Lets other threads run for a while, until a message has arrived: they gather what they send.
fn yield_first(mut socket: Locked, handle: Handle) -> Result<Locked, Errno> {
    if socket.backlog().is_some_and(|messages| messages > 0) {
        return Ok(socket);
    }
    let mut cx = TaskContext::from_waker(Waker::noop());
    let end = Instant::now() + LONGEST;
    let pause = socket.patience.pause();
    socket = let_run(socket, handle, pause, end)?;
    for look in 0..socket.patience.looks() {
        if socket.poll_in(&mut cx) {
            let messages = socket.backlog().map(|others| 1 + others);
            socket.patience.found(messages, look == 0);
            return Ok(socket);
        }
        if look > 0 && Instant::now() >= end {
            break;
        }
        socket = let_run(socket, handle, 1, end)?;
    }
    socket.patience.failed();
    Ok(socket)
}

/// Lets other threads run so many times, until the `end` comes, and use the socket.
fn let_run(socket: Locked, handle: Handle, times: u32, end: Instant) -> Result<Locked, Errno> {
    if times == 0 {
        return Ok(socket);
    }
    drop(socket);
    std::thread::yield_now();
    for _ in 1..times {
        if Instant::now() >= end {
            break;
        }
        std::thread::yield_now();
    }
    lock(handle)
}

/// Waits until `attempt` is ready: at most `time` milliseconds, and not at all with `dontwait` or
/// on an I/O thread. The socket is unlocked meanwhile. A thread that waits often does the I/O thread's work meanwhile.
fn wait<T>(
    mut socket: Locked,
    handle: Handle,
    dontwait: bool,
    time: c_int,
    mut attempt: impl FnMut(&mut Socket, &mut TaskContext<'_>) -> Poll<Result<T, Errno>>,
) -> Result<(Locked, T), Errno> {
    let (signal, waker) = (socket.signal.clone(), socket.waker.clone());
    let mut cx = TaskContext::from_waker(&waker);
    let only_looks = dontwait || time == 0 || is_io_thread();
    let mut is_last = only_looks;
    let deadline = deadline_in(time.into());
    let is_apart = socket.is_apart();
    loop {
        socket.member.context.check()?;
        if let Poll::Ready(done) = attempt(&mut socket, &mut cx) {
            return done.map(|done| (socket, done));
        }
        if is_last {
            if only_looks {
                socket.looked_in_vain();
            }
            if !socket.is_local {
                return Err(Errno::EAGAIN);
            }
            // Messages sent inside the process must count as arrived.
            socket.member.context.settle();
            return match attempt(&mut socket, &mut cx) {
                Poll::Ready(done) => done.map(|done| (socket, done)),
                Poll::Pending => Err(Errno::EAGAIN),
            };
        }
        let io = socket.built.as_ref().map(|built| built.io.clone());
        let stay = if is_apart { None } else { socket.waiting.begin() };
        drop(socket);
        let wait = io.as_deref().and_then(|io| io.begin_wait(stay.is_some()));
        let mut in_vain = false;
        if let Some((runtime, stay)) = wait.as_ref().and_then(Wait::runtime).zip(stay) {
            let once_more = |cx: &mut TaskContext<'_>| {
                let mut socket = ready!(poll_lock(handle, cx))?;
                attempt(&mut socket, cx).map_ok(|done| (socket, done))
            };
            let signals = slice::from_ref(&signal);
            match interrupt::wait(runtime, signals, stay, deadline, once_more)? {
                Waited::Done((mut socket, done)) => {
                    socket.waiting.found();
                    return Ok((socket, done));
                }
                Waited::Over => is_last = true,
                Waited::Unfinished => in_vain = true,
            }
        } else {
            is_last = !signal.wait(deadline)?;
        }
        drop(wait);
        // A signal raised before the attempt only costs one more attempt.
        signal.drain();
        socket = SOCKETS.lock(handle).ok_or(Errno::ENOTSOCK)?;
        if in_vain {
            socket.waiting.failed();
        }
    }
}

impl Socket {
    /// The next message, if one has been sent.
    fn try_recv(&mut self) -> Option<Result<Incoming, Errno>> {
        self.built.as_mut()?.engine.try_recv()
    }

    /// Takes note that the program has looked for what is not there yet, and does not wait.
    fn looked_in_vain(&self) {
        if let Some(built) = &self.built {
            built.io.looked_in_vain();
        }
    }

    /// Whether no thread that waits for it may run the runtime: its messages come from other threads of this process, or
    /// the program looks at descriptors of its context.
    fn is_apart(&self) -> bool {
        self.is_local || self.member.context.is_watched()
    }

    /// Takes note that something was sent or received, perhaps inside the process.
    #[inline]
    fn touch(&self) {
        if self.is_local {
            self.member.context.touch();
        }
    }

    /// Keeps the buffer of a message until that has been sent. Returns a buffer that is to be freed, if there is one:
    /// without the lock, since that calls a function of the program.
    #[cold]
    fn keep(&self, buffer: Bytes) -> Option<Bytes> {
        let Some(Built { engine, io }) = &self.built else { return Some(buffer) };
        let (is_first, oldest) = self.lent.keep(buffer);
        match is_first.then(|| engine.flusher()) {
            None => oldest,
            Some(None) => self.lent.take_back(),
            Some(Some(flusher)) => {
                io.spawn(self.lent.clone().free(flusher));
                oldest
            }
        }
    }

    /// Whether a message without a route is an error.
    fn is_mandatory(&self) -> bool {
        self.kind == Kind::Stream || self.options.flag(options::ROUTER_MANDATORY)
    }

    /// Waits until the first part, and others after it, can be sent. `pending` keeps the sender's place in a
    /// queue, if it needs one.
    fn poll_first(
        &mut self,
        first: &[u8],
        pending: &mut Option<Pending<Result<(), SendError>>>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<(), Errno>> {
        if let Some(pending) = pending {
            return pending.as_mut().poll(cx).map_err(Errno::from);
        }
        let is_mandatory = self.is_mandatory();
        let is_it = |known: &Known| known.is_ended && known.name.as_deref() == Some(first);
        if self.endpoints.iter().any(is_it) {
            return Poll::Ready(Err(Errno::EHOSTUNREACH));
        }
        let Some(built) = &mut self.built else {
            return match self.kind {
                Kind::Router | Kind::Stream if is_mandatory => {
                    Poll::Ready(Err(Errno::EHOSTUNREACH))
                }
                kind if kind.waits_for_peers() => Poll::Pending,
                _ => Poll::Ready(Ok(())),
            };
        };
        let waiting = match &built.engine {
            Engine::Router(_) if !is_mandatory => return Poll::Ready(Ok(())),
            Engine::Router(router) => match router.has_room_for(first)? {
                true => return Poll::Ready(Ok(())),
                false => built.engine.wait_for_room(first),
            },
            Engine::Pub(_) | Engine::XPub(..) if self.waits => built.engine.wait_for_room(first),
            _ => None,
        };
        match waiting {
            Some(waiting) => pending.insert(waiting).as_mut().poll(cx).map_err(Errno::from),
            None => built.engine.poll_room(cx).map(Ok),
        }
    }

    /// Sends a whole message when there is room for it. `pending` keeps the sender's place in a
    /// queue, if it needs one.
    fn poll_send(
        &mut self,
        message: &Message,
        pending: &mut Option<Pending<Result<(), SendError>>>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<(), Errno>> {
        if let Some(pending) = pending {
            return pending.as_mut().poll(cx).map_err(Errno::from);
        }
        let Some(Built { engine, .. }) = &mut self.built else {
            return match self.kind.waits_for_peers() {
                true => Poll::Pending,
                // The message has no receiver.
                false => Poll::Ready(Ok(())),
            };
        };
        loop {
            let sent = match &mut *engine {
                Engine::Router(router) => {
                    let mut body = message.clone();
                    let Some(identity) = body.pop_front() else { return Poll::Ready(Ok(())) };
                    match router.try_send_to(&identity, &body) {
                        Err(SendError::Closed(closed)) => Err(closed.into()),
                        // As with libzmq, only the name is refused. If its peer has gone or is full since then, the
                        // message is dropped.
                        Err(_) => Ok(()),
                        sent => sent,
                    }
                }
                engine => engine.try_send(message.into(), self.waits),
            };
            match sent {
                Err(SendError::Full) if matches!(engine, Engine::Pub(_) | Engine::XPub(..)) => {
                    let sending = engine.send(message.clone()).expect("a publisher sends");
                    return pending.insert(sending).as_mut().poll(cx).map_err(Errno::from);
                }
                Err(SendError::Full) if engine.poll_room(cx).is_pending() => return Poll::Pending,
                Err(SendError::Full) => {}
                sent => return Poll::Ready(sent.map_err(Errno::from)),
            }
        }
    }

    /// How many messages are known to have arrived and were not received; `None` if that is not known.
    fn backlog(&self) -> Option<usize> {
        self.built.as_ref()?.engine.backlog()
    }

    /// Begins to give out the parts of a received message.
    fn begin(&mut self, incoming: Incoming) {
        if self.kind == Kind::Stream
            && let Some(name) = &incoming.identity
        {
            self.options.set_last_peer(name.clone());
        }
        self.incoming = Some((incoming, 0));
    }

    fn next_part(&mut self) -> Received {
        let (mut incoming, next) = self.incoming.take().expect("there is a message");
        if let Some(built) = &mut self.built {
            built.engine.given(&incoming);
        }
        let count = incoming.message.part_count();
        let more = next + 1 < count;
        let is_last = !more && incoming.identity.is_none();
        let peer = if is_last { incoming.peer.take() } else { incoming.peer.clone() };
        if let Some(identity) = incoming.identity.take() {
            self.has_more = true;
            self.incoming = Some((incoming, 0));
            return Received { octets: identity, more: true, peer };
        }
        let octets = match count {
            1 => incoming.message.into_first(),
            _ => {
                let octets = incoming.message.parts()[next].clone();
                if more {
                    self.incoming = Some((incoming, next + 1));
                }
                octets
            }
        };
        let octets = if self.copies { Bytes::copy_from_slice(&octets) } else { octets };
        self.has_more = more;
        if !more && self.turn != Turn::Any {
            self.turn = Turn::Send;
        }
        Received { octets, more, peer }
    }

    /// Which of the events in `asked` hold now. Any change to that wakes the task.
    fn events(&mut self, asked: c_int, cx: &mut TaskContext<'_>) -> c_int {
        let mut events = 0;
        if asked & POLLIN != 0 && self.poll_in(cx) {
            events |= POLLIN;
        }
        if asked & POLLOUT != 0 && self.poll_out(cx) {
            events |= POLLOUT;
        }
        events
    }

    fn poll_in(&mut self, cx: &mut TaskContext<'_>) -> bool {
        if self.incoming.is_none()
            && self.kind.receives()
            && self.turn != Turn::Send
            && let Some(built) = &mut self.built
            && let Poll::Ready(Ok(received)) = built.engine.poll_recv(cx)
        {
            self.begin(received);
        }
        self.incoming.is_some()
    }

    fn poll_out(&mut self, cx: &mut TaskContext<'_>) -> bool {
        let is_relaxed = self.options.flag(options::REQ_RELAXED);
        if !self.kind.sends() || (self.turn == Turn::Receive && !is_relaxed) {
            return false;
        }
        let must_route = self.kind == Kind::Router && self.is_mandatory();
        let waits = must_route || self.kind.waits_for_peers();
        match &mut self.built {
            _ if !waits || !self.outgoing.is_empty() => true,
            Some(built) => built.engine.poll_room(cx).is_ready(),
            None => false,
        }
    }

    /// The library's socket; makes it with the current options if there is none.
    fn build(&mut self) -> Result<&mut Built, Errno> {
        if self.built.is_none() {
            let context = &self.member.context;
            let io = context.thread(self.options.affinity())?;
            let engine = Engine::new(&context.engine, self.kind, &self.options);
            for topic in self.subscriptions.drain(..) {
                engine.subscribe(&topic, true);
            }
            self.built = Some(Built { engine, io });
        }
        Ok(self.built.as_mut().expect("it was just made"))
    }

    fn opened(&mut self, text: &str, endpoint: Endpoint, is_bound: bool) {
        self.last_endpoint = endpoint.to_string();
        if let Endpoint::Inproc(_) = endpoint {
            self.is_local = true;
            self.member.context.settle_now();
        }
        let known =
            Known { text: text.to_owned(), endpoint, is_bound, name: None, is_ended: false };
        self.endpoints.push(known);
        // The events may have changed.
        self.signal.raise();
    }
}

/// A name for a dialled peer, in the form that a ROUTER makes: a zero octet and a number. These
/// numbers count down from the greatest, so that they do not meet the ROUTER's own; if they do, the
/// call fails.
fn next_name() -> Bytes {
    static NEXT: AtomicU32 = AtomicU32::new(u32::MAX);
    let number = NEXT.fetch_sub(1, Ordering::Relaxed);
    [&[0][..], &number.to_be_bytes()].concat().into()
}

/// Raw peers exist only over tcp.
fn check_transport(options: &Options, endpoint: &Endpoint) -> Result<(), Errno> {
    match endpoint {
        Endpoint::Tcp { .. } => Ok(()),
        _ if options.is_raw() => Err(Errno::ENOCOMPATPROTO),
        _ => Ok(()),
    }
}

/// Opens an endpoint for peers.
pub(crate) fn bind(handle: Handle, text: &str) -> Result<(), Errno> {
    let mut socket = lock(handle)?;
    let endpoint = address::parse(text, true, socket.options.flag(options::IPV6))?;
    check_transport(&socket.options, &endpoint)?;
    if let Endpoint::Ipc(IpcAddress::Path(path)) = &endpoint {
        address::clear(path);
    }
    // The descriptor can be used once.
    let listener = socket.options.take_descriptor();
    let mut terms = link::Terms::new(&socket.options, &socket.member.context);
    terms.listener = listener.map(border::own_descriptor);
    let built = socket.build()?;
    let is_local = matches!(endpoint, Endpoint::Inproc(_));
    let binding = built.engine.bind(endpoint, move |options| terms.apply(options, is_local));
    let bound = built.io.run(binding).ok_or(Errno::EMTHREAD)?.map_err(Errno::from);
    if let (Err(errno), Some(monitor)) = (&bound, &socket.monitor) {
        monitor.bind_failed(text, *errno);
    }
    socket.opened(text, bound?, true);
    Ok(())
}

/// Connects to a peer's endpoint.
pub(crate) fn connect(handle: Handle, text: &str) -> Result<(), Errno> {
    let mut socket = lock(handle)?;
    let ipv6 = socket.options.flag(options::IPV6);
    let (text_of_peer, source) = address::split_source(text, ipv6)?;
    let endpoint = address::parse(&text_of_peer, false, ipv6)?;
    check_transport(&socket.options, &endpoint)?;
    let mut terms = link::Terms::new(&socket.options, &socket.member.context);
    let proxy = address::proxy(&socket.options.octets(options::SOCKS_PROXY), ipv6)?;
    terms.source = proxy.as_ref().and_then(|(_, source)| *source).or(source);
    terms.proxy = proxy.map(|(proxy, _)| proxy);
    let mut name_of_peer = None;
    let mut peer_identity = socket.options.take_octets(options::CONNECT_ROUTING_ID);
    if socket.kind == Kind::Stream {
        // An endpoint has one connection, and its peer has a name already.
        if socket.endpoints.iter().any(|known| !known.is_bound && known.endpoint == endpoint) {
            return Err(Errno::EADDRINUSE);
        }
        // A raw peer can be sent to before it sends anything, so its name is made here.
        let name = peer_identity.unwrap_or_else(next_name);
        socket.options.set_last_peer(name.clone());
        peer_identity = Some(name);
        name_of_peer = peer_identity.clone();
    }
    let built = socket.build()?;
    let is_local = matches!(endpoint, Endpoint::Inproc(_));
    let endpoint = built.io.within(|| {
        built.engine.connect(endpoint, |options| {
            let options = terms.apply(options, is_local);
            match peer_identity {
                Some(identity) => options.peer_identity(identity),
                None => options,
            }
        })
    })?;
    socket.opened(text, endpoint, false);
    if let Some(known) = socket.endpoints.last_mut() {
        known.name = name_of_peer;
    }
    Ok(())
}

/// Ends an endpoint that was bound or connected.
pub(crate) fn end(handle: Handle, text: &str) -> Result<(), Errno> {
    let mut socket = lock(handle)?;
    address::split_transport(text)?;
    // An endpoint with a wildcard does not name the address that was bound for it.
    let is_it = |known: &Known| {
        known.endpoint.to_string() == text || (known.text == text && !text.contains('*'))
    };
    let place = socket.endpoints.iter().position(is_it).ok_or(Errno::ENOENT)?;
    let Known { endpoint, is_bound, .. } = socket.endpoints.remove(place);
    if socket.is_local {
        socket.member.context.settle_now();
    }
    let Socket { built: Some(built), incoming, .. } = &mut **socket else {
        return Err(Errno::ENOENT);
    };
    let closed = endpoint.clone();
    let ending = built.engine.end(endpoint, is_bound);
    built.io.run(ending).ok_or(Errno::EMTHREAD)??;
    if !is_bound {
        // As with libzmq, unreceived messages are dropped, but a message that was begun is
        // finished.
        built.engine.discard(&closed);
        let is_whole = |next: usize| next == 0;
        incoming.take_if(|(message, next)| {
            let through = message.peer.as_ref().filter(|peer| peer.is_dialled());
            is_whole(*next) && through.is_some_and(|peer| *peer.endpoint() == closed)
        });
    }
    if let Some(monitor) = socket.monitor.as_ref().filter(|_| is_bound) {
        monitor.closed(&closed);
    }
    if socket.is_local {
        socket.member.context.settle_now();
    }
    Ok(())
}

/// Sets an option.
pub(crate) fn set_option(handle: Handle, number: c_int, octets: &[u8]) -> Result<(), Errno> {
    let mut socket = lock(handle)?;
    if number != options::SUBSCRIBE && number != options::UNSUBSCRIBE {
        let Socket { options, built, waits, .. } = &mut **socket;
        let before = options.value(number);
        options.set(number, octets)?;
        *waits = options.flag(options::XPUB_NODROP);
        if let Some(built) = built
            && before != options.value(number)
        {
            built.engine.change(number, options);
            built.io.attend();
        }
        return Ok(());
    }
    Row::of(number, socket.kind)?;
    let wants = number == options::SUBSCRIBE;
    if socket.kind == Kind::XPub && !socket.options.flag(options::XPUB_MANUAL) {
        return Err(Errno::EINVAL);
    }
    match &socket.built {
        Some(built) => {
            built.engine.subscribe(octets, wants);
            built.io.attend();
        }
        None if socket.kind == Kind::XPub => {}
        None if wants => socket.subscriptions.push(Bytes::copy_from_slice(octets)),
        None => {
            if let Some(place) = socket.subscriptions.iter().position(|topic| topic == octets) {
                socket.subscriptions.remove(place);
            }
        }
    }
    if socket.is_local {
        socket.member.context.settle_now();
    }
    Ok(())
}

/// The value of an option.
pub(crate) fn option(handle: Handle, number: c_int) -> Result<Value, Errno> {
    let mut socket = lock(handle)?;
    Ok(match number {
        options::RCVMORE => Value::Int(socket.has_more.into()),
        options::FD => {
            socket.member.context.watch();
            Value::Int(socket.signal.as_fd().as_raw_fd())
        }
        options::EVENTS => {
            let events = events_of(&mut socket, POLLIN | POLLOUT, true);
            if events != POLLIN | POLLOUT {
                socket.looked_in_vain();
            }
            Value::Int(events)
        }
        options::LAST_ENDPOINT => {
            Value::Text(Bytes::copy_from_slice(socket.last_endpoint.as_bytes()))
        }
        _ => socket.options.get(number)?,
    })
}

/// Which of the events in `asked` hold now, and the signal that any change raises.
pub(crate) fn events(
    handle: Handle,
    asked: c_int,
    settles: bool,
) -> Result<(c_int, Arc<Signal>), Errno> {
    let mut socket = lock(handle)?;
    Ok((events_of(&mut socket, asked, settles), socket.signal.clone()))
}

fn events_of(socket: &mut Socket, asked: c_int, settles: bool) -> c_int {
    socket.signal.drain();
    let waker = socket.waker.clone();
    let mut cx = TaskContext::from_waker(&waker);
    let events = socket.events(asked, &mut cx);
    if events != asked && settles && socket.is_local {
        socket.member.context.settle();
        return socket.events(asked, &mut cx);
    }
    events
}

/// The same for a thread that runs the runtime; any change wakes the task. No event holds while another thread has the
/// socket.
pub(crate) fn poll_events(
    handle: Handle,
    asked: c_int,
    cx: &mut TaskContext<'_>,
) -> Result<c_int, Errno> {
    match poll_lock(handle, cx)? {
        Poll::Ready(mut socket) => Ok(socket.events(asked, cx)),
        Poll::Pending => Ok(0),
    }
}

/// The I/O thread of a socket, if it has one by now, and whether a thread that waits may run its runtime.
pub(crate) fn io_thread(handle: Handle) -> Option<(Arc<Io>, bool)> {
    let socket = SOCKETS.lock(handle)?;
    socket.built.as_ref().map(|built| (built.io.clone(), !socket.is_apart()))
}

/// The type of a socket.
pub(crate) fn kind(handle: Handle) -> Result<Kind, Errno> {
    Ok(lock(handle)?.kind)
}

/// Sends events of a socket through a PAIR that is bound inside the process; without a text, ends
/// that.
pub(crate) fn watch(handle: Handle, text: Option<&str>, mask: c_int) -> Result<(), Errno> {
    let mut socket = lock(handle)?;
    socket.monitor = None;
    let Some(text) = text else { return Ok(()) };
    let Some((transport, _)) = text.split_once("://") else { return Err(Errno::EINVAL) };
    if transport != "inproc" {
        return Err(Errno::EPROTONOSUPPORT);
    }
    let endpoint = address::parse(text, true, false)?;
    let context = socket.member.context.clone();
    let is_raw = socket.options.is_raw();
    let built = socket.build()?;
    let events = built.engine.monitor();
    let mask = if is_raw { mask & !monitor::HANDSHAKES } else { mask };
    let monitoring = monitor::Monitoring::start(&context, &built.io, events, endpoint, mask)?;
    socket.monitor = Some(monitoring);
    context.settle_now();
    Ok(())
}
