//! How often which fault has hit at which stage.

use std::fmt;

use super::plan::{Kind, Stage};
use super::run::Outcome;

#[derive(Debug, Default)]
pub(super) struct Table {
    cells: [[u64; Kind::ALL.len()]; Stage::ALL.len()],
    connections: u64,
    received: u64,
}

impl Table {
    pub(super) fn count(&mut self, outcome: &Outcome) {
        self.cells[outcome.stage as usize][outcome.kind as usize] += 1;
        self.connections += outcome.connections;
        self.received += outcome.received;
    }

    pub(super) fn expect_no_empty_cell(&self) {
        for (row, stage) in self.cells.iter().zip(Stage::ALL) {
            for (count, kind) in row.iter().zip(Kind::ALL) {
                assert!(*count > 0, "{kind:?} has not hit at {stage:?}");
            }
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:14}", "")?;
        for kind in Kind::ALL {
            write!(f, "{:>10}", format!("{kind:?}"))?;
        }
        for (row, stage) in self.cells.iter().zip(Stage::ALL) {
            write!(f, "\n{:14}", format!("{stage:?}"))?;
            for count in row {
                write!(f, "{count:>10}")?;
            }
        }
        write!(f, "\n{} connections, {} messages received", self.connections, self.received)
    }
}
