//! The monitor of a socket in libzmq's form: it sends events from a PAIR inside the process.

use std::collections::HashSet;
use std::ffi::c_int;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use zmtp_socket::{
    Denial, Endpoint, Event, Message, Monitor, PairOptions, PairSocket, Peer, ProtocolError,
    Reason, Status, WireError,
};

use crate::address;
use crate::context::Context;
use crate::errno::Errno;
use crate::io::Io;
use crate::zap;

const CONNECTED: u16 = 0x0001;
const CONNECT_DELAYED: u16 = 0x0002;
const CONNECT_RETRIED: u16 = 0x0004;
const LISTENING: u16 = 0x0008;
const BIND_FAILED: u16 = 0x0010;
const ACCEPTED: u16 = 0x0020;
const ACCEPT_FAILED: u16 = 0x0040;
const CLOSED: u16 = 0x0080;
const DISCONNECTED: u16 = 0x0200;
const STOPPED: u16 = 0x0400;
const HANDSHAKE_FAILED_NO_DETAIL: u16 = 0x0800;
const HANDSHAKE_SUCCEEDED: u16 = 0x1000;
const HANDSHAKE_FAILED_PROTOCOL: u16 = 0x2000;
const HANDSHAKE_FAILED_AUTH: u16 = 0x4000;

/// The events of handshakes, which raw peers do not have.
pub(crate) const HANDSHAKES: c_int = 0x7800;

/// How long the last events may take to be delivered.
const LAST: Duration = Duration::from_secs(1);

/// Monitors a socket until it is dropped.
#[derive(Debug)]
pub(crate) struct Monitoring {
    /// Sends the events of the socket's own calls.
    calls: mpsc::UnboundedSender<Notice>,
}

impl Monitoring {
    /// Binds the PAIR, and sends the later events of `monitor` that the mask selects.
    pub(crate) fn start(
        context: &Arc<Context>,
        io: &Arc<Io>,
        monitor: Monitor,
        endpoint: Endpoint,
        mask: c_int,
    ) -> Result<Self, Errno> {
        let pair = context.engine.socket(PairOptions::new());
        let bound = io.run(async move {
            let bound = pair.bind(endpoint).await;
            bound.map(|_endpoint| pair)
        });
        let pair = bound.ok_or(Errno::EMTHREAD)??;
        let (calls, called) = mpsc::unbounded_channel();
        io.spawn(tell(pair, monitor, mask, called));
        Ok(Self { calls })
    }

    /// Reports that an endpoint has been unbound.
    pub(crate) fn closed(&self, endpoint: &Endpoint) {
        // If nobody listens, the socket has been closed.
        let _sent = self.calls.send((CLOSED, 0, endpoint.to_string()));
    }

    /// Reports that an endpoint could not be bound. As with libzmq, that names the address without the transport.
    pub(crate) fn bind_failed(&self, text: &str, errno: Errno) {
        if let Ok((transport, address)) = address::split_transport(text)
            && transport != "inproc"
        {
            let notice = (BIND_FAILED, errno.0.unsigned_abs(), address.to_owned());
            let _sent = self.calls.send(notice);
        }
    }
}

/// An event, its value, and the endpoint.
type Notice = (u16, u32, String);

async fn tell(
    pair: PairSocket,
    mut monitor: Monitor,
    mask: c_int,
    mut called: mpsc::UnboundedReceiver<Notice>,
) {
    let mut dialled = HashSet::new();
    // As with libzmq, endpoints inside the process have no events.
    let is_wanted = |(event, _, endpoint): &Notice| {
        c_int::from(*event) & mask != 0 && !endpoint.starts_with("inproc:")
    };
    loop {
        let notices = tokio::select! {
            biased;
            event = monitor.next() => match event {
                Some(event) => translate(&event, &mut dialled),
                None => break,
            },
            notice = called.recv() => match notice {
                Some(notice) => vec![notice],
                None => break,
            },
        };
        for notice in notices.into_iter().filter(is_wanted) {
            // If the PAIR has no reader, or a slow one, the send waits; the monitor queues events
            // meanwhile.
            let mut sending = std::pin::pin!(pair.send(message(&notice)));
            let sent = tokio::select! {
                biased;
                sent = &mut sending => sent,
                () = calls_end(&mut called) => return,
            };
            if sent.is_err() {
                return;
            }
        }
    }
    let last = (STOPPED, 0, String::new());
    if is_wanted(&last) {
        let _sent = pair.try_send(message(&last));
    }
    pair.close_within(LAST).await;
}

/// Waits until the socket is no longer monitored.
async fn calls_end(called: &mut mpsc::UnboundedReceiver<Notice>) {
    while called.recv().await.is_some() {}
}

fn message((event, value, endpoint): &Notice) -> Message {
    let mut first = Vec::with_capacity(6);
    first.extend(event.to_ne_bytes());
    first.extend(value.to_ne_bytes());
    (Bytes::from(first), Bytes::copy_from_slice(endpoint.as_bytes())).into()
}

/// The events of libzmq for an event of ours. `dialled` are the endpoints that have a connection.
fn translate(event: &Event, dialled: &mut HashSet<Endpoint>) -> Vec<Notice> {
    match event {
        Event::Listening { endpoint, .. } => vec![(LISTENING, 0, endpoint.to_string())],
        Event::AcceptFailed { endpoint, reason, .. } => {
            vec![(ACCEPT_FAILED, number_of(reason), endpoint.to_string())]
        }
        Event::Connected { peer, .. } => {
            let endpoint = peer.endpoint().to_string();
            let mut notices = Vec::new();
            if !peer.is_dialled() {
                return vec![(ACCEPTED, descriptor_of(peer), endpoint)];
            }
            dialled.insert(peer.endpoint().clone());
            if let Endpoint::Tcp { .. } = peer.endpoint() {
                notices.push((CONNECT_DELAYED, libc::EINPROGRESS.unsigned_abs(), endpoint.clone()));
            }
            notices.push((CONNECTED, descriptor_of(peer), endpoint));
            notices
        }
        Event::HandshakeSucceeded { peer, .. } => {
            vec![(HANDSHAKE_SUCCEEDED, 0, peer.endpoint().to_string())]
        }
        Event::HandshakeFailed { peer, reason, .. } => {
            let endpoint = peer.endpoint().to_string();
            let (event, value) = failure(reason);
            vec![(event, value, endpoint.clone()), (DISCONNECTED, descriptor_of(peer), endpoint)]
        }
        Event::Disconnected { peer, .. } => {
            vec![(DISCONNECTED, descriptor_of(peer), peer.endpoint().to_string())]
        }
        Event::RetryingIn { endpoint, delay, .. } => {
            let text = endpoint.to_string();
            let mut notices = Vec::new();
            if !dialled.remove(endpoint) {
                if let Endpoint::Tcp { .. } = endpoint {
                    let value = libc::EINPROGRESS.unsigned_abs();
                    notices.push((CONNECT_DELAYED, value, text.clone()));
                }
                notices.push((CLOSED, 0, text.clone()));
            }
            let delay = u32::try_from(delay.as_millis()).unwrap_or(u32::MAX);
            notices.push((CONNECT_RETRIED, delay, text));
            notices
        }
        _ => Vec::new(),
    }
}

/// The number of the connection's descriptor. It may belong to another connection when the event is
/// read.
fn descriptor_of(peer: &Peer) -> u32 {
    peer.descriptor().map_or(0, i32::unsigned_abs)
}

/// libzmq's event for a failed handshake, with its value.
fn failure(reason: &Reason) -> (u16, u32) {
    match reason {
        Reason::Protocol(WireError::Denied(denial)) => denied(denial),
        Reason::Protocol(WireError::Refused { reason }) => match reason.parse() {
            Ok(status) => (HANDSHAKE_FAILED_AUTH, status),
            Err(_) => (HANDSHAKE_FAILED_PROTOCOL, 0x1000_0015),
        },
        Reason::Protocol(WireError::Mismatch(_)) => (HANDSHAKE_FAILED_PROTOCOL, 0x1100_0002),
        Reason::Protocol(WireError::Protocol(error)) => (HANDSHAKE_FAILED_PROTOCOL, code_of(error)),
        Reason::Protocol(WireError::Timeout(_)) => {
            (HANDSHAKE_FAILED_NO_DETAIL, libc::ETIMEDOUT.unsigned_abs())
        }
        _ => (HANDSHAKE_FAILED_NO_DETAIL, number_of(reason)),
    }
}

/// libzmq's code for a broken rule.
fn code_of(error: &ProtocolError) -> u32 {
    match error {
        ProtocolError::Unexpected { .. } => 0x1000_0001,
        ProtocolError::Nonce { .. } => 0x1000_0002,
        ProtocolError::Command { command, .. } => match *command {
            "MESSAGE" => 0x1000_0012,
            "HELLO" => 0x1000_0013,
            "INITIATE" => 0x1000_0014,
            "ERROR" => 0x1000_0015,
            "READY" => 0x1000_0016,
            "WELCOME" => 0x1000_0017,
            _ => 0x1000_0011,
        },
        ProtocolError::Metadata { .. } => 0x1000_0018,
        ProtocolError::BadBox { .. } | ProtocolError::WeakKey { .. } | ProtocolError::Vouch => {
            0x1100_0001
        }
        _ => 0x1000_0000,
    }
}

fn denied(denial: &Denial) -> (u16, u32) {
    if denial.text() == zap::NO_HANDLER {
        return (HANDSHAKE_FAILED_NO_DETAIL, libc::EFAULT.unsigned_abs());
    }
    if let Some(code) = zap::fault_of(denial.text()) {
        return (HANDSHAKE_FAILED_PROTOCOL, code);
    }
    let status = match denial.status() {
        Status::Temporary => 300,
        Status::Refused => 400,
        _ => 500,
    };
    (HANDSHAKE_FAILED_AUTH, status)
}

/// The system's error number, if the system failed.
fn number_of(reason: &Reason) -> u32 {
    match reason {
        Reason::Transport(error) => Errno::from(&**error).0.unsigned_abs(),
        _ => libc::EPIPE.unsigned_abs(),
    }
}
