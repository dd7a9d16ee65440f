//! The tests that the page on conformance names exist.

use std::fs;
use std::path::Path;

/// The abbreviations of the page.
const SHORT: &[(&str, &str)] = &[
    ("codec/", "crates/zmtp-codec/tests/codec/"),
    ("codec-src/", "crates/zmtp-codec/src/"),
    ("raw/", "tests/tests/raw/"),
    ("ws/", "tests/tests/ws/"),
    ("family/", "tests/tests/family/"),
    ("interop/", "tests/tests/interop/"),
    ("simulated/", "tests/tests/simulated/"),
    ("publish/", "crates/zmtp-socket/src/patterns/publish/"),
    ("unicast-src/", "crates/zmtp-socket/src/patterns/unicast/"),
];

#[test]
fn each_test_that_the_page_on_conformance_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(root.join("docs/conformance.md")).expect("the page");
    let mut named = 0;
    for (file, test) in page.split('`').filter_map(|code| code.split_once(".rs::")) {
        let short = SHORT.iter().find_map(|(short, long)| Some((long, file.strip_prefix(short)?)));
        let path = short.map_or(format!("{file}.rs"), |(long, rest)| format!("{long}{rest}.rs"));
        let source =
            fs::read_to_string(root.join(&path)).unwrap_or_else(|it| panic!("{path}: {it}"));
        let (before, _) = source
            .split_once(&format!("fn {test}("))
            .unwrap_or_else(|| panic!("{path} has no {test}"));
        let attributes = before.rsplit("\n\n").next().unwrap_or_default();
        assert!(attributes.contains("test]") || attributes.contains("test("), "{test} is no test");
        named += 1;
    }
    assert!(named > 50, "only {named} tests are named");
}

#[test]
fn each_row_of_the_page_has_four_cells_and_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(root.join("docs/conformance.md")).expect("the page");
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| Clause"));
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 4, "{row}");
        assert!(cells[2].contains(".rs::") && !cells[3].is_empty(), "{row}");
    }
}
