//! One bound endpoint: accepts peers for as long as it is bound.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::driver::{self, Core};
use crate::shared::{Door, Shared};
use crate::transport::{Connected, Listener, Stream};
use crate::{Event, Reason};

/// The first pause after accepting has failed; it doubles with each further failure.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts peers until the endpoint is unbound or the socket closes.
pub(crate) async fn listen<C: Core>(
    mut listener: Listener,
    door: Door,
    core: Arc<C>,
    socket: Arc<Shared>,
) {
    let mut pause = Duration::ZERO;
    loop {
        let accepted = tokio::select! {
            biased;
            () = door.stop.cancelled() => break,
            () = socket.drain.cancelled() => break,
            accepted = accept_after(pause, &mut listener) => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                pause = Duration::ZERO;
                serve(stream, &address, &door, &core, &socket);
            }
            // It was there, and had gone before we came to it.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            // Out of descriptors, most often: that passes, and to ask at once would burn a core.
            Err(error) => {
                socket.events.emit(|| Event::AcceptFailed {
                    endpoint: door.endpoint.clone(),
                    reason: Reason::from(error),
                });
                pause = (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
            }
        }
    }
}

async fn accept_after(pause: Duration, listener: &mut Listener) -> io::Result<Connected> {
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
    listener.accept().await
}

fn serve<C: Core>(stream: Stream, address: &str, door: &Door, core: &Arc<C>, socket: &Arc<Shared>) {
    let peer = socket.new_peer(&door.endpoint, address);
    let place = match socket.admission.admit(peer.id()) {
        Ok(place) => place,
        Err(limit) => return socket.events.emit(|| Event::Refused { peer, reason: limit.into() }),
    };
    let (terms, stop) = (door.terms(), door.stop.clone());
    let driver = driver::run(stream, peer, place, core.clone(), socket.clone(), terms, stop);
    socket.spawn(door, driver, &Handle::current());
}
