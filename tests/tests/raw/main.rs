//! Peers made of literal octets: they send what libzmq does not.

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
