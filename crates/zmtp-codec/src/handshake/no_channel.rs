//! Without the feature `curve`, no mechanism seals traffic, and there is no channel.

use bytes::BytesMut;

use crate::config::Limits;
use crate::error::ProtocolError;

/// Takes the place of CURVE's channel; no value of it can be made.
#[derive(Debug)]
pub(crate) enum Channel {}

#[expect(clippy::needless_pass_by_ref_mut, reason = "the signatures are those of CURVE's channel")]
impl Channel {
    pub(crate) fn seal<'a>(&mut self, _: impl Iterator<Item = &'a [u8]>, _: &mut BytesMut) {
        match *self {}
    }

    pub(crate) fn write(&mut self, _: &mut BytesMut, _: impl FnOnce(&mut BytesMut)) {
        match *self {}
    }

    pub(crate) fn take(
        &mut self,
        _: &mut BytesMut,
        _: u64,
        _: &Limits,
    ) -> Result<BytesMut, ProtocolError> {
        match *self {}
    }

    pub(crate) fn keep(&mut self, _: BytesMut) {
        match *self {}
    }
}
