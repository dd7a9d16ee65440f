//! Serialisation of public types where a derive is not enough.

use std::time::Duration;

use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use crate::endpoint::Endpoint;
use crate::peer::{Peer, PeerId};

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for PeerId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl Serialize for Peer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut peer = serializer.serialize_struct("Peer", 3)?;
        peer.serialize_field("id", &self.id())?;
        peer.serialize_field("endpoint", self.endpoint())?;
        peer.serialize_field("address", self.address())?;
        peer.end()
    }
}

/// Serialises a duration in seconds, as most monitoring systems expect it.
pub(crate) fn seconds<S: Serializer>(age: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(age.as_secs_f64())
}
