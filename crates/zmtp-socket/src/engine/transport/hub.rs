//! Names within the process: their listeners, and the pipes to them.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use tokio::sync::{Notify, mpsc};

use super::{Beside, Connected, Pipe, Stream, in_time};
use crate::options::TcpOptions;
use crate::sync::lock;

/// The number of octets that a pipe holds in each direction before its writer has to wait.
const PIPE: usize = 256 << 10;

/// The number of connections that may wait to be accepted.
const BACKLOG: usize = 128;

/// The far end of a pipe.
type Arrival = (Box<dyn Pipe>, Option<Box<Beside>>);

/// The queue of a listener, to which pipes are sent.
type Door = mpsc::Sender<Arrival>;

/// The names that sockets of one context listen on. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Hub(Arc<Table>);

#[derive(Default)]
struct Table {
    names: Mutex<HashMap<String, Door>>,
    /// Tells that a name has been bound, or that none will be.
    bound: Notify,
    /// Whether no further name will be bound.
    is_complete: AtomicBool,
}

impl Hub {
    pub(crate) fn listen(&self, name: &str) -> io::Result<Listener> {
        let mut names = lock(&self.0.names);
        if names.contains_key(name) {
            return Err(io::Error::from(io::ErrorKind::AddrInUse));
        }
        let (sender, arrivals) = mpsc::channel(BACKLOG);
        names.insert(name.to_owned(), sender);
        // Wakers are called without the lock.
        drop(names);
        self.0.bound.notify_waiters();
        Ok(Listener { name: name.to_owned(), arrivals, hub: self.clone() })
    }

    /// Takes note that no further name will be bound.
    pub(crate) fn complete(&self) {
        self.0.is_complete.store(true, Ordering::Release);
        self.0.bound.notify_waiters();
    }

    /// Whether `name` has no listener, and will have none.
    pub(crate) fn is_without(&self, name: &str) -> bool {
        self.0.is_complete.load(Ordering::Acquire) && !self.has(name)
    }

    /// Connects to `name`, as soon as it has a listener. Fails if it will have none.
    pub(crate) async fn dial(&self, name: &str, options: &TcpOptions) -> io::Result<Connected> {
        let (near, far) = tokio::io::duplex(PIPE);
        let (ours, theirs) = Beside::pair();
        let door = loop {
            let bound = self.0.bound.notified();
            if let Some(door) = self.door(name) {
                break door;
            }
            if self.is_without(name) {
                return Err(refused());
            }
            bound.await;
        };
        // The wait for a listener may last for ever, since no other side is involved. A listener that
        // accepts nothing is given up after the same time as on other transports.
        in_time(options, async {
            let arrival: Arrival = (Box::new(far), Some(theirs));
            door.send(arrival).await.map_err(|_| refused())
        })
        .await?;
        Ok((Stream::Pipe(Box::new(near), Some(ours)), name.to_owned()))
    }

    /// Sends the far end of a pipe to the present listener of `name`.
    #[cfg(feature = "simulation")]
    pub(crate) fn hand_over(&self, name: &str, far: Box<dyn Pipe>) -> io::Result<()> {
        let door = self.door(name).ok_or_else(refused)?;
        door.try_send((far, None)).map_err(|_| refused())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        lock(&self.0.names).contains_key(name)
    }

    fn door(&self, name: &str) -> Option<Door> {
        lock(&self.0.names).get(name).cloned()
    }
}

fn refused() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionRefused)
}

/// The listener of one name. Dropping it frees the name.
pub(crate) struct Listener {
    name: String,
    arrivals: mpsc::Receiver<Arrival>,
    hub: Hub,
}

impl Listener {
    pub(super) fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Connected>> {
        // The hub holds a sender for as long as this listener exists, so the queue does not end.
        let Some((pipe, beside)) = ready!(self.arrivals.poll_recv(cx)) else {
            return Poll::Pending;
        };
        Poll::Ready(Ok((Stream::Pipe(pipe, beside), self.name.clone())))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        lock(&self.hub.0.names).remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::options::EndpointOptions;

    #[tokio::test(start_paused = true)]
    async fn a_listener_that_accepts_nobody_is_given_up_in_time() {
        let hub = Hub::default();
        let _listener = hub.listen("name").unwrap();
        let options = EndpointOptions::new().connect_timeout(Duration::from_secs(3)).link.tcp;
        let mut waiting = Vec::new();
        for _ in 0..BACKLOG {
            waiting.push(hub.dial("name", &options).await.unwrap());
        }
        let dialling = tokio::time::timeout(Duration::from_secs(60), hub.dial("name", &options));
        let error = dialling.await.expect("it is given up").err().expect("there is no room");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_name_that_nobody_will_bind_is_waited_for_no_longer() {
        let (hub, options) = (Hub::default(), EndpointOptions::new().link.tcp);
        let listener = hub.listen("bound").unwrap();
        let dial = |name: &'static str| {
            let (hub, options) = (hub.clone(), options.clone());
            tokio::spawn(async move { hub.dial(name, &options).await.map(drop) })
        };
        let early = dial("free");
        tokio::task::yield_now().await;
        assert!(!hub.is_without("free"));
        hub.complete();
        for dialling in [early, dial("free")] {
            let error = dialling.await.unwrap().expect_err("nobody is there");
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        }
        assert!(hub.is_without("free") && !hub.is_without("bound"));
        dial("bound").await.unwrap().unwrap();
        drop(listener);
        assert!(hub.is_without("bound"));
    }
}
