//! Every call that can wait, dropped at each of its waits: nothing is lost, torn, repeated or left
//! open. (`connect`, `subscribe` and `unsubscribe` do not wait.)

mod close;
mod endpoints;
mod recv;
mod send;
