//! The client's side of SOCKS 5 (RFC 1928), without authentication.

use std::io;
use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::endpoint::Host;

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const CONNECT: u8 = 1;
const SUCCEEDED: u8 = 0;

const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// Asks the proxy at the other end of `stream` to connect it to a host. A name is looked up by the proxy.
pub(super) async fn open(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    host: &Host,
    port: u16,
) -> io::Result<()> {
    stream.write_all(&[VERSION, 1, NO_AUTHENTICATION]).await?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).await?;
    if chosen != [VERSION, NO_AUTHENTICATION] {
        return Err(refused("the proxy wants authentication, or speaks no SOCKS 5"));
    }
    stream.write_all(&request(host, port)?).await?;
    let mut reply = [0; 4];
    stream.read_exact(&mut reply).await?;
    let [version, outcome, _, kind] = reply;
    if version != VERSION || outcome != SUCCEEDED {
        return Err(refused(&format!("the proxy cannot connect: reply {outcome}")));
    }
    // The address that the proxy connects from does not matter here.
    let length = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => stream.read_u8().await?.into(),
        _ => return Err(refused("the proxy names an address of an unknown kind")),
    };
    let mut rest = [0; 255 + 2];
    stream.read_exact(&mut rest[..length + 2]).await?;
    Ok(())
}

fn request(host: &Host, port: u16) -> io::Result<Vec<u8>> {
    let mut request = vec![VERSION, CONNECT, 0];
    match host {
        Host::Ip(IpAddr::V4(ip)) => {
            request.push(IPV4);
            request.extend(ip.octets());
        }
        Host::Ip(IpAddr::V6(ip)) => {
            request.push(IPV6);
            request.extend(ip.octets());
        }
        Host::Name(name) => {
            let length = u8::try_from(name.len()).map_err(|_| refused("the name is too long"))?;
            request.extend([NAME, length]);
            request.extend(name.as_bytes());
        }
        Host::Any => return Err(io::ErrorKind::InvalidInput.into()),
    }
    request.extend(port.to_be_bytes());
    Ok(request)
}

fn refused(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionRefused, what)
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    /// The octets that we send to a proxy with these answers, and the outcome.
    async fn ask(host: &str, answers: &[u8]) -> (Vec<u8>, bool) {
        let host = match host.parse::<IpAddr>() {
            Ok(ip) => Host::Ip(ip),
            Err(_) => Host::Name(host.to_owned()),
        };
        let (mut near, mut far) = duplex(1000);
        far.write_all(answers).await.unwrap();
        far.shutdown().await.unwrap();
        let opened = open(&mut near, &host, 5556).await.is_ok();
        drop(near);
        let mut asked = Vec::new();
        far.read_to_end(&mut asked).await.unwrap();
        (asked, opened)
    }

    #[tokio::test]
    async fn a_host_is_asked_for_by_its_name_or_its_address() {
        let granted = [5, 0, 5, 0, 0, 1, 1, 2, 3, 4, 0, 80];
        let (asked, opened) = ask("127.0.0.1", &granted).await;
        assert!(opened);
        assert_eq!(asked, [5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, 0x15, 0xb4]);
        let (asked, opened) = ask("a.b", &granted).await;
        assert!(opened);
        assert_eq!(asked, [5, 1, 0, 5, 1, 0, 3, 3, b'a', b'.', b'b', 0x15, 0xb4]);
        let (asked, _) = ask("::1", &granted).await;
        assert_eq!(asked[6..8], [4, 0]);
        assert_eq!(asked.len(), 3 + 4 + 16 + 2);
    }

    #[tokio::test]
    async fn a_proxy_that_does_not_grant_it_is_a_refusal() {
        let rows: [&[u8]; 6] = [
            &[],
            &[4, 0],
            &[5, 2],
            &[5, 255],
            &[5, 0, 5, 5, 0, 1, 0, 0, 0, 0, 0, 0],
            &[5, 0, 5, 0, 0, 9, 0, 0, 0, 0, 0, 0],
        ];
        for answers in rows {
            assert!(!ask("127.0.0.1", answers).await.1, "{answers:?}");
        }
        let named = [5, 0, 5, 0, 0, 3, 1, b'x', 0, 80];
        assert!(ask("127.0.0.1", &named).await.1);
        assert!(!ask("127.0.0.1", &named[..9]).await.1, "it is cut");
    }
}
