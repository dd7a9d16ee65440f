//! The attacks, each with its numbers.

mod giants;
mod idle;
mod more;
mod pings;
mod strangers;
mod stuck;
mod subscriptions;

pub(crate) use giants::Giants;
pub(crate) use idle::Idle;
pub(crate) use more::More;
pub(crate) use pings::Pings;
pub(crate) use strangers::Strangers;
pub(crate) use stuck::Stuck;
pub(crate) use subscriptions::Subscriptions;
