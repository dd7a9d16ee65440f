//! One bound endpoint: accepts peers for as long as it is bound.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::driver::{self, Core};
use crate::engine::panics::caught;
use crate::engine::shared::{EndpointTask, Shared};
use crate::engine::transport::{Connected, Stream};
use crate::error::Reason;
use crate::monitor::Event;

/// The first pause after a failure to accept; it doubles with each further failure.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts peers until the endpoint is unbound or the socket closes.
pub(crate) async fn listen<C: Core>(task: Arc<EndpointTask>, core: Arc<C>, socket: Arc<Shared>) {
    let mut signal = task.signal();
    let mut pause = Duration::ZERO;
    loop {
        let serving = caught(serve_next(pause, &task, &core, &socket));
        let served = tokio::select! {
            biased;
            () = signal.drained() => return,
            served = serving => served,
        };
        pause = match served {
            Ok(true) => Duration::ZERO,
            // Most likely a subscriber of the log has panicked, and the next peer is not to blame.
            Ok(false) | Err(_) => (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE),
        };
    }
}

/// Waits for the next peer, after a pause, and serves it. Returns false if accepting failed.
async fn serve_next<C: Core>(
    pause: Duration,
    task: &EndpointTask,
    core: &Arc<C>,
    socket: &Arc<Shared>,
) -> bool {
    match accept_after(pause, task, socket).await {
        Ok((stream, address)) => serve(stream, &address, task, core, socket),
        // The peer had closed its connection before it was accepted.
        Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
        // Most often the process is out of descriptors. That passes, and to try again at once would use
        // up a core.
        Err(error) => {
            let (endpoint, reason) = (task.endpoint.clone(), Reason::from(error));
            socket.events.emit(|| Event::AcceptFailed { endpoint, reason });
            return false;
        }
    }
    true
}

async fn accept_after(
    pause: Duration,
    task: &EndpointTask,
    socket: &Shared,
) -> io::Result<Connected> {
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
    if !task.is_listening() {
        // The listener was lost with its runtime.
        task.listen_anew(&socket.networks).await?;
        let endpoint = task.endpoint.clone();
        socket.events.emit(|| Event::Listening { endpoint });
    }
    socket.admission.wait_for_place().await;
    poll_fn(|cx| task.poll_accept(cx)).await
}

fn serve<C: Core>(
    stream: Stream,
    address: &str,
    task: &EndpointTask,
    core: &Arc<C>,
    socket: &Arc<Shared>,
) {
    let (peer, signal) = (socket.new_peer(&task.endpoint, address), task.signal());
    peer.set_descriptor(stream.descriptor());
    let terms = task.terms();
    if terms.options.admits.as_ref().is_some_and(|admits| !(admits.0)(&peer)) {
        return socket.events.emit(|| Event::Refused { peer, reason: Reason::NotAdmitted });
    }
    let permit = match socket.admission.admit(peer.id(), signal.kill()) {
        Ok(permit) => permit,
        Err(limit) => return socket.events.emit(|| Event::Refused { peer, reason: limit.into() }),
    };
    let (core, shared) = (core.clone(), socket.clone());
    let driver = driver::run(stream, peer, permit, signal, core, shared, terms);
    tokio::spawn(socket.track(task, driver));
}
