//! Options that only some systems support.

use std::io;

use crate::endpoint::{Endpoint, IpcAddress};
use crate::options::{LinkOptions, Security};

/// Linux or Android, which has the same kernel.
pub(super) const LINUX: bool = cfg!(any(target_os = "android", target_os = "linux"));

/// The systems where `IPV6_TCLASS` can be set.
const TRAFFIC_CLASS: bool = cfg!(any(
    target_os = "android",
    target_os = "dragonfly",
    target_os = "freebsd",
    target_os = "linux",
    target_os = "macos",
    target_os = "netbsd",
));

/// Checks that this system supports all that `options` ask for at `endpoint`. An option that it does not
/// support is refused, and not ignored.
///
/// # Errors
/// [`Unsupported`](io::ErrorKind::Unsupported), with the name of what is missing.
pub(crate) fn check(endpoint: &Endpoint, options: &LinkOptions) -> io::Result<()> {
    if options.raw.is_some()
        && (!matches!(endpoint, Endpoint::Tcp { .. })
            || !matches!(options.security, Security::Null)
            || options.heartbeat.is_some())
    {
        let reason = "raw peers know of tcp alone, and neither of mechanisms nor of heartbeats";
        return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
    }
    let tcp = &options.tcp;
    let asked_for = match endpoint {
        _ if endpoint.is_over_tcp() => [
            ("user_timeout", tcp.user_timeout.is_some(), LINUX),
            ("bind_device", tcp.device.is_some(), LINUX),
            ("type_of_service", tcp.type_of_service.is_some(), TRAFFIC_CLASS),
        ],
        Endpoint::Ipc(address) => [
            ("ipc", true, cfg!(unix)),
            ("an abstract name", matches!(address, IpcAddress::Abstract(_)), LINUX),
            ("ipc_mode", options.ipc_mode.is_some(), cfg!(unix)),
        ],
        _ => return Ok(()),
    };
    refuse_missing(&asked_for)
}

/// Checks that a judge is asked about the peers of an endpoint that is to be bound: a client does not judge servers.
///
/// # Errors
/// [`InvalidInput`](io::ErrorKind::InvalidInput).
pub(super) fn check_judge(options: &LinkOptions) -> io::Result<()> {
    let is_client = match options.security {
        Security::PlainClient { .. } => true,
        #[cfg(feature = "curve")]
        Security::CurveClient { .. } => true,
        _ => false,
    };
    if options.judge.is_some() && is_client {
        let reason = "a client's judge would not be asked: bind as a server of the mechanism, or without one";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    Ok(())
}

/// Names the first option that is asked for and not supported.
fn refuse_missing(asked_for: &[(&str, bool, bool)]) -> io::Result<()> {
    match asked_for.iter().find(|(_, is_asked_for, is_there)| *is_asked_for && !is_there) {
        None => Ok(()),
        Some((what, ..)) => {
            let reason = format!("{what} is not supported on {}", std::env::consts::OS);
            Err(io::Error::new(io::ErrorKind::Unsupported, reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_and_missing_is_refused_by_name() {
        let rows = [("a", false, false), ("b", false, true), ("c", true, true)];
        refuse_missing(&rows).expect("all is there that is asked for");
        let error = refuse_missing(&[rows[2], ("d", true, false)]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        let system = std::env::consts::OS;
        assert_eq!(error.to_string(), format!("d is not supported on {system}"));
    }
}
