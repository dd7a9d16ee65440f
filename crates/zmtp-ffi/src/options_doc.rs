//! `docs/c-api.md` lists every option: these tests compare it with the table.

use std::path::Path;
use std::{env, fs};

use crate::options::{Access, Row, TABLE, Type};

fn line(row: &Row) -> String {
    let values = match row.values {
        Type::Int(0, 1) => "0 or 1".to_owned(),
        Type::Int(least, i32::MAX) => format!("int, {least} and up"),
        Type::Int(i32::MIN, most) => format!("int, up to {most}"),
        Type::Int(least, most) => format!("int, {least} to {most}"),
        Type::Long => "64 bits".to_owned(),
        Type::Octets(least, usize::MAX) => format!("octets, {least} and more"),
        Type::Octets(least, most) => format!("{least} to {most} octets"),
        Type::Text(_, usize::MAX) => "text".to_owned(),
        Type::Text(_, most) => format!("text, {most} octets at most"),
        Type::Key => "32 octets, or 40 characters of Z85".to_owned(),
    };
    let default = match row.values {
        Type::Int(..) | Type::Long => row.default.to_string(),
        _ => "empty".to_owned(),
    };
    let access = match row.access {
        Access::Both => "read, set",
        Access::Read => "read",
        Access::Write => "set",
    };
    let kinds = match row.kinds.len() {
        12 => "all".to_owned(),
        _ => row
            .kinds
            .iter()
            .map(|kind| format!("{kind:?}").to_uppercase())
            .collect::<Vec<_>>()
            .join(" "),
    };
    format!("| `{}` | {} | {values} | {default} | {access} | {kinds} |\n", row.name, row.number)
}

/// The page belongs to the repository: where the crate was unpacked from its package, there is nothing to compare.
#[test]
fn the_page_lists_the_options_of_the_code() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    if package.join("Cargo.toml.orig").exists() {
        return;
    }
    let path = package.join("../../docs/c-api.md");
    let page = fs::read_to_string(&path).expect("the page is in the repository");
    let head =
        "| option | number | values | default | access | sockets |\n|---|---|---|---|---|---|\n";
    let (before, rest) = page.split_once(head).expect("it has the table");
    let after = rest.split_once("\n\n").map_or("", |(_, after)| after);
    let mut rows: Vec<&Row> = TABLE.iter().collect();
    rows.sort_by_key(|row| row.number);
    let table: String = rows.into_iter().map(line).collect();
    let expected = format!("{before}{head}{table}\n{after}");
    if env::var_os("ZMTP_RENEW").is_some() {
        fs::write(&path, &expected).expect("it can be written");
    } else {
        assert!(page == expected, "ZMTP_RENEW=1 renews the table of docs/c-api.md");
    }
}
