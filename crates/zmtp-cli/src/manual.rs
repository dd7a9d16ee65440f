//! `zmtp completions` and `zmtp man`.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::{Args, Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::Cli;
use crate::ending::{Ending, Failure};

/// The footer of every manual page: a subcommand has no version of its own.
const SOURCE: &str = concat!("zmtp ", env!("CARGO_PKG_VERSION"));

/// `zmtp completions`
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self) -> Result<Ending, Failure> {
        // Into memory first, since the generator panics if the reader of its output has ended.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "zmtp", &mut script);
        io::Write::write_all(&mut io::stdout(), &script)?;
        Ok(Ending::Done)
    }
}

/// `zmtp man`
#[derive(Debug, Args)]
pub(crate) struct Manual {
    /// Where zmtp.1, zmtp-sub.1 and all others are written
    folder: PathBuf,
}

impl Manual {
    pub(crate) fn run(&self) -> Result<Ending, Failure> {
        fs::create_dir_all(&self.folder)
            .map_err(|error| format!("{}: {error}", self.folder.display()))?;
        let mut command = Cli::command().disable_help_subcommand(true);
        command.build();
        self.write(&command)?;
        Ok(Ending::Done)
    }

    /// Writes the page of a command, and the pages of its subcommands.
    fn write(&self, command: &Command) -> Result<(), Failure> {
        let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
        let file = self.folder.join(format!("{name}.1"));
        let mut page = Vec::new();
        Man::new(command.clone()).source(SOURCE).render(&mut page)?;
        fs::write(&file, page).map_err(|error| format!("{}: {error}", file.display()))?;
        println!("{}", file.display());
        command.get_subcommands().try_for_each(|below| self.write(below))
    }
}
