//! What is closed is closed: descriptors and tasks, as many as before.

mod dropped;
mod rounds;
