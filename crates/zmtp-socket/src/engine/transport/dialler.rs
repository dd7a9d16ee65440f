//! The choice of the address of an endpoint for each attempt.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use std::{fmt, io};

use tokio::time::{Sleep, sleep};

#[cfg(feature = "ws")]
use super::ws;
use super::{Connected, Networks, Stream, in_time, ipc, raw, tcp};
use crate::endpoint::Endpoint;
use crate::options::LinkOptions;

/// How long an address is dialled alone before the next one is dialled beside it (RFC 8305, section 5:
/// Connection Attempt Delay).
pub(super) const STAGGER: Duration = Duration::from_millis(250);

/// The number of addresses that an error names.
const NAMED: usize = 8;

/// The rank of an address that has completed a handshake, and of one that has not been dialled yet. An
/// address that has been dialled gets a higher rank than all others.
const PROVEN: u64 = 0;
const UNKNOWN: u64 = 1;

/// Dials one endpoint repeatedly, and remembers the addresses that worked.
///
/// An address moves to the end of the list when it is dialled, and to the front when a handshake with it
/// is done. So an address that fails, at whatever stage, is not dialled again before the others.
#[derive(Debug)]
pub(crate) struct Dialler {
    ranks: HashMap<String, u64>,
    last_rank: u64,
}

impl Default for Dialler {
    fn default() -> Self {
        Self { ranks: HashMap::new(), last_rank: UNKNOWN }
    }
}

impl Dialler {
    /// Connects to `endpoint` once. Names are looked up anew. Cancel-safe.
    pub(crate) async fn dial(
        &mut self,
        endpoint: &Endpoint,
        networks: &Networks,
        options: &LinkOptions,
    ) -> io::Result<Connected> {
        let tcp = &options.tcp;
        match endpoint {
            Endpoint::Tcp { host, port } => {
                // Boxed, since a connection's task would otherwise keep room for it to its end.
                let dialled = Box::pin(tcp::dial(self, host, *port, networks, tcp)).await?;
                Ok(match raw::Terms::of(options) {
                    None => dialled,
                    Some(terms) => terms.met(dialled),
                })
            }
            Endpoint::Ipc(address) => in_time(tcp, ipc::dial(address)).await,
            Endpoint::Inproc(name) => networks.inproc.dial(name, tcp).await,
            #[cfg(feature = "ws")]
            Endpoint::Ws { host, port, path } => {
                let dialled = Box::pin(tcp::dial(self, host, *port, networks, tcp)).await?;
                Ok(ws::dialled(dialled, host, *port, ws::Terms::new(path, options)))
            }
            #[cfg(feature = "wss")]
            Endpoint::Wss { host, port, path } => {
                let terms = ws::Terms::new(path, options).over_tls_as_client(host, options)?;
                let dialled = Box::pin(tcp::dial(self, host, *port, networks, tcp)).await?;
                Ok(ws::dialled(dialled, host, *port, terms))
            }
            #[cfg(feature = "simulation")]
            Endpoint::Mem(name) => Box::pin(networks.simulation()?.dial(self, name, tcp)).await,
        }
    }

    /// Notes that the handshake with `address` is done: it is dialled first from now on.
    pub(crate) fn prove(&mut self, address: &str) {
        self.ranks.insert(address.to_owned(), PROVEN);
    }

    /// Dials the addresses in order, until the first of them is connected. The next one is dialled when
    /// the one before it fails, or after [`STAGGER`].
    ///
    /// # Errors
    /// The reason for each address that was dialled.
    pub(super) async fn race<A, F>(
        &mut self,
        addresses: Vec<A>,
        connect: impl Fn(A) -> F,
        mut deadline: Pin<&mut Sleep>,
    ) -> Result<Connected, Failures>
    where
        A: fmt::Display,
        F: Future<Output = io::Result<Stream>>,
    {
        let mut waiting = self.in_order(addresses).into_iter();
        let mut dialled: Vec<(String, Pin<Box<F>>)> = Vec::new();
        let mut failures = Failures(Vec::new());
        loop {
            if let Some(address) = waiting.next() {
                let name = address.to_string();
                self.put_last(&name);
                dialled.push((name, Box::pin(connect(address))));
            }
            if dialled.is_empty() {
                return Err(failures);
            }
            tokio::select! {
                biased;
                (address, outcome) = first(&mut dialled) => match outcome {
                    Ok(stream) => return Ok((stream, address)),
                    Err(error) => failures.0.push((address, error)),
                },
                () = &mut deadline => {
                    let timed_out = |(address, _)| (address, io::ErrorKind::TimedOut.into());
                    failures.0.extend(dialled.into_iter().map(timed_out));
                    return Err(failures);
                }
                () = sleep(STAGGER), if waiting.len() > 0 => {}
            }
        }
    }

    /// Sorts the addresses by rank, and forgets all others.
    fn in_order<A: fmt::Display>(&mut self, mut addresses: Vec<A>) -> Vec<A> {
        let mut ranks = HashMap::new();
        addresses.sort_by_cached_key(|address| {
            let known = self.ranks.remove_entry(&address.to_string());
            let rank = known.as_ref().map_or(UNKNOWN, |(_, rank)| *rank);
            ranks.extend(known);
            rank
        });
        self.ranks = ranks;
        addresses
    }

    fn put_last(&mut self, address: &str) {
        self.last_rank += 1;
        self.ranks.insert(address.to_owned(), self.last_rank);
    }
}

/// Waits for the first of these to be done, and takes it out.
async fn first<F: Future>(dialled: &mut Vec<(String, Pin<Box<F>>)>) -> (String, F::Output) {
    poll_fn(|cx| {
        for place in 0..dialled.len() {
            if let Poll::Ready(outcome) = dialled[place].1.as_mut().poll(cx) {
                return Poll::Ready((dialled.remove(place).0, outcome));
            }
        }
        Poll::Pending
    })
    .await
}

/// The addresses that could not be connected to, each with the reason.
#[derive(Debug)]
pub(super) struct Failures(Vec<(String, io::Error)>);

impl Failures {
    /// The error of an endpoint whose only address is itself.
    pub(super) fn of(mut self, endpoint: &str) -> io::Error {
        if self.0.len() == 1 && self.0[0].0 == endpoint {
            return self.0.remove(0).1;
        }
        let Some((_, last)) = self.0.last() else {
            return io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        };
        io::Error::new(last.kind(), self.to_string())
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (address, error)) in self.0.iter().take(NAMED).enumerate() {
            let separator = if number == 0 { "" } else { "; " };
            write!(f, "{separator}{address}: {error}")?;
        }
        match self.0.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::pin::pin;

    use tokio::time::Instant;

    use super::*;

    fn stream() -> Stream {
        Stream::Pipe(Box::new(tokio::io::duplex(1).0), None)
    }

    /// The outcome of an attempt to connect: an error or a connection after so many milliseconds, or
    /// never.
    #[derive(Clone, Copy)]
    enum Fate {
        Connects(u64),
        Fails(u64),
        SaysNothing,
    }

    use Fate::{Connects, Fails, SaysNothing};

    /// The address that won, or all that failed, and how long it took.
    async fn race(dialler: &mut Dialler, fates: &[(&'static str, Fate)]) -> (String, Duration) {
        let begun = Instant::now();
        let connect = |address| async move {
            let fate = fates.iter().find(|(known, _)| *known == address).expect("it is known").1;
            match fate {
                Connects(time) => sleep(Duration::from_millis(time)).await,
                Fails(time) => sleep(Duration::from_millis(time)).await,
                SaysNothing => pending().await,
            }
            match fate {
                Fails(_) => Err(io::ErrorKind::ConnectionRefused.into()),
                _ => Ok(stream()),
            }
        };
        let addresses = fates.iter().map(|(address, _)| *address).collect();
        let deadline = pin!(sleep(Duration::from_secs(10)));
        let outcome = match dialler.race(addresses, connect, deadline).await {
            Ok((_, address)) => address,
            Err(failures) => failures.to_string(),
        };
        // A timer may be a millisecond late.
        (outcome, Duration::from_millis(begun.elapsed().as_millis() as u64 / 5 * 5))
    }

    async fn expect(dialler: &mut Dialler, fates: &[(&'static str, Fate)], who: &str, after: u64) {
        let (outcome, time) = race(dialler, fates).await;
        assert_eq!((outcome.as_str(), time), (who, Duration::from_millis(after)));
    }

    #[tokio::test(start_paused = true)]
    async fn dead_addresses_cost_a_quarter_of_a_second_each_and_refusals_nothing() {
        let mut dialler = Dialler::default();
        let silent = [("a", SaysNothing), ("b", SaysNothing), ("c", SaysNothing)];
        expect(&mut dialler, &[&silent[..], &[("d", Connects(20))]].concat(), "d", 770).await;
        let mut dialler = Dialler::default();
        let fates = [("a", Fails(10)), ("b", Fails(20)), ("c", Connects(30))];
        expect(&mut dialler, &fates, "c", 60).await;
        // A slow attempt goes on beside the next one, and may still win.
        let mut dialler = Dialler::default();
        expect(&mut dialler, &[("a", Connects(300)), ("b", Connects(100))], "a", 300).await;
    }

    #[tokio::test(start_paused = true)]
    async fn all_are_given_up_in_time_and_each_says_why() {
        let fates = [("a", SaysNothing), ("b", Fails(1)), ("c", SaysNothing)];
        let all = "b: connection refused; a: timed out; c: timed out";
        expect(&mut Dialler::default(), &fates, all, 10_000).await;
        expect(&mut Dialler::default(), &[], "", 0).await;
        let no_address = Failures(Vec::new()).of("name");
        assert_eq!(no_address.to_string(), "the name has no address");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_dialled_comes_last_until_it_is_proven() {
        let mut dialler = Dialler::default();
        let all = [("a", Connects(0)), ("b", Connects(0)), ("c", Connects(0))];
        for address in ["a", "b", "c", "a", "b"] {
            expect(&mut dialler, &all, address, 0).await;
        }
        dialler.prove("b");
        for address in ["b", "c", "a", "b"] {
            expect(&mut dialler, &all, address, 0).await;
        }
        // A new address comes before those that failed, and an address that is gone is forgotten.
        expect(&mut dialler, &[&all[..2], &[("d", Connects(0))]].concat(), "d", 0).await;
        expect(&mut dialler, &all, "c", 0).await;
        assert_eq!(dialler.ranks.len(), 3);
    }

    #[test]
    fn an_error_names_the_addresses_but_not_without_end() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let failures = |count| Failures((0..count).map(|it| (it.to_string(), refused())).collect());
        assert_eq!(failures(1).of("0").to_string(), "connection refused");
        assert_eq!(failures(1).of("name").to_string(), "0: connection refused");
        assert_eq!(failures(1).of("name").kind(), io::ErrorKind::ConnectionRefused);
        let many = failures(10).of("name").to_string();
        assert!(many.starts_with("0: connection refused; 1: ") && many.ends_with("; and 2 more"));
    }
}
