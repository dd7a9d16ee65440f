//! How often each fault has occurred at each stage.

use std::fmt;

use super::plan::{Kind, Stage};
use super::run::Outcome;

type Cells = [[u64; Kind::ALL.len()]; Stage::ALL.len()];

#[derive(Debug, Default)]
pub(super) struct Table {
    all: Cells,
    /// Those in which a peer was judged.
    judged: Cells,
    /// Those in which the subscriber ended the subscription to a message that a sender waited to send.
    taken_back: u64,
    connections: u64,
    received: u64,
}

impl Table {
    pub(super) fn count(&mut self, outcome: &Outcome) {
        let (stage, kind) = (outcome.stage as usize, outcome.kind as usize);
        self.all[stage][kind] += 1;
        self.judged[stage][kind] += u64::from(outcome.judged);
        self.taken_back += u64::from(outcome.taken_back);
        self.connections += outcome.connections;
        self.received += outcome.received;
    }

    pub(super) fn expect_no_empty_cell(&self) {
        for cells in [&self.all, &self.judged] {
            for (row, stage) in cells.iter().zip(Stage::ALL) {
                for (count, kind) in row.iter().zip(Kind::ALL) {
                    assert!(*count > 0, "{kind:?} has not hit at {stage:?}");
                }
            }
        }
        assert!(self.taken_back > 0, "nothing was taken back");
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_cells(f, "", &self.all)?;
        write_cells(f, "judged", &self.judged)?;
        writeln!(f, "{} took back what a sender waited to send", self.taken_back)?;
        write!(f, "{} connections, {} messages received", self.connections, self.received)
    }
}

fn write_cells(f: &mut fmt::Formatter<'_>, name: &str, cells: &Cells) -> fmt::Result {
    write!(f, "{name:14}")?;
    for kind in Kind::ALL {
        write!(f, "{:>10}", format!("{kind:?}"))?;
    }
    for (row, stage) in cells.iter().zip(Stage::ALL) {
        write!(f, "\n{:14}", format!("{stage:?}"))?;
        for count in row {
            write!(f, "{count:>10}")?;
        }
    }
    writeln!(f)
}
