//! The sockets that send each message to one peer: their guarantees over each transport, and their
//! compatibility with other implementations.

mod broker;
mod ends;
mod in_turn;
mod matrix;
mod meeting;
mod pair;
mod party;
mod raw;
mod reply;
mod request;
mod router;
