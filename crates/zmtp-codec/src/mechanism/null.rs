//! NULL: both sides send READY (RFC 23, The NULL Security Mechanism).

use bytes::BytesMut;

use super::{Progress, judge, unexpected};
use crate::config::Config;
use crate::{Command, Error};

/// Our READY is sent; the peer's must come.
#[derive(Debug)]
pub(crate) struct AwaitReady;

impl AwaitReady {
    pub(super) fn begin(config: &Config, out: &mut BytesMut) -> Self {
        Command::Ready(config.ready_metadata()).encode(out);
        Self
    }

    pub(super) fn handle(self, command: Command, config: &Config) -> Result<Progress, Error> {
        match command {
            Command::Ready(metadata) => Ok(Progress::Done(judge(metadata, None, config)?)),
            other => Err(unexpected(&other, "READY")),
        }
    }
}
