//! Every call that can wait of the sockets that send each message to one peer, dropped at each of its waits:
//! nothing is lost, torn, repeated or left open.

mod request;
mod send;
mod send_to;
