//! The code that the tests share: peers of libzmq and pyzmq, peers made of literal octets, a network
//! with every kind of fault, and calls that are dropped at each of their waits.

pub mod cancel;
pub mod census;
pub mod guard;
pub mod libzmq;
pub mod matrix;
pub mod network;
pub mod node;
pub mod pyzmq;
pub mod raw;
pub mod sealed;
pub mod secured;
pub mod seed;
pub mod story;
pub mod theirs;
pub mod wiretap;

/// The programs of the READMEs, of the guide and of the page on patterns, compiled and run with the
/// tests. They are not tests of the crate that they describe, since its published package does not
/// include these pages.
#[cfg(doctest)]
mod pages {
    macro_rules! pages {
        ($($page:ident = $file:literal),+ $(,)?) => {$(
            #[doc = include_str!(concat!("../../", $file))]
            struct $page;
        )+};
    }

    pages! {
        Readme = "README.md",
        Patterns = "docs/patterns.md",
        Codec = "crates/zmtp-codec/README.md",
        Socket = "crates/zmtp-socket/README.md",
        Concepts = "docs/guide/concepts.md",
        Security = "docs/guide/security.md",
        Tuning = "docs/guide/tuning.md",
        Observing = "docs/guide/observing.md",
        Migrating = "docs/guide/migrating.md",
    }
}
