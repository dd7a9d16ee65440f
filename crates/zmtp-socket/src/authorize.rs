//! Who may come in.

use std::collections::HashSet;
use std::fmt;
use std::future::{Ready, ready};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use ipnet::IpNet;
use zmtp_codec::{Allowed, Credentials, CurvePublicKey, Denial};

use crate::Peer;

/// What a peer is told that may not come in: the status of RFC 27 (Status Codes and Text) for it, which
/// libzmq understands.
const DENIED: &str = "400";

/// Somebody who asks to come in: what a judge sees (see
/// [`authorize`](crate::PubOptions::authorize)).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Claim {
    /// The connection: its endpoint, and the remote address.
    pub peer: Peer,
    /// The mechanism, and what the peer has said or proven in it.
    pub credentials: Credentials,
}

/// Lets a peer in, and says who it is; or does not, and says why.
pub type Verdict = Result<Allowed, Denial>;

/// A verdict to come.
pub(crate) type Judging = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// Who judges.
#[derive(Clone)]
pub(crate) struct Judge(Arc<dyn Fn(Claim) -> Judging + Send + Sync>);

impl Judge {
    pub(crate) fn new<F: Future<Output = Verdict> + Send + 'static>(
        judge: impl Fn(Claim) -> F + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(move |claim| Box::pin(judge(claim))))
    }

    pub(crate) fn judge(&self, claim: Claim) -> Judging {
        (self.0)(claim)
    }
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Judge")
    }
}

/// Not allowed.
pub(crate) fn denied() -> Denial {
    Denial::new(DENIED)
}

/// A judge for [`authorize`](crate::PubOptions::authorize): lets in only CURVE clients with one of these
/// keys. The user id is the key as text.
pub fn allow_keys(
    keys: impl IntoIterator<Item = CurvePublicKey>,
) -> impl Fn(Claim) -> Ready<Verdict> + Send + Sync + 'static {
    // These are public: how long a look takes tells nothing.
    let keys: HashSet<CurvePublicKey> = keys.into_iter().collect();
    move |claim| {
        ready(match claim.credentials {
            Credentials::Curve { public_key } if keys.contains(&public_key) => {
                Ok(Allowed::new().user_id(public_key.to_string()))
            }
            _ => Err(denied()),
        })
    }
}

/// A judge for [`authorize`](crate::PubOptions::authorize): lets in only peers from these ranges of
/// addresses, under any mechanism; nobody over ipc and inproc, which have no such addresses.
pub fn allow_addresses(
    ranges: impl IntoIterator<Item = IpNet>,
) -> impl Fn(Claim) -> Ready<Verdict> + Send + Sync + 'static {
    let ranges: Vec<IpNet> = ranges.into_iter().collect();
    move |claim| {
        let address = claim.peer.address().parse::<SocketAddr>().ok().map(|it| it.ip());
        // An IPv4 peer at an IPv6 endpoint is meant by its own address.
        let address = address.map(|it| it.to_canonical());
        let is_within = |address: IpAddr| ranges.iter().any(|range| range.contains(&address));
        ready(match address.is_some_and(is_within) {
            true => Ok(Allowed::new()),
            false => Err(denied()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Endpoint;
    use crate::peer::PeerId;

    fn claim(address: &str, credentials: Credentials) -> Claim {
        let peer = Peer::new(PeerId(1), Endpoint::Inproc("test".into()), address);
        Claim { peer, credentials }
    }

    #[test]
    fn ranges_of_addresses_are_those_of_the_other_side() {
        let judge = allow_addresses(["10.1.0.0/16", "::1/128"].map(|it| it.parse().unwrap()));
        let rows = [
            ("10.1.2.3:5556", true),
            ("10.2.2.3:5556", false),
            ("[::1]:5556", true),
            ("[::2]:5556", false),
            ("[::ffff:10.1.2.3]:5556", true),
            ("/run/feed", false),
        ];
        for (address, allowed) in rows {
            let verdict = judge(claim(address, Credentials::Null)).into_inner();
            assert_eq!(verdict.is_ok(), allowed, "{address}");
        }
    }

    #[test]
    fn keys_are_those_on_the_list() {
        let [known, unknown] = [[1; 32], [2; 32]].map(CurvePublicKey::from);
        let judge = allow_keys([known]);
        let verdict =
            |public_key| judge(claim("x", Credentials::Curve { public_key })).into_inner();
        assert_eq!(verdict(known), Ok(Allowed::new().user_id(known.to_string())));
        assert!(verdict(unknown).is_err());
        assert!(judge(claim("x", Credentials::Null)).into_inner().is_err());
    }
}
