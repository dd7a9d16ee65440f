//! The functions of the fuzz targets. A function returns if it has found nothing, and panics if it
//! has found a fault.
//!
//! They are separate from the targets so that a test can replay the corpus without a fuzzer.

mod boxes;
mod cast;
mod cipher;
mod command;
mod connection;
mod curve;
mod curve_peer;
mod editor;
mod endpoint;
mod family;
mod frame;
mod greeting;
mod hearing;
mod hostile;
mod link;
mod observer;
mod options;
mod script;
mod sockets;
mod stage;
mod tampered;
mod topics;
mod unicast;
mod victim;
mod ws;

pub use cipher::cipher;
pub use command::command;
pub use connection::connection;
pub use curve::curve;
pub use endpoint::endpoint;
pub use frame::frame;
pub use greeting::greeting;
pub use link::link;
pub use observer::observer;
pub use options::options;
pub use sockets::sockets;
pub use topics::topics;
pub use unicast::unicast;
pub use ws::ws;

/// A target, which panics if octets reveal a fault.
pub type Target = fn(&[u8]);

/// All targets, by the names of their corpora.
pub const TARGETS: [(&str, Target); 14] = [
    ("greeting", greeting),
    ("frame", frame),
    ("command", command),
    ("connection", connection),
    ("curve", curve),
    ("cipher", cipher),
    ("link", link),
    ("observer", observer),
    ("sockets", sockets),
    ("unicast", unicast),
    ("options", options),
    ("topics", topics),
    ("endpoint", endpoint),
    ("ws", ws),
];
