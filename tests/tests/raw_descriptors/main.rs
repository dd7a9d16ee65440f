//! Closed things are closed: as many descriptors and tasks as before.

mod dropped;
mod rounds;
