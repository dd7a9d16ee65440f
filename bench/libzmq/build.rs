//! Builds libzmq with the flags of `.cargo/config.toml` and links it statically; with libsodium, for
//! CURVE, where that is installed.

use zeromq_src::{Build, LibLocation};

fn main() {
    println!("cargo:rerun-if-env-changed=CXXFLAGS");
    println!("cargo:rerun-if-env-changed=PKG_CONFIG_PATH");
    Build::new().with_libsodium(libsodium()).build();
}

fn libsodium() -> Option<LibLocation> {
    let directory = |name| pkg_config::get_variable("libsodium", name).ok();
    Some(LibLocation::new(directory("libdir")?, directory("includedir")?))
}
