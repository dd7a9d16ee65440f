//! No module names one above it, and every import names the module that defines the name.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules of the root, from the lowest up: each may name those before it, so there is no circle.
const MODULES: [&str; 21] = [
    "text",
    "wire",
    "randomness",
    "socket_type",
    "version",
    "mechanism_name",
    "denial",
    "error",
    "greeting",
    "frame",
    "metadata",
    "message",
    "message_ref",
    "batch",
    "command",
    "subscription",
    "mechanism",
    "config",
    "handshake",
    "connection",
    "observer",
];

/// Modules that only the root names.
const ROOT: [&str; 2] = ["lib", "tokio_codec"];

fn height(module: &str) -> Option<usize> {
    MODULES.iter().position(|other| *other == module)
}

/// The files of the crate, and the module of the root that each belongs to.
fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut sources) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let below = path.strip_prefix(&root).expect("it is below");
            let module = Path::new(below.components().next().expect("a name").as_os_str());
            let module = module.file_stem().expect("a name").to_string_lossy().into_owned();
            sources.push((path, module));
        }
    }
    sources
}

#[test]
fn no_module_names_one_above_it() {
    let mut named = 0;
    for (path, module) in sources() {
        let height_of_module = height(&module);
        assert!(height_of_module.is_some() || ROOT.contains(&&*module), "{module} has no height");
        let source = fs::read_to_string(&path).expect("a file of text");
        // A link in the documentation may lead anywhere.
        let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            for name in line.split("crate::").skip(1) {
                let name = name.split(|it: char| !(it.is_alphanumeric() || it == '_')).next();
                let name = name.unwrap_or_default();
                named += 1;
                let other = height(name);
                let is_low_enough = match height_of_module {
                    Some(ours) => other.is_some_and(|other| other <= ours),
                    None => other.is_some() || ROOT.contains(&name),
                };
                assert!(is_low_enough, "{}: {line}", path.display());
            }
        }
    }
    assert!(named > 100, "only {named} names were found");
}
