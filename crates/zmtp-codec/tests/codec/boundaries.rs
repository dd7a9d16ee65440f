//! Names that must not occur in this crate: those of I/O, clocks and threads.

use std::fs;
use std::path::Path;

/// Words of clocks, streams and runtimes.
const FORBIDDEN: [&str; 8] = [
    "tokio::",
    "tokio_util::",
    "Instant",
    "SystemTime",
    "std::net",
    "std::thread",
    "std::fs",
    "std::io",
];

/// Cryptographic code fails closed: no default value may stand in for a key, a nonce or a text.
#[test]
fn nothing_of_curve_has_a_default() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let folders = ["mechanism/curve", "handshake/curve"].map(|folder| root.join(folder));
    for entry in folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap()) {
        let path = entry.unwrap().path();
        let source = fs::read_to_string(&path).unwrap();
        let code = source.split("#[cfg(test)]").next().unwrap();
        for word in ["unwrap_or_default", "unwrap_or(", "Default"] {
            assert!(!code.contains(word), "{word} in {}", path.display());
        }
    }
}

#[test]
fn the_codec_names_neither_tokio_nor_a_clock() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src")];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("tokio_codec.rs") {
                // The one file that may, and it is there only with the feature `tokio-util`.
                seen += 1;
                let source = fs::read_to_string(&path).unwrap();
                // A link in the documentation names the feature's crate; code may not.
                let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
                for (number, line) in code.enumerate() {
                    for word in FORBIDDEN {
                        assert!(!line.contains(word), "{}: {number}: {line}", path.display());
                    }
                }
            }
        }
    }
    assert!(seen > 15, "only {seen} files were read");
}
