//! `zmtp`: ZeroMQ at the terminal. It publishes, subscribes, asks and answers, with every socket
//! type.

mod bench;
#[cfg(feature = "nats")]
mod bridge;
mod capture;
mod cli;
mod ending;
mod exec;
mod input;
mod inspect;
mod json;
mod keygen;
mod keys;
mod link;
mod manual;
mod notes;
mod output;
mod ping;
mod probe;
mod proxy;
mod role;
mod serving;
mod signals;
mod summary;
mod talk;
mod tap;
mod text;
mod top;
mod traffic;

use std::process::ExitCode;

use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let notes = notes::Notes::new(cli.verbosity());
    match cli.run(&notes).await {
        Ok(ending) => ending.into(),
        Err(failure) => ending::fail(failure, &notes),
    }
}
