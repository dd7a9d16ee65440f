//! `--exec`: runs a shell command for each message.

use std::io;
use std::num::NonZeroUsize;
use std::process::{ExitStatus, Stdio};

use clap::Args;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::task::JoinSet;
use zmtp_socket::{Message, Peer, Reply, RouterHandle, SendError};

use crate::json;
use crate::notes::Notes;

/// How many octets of a command's output its answer may have.
const MOST: u64 = 64 << 20;

/// The longest topic that is put into the environment.
const LONGEST_TOPIC: usize = 4096;

/// The command that runs for each message.
#[derive(Debug, Args)]
#[command(next_help_heading = "Commands")]
pub(crate) struct ExecArgs {
    /// Run this with sh -c for each message, which is on its standard input, with the first part in $ZMTP_TOPIC.
    /// rep and router reply with its output; a router leaves out the identity
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,

    /// How many commands may run at once
    #[arg(long, value_name = "N", default_value = "1", requires = "exec")]
    jobs: NonZeroUsize,
}

impl ExecArgs {
    /// The commands to run, if `--exec` is given.
    pub(crate) fn commands(&self, json: bool, notes: &Notes) -> Option<Commands> {
        let command = self.exec.clone()?;
        let (running, notes) = (JoinSet::new(), notes.clone());
        Some(Commands { command, json, jobs: self.jobs.get(), running, failed: 0, notes })
    }
}

/// The route back to the peer of a message.
#[derive(Debug)]
pub(crate) enum ReturnRoute {
    Reply(Reply),
    Named(RouterHandle, Peer),
}

impl ReturnRoute {
    /// Sends an answer to the peer.
    pub(crate) async fn answer(self, message: Message) -> Result<(), SendError> {
        match self {
            Self::Reply(reply) => reply.send(message).await,
            Self::Named(router, peer) => router.send_to(&peer, message).await,
        }
    }
}

/// The commands that run for messages.
#[derive(Debug)]
pub(crate) struct Commands {
    command: String,
    json: bool,
    jobs: usize,
    running: JoinSet<bool>,
    failed: u64,
    notes: Notes,
}

impl Commands {
    /// Starts the command for one message, after waiting for room. Its output is sent back to the
    /// peer if there is a `route`, and otherwise goes to standard output.
    pub(crate) async fn start(&mut self, input: Vec<u8>, topic: &[u8], route: Option<ReturnRoute>) {
        while self.running.len() >= self.jobs {
            self.await_one().await;
        }
        let mut command = Command::new("sh");
        command.arg("-c").arg(&self.command).stdin(Stdio::piped()).kill_on_drop(true);
        if let Ok(topic) = str::from_utf8(topic)
            && topic.len() <= LONGEST_TOPIC
            && !topic.contains('\0')
        {
            command.env("ZMTP_TOPIC", topic);
        }
        if route.is_some() {
            command.stdout(Stdio::piped());
        }
        let (json, notes) = (self.json, self.notes.clone());
        self.running.spawn(async move {
            let (mut is_good, output) = match run(command, &input).await {
                Ok((status, output)) if status.success() => (true, output),
                Ok((status, output)) => {
                    notes.warn(format_args!("--exec: the command ended with {status}"));
                    (false, output)
                }
                Err(error) => {
                    notes.warn(format_args!("--exec: {error}"));
                    (false, Vec::new())
                }
            };
            // An answer is always sent, since somebody waits for it.
            if let Some(route) = route
                && let Err(error) = route.answer(answer(output, json, &notes)).await
            {
                notes.warn(format_args!("a reply was not sent: {error}"));
                is_good = false;
            }
            is_good
        });
    }

    /// Waits until all commands have ended. Returns how many of all have failed.
    pub(crate) async fn finish(&mut self) -> u64 {
        while !self.running.is_empty() {
            self.await_one().await;
        }
        self.failed
    }

    async fn await_one(&mut self) {
        if let Some(ended) = self.running.join_next().await
            && !matches!(ended, Ok(true))
        {
            self.failed += 1;
        }
    }
}

/// Runs a command with this input; returns its output if that is a pipe.
async fn run(mut command: Command, input: &[u8]) -> io::Result<(ExitStatus, Vec<u8>)> {
    let mut child = command.spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let writing = async move {
        let Some(mut stdin) = stdin else { return };
        // A command need not read its input.
        let _ = stdin.write_all(input).await;
    };
    let reading = async move {
        let mut output = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(MOST).read_to_end(&mut output).await?;
        }
        Ok::<_, io::Error>(output)
    };
    let ((), output) = tokio::join!(writing, reading);
    Ok((child.wait().await?, output?))
}

/// The output of a command as a message. Text loses the end of its last line.
fn answer(mut output: Vec<u8>, json: bool, notes: &Notes) -> Message {
    if output.last() == Some(&b'\n') {
        output.pop();
    }
    if json {
        match json::parse(&output) {
            Ok(message) => return message,
            Err(error) => notes.warn(format_args!("--exec: the output is not JSON: {error}")),
        }
    }
    output.into()
}
