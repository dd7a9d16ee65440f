//! Measurements as a table.

/// A column's name, and whether its cells are numbers.
pub(crate) type Column = (&'static str, bool);

/// Columns before this one say which row it is.
const FIRST_FIGURE: usize = 2;

#[derive(Debug)]
pub(crate) struct Table {
    columns: &'static [Column],
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(columns: &'static [Column]) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row with a cell for each column.
    pub(crate) fn add(&mut self, row: Vec<String>) {
        assert_eq!(row.len(), self.columns.len(), "a cell for each column");
        self.rows.push(row);
    }

    /// Adds a row that could not be measured, and says why in its last column.
    pub(crate) fn add_failure(&mut self, names: [String; FIRST_FIGURE], reason: &str) {
        let figures = self.columns.len() - FIRST_FIGURE - 1;
        let row = names.into_iter().chain((0..figures).map(|_| none()));
        self.rows.push(row.chain([format!("**failed: {reason}**")]).collect());
    }

    /// Prints the table, as Markdown or for a terminal.
    pub(crate) fn print(&self, markdown: bool) {
        println!("{}", if markdown { self.markdown() } else { self.text() });
    }

    fn markdown(&self) -> String {
        let rule = self.columns.iter().map(|(_, number)| if *number { "---:|" } else { "---|" });
        let rule = format!("|{}", rule.collect::<String>());
        let mut lines: Vec<String> = self.lines().map(|row| line(&row)).collect();
        lines.insert(1, rule);
        lines.join("\n")
    }

    /// The same for a terminal: columns of one width.
    fn text(&self) -> String {
        let width = |column: usize| {
            self.lines().map(|row| row[column].chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let padded = |row: Vec<String>| {
            let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}  "));
            cells.collect::<String>().trim_end().to_owned()
        };
        self.lines().map(padded).collect::<Vec<_>>().join("\n")
    }

    /// The row that came last, as a line of progress.
    pub(crate) fn last(&self) -> String {
        let told = self.columns.iter().zip(self.rows.last().into_iter().flatten());
        let told = told.map(|((name, _), cell)| format!("{name} {cell}"));
        told.skip(FIRST_FIGURE).collect::<Vec<_>>().join(", ")
    }

    /// The names of the columns, and the rows.
    fn lines(&self) -> impl Iterator<Item = Vec<String>> {
        let names = self.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        [names].into_iter().chain(self.rows.iter().cloned())
    }
}

fn line(row: &[String]) -> String {
    format!("| {} |", row.join(" | "))
}

/// The cell of what was not measured.
pub(crate) fn none() -> String {
    "–".into()
}

pub(crate) fn mib(octets: u64) -> String {
    format!("{:.1}", octets as f64 / f64::from(1 << 20))
}

pub(crate) fn milliseconds(time: std::time::Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}
