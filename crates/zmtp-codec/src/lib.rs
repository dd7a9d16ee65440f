//! ZMTP 3.0 and 3.1, the wire protocol of ZeroMQ, without I/O and without a clock.
//!
//! [`Connection`] is one side of a connection: the caller feeds it the octets that arrive and the
//! time, and takes events, octets to write and the next deadline from it. [`Observer`] decodes a
//! connection between two others. Their parts can be used alone: [`Greeting`], [`FrameHeader`],
//! [`Command`], [`Metadata`], [`Message`].
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `curve` | yes | the CURVE mechanism, and the crates of its cryptography; only this asks the operating system for anything, and only for random octets |
//! | `tokio-util` | no | `FrameCodec`: framing alone, for `tokio_util::codec` |
//!
//! # Example
//!
//! A peer is not trusted: no octet it sends can panic, hang, or make this crate reserve memory
//! for what the peer has not sent.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use zmtp_codec::{Config, Connection, Event, Message, SocketType, Subscription};
//!
//! /// Moves the output of one side to the other, and returns the events that result.
//! fn carry(from: &mut Connection, to: &mut Connection) -> Vec<Event> {
//!     let now = Duration::ZERO;
//!     to.receive(now, &from.output().split());
//!     std::iter::from_fn(|| to.poll_event(now).expect("the peer keeps the rules")).collect()
//! }
//!
//! let mut publisher = Connection::new(Arc::new(Config::new(SocketType::Pub)));
//! let mut subscriber = Connection::new(Arc::new(Config::new(SocketType::Sub)));
//!
//! // Greetings, then READY; each side learns the type of the other.
//! carry(&mut publisher, &mut subscriber);
//! carry(&mut subscriber, &mut publisher);
//! carry(&mut publisher, &mut subscriber);
//! assert!(publisher.is_traffic() && subscriber.is_traffic());
//!
//! // The subscriber subscribes to a topic …
//! let wish = Subscription::Subscribe("10001".into());
//! subscriber.subscribe(&wish)?;
//! assert_eq!(carry(&mut subscriber, &mut publisher), [Event::Subscription(wish)]);
//!
//! // … and gets a message that matches it.
//! let report = Message::from("10001 17 40");
//! publisher.send(&report)?;
//! assert_eq!(carry(&mut publisher, &mut subscriber), [Event::Message(report)]);
//! # Ok::<(), zmtp_codec::NotReady>(())
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(test),
    warn(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation
    )
)]

mod batch;
mod command;
mod config;
mod connection;
mod denial;
mod error;
mod frame;
mod greeting;
mod handshake;
mod mechanism;
mod mechanism_name;
mod message;
mod message_ref;
mod metadata;
mod observer;
#[cfg(feature = "curve")]
mod randomness;
mod socket_type;
mod subscription;
mod text;
#[cfg(feature = "tokio-util")]
mod tokio_codec;
mod version;
mod wire;

pub use crate::batch::Batch;
pub use crate::command::Command;
pub use crate::config::{Config, Heartbeat, Limits};
pub use crate::connection::{Connection, Event, PeerInfo};
pub use crate::denial::{Denial, Status};
#[cfg(feature = "curve")]
pub use crate::error::InvalidKey;
pub use crate::error::{
    ConfigError, Error, InvalidProperty, Mismatch, NotReady, ProtocolError, Timeout,
};
pub use crate::frame::{Frame, FrameHeader, encode_frame, encode_message, message_len};
pub use crate::greeting::Greeting;
#[cfg(all(feature = "curve", any(test, feature = "testing")))]
#[doc(hidden)]
pub use crate::handshake::boxes;
#[cfg(feature = "curve")]
pub use crate::mechanism::curve::{CurveKeyPair, CurvePublicKey, CurveSecretKey};
pub use crate::mechanism::{Allowed, Applicant, Credentials, Mechanism};
pub use crate::mechanism_name::MechanismName;
pub use crate::message::Message;
pub use crate::message_ref::{MessageRef, Messages};
pub use crate::metadata::Metadata;
pub use crate::observer::{Observation, Observer, Said, Side};
#[cfg(feature = "curve")]
pub use crate::randomness::{NoRandomness, Randomness};
pub use crate::socket_type::SocketType;
pub use crate::subscription::Subscription;
#[cfg(feature = "tokio-util")]
pub use crate::tokio_codec::{FrameCodec, FrameCodecError};
pub use crate::version::Version;
