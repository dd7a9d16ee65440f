//! The process of a victim, seen from outside.

use std::io::{self, BufRead, BufReader, Error, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use rig::Memory;

use crate::victim::{DONE, Plan, TRIM};

/// The longest that an answer is waited for.
const ANSWER: Duration = Duration::from_secs(120);

/// The longest that a victim's memory is waited for to rest, and how long a rest is: more than the second
/// that ours gives a peer to hang up when it has had enough of it.
const RESTLESS: Duration = Duration::from_secs(10);
const REST: Duration = Duration::from_millis(1200);
/// The most that memory at rest still changes by, in octets.
const STIR: u64 = 64 << 10;

/// A victim. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    orders: Option<ChildStdin>,
    answers: Receiver<String>,
    pub(crate) endpoint: String,
    pub(crate) memory: Memory,
}

impl Process {
    /// Starts this program again as a victim, and waits until it has bound.
    pub(crate) fn start(arguments: impl IntoIterator<Item = String>) -> io::Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (sender, answers) = channel();
        let output = child.stdout.take().expect("it is piped");
        thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            // Whoever no longer listens has ended the victim.
            lines.take_while(|line| sender.send(line.clone()).is_ok()).for_each(drop);
        });
        let memory = Memory::of(child.id());
        let orders = child.stdin.take();
        let mut process = Self { child, orders, answers, endpoint: String::new(), memory };
        process.endpoint = process.answer()?;
        Ok(process)
    }

    /// Has the plan published.
    pub(crate) fn publish(&mut self, plan: Plan) -> io::Result<()> {
        self.order(&plan.to_string())
    }

    /// Open descriptors.
    pub(crate) fn descriptors(&self) -> io::Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
    }

    /// The time that its threads have had on a processor.
    pub(crate) fn processor_time(&self) -> io::Result<Duration> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = fs::read_to_string(thread?.path().join("schedstat"))?;
            nanoseconds += text.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0);
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Waits until the memory no longer changes, and says what it comes to without what is free.
    pub(crate) fn memory_at_rest(&mut self) -> io::Result<u64> {
        let start = Instant::now();
        let mut resident = self.memory.resident()?;
        let mut since = start;
        while since.elapsed() < REST && start.elapsed() < RESTLESS {
            thread::sleep(REST / 24);
            let now = self.memory.resident()?;
            if now.abs_diff(resident) > STIR {
                (resident, since) = (now, Instant::now());
            }
        }
        self.order(TRIM)?;
        self.memory.resident()
    }

    /// Waits until not more than so many descriptors are open. Returns whether it came to that.
    pub(crate) fn has_closed_all_but(&self, descriptors: usize) -> io::Result<bool> {
        let start = Instant::now();
        while self.descriptors()? > descriptors {
            if start.elapsed() > RESTLESS {
                return Ok(false);
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(true)
    }

    /// Gives an order, and waits for the answer.
    pub(crate) fn ask(&mut self, order: &str) -> io::Result<String> {
        let orders = self.orders.as_mut().expect("it is there until the victim is dropped");
        writeln!(orders, "{order}")?;
        self.answer()
    }

    fn order(&mut self, order: &str) -> io::Result<()> {
        match self.ask(order)? {
            answer if answer == DONE => Ok(()),
            other => Err(Error::other(format!("the victim says {other}"))),
        }
    }

    fn answer(&self) -> io::Result<String> {
        self.answers.recv_timeout(ANSWER).map_err(|_| Error::other("the victim does not answer"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The end of its input ends it. A process that is out of its mind is killed.
        self.orders = None;
        let start = Instant::now();
        while let Ok(None) = self.child.try_wait() {
            if start.elapsed() > Duration::from_secs(2) {
                let _ended_meanwhile = self.child.kill();
                let _ended = self.child.wait();
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}
