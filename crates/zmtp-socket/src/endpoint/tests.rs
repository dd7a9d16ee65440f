use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

fn tcp(host: Host, port: u16) -> Endpoint {
    Endpoint::Tcp { host, port }
}

fn ip(address: impl Into<IpAddr>) -> Host {
    Host::Ip(address.into())
}

fn name(name: &str) -> Host {
    Host::Name(name.to_owned())
}

fn path(path: &str) -> Endpoint {
    Endpoint::Ipc(IpcAddress::Path(path.into()))
}

#[cfg(feature = "ws")]
fn ws(host: Host, port: u16, path: &str) -> Endpoint {
    Endpoint::Ws { host, port, path: path.into() }
}

fn message(text: &str) -> String {
    text.parse::<Endpoint>().expect_err(text).to_string()
}

#[test]
fn good_texts() {
    let table = [
        ("tcp://*:5556", tcp(Host::Any, 5556)),
        ("tcp://*:*", tcp(Host::Any, 0)),
        ("tcp://127.0.0.1:*", tcp(ip(Ipv4Addr::LOCALHOST), 0)),
        ("tcp://0.0.0.0:65535", tcp(ip(Ipv4Addr::UNSPECIFIED), 65535)),
        ("tcp://[::1]:5556", tcp(ip(Ipv6Addr::LOCALHOST), 5556)),
        ("tcp://[::]:*", tcp(ip(Ipv6Addr::UNSPECIFIED), 0)),
        ("tcp://localhost:1", tcp(name("localhost"), 1)),
        ("tcp://feed-1.my_net.example.:5556", tcp(name("feed-1.my_net.example."), 5556)),
        ("tcp://eth0:5556", tcp(name("eth0"), 5556)),
        ("tcp://1a:5556", tcp(name("1a"), 5556)),
        ("ipc:///run/feed.sock", path("/run/feed.sock")),
        ("ipc://relative path", path("relative path")),
        ("ipc://./@odd", path("./@odd")),
        ("ipc://@feed", Endpoint::Ipc(IpcAddress::Abstract("feed".into()))),
        ("ipc://*", Endpoint::Ipc(IpcAddress::Any)),
        ("ipc://./*", path("./*")),
        ("inproc://feed", Endpoint::Inproc("feed".into())),
        ("inproc://tcp://x", Endpoint::Inproc("tcp://x".into())),
    ];
    for (text, endpoint) in table {
        assert_eq!(text.parse::<Endpoint>().as_ref(), Ok(&endpoint), "{text}");
        assert_eq!(endpoint.to_string(), text);
    }
}

#[test]
fn tcp_alone_has_ports() {
    let table = [
        ("tcp://*:5556", Some(5556)),
        ("tcp://[::1]:*", Some(0)),
        ("ipc://5556", None),
        ("inproc://host:5556", None),
    ];
    for (text, port) in table {
        assert_eq!(text.parse::<Endpoint>().expect(text).port(), port, "{text}");
    }
}

#[test]
fn other_spellings() {
    let table = [
        ("tcp://127.0.0.1:0", "tcp://127.0.0.1:*"),
        ("tcp://*:0080", "tcp://*:80"),
        ("tcp://[0:0::0001]:5556", "tcp://[::1]:5556"),
    ];
    for (text, printed) in table {
        assert_eq!(text.parse::<Endpoint>().map(|it| it.to_string()).as_deref(), Ok(printed));
    }
}

#[test]
fn bad_texts() {
    const NO_TRANSPORT: &str =
        "no transport (expected transport://address, where the transport is {KNOWN})";
    let table = [
        ("", NO_TRANSPORT),
        ("127.0.0.1:5556", NO_TRANSPORT),
        ("tcp:/*:5556", NO_TRANSPORT),
        ("tpc://x", "unknown transport \"tpc\" (expected {KNOWN})"),
        ("TCP://*:1", "unknown transport \"TCP\" (expected {KNOWN})"),
        (" tcp://*:1", "unknown transport \" tcp\" (expected {KNOWN})"),
        ("://x", "unknown transport \"\" (expected {KNOWN})"),
        ("pgm://eth0;239.0.0.1:1", "unknown transport \"pgm\" (expected {KNOWN})"),
        ("tcp://", "no port (expected tcp://host:port)"),
        ("tcp://localhost", "no port (expected tcp://host:port)"),
        ("tcp://localhost:", "no port (expected tcp://host:port)"),
        ("tcp://[::1]", "no port (expected tcp://host:port)"),
        ("tcp://*:99999", "port \"99999\" is neither a number from 0 to 65535 nor *"),
        ("tcp://*:-1", "port \"-1\" is neither a number from 0 to 65535 nor *"),
        ("tcp://*:+1", "port \"+1\" is neither a number from 0 to 65535 nor *"),
        ("tcp://*:5556 ", "port \"5556 \" is neither a number from 0 to 65535 nor *"),
        ("tcp://*:5556/", "port \"5556/\" is neither a number from 0 to 65535 nor *"),
        ("tcp://:5556", "no host (expected tcp://host:port; tcp://*:port binds every address)"),
        ("tcp:// :5556", "host \" \" is not a name, an address or *"),
        ("tcp://a b:5556", "host \"a b\" is not a name, an address or *"),
        ("tcp://a..b:5556", "host \"a..b\" is not a name, an address or *"),
        ("tcp://.:5556", "host \".\" is not a name, an address or *"),
        ("tcp://a:b:5556", "host \"a:b\" is not a name, an address or *"),
        ("tcp://*.net:5556", "host \"*.net\" is not a name, an address or *"),
        ("tcp://gerät:5556", "host \"gerät\" is not a name, an address or *"),
        ("tcp://lo;host:5556", "host \"lo;host\" is not a name, an address or *"),
        (
            "tcp://256.0.0.1:5556",
            "host \"256.0.0.1\" is not an IPv4 address (expected four numbers from 0 to 255)",
        ),
        (
            "tcp://127.1:5556",
            "host \"127.1\" is not an IPv4 address (expected four numbers from 0 to 255)",
        ),
        ("tcp://::1", "an IPv6 address must be in brackets: tcp://[::1]:port"),
        (
            "tcp://fe80::1:2:5556",
            "an IPv6 address must be in brackets: tcp://[fe80::1:2:5556]:port",
        ),
        ("tcp://::1:*", "an IPv6 address must be in brackets: tcp://[::1]:port"),
        ("tcp://[::g]:5556", "\"::g\" in brackets is not an IPv6 address"),
        ("tcp://[127.0.0.1]:5556", "\"127.0.0.1\" in brackets is not an IPv6 address"),
        ("tcp://[]:5556", "\"\" in brackets is not an IPv6 address"),
        ("tcp://[fe80::1%eth0]:5556", "an IPv6 zone (%eth0) is not supported"),
        ("ipc://", "the path is empty"),
        ("ipc://@", "the abstract name is empty"),
        ("ipc://a\0b", "the path contains a NUL octet"),
        ("ipc://@a\0b", "the abstract name contains a NUL octet"),
        ("inproc://", "the name is empty"),
        ("inproc://\0", "the name contains a NUL octet"),
    ];
    for (text, reason) in table {
        let reason = reason.replace("{KNOWN}", KNOWN);
        assert_eq!(message(text), format!("endpoint {text:?}: {reason}"));
    }
}

#[cfg(feature = "ws")]
#[test]
fn texts_of_ws() {
    let table = [
        ("ws://*:*/feed", ws(Host::Any, 0, "/feed")),
        ("ws://[::1]:80/", ws(ip(Ipv6Addr::LOCALHOST), 80, "/")),
        ("ws://a.example:8080/a//b%20c:1", ws(name("a.example"), 8080, "/a//b%20c:1")),
    ];
    for (text, endpoint) in table {
        assert_eq!(text.parse::<Endpoint>().as_ref(), Ok(&endpoint), "{text}");
        assert_eq!(endpoint.to_string(), text);
    }
    #[cfg(feature = "wss")]
    for text in ["wss://*:*/feed", "wss://a.example:443/"] {
        let endpoint = text.parse::<Endpoint>().expect(text);
        assert!(matches!(endpoint, Endpoint::Wss { .. }) && endpoint.to_string() == text);
        assert_eq!(endpoint.for_connect().is_err(), text.contains('*'));
    }
    let short = "ws://127.0.0.1:80".parse::<Endpoint>().expect("a path may be missing");
    assert_eq!(short.to_string(), "ws://127.0.0.1:80/");
    let table = [
        ("ws:///feed", "no port"),
        ("ws://:1/feed", "no host"),
        ("ws://host/feed", "no port"),
        ("ws://host:x/feed", "port \"x\" is neither"),
        ("ws://a b:1/", "host \"a b\" is not a name"),
        ("ws://host:1/a b", "the path \"/a b\" is not an HTTP path"),
        ("ws://host:1/a?b", "the path \"/a?b\" is not an HTTP path"),
        ("ws://host:1/a#b", "the path \"/a#b\" is not an HTTP path"),
        ("ws://host:1/a\r\nX: y", "the path \"/a\\r\\nX: y\" is not an HTTP path"),
        ("ws://host:1/ä", "the path \"/ä\" is not an HTTP path"),
    ];
    for (text, reason) in table {
        assert!(
            message(text).contains(&format!("endpoint {text:?}: {reason}")),
            "{}",
            message(text)
        );
    }
    let long = |len| format!("ws://host:1/{}", "x".repeat(len));
    long(1023).parse::<Endpoint>().expect("as long as may be");
    assert!(message(&long(1024)).ends_with(": the path has 1025 octets; the limit is 1024"));
    for bad in ["ws://*:1/", "ws://host:*/"] {
        bad.parse::<Endpoint>().expect(bad).for_connect().expect_err(bad);
    }
    for bad in [ws(name("a b"), 1, "/"), ws(Host::Any, 1, ""), ws(Host::Any, 1, "feed")] {
        assert!((&bad).into_endpoint().is_err(), "{bad:?}");
    }
}

#[test]
fn lengths() {
    let table = [
        ("ipc:///", 106, "", "the path has 108 octets; the limit is 107"),
        ("ipc://@", 107, "", "the abstract name has 108 octets; the limit is 107"),
        ("inproc://", 256, "", "the name has 257 octets; the limit is 256"),
        ("tcp://a.a.a.", 63, ":1", "host \"a.a.a."),
        ("tcp://", 63, ":1", "host \""),
    ];
    for (before, most, after, reason) in table {
        let long = |len| format!("{before}{}{after}", "x".repeat(len));
        long(most).parse::<Endpoint>().expect("as long as may be");
        let error = message(&long(most + 1));
        assert!(error.contains(&format!(": {reason}")), "{error}");
    }
    let host = |len: usize| format!("tcp://{}:1", "a.".repeat(127)[..len].to_owned());
    host(253).parse::<Endpoint>().expect("as long as may be");
    assert!(message(&host(254)).ends_with(": the host name has 254 octets; the limit is 253"));
}

#[test]
fn errors_are_bounded() {
    let long = "ä".repeat(1 << 20);
    for text in
        [long.clone(), format!("{long}://x"), format!("tcp://{long}:1"), format!("tcp://x:{long}")]
    {
        let error = message(&text);
        assert!(error.chars().count() < 600, "{} characters", error.chars().count());
    }
}

#[test]
fn to_connect_needs_one_host_and_port() {
    let check = |text: &str| {
        let endpoint = text.parse::<Endpoint>().expect(text);
        endpoint.for_connect().map_err(|error| error.to_string())
    };
    for good in ["tcp://127.0.0.1:5556", "tcp://eth0:1", "ipc://x", "ipc://@x", "inproc://x"] {
        assert_eq!(check(good), Ok(()), "{good}");
    }
    assert_eq!(
        check("tcp://*:5556").unwrap_err(),
        "endpoint \"tcp://*:5556\": * means every address of this machine, and can only be \
         bound; to connect, name one host",
    );
    assert_eq!(
        check("tcp://localhost:0").unwrap_err(),
        "endpoint \"tcp://localhost:*\": port 0 (*) means any free port, and can only be bound; \
         to connect, name the port",
    );
    assert_eq!(
        check("ipc://*").unwrap_err(),
        "endpoint \"ipc://*\": * means any free path, and can only be bound; to connect, name the path",
    );
}

#[test]
fn values_are_checked_like_texts() {
    let bad = [
        tcp(name(""), 1),
        tcp(name("a b"), 1),
        tcp(name("127.0.0.1"), 1),
        path("*"),
        path("@feed"),
        Endpoint::Ipc(IpcAddress::Abstract(String::new())),
        Endpoint::Inproc(String::new()),
    ];
    for endpoint in bad {
        assert!((&endpoint).into_endpoint().is_err(), "{endpoint:?}");
    }
    let good = tcp(Host::Any, 5556);
    assert_eq!((&good).into_endpoint().as_ref(), Ok(&good));
    assert_eq!("tcp://*:5556".into_endpoint().as_ref(), Ok(&good));
    assert_eq!((&"tcp://*:5556".to_owned()).into_endpoint().as_ref(), Ok(&good));
    assert_eq!("tcp://*:5556".to_owned().into_endpoint().as_ref(), Ok(&good));
    assert_eq!(good.clone().into_endpoint(), Ok(good));
}

fn endpoints() -> impl Strategy<Value = Endpoint> {
    let host = prop_oneof![
        Just(Host::Any),
        any::<Ipv4Addr>().prop_map(ip),
        any::<Ipv6Addr>().prop_map(ip),
        "[a-z0-9_-]{0,20}(\\.[A-Z0-9]{0,5}){0,3}".prop_map(Host::Name),
    ];
    prop_oneof![
        (host, any::<u16>()).prop_map(|(host, port)| tcp(host, port)),
        Just(Endpoint::Ipc(IpcAddress::Any)),
        ".{0,120}".prop_map(|text| path(&text)),
        ".{0,120}".prop_map(|text| Endpoint::Ipc(IpcAddress::Abstract(text))),
        ".{0,300}".prop_map(Endpoint::Inproc),
    ]
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same(endpoint in endpoints()) {
        // A value is good exactly if what it prints is read back as itself.
        let read = endpoint.to_string().parse::<Endpoint>();
        prop_assert_eq!(read.as_ref() == Ok(&endpoint), endpoint.check().is_ok());
    }

    #[test]
    fn any_text_is_read_or_refused(
        text in "((tcp|ws|ipc|inproc|mem|.{0,5})://)?[\\[\\]@:*%.0-9a-z\\PC]{0,40}",
    ) {
        if let Ok(endpoint) = text.parse::<Endpoint>() {
            prop_assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
        }
    }
}
