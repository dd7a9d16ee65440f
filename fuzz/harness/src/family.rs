//! What the sockets of a kind have in common, plain or with an X.

use std::ops::Deref;

use zmtp_socket::{
    Context, Duplicates, HighWaterMark, Message, PubOptions, RecvError, SubHandle, SubOptions,
    SubSocket, TryRecvError, Unfinished, WhenFull, XPubOptions, XSubOptions, XSubSocket,
};

/// A trait of options that two kinds of sockets have, as each has them.
macro_rules! common {
    ($name:ident of $plain:ident, $more:ident: $($set:ident($($value:ident: $kind:ty),*);)*) => {
        pub(crate) trait $name: Sized {
            $(fn $set(self $(, $value: $kind)*) -> Self;)*
        }
        common!(@of $name, $plain: $($set($($value: $kind),*);)*);
        common!(@of $name, $more: $($set($($value: $kind),*);)*);
    };
    (@of $name:ident, $options:ident: $($set:ident($($value:ident: $kind:ty),*);)*) => {
        impl $name for $options {
            $(fn $set(self $(, $value: $kind)*) -> Self {
                // Its own method, which comes before that of the trait.
                <$options>::$set(self $(, $value)*)
            })*
        }
    };
}

common!(Publishes of PubOptions, XPubOptions:
    send_hwm(mark: HighWaterMark);
    send_hwm_octets(octets: usize);
    when_full(policy: WhenFull);
    conflate(conflate: bool);
    duplicate_subscriptions(duplicates: Duplicates);
    max_subscriptions(topics: usize);
    max_subscription_octets(octets: usize);
);

common!(Subscribes of SubOptions, XSubOptions:
    receive_hwm(mark: HighWaterMark);
    receive_hwm_octets(octets: usize);
    conflate(conflate: bool);
);

/// A SUB or an XSUB. What its handle does, it does.
pub(crate) struct Subscriber {
    handle: SubHandle,
    pub(crate) socket: Kind,
}

pub(crate) enum Kind {
    Sub(SubSocket),
    XSub(XSubSocket),
}

impl Subscriber {
    pub(crate) fn sub(context: &Context, options: SubOptions) -> Self {
        let socket = context.sub_socket(options);
        Self { handle: socket.handle(), socket: Kind::Sub(socket) }
    }

    pub(crate) fn xsub(context: &Context, options: XSubOptions) -> Self {
        let socket = context.xsub_socket(options);
        Self { handle: socket.handle(), socket: Kind::XSub(socket) }
    }

    pub(crate) async fn recv(&mut self) -> Result<Message, RecvError> {
        match &mut self.socket {
            Kind::Sub(socket) => socket.recv().await,
            Kind::XSub(socket) => socket.recv().await,
        }
    }

    pub(crate) fn try_recv(&mut self) -> Result<Message, TryRecvError> {
        match &mut self.socket {
            Kind::Sub(socket) => socket.try_recv(),
            Kind::XSub(socket) => socket.try_recv(),
        }
    }

    pub(crate) async fn close(self) -> Unfinished {
        match self.socket {
            Kind::Sub(socket) => socket.close().await,
            Kind::XSub(socket) => socket.close().await,
        }
    }
}

impl Deref for Subscriber {
    type Target = SubHandle;

    fn deref(&self) -> &SubHandle {
        &self.handle
    }
}
