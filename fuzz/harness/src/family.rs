//! A subscribing socket, SUB or XSUB.

use std::ops::Deref;

use zmtp_socket::{
    Context, Message, RecvError, SubHandle, SubOptions, SubSocket, TryRecvError, Unfinished,
    XSubOptions, XSubSocket,
};

/// A SUB or an XSUB, with a common handle.
pub(crate) struct Subscriber {
    handle: SubHandle,
    pub(crate) socket: Either,
}

pub(crate) enum Either {
    Sub(SubSocket),
    XSub(XSubSocket),
}

impl Subscriber {
    pub(crate) fn sub(context: &Context, options: SubOptions) -> Self {
        let socket = context.sub_socket(options);
        Self { handle: socket.handle(), socket: Either::Sub(socket) }
    }

    pub(crate) fn xsub(context: &Context, options: XSubOptions) -> Self {
        let socket = context.xsub_socket(options);
        Self { handle: socket.handle().into(), socket: Either::XSub(socket) }
    }

    pub(crate) async fn recv(&mut self) -> Result<Message, RecvError> {
        match &mut self.socket {
            Either::Sub(socket) => socket.recv().await,
            Either::XSub(socket) => socket.recv().await,
        }
    }

    pub(crate) fn try_recv(&mut self) -> Result<Message, TryRecvError> {
        match &mut self.socket {
            Either::Sub(socket) => socket.try_recv(),
            Either::XSub(socket) => socket.try_recv(),
        }
    }

    pub(crate) async fn close(self) -> Unfinished {
        match self.socket {
            Either::Sub(socket) => socket.close().await,
            Either::XSub(socket) => socket.close().await,
        }
    }
}

impl Deref for Subscriber {
    type Target = SubHandle;

    fn deref(&self) -> &SubHandle {
        &self.handle
    }
}
