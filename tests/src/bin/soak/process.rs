//! A child process as the conductor sees it: it gets commands as lines, is killed, and its memory is
//! measured.

use std::collections::HashMap;
use std::io;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::PATIENCE;
use crate::child::Spec;

/// The reports of all children that no command asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct News(Arc<Mutex<Totals>>);

#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) broken: Vec<String>,
    pub(crate) received: u64,
    pub(crate) octets: u64,
    pub(crate) dropped: u64,
    pub(crate) links: u64,
}

/// A running child.
pub(crate) struct Process {
    child: Child,
    input: ChildStdin,
    answers: HashMap<u32, mpsc::UnboundedReceiver<String>>,
    reader: JoinHandle<()>,
}

impl News {
    pub(crate) fn totals(&self) -> Totals {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, kind: &str, rest: &str) {
        let totals = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kind == "!" {
            return totals.broken.push(rest.to_owned());
        }
        let counts =
            [&mut totals.received, &mut totals.octets, &mut totals.dropped, &mut totals.links];
        for (count, more) in counts.into_iter().zip(rest.split(' ')) {
            *count += more.parse::<u64>().expect("a child tells numbers");
        }
    }
}

impl Process {
    pub(crate) fn start(nodes: &[Spec], news: &News) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("child")
            .args(nodes.iter().map(Spec::to_string))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take().expect("it is piped");
        let output = child.stdout.take().expect("it is piped");
        let (senders, answers) = nodes.iter().map(|spec| channel(spec.node)).unzip();
        let reader = tokio::spawn(read(output, senders, news.clone()));
        Ok(Self { child, input, answers, reader })
    }

    /// Sends a command to a node; its [answer](Self::answer) has to be fetched.
    pub(crate) async fn tell(&mut self, node: u32, command: &str) -> Result<(), String> {
        let line = format!("{node} {command}\n");
        let written = self.input.write_all(line.as_bytes()).await;
        written.map_err(|error| format!("node {node} cannot be told \"{command}\": {error}"))
    }

    pub(crate) async fn answer(&mut self, node: u32) -> Result<String, String> {
        let answers = self.answers.get_mut(&node).expect("it is one of its nodes");
        match timeout(PATIENCE, answers.recv()).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(format!("the process of node {node} has ended by itself")),
            Err(_elapsed) => Err(format!("node {node} has not answered for {PATIENCE:?}")),
        }
    }

    /// Kills it as `kill -9` does.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("a child can be killed");
        self.reader.await.expect("no panic");
    }

    /// Lets it close its sockets and end. Its input stays open until then: at the end of its input it
    /// would end at once.
    pub(crate) async fn quit(mut self) -> Result<(), String> {
        // If it has ended already, its status shows that.
        let _gone = self.input.write_all(b"quit\n").await;
        let ended = timeout(PATIENCE, async {
            self.reader.await.expect("no panic");
            self.child.wait().await
        });
        match ended.await {
            Ok(Ok(status)) if status.success() => Ok(()),
            other => Err(format!("a process did not end well: {other:?}")),
        }
    }

    /// Octets of memory in use.
    pub(crate) fn memory(&self) -> u64 {
        self.child.id().and_then(|id| memory_of(&id.to_string())).unwrap_or(0)
    }
}

/// Octets of memory in use by a process (VmRSS).
pub(crate) fn memory_of(process: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
}

type Sender = (String, mpsc::UnboundedSender<String>);
type Receiver = (u32, mpsc::UnboundedReceiver<String>);

fn channel(node: u32) -> (Sender, Receiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    ((node.to_string(), sender), (node, receiver))
}

/// Reads all output of a child. The last line may be incomplete, if it was killed.
async fn read(
    output: ChildStdout,
    nodes: HashMap<String, mpsc::UnboundedSender<String>>,
    news: News,
) {
    let mut output = BufReader::new(output);
    let mut line = String::new();
    while let Ok(1..) = output.read_line(&mut line).await
        && let Some(whole) = line.strip_suffix('\n')
    {
        let (to, rest) = whole.split_once(' ').expect("a line has two words");
        match nodes.get(to) {
            // There is no receiver if the conductor has given up.
            Some(node) => drop(node.send(rest.to_owned())),
            None => news.add(to, rest),
        }
        line.clear();
    }
}
