//! Peers in Node: `node/peer.js` in a process of its own. The package `zeromq` has libzmq with its
//! WebSocket transport, the package `jszmq` another implementation, in JavaScript alone.

use std::env;
use std::ffi::OsString;
use std::path::Path;

use tokio::process::Command;

use crate::pyzmq::Pyzmq;

/// The implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// libzmq.
    Zeromq,
    /// The one in JavaScript.
    Jszmq,
}

impl Library {
    /// The name of its package.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zeromq => "zeromq",
            Self::Jszmq => "jszmq",
        }
    }

    /// Starts a process that has no socket yet. Without `ZMTP_NODE_MODULES`, the folder with the
    /// packages, prints a note and returns `None`; that is a failure if `ZMTP_REQUIRE_NODE` is 1.
    pub fn start(self) -> Option<Pyzmq> {
        self.start_trusting(None)
    }

    /// Does the same, with a process that trusts the certificates in a PEM file.
    pub fn start_trusting(self, certificates: Option<&Path>) -> Option<Pyzmq> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("node/peer.js");
        let mut program = Command::new("node");
        program.arg(script).arg(self.name()).env("NODE_PATH", modules()?);
        if let Some(file) = certificates {
            program.env("NODE_EXTRA_CA_CERTS", file);
        }
        Some(Pyzmq::of(&mut program))
    }
}

fn modules() -> Option<OsString> {
    let modules = env::var_os("ZMTP_NODE_MODULES");
    if modules.is_none() {
        let required = env::var_os("ZMTP_REQUIRE_NODE").is_some_and(|value| value == "1");
        assert!(!required, "ZMTP_REQUIRE_NODE is 1 and ZMTP_NODE_MODULES names no folder");
        eprintln!("nothing tested: ZMTP_NODE_MODULES names no folder with zeromq and jszmq");
    }
    modules
}
