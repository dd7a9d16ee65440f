//! Topics as subjects of NATS, and back again.
//!
//! A topic is any octets; a subject is words of printable ASCII, separated by dots. Letters, digits
//! and most signs stand for themselves, and so does a dot between two words. Every other octet
//! becomes `%` and two hexadecimal digits. So `weather.nyc` is `weather.nyc`, `a b` is `a%20b`, and
//! no two topics have the same subject.

use std::borrow::Cow;

/// The subject of the empty topic, after the prefix. No escape is as short.
const EMPTY: &str = "%";

/// The first words of all subjects of a bridge.
#[derive(Clone, Debug)]
pub(super) struct Prefix(String);

impl Prefix {
    /// Parses words separated by dots, none of which is empty or a wildcard.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(is_literal);
        match text.split('.').all(is_word) && text.len() <= 255 {
            true => Ok(Self(text.to_owned())),
            false => Err("must be words with dots between them, without *, >, % and blanks".into()),
        }
    }

    /// The subject that matches all topics.
    pub(super) fn all(&self) -> String {
        format!("{}.>", self.0)
    }

    /// The subject of a topic.
    pub(super) fn subject(&self, topic: &[u8]) -> String {
        let mut subject = format!("{}.", self.0);
        if topic.is_empty() {
            subject.push_str(EMPTY);
        }
        for (place, &octet) in topic.iter().enumerate() {
            let is_between = || place > 0 && topic[place - 1] != b'.' && place + 1 < topic.len();
            match octet {
                b'.' if is_between() => subject.push('.'),
                _ if is_literal(octet) => subject.push(char::from(octet)),
                _ => subject.push_str(&format!("%{octet:02X}")),
            }
        }
        subject
    }

    /// The topic of a subject, if the subject has the prefix. A `%` that begins no escape stands
    /// for itself.
    pub(super) fn topic<'a>(&self, subject: &'a str) -> Option<Cow<'a, [u8]>> {
        let words = subject.strip_prefix(&self.0)?.strip_prefix('.')?.as_bytes();
        if words == EMPTY.as_bytes() {
            return Some(Cow::Borrowed(&[]));
        }
        if !words.contains(&b'%') {
            return Some(Cow::Borrowed(words));
        }
        let mut topic = Vec::with_capacity(words.len());
        let mut rest = words;
        while let [octet, behind @ ..] = rest {
            match (octet, behind) {
                (b'%', [high, low, behind @ ..]) if is_digit(*high) && is_digit(*low) => {
                    topic.push(digit(*high) << 4 | digit(*low));
                    rest = behind;
                }
                _ => {
                    topic.push(*octet);
                    rest = behind;
                }
            }
        }
        Some(Cow::Owned(topic))
    }
}

/// Whether an octet stands for itself.
fn is_literal(octet: u8) -> bool {
    octet.is_ascii_graphic() && !matches!(octet, b'.' | b'*' | b'>' | b'%')
}

fn is_digit(octet: u8) -> bool {
    matches!(octet, b'0'..=b'9' | b'A'..=b'F')
}

fn digit(octet: u8) -> u8 {
    match octet {
        b'0'..=b'9' => octet - b'0',
        _ => octet - b'A' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_read_well_as_subjects_and_come_back() {
        let prefix = Prefix::parse("site.zmq").unwrap();
        for (topic, subject) in [
            (&b""[..], "site.zmq.%"),
            (b"weather.nyc", "site.zmq.weather.nyc"),
            (b"10002", "site.zmq.10002"),
            (b"a b", "site.zmq.a%20b"),
            (b".a", "site.zmq.%2Ea"),
            (b"a.", "site.zmq.a%2E"),
            (b"a..b", "site.zmq.a.%2Eb"),
            (b".", "site.zmq.%2E"),
            (b"%", "site.zmq.%25"),
            (b"%20", "site.zmq.%2520"),
            (b"*>\0\xff", "site.zmq.%2A%3E%00%FF"),
            (b"$SYS.x", "site.zmq.$SYS.x"),
        ] {
            assert_eq!(prefix.subject(topic), subject);
            assert_eq!(prefix.topic(subject).unwrap(), topic, "{subject}");
        }
    }

    #[test]
    fn no_two_topics_are_one_subject_and_each_subject_is_one_of_nats() {
        let prefix = Prefix::parse("zmq").unwrap();
        let letters = b".%2Ea *\x80";
        let mut seen = std::collections::HashSet::new();
        for number in 0..letters.len().pow(5) {
            let topic: Vec<_> = (0..5)
                .map(|place| letters[number / letters.len().pow(place) % letters.len()])
                .collect();
            for topic in [&topic[..], &topic[..3]] {
                let subject = prefix.subject(topic);
                let is_word = |word: &str| !word.is_empty() && word != "*" && word != ">";
                assert!(subject.split('.').all(is_word), "{subject}");
                assert!(subject.bytes().all(|it| it.is_ascii_graphic()), "{subject}");
                assert_eq!(prefix.topic(&subject).unwrap(), topic, "{subject}");
                seen.insert(subject);
            }
        }
        assert_eq!(seen.len(), letters.len().pow(5) + letters.len().pow(3));
    }

    #[test]
    fn subjects_of_others_are_topics_too() {
        let prefix = Prefix::parse("zmq").unwrap();
        assert_eq!(&*prefix.topic("zmq.100%.%zz.%2e").unwrap(), b"100%.%zz.%2e");
        assert_eq!(&*prefix.topic("zmq.M\u{fc}nchen").unwrap(), "M\u{fc}nchen".as_bytes());
        for other in ["zmq", "zmqs.a", "other.zmq.a"] {
            assert_eq!(prefix.topic(other), None);
        }
        for bad in ["", ".", "a.", ".a", "a..b", "a.*", ">", "a b", "a%20"] {
            assert!(Prefix::parse(bad).is_err(), "{bad}");
        }
    }
}
