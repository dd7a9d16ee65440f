//! Names inside the process: who listens under them, and pipes to there.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use tokio::sync::{Notify, mpsc};

use super::{Beside, Connected, Pipe, Stream, in_time};
use crate::options::TcpOptions;
use crate::sync::lock;

/// What a pipe holds for each direction, in octets, before its writer has to wait.
const PIPE: usize = 256 << 10;

/// Connections that may wait to be accepted.
const BACKLOG: usize = 128;

/// The far end of a pipe.
type Arrival = (Box<dyn Pipe>, Option<Box<Beside>>);

/// Where pipes are brought to who listens.
type Door = mpsc::Sender<Arrival>;

/// A table of names that sockets of one context listen under. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Hub(Arc<Table>);

#[derive(Default)]
struct Table {
    names: Mutex<HashMap<String, Door>>,
    bound: Notify,
}

impl Hub {
    pub(crate) fn listen(&self, name: &str) -> io::Result<Listener> {
        let mut names = lock(&self.0.names);
        if names.contains_key(name) {
            return Err(io::Error::from(io::ErrorKind::AddrInUse));
        }
        let (sender, arrivals) = mpsc::channel(BACKLOG);
        names.insert(name.to_owned(), sender);
        // No waker runs under the lock.
        drop(names);
        self.0.bound.notify_waiters();
        Ok(Listener { name: name.to_owned(), arrivals, hub: self.clone() })
    }

    /// Connects to `name`, as soon as somebody listens there.
    pub(crate) async fn dial(&self, name: &str, options: &TcpOptions) -> io::Result<Connected> {
        let (near, far) = tokio::io::duplex(PIPE);
        let (ours, theirs) = Beside::pair();
        let door = loop {
            let bound = self.0.bound.notified();
            if let Some(door) = self.door(name) {
                break door;
            }
            bound.await;
        };
        // The wait for a listener asks nobody, and may last for ever. One that is there and accepts
        // nobody is given as long as those of other transports.
        in_time(options, async {
            let arrival: Arrival = (Box::new(far), Some(theirs));
            door.send(arrival).await.map_err(|_| refused())
        })
        .await?;
        Ok((Stream::Pipe(Box::new(near), Some(ours)), name.to_owned()))
    }

    /// Brings the far end of a pipe to who listens under `name` now.
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

/// Where the connections to one name arrive; the name is free again when this is dropped.
pub(crate) struct Listener {
    name: String,
    arrivals: mpsc::Receiver<Arrival>,
    hub: Hub,
}

impl Listener {
    pub(super) fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Connected>> {
        // The hub holds a sender for as long as this listener lives: there is always a next.
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
}
