//! Authorization of peers.

#[cfg(feature = "curve")]
use std::collections::HashSet;
use std::fmt;
#[cfg(any(feature = "curve", feature = "ipnet"))]
use std::future::Ready;
use std::future::ready;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

#[cfg(feature = "ipnet")]
use ipnet::IpNet;
#[cfg(feature = "curve")]
use zmtp_codec::CurvePublicKey;
use zmtp_codec::{Allowed, Applicant, Credentials, Denial, MechanismName, Metadata};

use crate::options::{LinkOptions, Security};
use crate::peer::Peer;

/// A peer that asks to be let in, as a judge sees it (see
/// [`authorize`](crate::PubOptions::authorize)). It has the fields of a request of RFC 27.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuthRequest {
    /// The connection: its endpoint, and the other side's address as the transport names it. Its
    /// [`info`](Peer::info) is not there yet.
    pub peer: Peer,
    /// The value of the option [`domain`](crate::PubOptions::domain).
    pub domain: Arc<str>,
    /// The other side's IP address; `None` over ipc and inproc. An IPv4 peer at an IPv6 endpoint has
    /// its IPv4 address here.
    pub address: Option<IpAddr>,
    /// The credentials that the peer has given or proven, by the rules of the mechanism.
    pub credentials: Credentials,
    /// The metadata that the peer has announced so far. Under CURVE it is complete and authenticated.
    /// Under NULL and PLAIN it is empty: there a peer announces its metadata only once it is let in,
    /// and [`Peer::info`] has it then.
    pub metadata: Metadata,
}

impl AuthRequest {
    fn new(peer: &Peer, domain: &Arc<str>, applicant: Applicant) -> Self {
        Self {
            peer: peer.clone(),
            domain: domain.clone(),
            address: peer.socket_addr().map(|it| it.ip().to_canonical()),
            credentials: applicant.credentials,
            metadata: applicant.metadata,
        }
    }

    /// The name of the mechanism.
    pub fn mechanism(&self) -> MechanismName {
        self.credentials.mechanism()
    }

    /// The property Identity of the [metadata](Self::metadata), if it is there; publishers and
    /// subscribers announce none.
    pub fn identity(&self) -> Option<&[u8]> {
        self.metadata.identity()
    }
}

/// Lets a peer in, with a user id; or refuses it, with a reason.
pub type Verdict = Result<Allowed, Denial>;

/// A verdict to come.
pub(crate) type Authorizing = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// The judge, as a function.
#[derive(Clone)]
pub(crate) struct Authorizer(Arc<dyn Fn(AuthRequest) -> Authorizing + Send + Sync>);

impl Authorizer {
    pub(crate) fn new<F: Future<Output = Verdict> + Send + 'static>(
        judge: impl Fn(AuthRequest) -> F + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(move |claim| Box::pin(judge(claim))))
    }
}

impl fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorizer")
    }
}

/// Begins to judge a peer: first by name and password, where the mechanism has them, and then by the
/// judge.
pub(crate) fn judge(options: &LinkOptions, peer: &Peer, applicant: Applicant) -> Authorizing {
    let mut name = None;
    if let Security::PlainServer(allow) = &options.security {
        match &applicant.credentials {
            plain @ Credentials::Plain { username, .. } if allow(plain) => {
                name = Some(username.clone());
            }
            _ => {
                let denial = Denial::refused("name and password were not accepted");
                return Box::pin(ready(Err(denial)));
            }
        }
    }
    let judging = options
        .judge
        .as_ref()
        .map(|judge| (judge.0)(AuthRequest::new(peer, &options.domain, applicant)));
    Box::pin(async move {
        let mut allowed = match judging {
            Some(judging) => judging.await?,
            None => Allowed::new(),
        };
        // A peer that has given a password is known by its name, unless the judge gives it another
        // user id.
        allowed.user_id = allowed.user_id.or(name);
        Ok(allowed)
    })
}

/// A judge for [`authorize`](crate::PubOptions::authorize): lets in only CURVE clients with one of these
/// keys. The user id is the key as text.
#[cfg(feature = "curve")]
pub fn allow_keys(
    keys: impl IntoIterator<Item = CurvePublicKey>,
) -> impl Fn(AuthRequest) -> Ready<Verdict> + Send + Sync + 'static {
    // These keys are public, so the time of a look-up gives no secret away.
    let keys: HashSet<CurvePublicKey> = keys.into_iter().collect();
    move |claim| {
        ready(match claim.credentials {
            Credentials::Curve { public_key } if keys.contains(&public_key) => {
                Ok(Allowed::new().user_id(public_key.to_string()))
            }
            Credentials::Curve { public_key } => {
                Err(Denial::refused(format!("the key {public_key} is not on the list")))
            }
            _ => Err(Denial::refused("it has no key")),
        })
    }
}

/// A judge for [`authorize`](crate::PubOptions::authorize): lets in only peers from these ranges of
/// addresses, under any mechanism. Peers over ipc and inproc have no address and are refused.
#[cfg(feature = "ipnet")]
pub fn allow_addresses(
    ranges: impl IntoIterator<Item = IpNet>,
) -> impl Fn(AuthRequest) -> Ready<Verdict> + Send + Sync + 'static {
    let ranges: Vec<IpNet> = ranges.into_iter().collect();
    move |claim| {
        let is_within = |address: IpAddr| ranges.iter().any(|range| range.contains(&address));
        ready(match claim.address {
            Some(address) if is_within(address) => Ok(Allowed::new()),
            Some(_) => Err(Denial::refused("its address is in none of the ranges")),
            None => Err(Denial::refused("it has no address")),
        })
    }
}

#[cfg(all(test, any(feature = "curve", feature = "ipnet")))]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;
    use crate::peer::PeerId;

    fn claim(address: &str, applicant: impl Into<Applicant>) -> AuthRequest {
        let endpoint: Endpoint = "tcp://*:5556".parse().unwrap();
        let peer = Peer::new(PeerId(1), endpoint, address);
        AuthRequest::new(&peer, &"weather".into(), applicant.into())
    }

    #[cfg(feature = "curve")]
    #[test]
    fn a_claim_has_the_fields_of_rfc_27() {
        let mut applicant: Applicant = Credentials::Curve { public_key: [7; 32].into() }.into();
        applicant.metadata = Metadata::new().with("identity", "bob").unwrap();
        let claim = claim("[::ffff:192.168.55.1]:5556", applicant);
        let address = claim.address.unwrap().to_string();
        let mechanism = claim.mechanism().to_string();
        let fields = [&*claim.domain, &address, &mechanism];
        assert_eq!(fields, ["weather", "192.168.55.1", "CURVE"]);
        assert_eq!(claim.identity(), Some(&b"bob"[..]));
        assert_eq!(claim.credentials.frames(), [&[7; 32][..]]);
    }

    #[cfg(feature = "ipnet")]
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

    #[cfg(feature = "curve")]
    #[test]
    fn keys_are_those_on_the_list() {
        let [known, unknown] = [[1; 32], [2; 32]].map(CurvePublicKey::from);
        let judge = allow_keys([known]);
        let verdict =
            |public_key| judge(claim("x", Credentials::Curve { public_key })).into_inner();
        assert_eq!(verdict(known), Ok(Allowed::new().user_id(known.to_string())));
        assert!(verdict(unknown).unwrap_err().text().contains(&unknown.to_string()));
        assert!(judge(claim("x", Credentials::Null)).into_inner().is_err());
    }
}
