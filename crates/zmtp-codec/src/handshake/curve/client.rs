//! The client's states: HELLO, then INITIATE.

use bytes::{Bytes, BytesMut};

use super::boxes::{SharedKey, long_nonce, short_nonce};
use super::channel::Channel;
use super::{
    HELLO, INITIATE_NONCE, READY_NONCE, VOUCH_NONCE, WELCOME, WELCOME_NONCE, bad_box, begin, data,
    hello_nonce, malformed, weak_key,
};
use crate::command::Name;
use crate::config::Config;
use crate::error::Error;
use crate::handshake::{Done, judge};
use crate::mechanism::curve::{COOKIE, CurveKeyPair, CurvePublicKey, CurveSecretKey, TAG, VOUCH};
use crate::metadata::Metadata;

/// HELLO is sent.
#[derive(Debug)]
pub(crate) struct AwaitWelcome {
    server_key: CurvePublicKey,
    keys: CurveKeyPair,
    transient: CurveSecretKey,
    transient_public: CurvePublicKey,
    vouch_nonce: [u8; 16],
    /// The key of our transient and the server's permanent key.
    shared: SharedKey,
}

/// The number of HELLO; INITIATE has the next one.
const FIRST: u64 = 1;

impl AwaitWelcome {
    pub(crate) fn begin(
        server_key: CurvePublicKey,
        keys: CurveKeyPair,
        config: &Config,
        out: &mut BytesMut,
    ) -> Result<Self, Error> {
        let mut secrets = config.randomness.begin();
        let transient = CurveSecretKey::from(*secrets.draw()?);
        let vouch_nonce = *secrets.draw()?;
        let transient_public = transient.public();
        let shared = SharedKey::agree(&transient, &server_key)
            .ok_or_else(|| weak_key("the server's permanent key"))?;

        // RFC 26: HELLO is larger than WELCOME, so that a forged sender address amplifies nothing.
        begin(Name::Hello, HELLO, out);
        out.extend_from_slice(&[1, 0]);
        out.extend_from_slice(&[0; 72]);
        out.extend_from_slice(transient_public.as_octets());
        out.extend_from_slice(&FIRST.to_be_bytes());
        shared.append(&hello_nonce(FIRST), &[&[0; 64]], out);
        Ok(Self { server_key, keys, transient, transient_public, vouch_nonce, shared })
    }

    /// Takes WELCOME, and sends INITIATE.
    pub(crate) fn handle(
        self,
        body: BytesMut,
        config: &Config,
        out: &mut BytesMut,
    ) -> Result<AwaitReady, Error> {
        let mut data = data(body, Name::Welcome)?;
        let cut = || malformed(Name::Welcome, "it must have 168 octets");
        if data.len() != WELCOME {
            return Err(cut());
        }
        let (random, boxed) = data.split_first_chunk_mut().ok_or_else(cut)?;
        let opened = self.shared.unbox(&long_nonce(WELCOME_NONCE, random), boxed);
        let opened = opened.ok_or_else(|| bad_box("WELCOME"))?;
        let (theirs, cookie) = opened.split_first_chunk::<32>().ok_or_else(cut)?;
        let theirs = CurvePublicKey::from(*theirs);

        let weak = || weak_key("the server's transient key");
        let shared = SharedKey::agree(&self.transient, &theirs).ok_or_else(weak)?;
        let vouching = SharedKey::agree(self.keys.secret(), &theirs).ok_or_else(weak)?;
        let mut vouch = BytesMut::with_capacity(VOUCH);
        vouch.extend_from_slice(&self.vouch_nonce);
        let vouched = [&self.transient_public.as_octets()[..], self.server_key.as_octets()];
        vouching.append(&long_nonce(VOUCH_NONCE, &self.vouch_nonce), &vouched, &mut vouch);

        let mut metadata = BytesMut::new();
        config.ready_metadata().encode(&mut metadata);
        let public_key = self.keys.public();
        let boxed = [&public_key.as_octets()[..], &vouch, &metadata];
        let boxed_len = boxed.iter().fold(TAG, |sum, part| sum.saturating_add(part.len()));
        let number = FIRST.saturating_add(1);
        begin(Name::Initiate, boxed_len.saturating_add(COOKIE).saturating_add(8), out);
        out.extend_from_slice(cookie);
        out.extend_from_slice(&number.to_be_bytes());
        shared.append(&short_nonce(INITIATE_NONCE, number), &boxed, out);
        Ok(AwaitReady { shared, sent: number })
    }
}

/// INITIATE is sent.
#[derive(Debug)]
pub(crate) struct AwaitReady {
    /// The key of the two transient keys.
    shared: SharedKey,
    sent: u64,
}

impl AwaitReady {
    /// Takes READY, which ends the handshake.
    pub(crate) fn handle(self, body: BytesMut, config: &Config) -> Result<Done, Error> {
        let mut data = data(body, Name::Ready)?;
        let Some((number, boxed)) = data.split_first_chunk_mut::<8>() else {
            return Err(malformed(Name::Ready, "it must have 30 octets at least"));
        };
        let number = u64::from_be_bytes(*number);
        if boxed.len() < TAG {
            return Err(malformed(Name::Ready, "it must have 30 octets at least"));
        }
        let opened = self.shared.unbox(&short_nonce(READY_NONCE, number), boxed);
        let metadata = Bytes::copy_from_slice(opened.ok_or_else(|| bad_box("READY"))?);
        let mut done = judge(Metadata::decode(metadata)?, config)?;
        done.channel = Some(Box::new(Channel::of_client(&self.shared, self.sent, number)));
        Ok(done)
    }
}
