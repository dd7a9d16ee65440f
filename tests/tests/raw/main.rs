//! Peers made of octets by hand: what libzmq will not send.

mod at_once;
mod crowd;
mod heartbeat;
mod hostile_publisher;
mod hostile_sizes;
mod hostile_subscriber;
mod hostile_topics;
mod hwm;
mod judged;
mod oddities;
mod options;
mod plain;
mod publisher;
mod silence;
mod subscriber;
mod unfinished;
