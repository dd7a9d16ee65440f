//! Builds libzmq with the flags of `.cargo/config.toml` and links it statically.

fn main() {
    println!("cargo:rerun-if-env-changed=CXXFLAGS");
    zeromq_src::Build::new().with_libsodium(None).build();
}
