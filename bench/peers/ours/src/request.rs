//! Requests and their answers.

use std::future::{poll_fn, ready};
use std::mem;
use std::pin::Pin;
use std::task::Poll;

use rig::{Args, Receiver, Sender, Tally, report_answering};
use zmtp_socket::{Message, RepSocket, ReqSocket, RouterSocket};

/// A REQ, or its request with the REQ inside. So others can send theirs before it is answered.
pub(crate) enum Req {
    Idle(ReqSocket),
    Asking(Request),
    Failed,
}

type Request = Pin<Box<dyn Future<Output = (ReqSocket, Result<Message, String>)>>>;

impl From<ReqSocket> for Req {
    fn from(socket: ReqSocket) -> Self {
        Self::Idle(socket)
    }
}

impl Sender for Req {
    async fn send(&mut self, body: &[u8]) {
        let Self::Idle(mut socket) = mem::replace(self, Self::Failed) else {
            panic!("a request is waiting for its answer");
        };
        let body = Message::from(body.to_vec());
        let mut request: Request = Box::pin(async move {
            let answer = socket.request(body).await.map_err(|error| error.to_string());
            (socket, answer)
        });
        let polled = poll_fn(|context| Poll::Ready(request.as_mut().poll(context))).await;
        *self = Self::Asking(match polled {
            Poll::Pending => request,
            // The other side runs on another processor, and this thread was held up.
            Poll::Ready(answered) => Box::pin(ready(answered)),
        });
    }
}

impl Receiver for Req {
    async fn receive(&mut self, tally: &mut Tally) -> Result<(), String> {
        let Self::Asking(request) = self else { return Err("nothing was asked".into()) };
        let (socket, answer) = request.await;
        *self = Self::Idle(socket);
        tally.message(answer?.first());
        Ok(())
    }
}

/// Answers every request with itself.
pub(crate) async fn reply(mut socket: RepSocket, args: &Args) {
    report_answering(args);
    while let Ok((message, reply)) = socket.recv().await {
        reply.send(message).await.expect("the socket is open");
    }
}

/// Sends every message back to the peer that it has come from.
pub(crate) async fn route(mut socket: RouterSocket, args: &Args) {
    report_answering(args);
    while let Ok((peer, message)) = socket.recv().await {
        socket.send_to(&peer, message).await.expect("the socket is open");
    }
}
