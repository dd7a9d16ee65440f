//! The REQ and the REP socket.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};
use zmtp_codec::{Message, SocketType};

use crate::error::{Closed, RequestError, SendError};
use crate::monitor::Events;
use crate::options::{Replying, Requesting};
use crate::patterns::unicast::{Answer, Config, Sends as Whom, To, UnicastCore};
use crate::peer::Peer;
use crate::receive::Receiver;
use crate::send::flushing::Wait;
use crate::send::{Outgoing, SinkCore as _};
use crate::sockets::handle::Handle;
use crate::sockets::kind::{Kind, Parts, Reader, Receive, Receives, Rep, Req, Unicasts};
use crate::sockets::socket::Socket;
use crate::stats::Unfinished;

/// Sends each request to one of its peers, in turn, and waits for the reply (RFC 28, The REQ Socket
/// Type).
///
/// ```
/// use zmtp_socket::{RepSocket, ReqSocket};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut server = RepSocket::new();
/// let endpoint = server.bind("tcp://127.0.0.1:*").await?;
/// tokio::spawn(async move {
///     while let Ok((request, reply)) = server.recv().await {
///         let _sent = reply.send(format!("{} times two", request.first().len())).await;
///     }
/// });
///
/// let mut client = ReqSocket::new();
/// client.connect(&endpoint)?;
/// assert_eq!(client.request("abc").await?.first(), "3 times two");
/// # Ok(())
/// # }
/// ```
pub type ReqSocket = Socket<Req>;

/// A handle on a [`ReqSocket`].
pub type ReqHandle = Handle<Req>;

/// Receives requests, and answers them (RFC 28, The REP Socket Type).
///
/// [`recv`](Socket::recv) gives each request with a [`Reply`], through which it is answered. So a
/// server may answer many requests at once, in any order, from any task. For an example, see
/// [`ReqSocket`].
pub type RepSocket = Socket<Rep>;

/// A handle on a [`RepSocket`].
pub type RepHandle = Handle<Rep>;

impl Socket<Req> {
    /// Sends a request to the peer whose turn it is, and waits for its reply, for as long as
    /// [`request_timeout`](crate::ReqOptions::request_timeout) says. A request that fails is sent again as
    /// often as [`retries`](crate::ReqOptions::retries) says. Messages of other peers are not received
    /// meanwhile.
    ///
    /// # Errors
    /// [`RequestError::TimedOut`] and [`RequestError::Lost`] of the last attempt;
    /// [`RequestError::Closed`] once the socket has been closed.
    ///
    /// # Cancel safety
    /// If the future is dropped, the request is given up; it may have been sent. A late reply is never taken
    /// for the reply to another request: the connection is ended and made again, unless requests are
    /// [numbered](crate::ReqOptions::correlate).
    pub async fn request<'a>(
        &mut self,
        message: impl Into<Outgoing<'a>>,
    ) -> Result<Message, RequestError> {
        let message = message.into().into_message();
        let engine = self.handle.engine.clone();
        let Requesting { timeout, retries, .. } = *engine.core.requesting();
        let correlate = self.correlates();
        for left in (0..=retries).rev() {
            let id = self.receiver.next_id(correlate);
            let mut request = message.clone();
            request.prepend(Bytes::new());
            if let Some(id) = &id {
                request.prepend(id.clone());
            }
            engine.move_here();
            match self.attempt(&engine.core, &request, id.as_ref(), timeout).await {
                Err(RequestError::TimedOut | RequestError::Lost) if left > 0 => {}
                done => return done,
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Sends a request to the peer whose turn it is, and returns at once; [`poll_reply`](Self::poll_reply)
    /// gives the reply. An earlier request whose reply has not come is [given up](Self::request) first; if
    /// requests are [numbered](crate::ReqOptions::correlate), it is still sent, but its reply is not
    /// received. The options [`request_timeout`](crate::ReqOptions::request_timeout) and
    /// [`retries`](crate::ReqOptions::retries) have no effect here.
    ///
    /// # Errors
    /// [`SendError::Full`] if no peer has room; [`SendError::Closed`] once the socket has been closed.
    pub fn try_request<'a>(&mut self, message: impl Into<Outgoing<'a>>) -> Result<(), SendError> {
        let correlate = self.correlates();
        let core = &self.handle.engine.core;
        if self.receiver.asked.take().is_some() && !correlate {
            core.abandon_request(correlate);
        }
        // A message that came before the request is no reply to it.
        while self.receiver.receiver.try_next(&**core)?.is_some() {
            core.count_filtered();
        }
        let mut request = message.into().into_message();
        request.prepend(Bytes::new());
        let id = self.receiver.next_id(correlate);
        if let Some(id) = &id {
            request.prepend(id.clone());
        }
        core.send(To::Next, &request.into(), None)?;
        self.receiver.asked = Some(Asked(id));
        Ok(())
    }

    /// Ready once a peer has room for a [request](Self::try_request).
    ///
    /// # Errors
    /// [`Closed`] once the socket has been closed.
    pub fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        self.handle.engine.core.poll_room(&mut self.receiver.room, cx.waker())
    }

    /// Ready with the reply to the [request](Self::try_request) that was sent last.
    ///
    /// # Errors
    /// [`RequestError::Lost`] when the connection that the request went through has ended, or no request
    /// was sent; [`RequestError::Closed`] once the socket has been closed.
    pub fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, RequestError>> {
        let core = &self.handle.engine.core;
        let Some(Asked(id)) = &self.receiver.asked else {
            return Poll::Ready(Err(RequestError::Lost));
        };
        let outcome = loop {
            let answer = core.poll_answer(&mut self.receiver.receiver, cx);
            match ready!(self.handle.engine.follow(&mut self.spin, cx, answer))? {
                Answer::Lost => break Err(RequestError::Lost),
                Answer::Reply(reply) => {
                    if let Some(reply) = open(reply, id.as_ref()) {
                        break Ok(reply);
                    }
                }
            }
        };
        self.receiver.asked = None;
        core.end_request();
        Poll::Ready(outcome)
    }

    /// Changes whether requests are [numbered](crate::ReqOptions::correlate), from the next one on.
    pub fn set_correlate(&mut self, correlate: bool) {
        self.receiver.correlate = Some(correlate);
    }

    fn correlates(&self) -> bool {
        let options = self.handle.engine.core.requesting();
        self.receiver.correlate.unwrap_or(options.correlate)
    }

    /// The peer that the last reply came from; `None` before the first reply.
    pub fn replier(&self) -> Option<&Peer> {
        self.receiver.receiver.sender()
    }

    async fn attempt(
        &mut self,
        core: &UnicastCore,
        request: &Message,
        id: Option<&Bytes>,
        time: Option<Duration>,
    ) -> Result<Message, RequestError> {
        let mut asking = Asking { core, is_correlated: id.is_some(), is_done: false };
        let end = time.and_then(|time| Instant::now().checked_add(time));
        let engine = &self.handle.engine;
        let (receiver, spin) = (&mut self.receiver.receiver, &mut self.spin);
        // A message that came before the request is no reply to it.
        while receiver.try_next(core)?.is_some() {
            core.count_filtered();
        }
        let answer = async {
            core.send_later_to(To::Next, &request.into()).await?;
            loop {
                let next = poll_fn(|cx| {
                    let answer = core.poll_answer(receiver, cx);
                    engine.follow(spin, cx, answer)
                });
                match next.await? {
                    Answer::Lost => return Err(RequestError::Lost),
                    Answer::Reply(reply) => {
                        if let Some(reply) = open(reply, id) {
                            return Ok(reply);
                        }
                    }
                }
            }
        };
        let answer = match end {
            None => answer.await,
            Some(end) => timeout_at(end, answer).await.unwrap_or(Err(RequestError::TimedOut)),
        };
        asking.is_done = answer.is_ok();
        answer
    }
}

/// The body of a reply, if it is one to the request with this number: behind the number and an empty part
/// (RFC 28, The REQ Socket Type).
fn open(mut reply: Message, id: Option<&Bytes>) -> Option<Message> {
    if let Some(id) = id
        && reply.pop_front()? != *id
    {
        return None;
    }
    let delimiter = reply.pop_front()?;
    delimiter.is_empty().then_some(reply)
}

/// A request that is under way. It is given up when this is dropped.
struct Asking<'a> {
    core: &'a UnicastCore,
    is_correlated: bool,
    is_done: bool,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        match self.is_done {
            true => self.core.end_request(),
            false => self.core.abandon_request(self.is_correlated),
        }
    }
}

/// Sends the reply to one request, to the peer that it came from.
///
/// If it is dropped unused, no reply is sent, and the peer goes on waiting.
#[must_use = "a request that is not answered leaves its peer waiting"]
pub struct Reply {
    core: Arc<UnicastCore>,
    peer: Peer,
    /// The parts before the body, up to the empty one.
    envelope: Message,
}

impl Reply {
    /// The peer that sent the request.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Sends the reply. If the peer has gone, the reply is dropped, and
    /// [counted](crate::Stats::dropped).
    ///
    /// # Errors
    /// [`SendError::Closed`] once the socket has been closed; [`SendError::Full`] when it has waited for
    /// room as long as [`WhenFull::WaitFor`](crate::WhenFull::WaitFor) allows.
    ///
    /// # Cancel safety
    /// If the future is dropped before it is done, no reply has been sent.
    pub async fn send<'a>(self, message: impl Into<Outgoing<'a>>) -> Result<(), SendError> {
        let mut reply = message.into().into_message();
        reply.prepend(self.envelope);
        self.core.send_later_to(To::from(&self.peer), &(&reply).into()).await.map(drop)
    }

    /// Does as [`send`](Self::send), but never waits.
    ///
    /// # Errors
    /// As [`send`](Self::send); [`SendError::Full`] where the socket would have to wait.
    pub fn try_send<'a>(self, message: impl Into<Outgoing<'a>>) -> Result<(), SendError> {
        let mut reply = message.into().into_message();
        reply.prepend(self.envelope);
        self.core.send(To::from(&self.peer), &reply.into(), None).map(drop)
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// Takes replies out of a REQ.
#[derive(Debug)]
pub(crate) struct ReqReceiver {
    receiver: Receiver,
    /// The number of the last request.
    id: u32,
    /// Whether requests are numbered, if that has been changed.
    correlate: Option<bool>,
    /// The request whose reply is polled for.
    asked: Option<Asked>,
    room: Wait,
}

/// A request that was sent, and its number, if it has one.
#[derive(Debug)]
struct Asked(Option<Bytes>);

impl Default for ReqReceiver {
    fn default() -> Self {
        // The first number is random, so that replies to another socket do not match by chance.
        Self {
            receiver: Receiver::default(),
            id: fastrand::u32(..),
            correlate: None,
            asked: None,
            room: Wait::default(),
        }
    }
}

impl ReqReceiver {
    fn next_id(&mut self, is_correlated: bool) -> Option<Bytes> {
        self.id = self.id.wrapping_add(1);
        is_correlated.then(|| Bytes::copy_from_slice(&self.id.to_be_bytes()))
    }
}

impl Reader<UnicastCore> for ReqReceiver {
    fn left_unread(&self, closed: Unfinished) -> Unfinished {
        self.receiver.left_unread(closed)
    }
}

/// Takes requests out of a REP.
#[derive(Debug, Default)]
pub(crate) struct RepReceiver(Receiver);

impl RepReceiver {
    /// A request, unless it is malformed: it must have parts after an empty one (RFC 28, The REP Socket
    /// Type).
    fn open(&self, core: &Arc<UnicastCore>, mut request: Message) -> Option<(Message, Reply)> {
        let envelope = request.take_envelope()?;
        let peer = self.0.sender().expect("a message has been received").clone();
        Some((request, Reply { core: core.clone(), peer, envelope }))
    }
}

impl Reader<UnicastCore> for RepReceiver {
    fn left_unread(&self, closed: Unfinished) -> Unfinished {
        self.0.left_unread(closed)
    }
}

impl Receive<UnicastCore> for RepReceiver {
    type Item = (Message, Reply);

    fn poll_next(
        &mut self,
        core: &Arc<UnicastCore>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(Message, Reply), Closed>> {
        loop {
            let message = ready!(self.0.poll_next(&**core, cx))?;
            match self.open(core, message) {
                Some(request) => return Poll::Ready(Ok(request)),
                None => core.count_filtered(),
            }
        }
    }

    fn try_next(&mut self, core: &Arc<UnicastCore>) -> Result<Option<(Message, Reply)>, Closed> {
        while let Some(message) = self.0.try_next(&**core)? {
            match self.open(core, message) {
                Some(request) => return Ok(Some(request)),
                None => core.count_filtered(),
            }
        }
        Ok(None)
    }
}

impl Kind for Req {
    const SOCKET_TYPE: SocketType = SocketType::Req;
}

impl Unicasts for Req {}

impl Parts for Req {
    type Core = UnicastCore;
    type Receiver = ReqReceiver;
    type Sink = ();

    fn core(role: Requesting, events: Arc<Events>) -> UnicastCore {
        let config = Config::in_turn(&role.in_turn, &role.receiving);
        let probe = role.probing.0;
        UnicastCore::new(Config { request: Some(role), probe, ..config }, events)
    }
}

impl Kind for Rep {
    const SOCKET_TYPE: SocketType = SocketType::Rep;
}

impl Receives for Rep {
    type Received = (Message, Reply);
}

impl Unicasts for Rep {}

impl Parts for Rep {
    type Core = UnicastCore;
    type Receiver = RepReceiver;
    type Sink = ();

    fn core(role: Replying, events: Arc<Events>) -> UnicastCore {
        UnicastCore::new(Config::replying(Whom::ByPeer, &role), events)
    }
}
