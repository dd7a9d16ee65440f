//! The server's states: WELCOME, then a verdict, then READY.
//!
//! Until a client has authenticated with INITIATE, the server keeps neither a key of the client nor
//! its own key for this connection: both are in the cookie, which the client holds (RFC 26, The
//! WELCOME Command). RFC 26 lets one cookie key serve many clients, if it is discarded soon. Here
//! each connection has a cookie key of its own, as with libzmq, which is stricter: the key is
//! dropped at the first INITIATE, good or bad, or with the connection, whose handshake has a
//! deadline. So a cookie is valid for one connection, and once.

use bytes::{Bytes, BytesMut};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::boxes::{SharedKey, long_nonce, short_nonce};
use super::channel::Channel;
use super::{
    COOKIE_NONCE, HELLO, INITIATE_NONCE, READY_NONCE, VOUCH_NONCE, WELCOME, WELCOME_NONCE, bad_box,
    begin, data, hello_nonce, malformed, rising, weak_key,
};
use crate::command::Name;
use crate::config::Config;
use crate::error::{Error, ProtocolError};
use crate::handshake::{Done, judge};
use crate::mechanism::curve::{
    COOKIE, CurveKeyPair, CurvePublicKey, CurveSecretKey, READY, TAG, VOUCH,
};
use crate::mechanism::{Allowed, Applicant, Credentials};
use crate::metadata::Metadata;

/// Waits for the first command of the client.
#[derive(Debug)]
pub(crate) struct AwaitHello {
    pub(crate) keys: CurveKeyPair,
}

impl AwaitHello {
    /// Takes HELLO, and sends WELCOME. The transient keys go into the cookie, and are not kept.
    pub(crate) fn handle(
        self,
        body: BytesMut,
        config: &Config,
        out: &mut BytesMut,
    ) -> Result<AwaitInitiate, Error> {
        let mut data = data(body, Name::Hello)?;
        let cut = || malformed(Name::Hello, "it must have 200 octets");
        if data.len() != HELLO {
            return Err(cut());
        }
        let (version, data) = data.split_first_chunk_mut::<2>().ok_or_else(cut)?;
        if *version != [1, 0] {
            return Err(malformed(Name::Hello, "its version must be 1.0"));
        }
        let (padding, data) = data.split_first_chunk_mut::<72>().ok_or_else(cut)?;
        if *padding != [0; 72] {
            return Err(malformed(Name::Hello, "its padding must be zeros"));
        }
        let (client, data) = data.split_first_chunk_mut::<32>().ok_or_else(cut)?;
        let client = CurvePublicKey::from(*client);
        let (number, boxed) = data.split_first_chunk_mut().ok_or_else(cut)?;
        let number = u64::from_be_bytes(*number);
        // This costs one key agreement. A client that does not know our key gets no further.
        let shared = SharedKey::agree(self.keys.secret(), &client)
            .ok_or_else(|| weak_key("the client's transient key"))?;
        if shared.unbox(&hello_nonce(number), boxed).is_none_or(|opened| *opened != [0; 64]) {
            return Err(bad_box("HELLO"));
        }

        let mut secrets = config.randomness.begin();
        let secret = secrets.draw::<32>()?;
        let cookie_key = SharedKey::symmetric(&*secrets.draw()?);
        let cookie_nonce = *secrets.draw()?;
        let welcome_nonce = *secrets.draw()?;

        let mut cookie = BytesMut::with_capacity(COOKIE);
        cookie.extend_from_slice(&cookie_nonce);
        let kept = [&client.as_octets()[..], &*secret];
        cookie_key.append(&long_nonce(COOKIE_NONCE, &cookie_nonce), &kept, &mut cookie);

        begin(Name::Welcome, WELCOME, out);
        out.extend_from_slice(&welcome_nonce);
        let transient = CurveSecretKey::from(*secret).public();
        let told = [&transient.as_octets()[..], &cookie];
        shared.append(&long_nonce(WELCOME_NONCE, &welcome_nonce), &told, out);
        Ok(AwaitInitiate { keys: self.keys, cookie_key, heard: number })
    }
}

/// WELCOME is sent. Only a number is kept of the client.
#[derive(Debug)]
pub(crate) struct AwaitInitiate {
    /// Shared by all connections.
    keys: CurveKeyPair,
    cookie_key: SharedKey,
    /// The short nonce of HELLO: that of INITIATE must be above it (RFC 26, The HELLO Command).
    heard: u64,
}

impl AwaitInitiate {
    /// Takes INITIATE, by which the client authenticates.
    pub(crate) fn handle(
        self,
        body: BytesMut,
        config: &Config,
    ) -> Result<(AwaitVerdict, Applicant), Error> {
        let mut data = data(body, Name::Initiate)?;
        let cut = || malformed(Name::Initiate, "it must have 257 octets at least");
        if data.len() < COOKIE + 8 + TAG + 32 + VOUCH {
            return Err(cut());
        }
        let (cookie, sealed) = data.split_first_chunk_mut::<COOKIE>().ok_or_else(cut)?;
        let (random, boxed) = cookie.split_first_chunk_mut().ok_or_else(cut)?;
        let kept = self.cookie_key.unbox(&long_nonce(COOKIE_NONCE, random), boxed);
        let kept = kept.ok_or_else(|| bad_box("the cookie"))?;
        let (client, secret) = kept.split_first_chunk::<32>().ok_or_else(cut)?;
        let client = CurvePublicKey::from(*client);
        let transient = CurveSecretKey::from(*secret.first_chunk::<32>().ok_or_else(cut)?);
        // The opened cookie holds our secret key in clear.
        kept.zeroize();

        let (number, boxed) = sealed.split_first_chunk_mut().ok_or_else(cut)?;
        let number = u64::from_be_bytes(*number);
        rising(number, self.heard)?;
        let shared = SharedKey::agree(&transient, &client)
            .ok_or_else(|| weak_key("the client's transient key"))?;
        let opened = shared.unbox(&short_nonce(INITIATE_NONCE, number), boxed);
        let opened = opened.ok_or_else(|| bad_box("INITIATE"))?;

        let (public_key, rest) = opened.split_first_chunk_mut::<32>().ok_or_else(cut)?;
        let public_key = CurvePublicKey::from(*public_key);
        let (vouch, metadata) = rest.split_first_chunk_mut::<VOUCH>().ok_or_else(cut)?;
        let (random, boxed) = vouch.split_first_chunk_mut().ok_or_else(cut)?;
        let vouching = SharedKey::agree(&transient, &public_key)
            .ok_or_else(|| weak_key("the client's permanent key"))?;
        let vouched = vouching.unbox(&long_nonce(VOUCH_NONCE, random), boxed);
        let vouched = vouched.ok_or_else(|| bad_box("the vouch"))?;
        let (theirs, ours) = vouched.split_first_chunk::<32>().ok_or_else(cut)?;
        let genuine = theirs.ct_eq(client.as_octets()) & ours.ct_eq(self.keys.public().as_octets());
        if !bool::from(genuine) {
            return Err(ProtocolError::Vouch.into());
        }

        let metadata = Metadata::decode(Bytes::copy_from_slice(metadata))?;
        let mut done = judge(metadata, config)?;
        done.public_key = Some(public_key);
        let credentials = Credentials::Curve { public_key };
        let applicant = Applicant { credentials, metadata: done.metadata.clone() };
        Ok((AwaitVerdict { done, shared, heard: number }, applicant))
    }
}

/// The caller is judging the client's key; nothing is read meanwhile.
#[derive(Debug)]
pub(crate) struct AwaitVerdict {
    done: Done,
    /// The key of the two transient keys.
    shared: SharedKey,
    heard: u64,
}

impl AwaitVerdict {
    /// Sends READY, which ends the handshake.
    pub(crate) fn allow(mut self, allowed: Allowed, config: &Config, out: &mut BytesMut) -> Done {
        let number = 1_u64;
        let mut metadata = BytesMut::new();
        config.ready_metadata().encode(&mut metadata);
        begin(Name::Ready, (READY - 6).saturating_add(metadata.len()), out);
        out.extend_from_slice(&number.to_be_bytes());
        self.shared.append(&short_nonce(READY_NONCE, number), &[&metadata], out);
        self.done.allowed = allowed;
        self.done.channel = Some(Box::new(Channel::of_server(&self.shared, number, self.heard)));
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_welcome_and_initiate_there_is_our_key_the_cookies_and_a_number() {
        let ours = size_of::<CurveKeyPair>() + size_of::<SharedKey>();
        let of_the_client = size_of::<u64>();
        assert_eq!(size_of::<AwaitInitiate>(), ours + of_the_client);
        // Both hold only their octets, with nothing behind a pointer except the secret, which all
        // share.
        assert_eq!(size_of::<SharedKey>(), 32);
        assert_eq!(size_of::<CurveKeyPair>(), 32 + size_of::<usize>());
    }
}
