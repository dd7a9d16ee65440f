//! The index of subscriptions beside others: prints one table in Markdown, and a line of progress for
//! each of its rows. Every row is measured in a process of its own, so that no row finds memory that
//! an earlier one has given back.
//!
//! A row can be had alone: `index zipcodes 10000 ours`.

mod maps;
mod peer;
mod row;
mod sockets;
mod workload;

use std::env;
use std::process::{Command, exit};

use crate::row::Row;
use crate::workload::Workload;

const COUNTS: [u32; 5] = [1, 100, 10_000, 100_000, 1_000_000];

/// Who is compared, and how a row of it is measured.
type Entrant = (&'static str, fn(&Workload) -> Row);

const ENTRANTS: [Entrant; 5] = [
    ("ours", maps::measure::<maps::Ours>),
    ("fast_radix_trie", maps::measure::<maps::FastRadixTrie>),
    ("patricia_tree", maps::measure::<maps::PatriciaTree>),
    ("ours, whole socket", sockets::measure::<sockets::Ours>),
    ("libzmq, whole socket", sockets::measure::<sockets::Libzmq>),
];

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments[..] {
        [] => table(),
        [topics, count, name] => println!("{}", row(topics, count, name)),
        _ => {
            eprintln!("usage: index [TOPICS COUNT NAME]");
            exit(2);
        }
    }
}

fn table() {
    println!("| topics | subscriptions | | octets each | wanted, ns | unwanted, ns | change, ns |");
    println!("|---|---:|---|---:|---:|---:|---:|");
    for topics in workload::TOPICS {
        for count in COUNTS {
            for (name, _) in ENTRANTS {
                let row = in_a_process_of_its_own(topics.name, count, name);
                eprintln!("# {topics}, {count}, {name}: {row}", topics = topics.name);
                println!("| {topics} | {count} | {name} | {row} |", topics = topics.name);
            }
        }
    }
}

fn in_a_process_of_its_own(topics: &str, count: u32, name: &str) -> String {
    let program = env::current_exe().expect("the path of this program");
    let run = Command::new(program).args([topics, &count.to_string(), name]).output();
    let output = run.expect("this program can be run");
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        eprintln!("# {topics}, {count}, {name}: {}\n{complaint}", output.status);
        exit(1);
    }
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

fn row(topics: &str, count: &str, name: &str) -> Row {
    let kind = workload::TOPICS.into_iter().find(|it| it.name == topics);
    let entrant = ENTRANTS.into_iter().find(|(it, _)| *it == name);
    let (Some(kind), Ok(count), Some((_, measure))) = (kind, count.parse(), entrant) else {
        eprintln!("no such row: {topics} {count} {name}");
        exit(2);
    };
    measure(&Workload::new(&kind, count))
}
