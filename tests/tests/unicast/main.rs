//! The sockets that send each message to one peer: what their users rely on, over each
//! transport, and whom they talk with.

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
