//! The header and the list of options that stand in the repository are those of the code.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Holds a file against what it should be, or renews it if the environment says `ZMTP_RENEW=1`.
fn holds(path: &Path, expected: &str) {
    if env::var_os("ZMTP_RENEW").is_some() {
        fs::write(path, expected).expect("the file can be written");
    }
    let found = fs::read_to_string(path).expect("the file is in the repository");
    assert_eq!(found, expected, "ZMTP_RENEW=1 renews {}", path.display());
}

#[test]
fn the_header_is_made_of_our_declarations() {
    let config = cbindgen::Config::from_file(here("cbindgen.toml")).expect("it can be read");
    let mut header = Vec::new();
    let sources = ["src/border.rs", "src/constants.rs", "src/poll.rs"];
    let builder = cbindgen::Builder::new().with_config(config);
    let builder = sources.iter().fold(builder, |builder, source| builder.with_src(here(source)));
    builder.generate().expect("the sources can be read").write(&mut header);
    let header = String::from_utf8(header).expect("it is text");
    assert!(header.matches("zmq_").count() > 70, "it has the functions");
    holds(&here("include/zmq.h"), &header);
}
