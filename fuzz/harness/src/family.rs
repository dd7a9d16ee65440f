//! What the sockets of a kind have in common, plain or with an X.

use std::ops::{Deref, DerefMut};

use zmtp_socket::{
    Context, Duplicates, HighWaterMark, PubOptions, SubOptions, SubSocket, WhenFull, XPubOptions,
    XSubOptions, XSubSocket,
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
    conflate();
    duplicate_subscriptions(duplicates: Duplicates);
    max_subscriptions(topics: usize, octets: usize);
);

common!(Subscribes of SubOptions, XSubOptions:
    receive_hwm(mark: HighWaterMark);
    receive_hwm_octets(octets: usize);
    conflate(conflate: bool);
);

/// A SUB or an XSUB.
pub(crate) enum Subscriber {
    Sub(SubSocket),
    XSub(XSubSocket),
}

impl Subscriber {
    pub(crate) fn sub(context: &Context, options: SubOptions) -> Self {
        Self::Sub(context.sub_socket(options))
    }

    pub(crate) fn xsub(context: &Context, options: XSubOptions) -> Self {
        Self::XSub(context.xsub_socket(options))
    }

    pub(crate) async fn close(self) -> usize {
        match self {
            Self::Sub(socket) => socket.close().await,
            Self::XSub(socket) => socket.close().await,
        }
    }
}

impl Deref for Subscriber {
    type Target = SubSocket;

    fn deref(&self) -> &SubSocket {
        match self {
            Self::Sub(socket) => socket,
            Self::XSub(socket) => socket,
        }
    }
}

impl DerefMut for Subscriber {
    fn deref_mut(&mut self) -> &mut SubSocket {
        match self {
            Self::Sub(socket) => socket,
            Self::XSub(socket) => socket,
        }
    }
}
