use std::{
    net::IpAddr,
    pin::pin,
    task::{Context as TaskContext, Poll, Waker},
};

use zmtp_socket::{
    BindError, ConnectError, Context, Endpoint, Host, IntoEndpoint, IpcAddress, PubOptions,
    SubOptions,
};

/// Parses any text as an endpoint, and uses it for each part of an endpoint that is built by hand.
///
/// A parsed endpoint prints a text that parses to the same endpoint. An error does not repeat a
/// text at length. Text, value and reference are the same endpoint. A value that does not parse
/// from its own text is refused. Errors of bind and connect are returned before anything is
/// attempted.
pub fn endpoint(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let read = text.parse::<Endpoint>();
    assert_eq!(text.as_str().into_endpoint(), read);
    assert_eq!((&text).into_endpoint(), read);
    assert_eq!(text.clone().into_endpoint(), read);
    match &read {
        Ok(endpoint) => {
            assert_eq!(endpoint.to_string().parse().as_ref(), Ok(endpoint));
            is_good(endpoint);
            goes_where_it_can(endpoint);
        }
        Err(error) => is_short(error),
    }
    by_hand(data, &text);
}

fn is_good(endpoint: &Endpoint) {
    assert_eq!(endpoint.into_endpoint().as_ref(), Ok(endpoint));
    assert_eq!(endpoint.clone().into_endpoint().as_ref(), Ok(endpoint));
}

fn is_short(error: &impl ToString) {
    // A character may take ten when it is escaped, and may be shown twice.
    let shown = error.to_string().chars().count();
    assert!(shown < 4500, "{shown} characters");
}

/// Without a runtime nothing is attempted, but the faults of an endpoint are reported first.
fn goes_where_it_can(endpoint: &Endpoint) {
    let context = Context::new();
    let publisher = context.pub_socket(PubOptions::new());
    let bound = pin!(publisher.bind(endpoint));
    let bound = bound.poll(&mut TaskContext::from_waker(Waker::noop()));
    assert!(matches!(bound, Poll::Ready(Err(BindError::NoRuntime(_)))));

    let connected = context.sub_socket(SubOptions::new()).connect(endpoint);
    match (endpoint, connected) {
        (
            Endpoint::Tcp { host: Host::Any, .. }
            | Endpoint::Tcp { port: 0, .. }
            | Endpoint::Ipc(IpcAddress::Any),
            connected,
        ) => {
            assert!(matches!(connected, Err(ConnectError::Endpoint(_))), "{endpoint} is for bind");
        }
        (_, connected) => assert!(matches!(connected, Err(ConnectError::NoRuntime(_)))),
    }
}

/// A value is valid exactly if its text parses to the same value.
fn by_hand(data: &[u8], text: &str) {
    let text = || text.to_owned();
    let port = data.first().map_or(0, |octet| u16::from(*octet) * 257);
    let address = <[u8; 16]>::try_from(data).map(IpAddr::from);
    let address = address.or_else(|_| <[u8; 4]>::try_from(data).map(IpAddr::from));
    let values = [
        Some(Endpoint::Tcp { host: Host::Name(text()), port }),
        Some(Endpoint::Ipc(IpcAddress::Path(text().into()))),
        Some(Endpoint::Ipc(IpcAddress::Abstract(text()))),
        Some(Endpoint::Inproc(text())),
        Some(Endpoint::Mem(text())),
        address.ok().map(|address| Endpoint::Tcp { host: Host::Ip(address), port }),
    ];
    for value in values.into_iter().flatten() {
        match value.to_string().parse::<Endpoint>() {
            Ok(read) if read == value => is_good(&value),
            _ => is_short(&value.clone().into_endpoint().expect_err("it is not what it prints")),
        }
    }
}
