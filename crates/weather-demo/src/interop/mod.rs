//! Every pair of a publisher and a subscriber, of this library and of libzmq, over tcp and ipc.
//!
//! Every pair gets the same work. The subscriber subscribes to the updates of one place; the
//! publisher sends as many of another in between. All wanted updates must arrive, once and in
//! order, and no others. Neither side has a high-water mark, so that no update may be lost. The
//! publisher sends a greeting until the subscriber has received it, so that no update is sent too
//! early.

mod libzmq;
mod ours;

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use indicatif::HumanCount;

use crate::Failure;

/// The topic of the subscriber.
const WANTED: &str = "10002 ";
/// The topic of the updates in between, to which nobody subscribes.
const UNWANTED: &str = "10003 ";
const GREETING: &str = "10002 hello";
const END: &str = "10002 end";
/// How often the publisher sends the greeting until the subscriber has answered.
const GREET_EVERY: Duration = Duration::from_millis(1);
/// After this much silence the other side is taken for dead.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs all pairs with `messages` messages each, and writes a table to `out`, row by row. Returns
/// whether all pairs passed.
///
/// # Errors
///
/// Those of `out`, or the lack of room for the ipc endpoints in the directory for temporary
/// files.
pub fn run(messages: u64, out: &mut impl Write) -> io::Result<bool> {
    let directory = TemporaryDirectory::new()?;
    let mut all_held = true;
    writeln!(
        out,
        "{:<10} {:<11} {:<9} {:>10} {:>13}  held",
        "publisher", "subscriber", "transport", "received", "rate"
    )?;
    for (number, pair) in Pair::all().enumerate() {
        let endpoint = match pair.transport {
            Transport::Tcp => "tcp://127.0.0.1:*".to_owned(),
            Transport::Ipc => format!("ipc://{}/{number}", directory.0.display()),
        };
        let outcome = pair.run(&endpoint, messages);
        all_held &= outcome.fault.is_none();
        writeln!(out, "{pair} {outcome}")?;
        out.flush()?;
    }
    Ok(all_held)
}

/// A bound publisher; its `send` never waits and never drops.
trait Publisher {
    /// The endpoint for a subscriber to connect to.
    fn endpoint(&self) -> Result<String, Failure>;
    fn send(&mut self, text: &str) -> Result<(), Failure>;
}

/// A connected subscriber to [`WANTED`].
trait Subscriber {
    /// Receives the next message, and replaces the content of `text` by its first part.
    fn receive(&mut self, text: &mut Vec<u8>) -> Result<(), Failure>;
}

#[derive(Clone, Copy, Debug)]
enum Library {
    Ours,
    Libzmq,
}

impl Library {
    const ALL: [Self; 2] = [Self::Ours, Self::Libzmq];

    fn publisher(self, endpoint: &str) -> Result<Box<dyn Publisher>, Failure> {
        Ok(match self {
            Self::Ours => Box::new(ours::Publisher::bind(endpoint)?),
            Self::Libzmq => Box::new(libzmq::Publisher::bind(endpoint)?),
        })
    }

    fn subscriber(self, endpoint: &str) -> Result<Box<dyn Subscriber>, Failure> {
        Ok(match self {
            Self::Ours => Box::new(ours::Subscriber::connect(endpoint)?),
            Self::Libzmq => Box::new(libzmq::Subscriber::connect(endpoint)?),
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Libzmq => "libzmq",
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Transport {
    Tcp,
    Ipc,
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    publisher: Library,
    subscriber: Library,
    transport: Transport,
}

impl Pair {
    fn all() -> impl Iterator<Item = Self> {
        [Transport::Tcp, Transport::Ipc].into_iter().flat_map(|transport| {
            Library::ALL.into_iter().flat_map(move |publisher| {
                Library::ALL.into_iter().map(move |subscriber| Self {
                    publisher,
                    subscriber,
                    transport,
                })
            })
        })
    }

    fn run(self, endpoint: &str, messages: u64) -> Outcome {
        let (bound, is_bound) = mpsc::channel();
        let (greet, greeted) = mpsc::channel();
        let (finish, finished) = mpsc::channel::<()>();
        thread::scope(|scope| {
            let publisher = scope.spawn(move || {
                let mut publisher = self.publisher.publisher(endpoint)?;
                bound.send(publisher.endpoint()?)?;
                publish(&mut *publisher, messages, &greeted)?;
                // Closing drops queued messages, so it waits until the subscriber has them.
                let _ = finished.recv();
                Ok::<_, Failure>(())
            });
            let mut check = Check::default();
            let received = is_bound.recv().map_err(Failure::from).and_then(|endpoint| {
                let mut subscriber = self.subscriber.subscriber(&endpoint)?;
                subscribe(&mut *subscriber, &mut check, &greet)
            });
            drop((finish, greet));
            let published = publisher.join().expect("no side panics");
            // If the publisher failed, that is why the subscriber got nothing.
            let fault = published.and(received).and_then(|()| check.count(messages)).err();
            Outcome { received: check.next, elapsed: check.elapsed(), fault }
        })
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match self.transport {
            Transport::Tcp => "tcp",
            Transport::Ipc => "ipc",
        };
        write!(f, "{:<10} {:<11} {transport:<9}", self.publisher.name(), self.subscriber.name())
    }
}

/// The result of a pair.
#[derive(Debug)]
struct Outcome {
    received: u64,
    elapsed: Duration,
    fault: Option<Failure>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = (self.received as f64 / self.elapsed.as_secs_f64().max(1e-9)) as u64;
        let (received, rate) =
            (HumanCount(self.received).to_string(), HumanCount(rate).to_string());
        write!(f, "{received:>10} {rate:>11}/s  ")?;
        match &self.fault {
            None => f.write_str("yes"),
            Some(fault) => write!(f, "NO: {fault}"),
        }
    }
}

fn publish(
    publisher: &mut dyn Publisher,
    messages: u64,
    greeted: &mpsc::Receiver<()>,
) -> Result<(), Failure> {
    loop {
        publisher.send(GREETING)?;
        match greeted.recv_timeout(GREET_EVERY) {
            Ok(()) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            // The subscriber has given up, and reports the reason.
            Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
    let mut text = String::new();
    for number in 0..messages {
        for topic in [WANTED, UNWANTED] {
            text.clear();
            write!(text, "{topic}{number}")?;
            publisher.send(&text)?;
        }
    }
    publisher.send(END)
}

fn subscribe(
    subscriber: &mut dyn Subscriber,
    check: &mut Check,
    greet: &mpsc::Sender<()>,
) -> Result<(), Failure> {
    let mut text = Vec::new();
    let mut greeted = false;
    loop {
        subscriber.receive(&mut text)?;
        match &text[..] {
            text if text == GREETING.as_bytes() => {
                if !greeted {
                    greeted = true;
                    greet.send(())?;
                }
            }
            text if text == END.as_bytes() => {
                check.ended = Some(Instant::now());
                return Ok(());
            }
            text => check.update(text)?,
        }
    }
}

/// Checks the messages that arrive.
#[derive(Debug, Default)]
struct Check {
    next: u64,
    began: Option<Instant>,
    ended: Option<Instant>,
}

impl Check {
    fn update(&mut self, text: &[u8]) -> Result<(), Failure> {
        let text = str::from_utf8(text)?;
        let number =
            text.strip_prefix(WANTED).ok_or_else(|| format!("nobody asked for '{text}'"))?;
        if number.parse() != Ok(self.next) {
            return Err(format!("number {} was due, '{text}' came", self.next).into());
        }
        self.began.get_or_insert_with(Instant::now);
        self.next += 1;
        Ok(())
    }

    fn count(&self, messages: u64) -> Result<(), Failure> {
        if self.next == messages {
            Ok(())
        } else {
            Err(format!("{} of {messages} came", self.next).into())
        }
    }

    fn elapsed(&self) -> Duration {
        match (self.began, self.ended) {
            (Some(began), Some(ended)) => ended - began,
            _ => Duration::MAX,
        }
    }
}

/// A directory of our own, removed with its content.
struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("weather-demo-{:016x}", fastrand::u64(..)));
        std::fs::create_dir(&path).map_err(|error| describe(&path, &error))?;
        Ok(Self(path))
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn describe(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot create {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_holds() {
        let mut table = Vec::new();
        assert!(run(1000, &mut table).unwrap(), "{}", String::from_utf8_lossy(&table));
        let table = String::from_utf8(table).unwrap();
        assert_eq!(table.lines().filter(|line| line.ends_with("  yes")).count(), 8, "{table}");
    }

    #[test]
    fn a_loss_a_swap_and_a_stranger_are_found() {
        let check = |texts: &[&str]| {
            let mut check = Check::default();
            texts.iter().try_for_each(|text| check.update(text.as_bytes()))?;
            check.count(3)
        };
        assert!(check(&["10002 0", "10002 1", "10002 2"]).is_ok());
        for texts in [
            &["10002 0", "10002 1"][..],
            &["10002 0", "10002 2", "10002 1"],
            &["10002 0", "10002 0", "10002 1"],
            &["10002 0", "10003 0", "10002 1"],
            &["10002 0", "10002 1", "10002 2", "10002 3"],
        ] {
            assert!(check(texts).is_err(), "{texts:?}");
        }
    }
}
