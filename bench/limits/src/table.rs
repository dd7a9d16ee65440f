//! What was measured, as a table.

use std::io;
use std::time::Duration;

use crate::trial::{Cost, Trial};
use crate::victim::Library;

const HEADER: [&str; 12] = [
    "attack",
    "victim",
    "before, MiB",
    "peak",
    "held",
    "octets each",
    "reserved",
    "after",
    "connections kept",
    "took, s",
    "newcomer, ms",
    "remark",
];

/// Cells from here to the last are numbers.
const FIRST_NUMBER: usize = 2;

#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<[String; HEADER.len()]>,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self { rows: vec![HEADER.map(str::to_owned)] }
    }

    pub(crate) fn add(&mut self, trial: &Trial<'_>, library: Library, result: &io::Result<Cost>) {
        let attack = trial.name.clone();
        let victim = format!("{library}, {}{}", trial.role, trial.bounds);
        self.rows.push(match result {
            Ok(cost) => [
                attack,
                victim,
                mib(cost.before),
                mib(cost.peak),
                mib(cost.held),
                cost.each.map_or_else(none, |octets| octets.to_string()),
                mib(cost.reserved),
                mib(cost.after),
                format!("{} of {}", cost.kept, cost.connections),
                format!("{:.1}", cost.took.as_secs_f64()),
                cost.newcomer.map_or_else(|| "not served".into(), milliseconds),
                cost.remark.clone(),
            ],
            Err(error) => {
                let mut row = [(); HEADER.len()].map(|()| none());
                (row[0], row[1]) = (attack, victim);
                row[HEADER.len() - 1] = format!("**failed: {error}**");
                row
            }
        });
    }

    pub(crate) fn markdown(&self) -> String {
        let mut lines: Vec<String> = self.rows.iter().map(|row| line(row)).collect();
        let last = HEADER.len() - 1;
        let is_number = |column| (FIRST_NUMBER..last).contains(&column);
        let rule = (0..=last).map(|column| if is_number(column) { "---:|" } else { "---|" });
        lines.insert(1, format!("|{}", rule.collect::<String>()));
        lines.join("\n")
    }

    /// The same for a terminal: columns of one width.
    pub(crate) fn text(&self) -> String {
        let width = |column: usize| {
            self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..HEADER.len()).map(width).collect();
        let padded = |row: &[String; HEADER.len()]| {
            let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}  "));
            cells.collect::<String>().trim_end().to_owned()
        };
        self.rows.iter().map(padded).collect::<Vec<_>>().join("\n")
    }

    /// The row that came last, as a line of progress.
    pub(crate) fn last(&self) -> String {
        let told = HEADER.iter().zip(self.rows.last().into_iter().flatten());
        let told = told.map(|(name, cell)| format!("{name} {cell}"));
        told.skip(FIRST_NUMBER).collect::<Vec<_>>().join(", ")
    }
}

fn line(row: &[String]) -> String {
    format!("| {} |", row.join(" | "))
}

fn none() -> String {
    "–".into()
}

fn mib(octets: u64) -> String {
    format!("{:.1}", octets as f64 / f64::from(1 << 20))
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}
