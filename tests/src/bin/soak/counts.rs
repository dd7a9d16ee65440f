//! The counts of a node, as a line of text for the conductor.

use std::fmt;
use std::str::FromStr;

use crate::letter::Name;

/// The counts of a publisher since its socket was made.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PublisherCounts {
    /// The number of messages of each topic.
    pub(crate) topics: Vec<u64>,
    /// Messages dropped for all peers, including those that are gone. libzmq does not count them.
    pub(crate) dropped: u64,
    /// Empty for libzmq, which does not count.
    pub(crate) peers: Vec<PeerCounts>,
}

/// The counts of a publisher of ours for one connection of a subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeerCounts {
    pub(crate) name: Name,
    pub(crate) sent: u64,
    pub(crate) dropped: u64,
    pub(crate) queued: u64,
}

/// The counts of a subscriber since its socket was made.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SubscriberCounts {
    /// Messages given to the user, messages that arrived and were filtered out, and all messages that
    /// arrived, by the socket's counters. A libzmq socket has only the first.
    pub(crate) taken: u64,
    pub(crate) filtered: u64,
    pub(crate) arrived: Option<u64>,
    pub(crate) publishers: Vec<FromPublisher>,
    /// The number of messages that arrived on each connection, with its endpoint here, if the socket is
    /// ours.
    pub(crate) connections: Vec<(String, u64)>,
}

/// The messages of one publisher's socket that a subscriber has received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FromPublisher {
    pub(crate) name: Name,
    pub(crate) received: u64,
    pub(crate) missing: u64,
}

impl fmt::Display for PublisherCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peers = self
            .peers
            .iter()
            .map(|peer| format!("{}|{}|{}|{}", peer.name, peer.sent, peer.dropped, peer.queued));
        write!(f, "{} {} {}", list(&self.topics), self.dropped, list(peers))
    }
}

impl FromStr for PublisherCounts {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let [topics, dropped, peers] = fields(line, ' ')?;
        let peers = items(peers).map(|peer| {
            let [name, sent, dropped, queued] = fields(peer, '|')?;
            let (sent, dropped, queued) = (number(sent)?, number(dropped)?, number(queued)?);
            Ok(PeerCounts { name: name.parse()?, sent, dropped, queued })
        });
        Ok(Self {
            topics: items(topics).map(number).collect::<Result<_, _>>()?,
            dropped: number(dropped)?,
            peers: peers.collect::<Result<_, String>>()?,
        })
    }
}

impl fmt::Display for SubscriberCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let publishers = self.publishers.iter();
        let publishers =
            publishers.map(|from| format!("{}|{}|{}", from.name, from.received, from.missing));
        let connections =
            self.connections.iter().map(|(endpoint, count)| format!("{endpoint}|{count}"));
        let arrived = self.arrived.map_or("-".to_owned(), |count| count.to_string());
        let (publishers, connections) = (list(publishers), list(connections));
        write!(f, "{} {} {arrived} {publishers} {connections}", self.taken, self.filtered)
    }
}

impl FromStr for SubscriberCounts {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let [taken, filtered, arrived, publishers, connections] = fields(line, ' ')?;
        let publishers = items(publishers).map(|from| {
            let [name, received, missing] = fields(from, '|')?;
            let (received, missing) = (number(received)?, number(missing)?);
            Ok(FromPublisher { name: name.parse()?, received, missing })
        });
        let connections = items(connections).map(|connection| {
            let [endpoint, count] = fields(connection, '|')?;
            Ok((endpoint.to_owned(), number(count)?))
        });
        Ok(Self {
            taken: number(taken)?,
            filtered: number(filtered)?,
            arrived: if arrived == "-" { None } else { Some(number(arrived)?) },
            publishers: publishers.collect::<Result<_, String>>()?,
            connections: connections.collect::<Result<_, String>>()?,
        })
    }
}

/// Items with commas between them; a lone comma if there are none, so that no field is empty.
fn list(items: impl IntoIterator<Item = impl ToString>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() { ",".to_owned() } else { items.join(",") }
}

fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').filter(|item| !item.is_empty())
}

fn fields<const N: usize>(text: &str, separator: char) -> Result<[&str; N], String> {
    let fields: Vec<&str> = text.split(separator).collect();
    fields.try_into().map_err(|_| format!("\"{text}\" has not {N} fields"))
}

pub(crate) fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("\"{text}\" is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_as_they_were_written() {
        let name = Name { node: 3, incarnation: 4 };
        let peers = vec![PeerCounts { name, sent: 1, dropped: 2, queued: 3 }];
        let counts = PublisherCounts { topics: vec![5, 0, 7], dropped: 2, peers };
        assert_eq!(counts.to_string().parse(), Ok(counts));
        let publishers = vec![FromPublisher { name, received: 8, missing: 9 }; 2];
        let connections = vec![("tcp://127.0.0.1:1".to_owned(), 5)];
        let counts =
            SubscriberCounts { taken: 1, filtered: 2, arrived: Some(3), publishers, connections };
        assert_eq!(counts.to_string().parse(), Ok(counts));
        let counts = SubscriberCounts::default();
        assert_eq!(counts.to_string().parse(), Ok(counts));
    }
}
