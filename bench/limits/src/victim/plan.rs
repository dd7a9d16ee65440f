//! The messages that a victim is to publish, as one line of text.

use std::fmt;
use std::str::FromStr;

/// Every topic in turn, again and again. Topic 7 is `d0007`; those who want everything subscribe to `d`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: u32,
    pub(crate) topics: u32,
    /// Octets of each message.
    pub(crate) size: usize,
    /// Octets of one more message after every [`FILLED`], with the topic `f`; 0 for none.
    pub(crate) filler: usize,
}

/// So many messages have a filler behind them.
pub(crate) const FILLED: u32 = 16;

/// The name of a topic of the plan.
pub(crate) fn topic(number: u32) -> String {
    format!("d{number:04}")
}

impl Plan {
    /// Calls `send` with every message.
    pub(crate) fn for_each(&self, mut send: impl FnMut(&[u8])) {
        let filler = vec![b'f'; self.filler];
        let bodies: Vec<Vec<u8>> = (0..self.topics)
            .map(|number| {
                let mut body = topic(number).into_bytes();
                body.resize(self.size, b'd');
                body
            })
            .collect();
        for _ in 0..self.rounds {
            for (number, body) in (1..).zip(&bodies) {
                send(body);
                if !filler.is_empty() && number % FILLED == 0 {
                    send(&filler);
                }
            }
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, topics, size, filler } = self;
        write!(f, "{rounds} {topics} {size} {filler}")
    }
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let numbers: Vec<u32> = line.split(' ').map_while(|word| word.parse().ok()).collect();
        let [rounds, topics, size, filler] = numbers[..] else {
            return Err(format!("not a plan: {line}"));
        };
        Ok(Self { rounds, topics, size: size as usize, filler: filler as usize })
    }
}
