//! The one request whose reply a REQ awaits.

use std::task::{Context, Poll, ready};

use zmtp_codec::Message;

use super::UnicastCore;
use super::lanes::{Awaited, State};
use crate::error::{Closed, Reason};
use crate::peer::{Peer, PeerId};
use crate::receive::Receiver;
use crate::send::guard::Guard;
use crate::sync::lock;

/// The outcome of a request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The peer that got it has answered.
    Reply(Message),
    /// The connection that it went through has ended.
    Lost,
}

impl UnicastCore {
    /// Waits for a message of the peer that got the request. What others send is not received.
    ///
    /// RFC 28, The REQ Socket Type: a reply is accepted from the peer that the request went to, alone.
    pub(crate) fn poll_answer(
        &self,
        receiver: &mut Receiver,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Answer, Closed>> {
        loop {
            // Looked at first: a peer may have answered and then left.
            let is_lost = lock(&self.state).awaited.is_none_or(|awaited| awaited.is_lost);
            let next = match receiver.poll_next(self, cx) {
                Poll::Pending if is_lost => return Poll::Ready(Ok(Answer::Lost)),
                next => ready!(next)?,
            };
            let sender = receiver.sender().map(|peer| peer.id());
            let asked = lock(&self.state).awaited.and_then(|awaited| awaited.peer);
            if asked.is_some() && sender == asked {
                return Poll::Ready(Ok(Answer::Reply(next)));
            }
        }
    }

    /// The request has been answered.
    pub(crate) fn end_request(&self) {
        lock(&self.state).awaited = None;
    }

    /// The reply is not waited for any longer. If a late one could be taken for that to the next request,
    /// the connection is ended: then it cannot come.
    pub(crate) fn abandon_request(&self, is_correlated: bool) {
        let mut state = Guard::lock(&self.state);
        if let Some(awaited) = state.awaited.take() {
            state.abandon_request(awaited, is_correlated);
        }
    }
}

impl State {
    /// A message has been given to a lane, and its answer is awaited.
    pub(super) fn await_answer(&mut self, lane: usize) {
        // A message on a connection that is about to end is no reply to this request.
        let to = Some(&self.lanes[lane]).filter(|lane| !lane.is_dying());
        let peer = to.and_then(|lane| lane.peer.as_ref()).map(Peer::id);
        self.awaited = Some(Awaited { lane, peer, is_lost: false });
    }

    /// A lane has got a peer: if the request waits there, it is this peer that it will go to.
    pub(super) fn ask_newcomer(&mut self, lane: usize, peer: PeerId) {
        if let Some(awaited) = &mut self.awaited
            && awaited.lane == lane
            && !awaited.is_lost
        {
            awaited.peer = Some(peer);
        }
    }

    /// A lane has lost its peer, and the request does not wait to be sent again; or the lane is gone. There
    /// will be no answer.
    pub(super) fn lose_answer(&mut self, lane: usize) {
        if let Some(awaited) = &mut self.awaited
            && awaited.lane == lane
        {
            awaited.is_lost = true;
        }
    }

    /// Whether whoever awaits an answer is to be told that there will be none.
    pub(super) fn has_lost_answer(&self) -> bool {
        self.awaited.is_some_and(|awaited| awaited.is_lost)
    }

    fn abandon_request(&mut self, awaited: Awaited, is_correlated: bool) {
        if awaited.is_lost {
            return;
        }
        self.discard(awaited.lane);
        if !is_correlated {
            self.end_connection(awaited.lane, Reason::Abandoned);
        }
        self.make_ready(awaited.lane);
    }
}
