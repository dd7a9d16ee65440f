//! The options of a socket's connections.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use zmtp_socket::{CurveKeyPair, EndpointOptions, Heartbeat, Host, Keepalive, Reconnect};

use crate::context::Context;
use crate::options::{self, Mechanism, Options};
use crate::zap::Handler;

/// A time so long that it never ends.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The options of the connections through one endpoint, at the time when it was opened.
#[derive(Debug)]
pub(crate) struct Terms {
    options: Options,
    handler: Handler,
    /// The local address to dial from, and the descriptor to listen on, if given.
    pub(crate) source: Option<SocketAddr>,
    pub(crate) listener: Option<OwnedFd>,
    pub(crate) proxy: Option<(Host, u16)>,
}

impl Terms {
    pub(crate) fn new(options: &Options, context: &Arc<Context>) -> Self {
        Self {
            options: options.clone(),
            handler: Handler::of(&context.engine, options.octets(options::ROUTING_ID)),
            source: None,
            listener: None,
            proxy: None,
        }
    }

    /// Sets the options. Connections inside the process need neither authentication nor heartbeats.
    pub(crate) fn apply(self, link: EndpointOptions, is_local: bool) -> EndpointOptions {
        let Self { options, handler, source, listener, proxy } = self;
        let is_raw = options.is_raw();
        let int = |number| options.int(number);
        let milliseconds = |number| Duration::from_millis(int(number).max(0).unsigned_abs().into());
        let or_never = |number| match int(number) {
            0 => NEVER,
            _ => milliseconds(number),
        };
        let limit = u64::try_from(options.max_message).unwrap_or(u64::MAX);
        let mut link = link
            .max_message_size(limit)
            .max_message_parts(usize::MAX)
            .handshake_timeout(or_never(options::HANDSHAKE_IVL))
            .connect_timeout(or_never(options::CONNECT_TIMEOUT))
            .reconnect(reconnect(&options))
            .keepalive(keepalive(&options))
            .ipv6_only(false);
        let identity = options.octets(options::ROUTING_ID);
        if !identity.is_empty() && !is_raw {
            link = link.identity(identity);
        }
        link = link.announce_empty_identity(true);
        if is_local {
            return link;
        }
        if let Some(source) = source {
            link = link.source(source);
        }
        if let Some((host, port)) = proxy {
            link = link.socks_proxy(host, port);
        }
        if let Some(listener) = listener {
            link = link.listen_on(listener);
        }
        if let Ok(backlog) = u32::try_from(int(options::BACKLOG)) {
            link = link.backlog(backlog);
        }
        if !options.filters.is_empty() {
            let filters = options.filters.clone();
            link = link.accept_if(move |peer| filters.let_in(peer));
        }
        if int(options::HEARTBEAT_IVL) > 0 && !is_raw {
            link = link.heartbeat(heartbeat(&options));
        }
        if let Ok(octets @ 1..) = u32::try_from(int(options::SNDBUF)) {
            link = link.send_buffer(octets);
        }
        if let Ok(octets @ 1..) = u32::try_from(int(options::RCVBUF)) {
            link = link.receive_buffer(octets);
        }
        if let Ok(octet @ 1..) = u8::try_from(int(options::TOS)) {
            link = link.type_of_service(octet);
        }
        if int(options::TCP_MAXRT) > 0 {
            link = link.user_timeout(milliseconds(options::TCP_MAXRT));
        }
        let device = options.octets(options::BINDTODEVICE);
        if !device.is_empty() {
            link = link.bind_device(String::from_utf8_lossy(&device).into_owned());
        }
        if is_raw {
            return link.raw(options.flag(options::STREAM_NOTIFY));
        }
        secured(link.signature_first(true), &options, handler)
    }
}

/// Sets the mechanism and the judge of peers.
fn secured(link: EndpointOptions, options: &Options, handler: Handler) -> EndpointOptions {
    let domain = options.octets(options::ZAP_DOMAIN);
    let domain = String::from_utf8_lossy(&domain).into_owned();
    let keys = || CurveKeyPair::from(options.secret_key());
    let link = match (options.mechanism, options.is_server) {
        (Mechanism::Null, _) => link,
        // The handler decides whether a name is known. Without a handler, libzmq lets nobody in.
        (Mechanism::Plain, true) => link.plain_server_with(|_| true),
        (Mechanism::Plain, false) => {
            let (name, password) = (options::PLAIN_USERNAME, options::PLAIN_PASSWORD);
            link.plain_client(options.octets(name), options.octets(password))
        }
        (Mechanism::Curve, true) => link.curve_server(keys()),
        (Mechanism::Curve, false) => {
            let ours = options.public_key(options::CURVE_PUBLICKEY);
            let keys = CurveKeyPair::with_public(options.secret_key(), ours);
            link.curve_client(options.public_key(options::CURVE_SERVERKEY), keys)
        }
    };
    let is_asked = match options.mechanism {
        Mechanism::Null => !domain.is_empty(),
        Mechanism::Plain | Mechanism::Curve => options.is_server,
    };
    if !is_asked {
        return link;
    }
    let needs_handler =
        options.mechanism == Mechanism::Plain || options.flag(options::ZAP_ENFORCE_DOMAIN);
    link.domain(domain).authorize(move |request| handler.clone().ask(request, needs_handler))
}

fn reconnect(options: &Options) -> Reconnect {
    let (first, longest) =
        (options.int(options::RECONNECT_IVL), options.int(options::RECONNECT_IVL_MAX));
    let Ok(first @ 1..) = u64::try_from(first) else {
        return Reconnect::new(NEVER, NEVER);
    };
    let longest = u64::try_from(longest).unwrap_or(0).max(first);
    Reconnect::new(Duration::from_millis(first), Duration::from_millis(longest))
}

fn heartbeat(options: &Options) -> Heartbeat {
    let every = options.int(options::HEARTBEAT_IVL).max(0).unsigned_abs();
    let every = Duration::from_millis(every.into());
    let mut heartbeat = Heartbeat::every(every);
    heartbeat.timeout = match u64::try_from(options.int(options::HEARTBEAT_TIMEOUT)) {
        // PINGs are sent, and no answer is waited for.
        Ok(0) => Duration::MAX,
        Ok(timeout) => Duration::from_millis(timeout),
        Err(_) => every,
    };
    let ttl = options.int(options::HEARTBEAT_TTL).max(0).unsigned_abs();
    heartbeat.for_any_version().with_any_ttl(Duration::from_millis(ttl.into()))
}

fn keepalive(options: &Options) -> Option<Keepalive> {
    if options.int(options::TCP_KEEPALIVE) != 1 {
        return None;
    }
    let mut keepalive = Keepalive::default();
    let seconds = |number| u64::try_from(options.int(number)).ok().filter(|it| *it > 0);
    if let Some(idle) = seconds(options::TCP_KEEPALIVE_IDLE) {
        keepalive.idle = Duration::from_secs(idle);
    }
    if let Some(interval) = seconds(options::TCP_KEEPALIVE_INTVL) {
        keepalive.interval = Duration::from_secs(interval);
    }
    if let Some(probes) = seconds(options::TCP_KEEPALIVE_CNT) {
        keepalive.probes = u32::try_from(probes).unwrap_or(u32::MAX);
    }
    Some(keepalive)
}
