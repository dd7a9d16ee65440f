//! The messages of a soak: each has its sender and its number, and these determine all its other octets.
//! So any receiver can make it again and compare every octet.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::LazyLock;

use bytes::{BufMut as _, Bytes, BytesMut};

/// The number of topics: `T00/` and so on.
pub(crate) const TOPICS: usize = 16;

/// The octets of a topic, and of the whole head before the body.
const TOPIC: usize = 4;
const HEAD: usize = TOPIC + 8 + 8 + 8 + 1;

/// The size of the largest body.
const LARGEST: usize = 400 << 10;

/// Octets without a pattern: each body is a piece of these.
static OCTETS: LazyLock<Bytes> = LazyLock::new(|| {
    let mut chance = fastrand::Rng::with_seed(0x0C7E75);
    (0..2 * LARGEST).map(|_| chance.u8(..)).collect()
});

/// A socket of a node: the number of the node, and of the socket among all that the node has had. Each
/// new socket counts from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name {
    pub(crate) node: u32,
    pub(crate) incarnation: u32,
}

impl Name {
    fn to_number(self) -> u64 {
        (u64::from(self.node) << 32) | u64::from(self.incarnation)
    }

    fn from_number(number: u64) -> Self {
        let [node, incarnation] = [number >> 32, number].map(|half| half as u32);
        Self { node, incarnation }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.node, self.incarnation)
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.split_once('.').and_then(|(node, incarnation)| {
            Some(Self { node: node.parse().ok()?, incarnation: incarnation.parse().ok()? })
        });
        name.ok_or_else(|| format!("\"{text}\" is no name"))
    }
}

/// The content of a message's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) from: Name,
    pub(crate) topic: usize,
    /// The number of the message among all of this publisher, and among those of its topic: from 1.
    pub(crate) number: u64,
    pub(crate) topic_number: u64,
    /// Whether the publisher drops nothing: then every connected subscriber gets all messages.
    pub(crate) lossless: bool,
}

impl Letter {
    /// All parts of the message.
    pub(crate) fn parts(&self) -> Vec<Bytes> {
        let seed = self.from.to_number().wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ self.number;
        let mut chance = fastrand::Rng::with_seed(seed);
        let most = match chance.u32(0..1000) {
            0..50 => 1,
            50..650 => 64,
            650..960 => 2 << 10,
            960..995 => 32 << 10,
            _ => LARGEST,
        };
        let length = chance.usize(0..most);
        let begin = chance.usize(0..LARGEST);
        let body = OCTETS.slice(begin..begin + length);
        let count = if chance.u8(0..4) == 0 { chance.usize(2..6) } else { 1 };
        // Some parts have no octets.
        let mut cuts: Vec<usize> = (1..count).map(|_| chance.usize(0..=length)).collect();
        cuts.sort_unstable();
        let mut pieces = ranges(&cuts, length).map(|range| body.slice(range));
        let mut first = BytesMut::with_capacity(HEAD + length);
        self.put_head(&mut first);
        first.extend(pieces.next());
        std::iter::once(first.freeze()).chain(pieces).collect()
    }

    fn put_head(&self, out: &mut BytesMut) {
        out.put_slice(topic(self.topic).as_bytes());
        out.put_u64(self.from.to_number());
        out.put_u64(self.number);
        out.put_u64(self.topic_number);
        out.put_u8(self.lossless.into());
    }

    /// Reads a message, and checks that every octet is as its publisher sent it.
    pub(crate) fn read(parts: &[Bytes]) -> Result<Self, String> {
        let letter = parts.first().and_then(Self::read_head);
        let letter = letter.ok_or_else(|| format!("no message of ours: {}", outline(parts)))?;
        let sent = letter.parts();
        if sent != parts {
            let (sent, came) = (outline(&sent), outline(parts));
            return Err(format!("torn: {letter:?} was sent as {sent}, and came as {came}"));
        }
        Ok(letter)
    }

    fn read_head(first: &Bytes) -> Option<Self> {
        let head = first.get(..HEAD)?;
        let word = |at: usize| Some(u64::from_be_bytes(head.get(at..at + 8)?.try_into().ok()?));
        let topic = std::str::from_utf8(head.get(1..3)?).ok()?.parse().ok()?;
        Some(Self {
            from: Name::from_number(word(TOPIC)?),
            topic,
            number: word(TOPIC + 8)?,
            topic_number: word(TOPIC + 16)?,
            lossless: head.last()? == &1,
        })
        .filter(|_| topic < TOPICS)
    }
}

/// A message for one subscriber alone, whose mark is its topic.
pub(crate) fn probe(mark: &str, from: Name, number: u64) -> Vec<Bytes> {
    let numbers = [from.to_number(), number].map(u64::to_be_bytes).concat();
    vec![Bytes::copy_from_slice(mark.as_bytes()), numbers.into()]
}

/// Reads a probe: its mark, its sender and its number.
pub(crate) fn read_probe(parts: &[Bytes]) -> Option<(&[u8], Name, u64)> {
    let [mark, numbers] = parts else { return None };
    let (from, number) = numbers.split_first_chunk()?;
    let mark = mark.as_ref();
    let from = Name::from_number(u64::from_be_bytes(*from));
    Some((mark, from, u64::from_be_bytes(number.try_into().ok()?)))
        .filter(|_| mark.starts_with(b"@"))
}

/// The text of a topic.
pub(crate) fn topic(number: usize) -> String {
    format!("T{number:02}/")
}

fn ranges(cuts: &[usize], length: usize) -> impl Iterator<Item = Range<usize>> {
    let begins = std::iter::once(0).chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain(std::iter::once(length));
    begins.zip(ends).map(|(begin, end)| begin..end)
}

/// The lengths of all parts, and their first octets.
fn outline(parts: &[Bytes]) -> String {
    let outlines = parts.iter().map(|part| {
        let begin = &part[..part.len().min(HEAD + 8)];
        format!("{} octets \"{}\"", part.len(), begin.escape_ascii())
    });
    format!("[{}]", outlines.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(number: u64) -> Letter {
        let from = Name { node: 3, incarnation: 5 };
        Letter {
            from,
            topic: 7,
            number,
            topic_number: number / 2,
            lossless: number.is_multiple_of(3),
        }
    }

    #[test]
    fn a_message_is_read_as_it_was_made() {
        let mut bodies = Vec::new();
        for number in 1..3000 {
            let parts = letter(number).parts();
            assert_eq!(Letter::read(&parts), Ok(letter(number)));
            assert!(parts[0].starts_with(b"T07/"));
            bodies.push((parts.len(), parts.iter().map(Bytes::len).sum::<usize>() - HEAD));
        }
        assert!(bodies.iter().any(|&(_, length)| length == 0));
        assert!(bodies.iter().any(|&(_, length)| length > 100 << 10));
        assert!(bodies.iter().any(|&(parts, _)| parts == 5));
    }

    #[test]
    fn any_other_octet_is_noticed() {
        for number in 1..200 {
            let parts = letter(number).parts();
            for part in (0..parts.len()).filter(|&part| !parts[part].is_empty()) {
                let mut changed = parts.clone();
                let mut octets = changed[part].to_vec();
                *octets.last_mut().expect("it is not empty") ^= 1;
                changed[part] = octets.into();
                // The last octet of a head without a body says only whether its publisher drops.
                assert!(Letter::read(&changed) != Ok(letter(number)), "{number}, part {part}");
            }
            assert!(Letter::read(&parts[1..]).is_err());
            assert!(Letter::read(&[&parts[..], &[Bytes::new()]].concat()).is_err());
        }
    }

    #[test]
    fn a_probe_is_read_as_it_was_made() {
        let from = Name { node: 1, incarnation: 2 };
        let parts = probe("@3.4.5/", from, 6);
        assert_eq!(read_probe(&parts), Some((&b"@3.4.5/"[..], from, 6)));
        assert_eq!(read_probe(&letter(1).parts()), None);
    }
}
