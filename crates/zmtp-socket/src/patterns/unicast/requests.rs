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
    /// The answer of the peer that the request was sent to.
    Reply(Message),
    /// The connection that the request was sent on has ended.
    Lost,
}

impl UnicastCore {
    /// Waits for a message of the peer that the request was sent to. Messages of other peers are
    /// discarded.
    ///
    /// RFC 28, The REQ Socket Type: a reply is accepted only from the peer that the request was sent to.
    pub(crate) fn poll_answer(
        &self,
        receiver: &mut Receiver,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Answer, Closed>> {
        loop {
            let next = match receiver.poll_next(self, cx) {
                // The peer may have answered before it left.
                Poll::Pending if self.awaits_no_answer() => match receiver.try_next(self)? {
                    Some(next) => next,
                    None => return Poll::Ready(Ok(Answer::Lost)),
                },
                next => ready!(next)?,
            };
            let sender = receiver.sender().map(|peer| peer.id());
            let asked = lock(&self.state).awaited.and_then(|awaited| awaited.peer);
            if asked.is_some() && sender == asked {
                return Poll::Ready(Ok(Answer::Reply(next)));
            }
        }
    }

    /// Whether no answer is awaited, or none will come.
    fn awaits_no_answer(&self) -> bool {
        lock(&self.state).awaited.is_none_or(|awaited| awaited.is_lost)
    }

    /// Ends an answered request.
    pub(crate) fn end_request(&self) {
        lock(&self.state).awaited = None;
    }

    /// Ends the wait for a reply. If a late reply could be taken for that to the next request, the
    /// connection is ended, so that it cannot arrive.
    pub(crate) fn abandon_request(&self, is_correlated: bool) {
        let mut state = Guard::lock(&self.state);
        if let Some(awaited) = state.awaited.take() {
            state.abandon_request(awaited, is_correlated);
        }
    }
}

impl State {
    /// Notes that the answer to a message in this lane is awaited.
    pub(super) fn await_answer(&mut self, lane: usize) {
        // A message on a connection that is about to end is no reply to this request.
        let to = Some(&self.lanes[lane]).filter(|lane| !lane.is_dying());
        let peer = to.and_then(|lane| lane.peer.as_ref()).map(Peer::id);
        self.awaited = Some(Awaited { lane, peer, is_lost: false });
    }

    /// Notes that a lane has got a peer: a request that waits in the lane will be sent to it.
    pub(super) fn ask_newcomer(&mut self, lane: usize, peer: PeerId) {
        if let Some(awaited) = &mut self.awaited
            && awaited.lane == lane
            && !awaited.is_lost
        {
            awaited.peer = Some(peer);
        }
    }

    /// Notes that there will be no answer: the lane is gone, or has lost its peer and the request is not
    /// queued to be sent again.
    pub(super) fn lose_answer(&mut self, lane: usize) {
        if let Some(awaited) = &mut self.awaited
            && awaited.lane == lane
        {
            awaited.is_lost = true;
        }
    }

    /// Whether the task that awaits an answer is to be told that there will be none.
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
