//! The seeds of the fuzz targets, replayed without a fuzzer, whole and cut short at every octet.

use std::{fs, path::PathBuf};

use zmtp_fuzz_harness::{TARGETS, Target};

fn replay(name: &str, target: Target) {
    let corpus = [env!("CARGO_MANIFEST_DIR"), "..", "fuzz", "corpus", name];
    let folder = corpus.iter().collect::<PathBuf>();
    let mut seeds = 0;
    for entry in fs::read_dir(&folder).expect("a corpus for every target") {
        let path = entry.expect("a readable folder").path();
        let octets = fs::read(&path).expect("a readable seed");
        println!("{}", path.display());
        for len in 0..=octets.len() {
            target(&octets[..len]);
        }
        seeds += 1;
    }
    assert!(seeds > 0, "no seeds in {}", folder.display());
}

#[test]
fn the_seeds_of_all_targets_pass() {
    for (name, target) in TARGETS {
        replay(name, target);
    }
}

#[test]
fn every_folder_of_seeds_belongs_to_a_target() {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for entry in fs::read_dir(corpus).expect("the corpus") {
        let name = entry.expect("a readable folder").file_name();
        assert!(TARGETS.iter().any(|(target, _)| name == *target), "{name:?}");
    }
}
