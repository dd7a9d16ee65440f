//! A test that no layer names one above it.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules of each layer, from the lowest up. Those of one layer may name each other.
const LAYERS: [&[&str]; 6] = [
    &["prefix_map", "sync"],
    // The public vocabulary.
    &["endpoint", "error", "log", "metrics", "monitor", "options", "peer", "serialize", "stats"],
    &["engine"],
    &["receive", "send"],
    &["patterns"],
    &["sockets"],
];

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The files of the crate, tests aside, and the module of the root that each belongs to.
fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut sources) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
            if path.is_dir() && stem != "tests" {
                folders.push(path);
            } else if path.is_file() && stem != "tests" {
                let below = path.strip_prefix(&root).expect("it is below");
                let first = below.components().next().expect("a name");
                let module = Path::new(&first).file_stem().expect("a name");
                let module = module.to_string_lossy().into_owned();
                sources.push((path, module));
            }
        }
    }
    sources
}

#[test]
fn no_layer_names_one_above_it() {
    let mut named = 0;
    for (path, module) in sources() {
        // The root, which re-exports what is public, and what the tests and the fuzz targets need.
        let Some(layer) = layer_of(&module) else {
            assert!(["lib", "layers", "fuzzing"].contains(&&*module), "{module} has no layer");
            continue;
        };
        let source = fs::read_to_string(&path).expect("a file of text");
        let code = source.split("#[cfg(test)]\nmod").next().expect("at least nothing");
        // A link in the documentation may lead anywhere.
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for name in line.split("crate::").skip(1) {
                let name = name.split(|it: char| !(it.is_alphanumeric() || it == '_')).next();
                let Some(other) = name.and_then(layer_of) else { continue };
                named += 1;
                assert!(other <= layer, "{}: {line}", path.display());
            }
        }
    }
    assert!(named > 100, "only {named} names were found");
}
