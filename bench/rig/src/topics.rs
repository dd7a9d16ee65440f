//! The messages of a run in which the number of topics grows: each begins with one of them.

/// Octets of a topic.
const LENGTH: usize = 8;

/// Messages after which their topics come again: more than caches hold, where there are many topics.
const DRAWN: usize = 1 << 18;

/// The topics of messages, one after the other; none, if the run has no topics.
#[derive(Debug)]
pub(crate) struct Topics(Vec<[u8; LENGTH]>);

impl Topics {
    /// Draws them from the first `count` topics, always the same ones.
    pub(crate) fn new(count: usize) -> Self {
        if count == 0 {
            return Self(Vec::new());
        }
        // An even and unordered choice that needs no crate: multiples of the golden ratio.
        let drawn = |number: u64| (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize;
        let text = |number| topic((drawn(number) * count) >> 32).into_bytes();
        let fixed = |text: Vec<u8>| text.try_into().expect("a topic of so many octets");
        Self((0..DRAWN as u64).map(text).map(fixed).collect())
    }

    /// The octets of a message that come before its `d`.
    #[inline]
    pub(crate) fn length(&self) -> usize {
        if self.0.is_empty() { 0 } else { LENGTH }
    }

    /// The topic of message `nth`: nothing, if there are none.
    #[inline]
    pub(crate) fn of(&self, nth: u64) -> &[u8] {
        self.0.get(nth as usize % DRAWN).map_or(&[], |topic| topic)
    }

    /// Writes the topic of message `nth`, if there is one, and `number` into `body`.
    #[inline]
    pub(crate) fn head(&self, body: &mut [u8], nth: u64, number: u64) {
        let topic = self.of(nth);
        let (start, data) = body.split_at_mut(topic.len());
        start.copy_from_slice(topic);
        data[1..9].copy_from_slice(&number.to_le_bytes());
    }
}

/// Topic `index`: distinct for the first 100 million, and far from those before and after it.
pub(crate) fn topic(index: usize) -> String {
    format!("{:08}", index * 61_803_399 % 100_000_000)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn topics_are_distinct() {
        let topics: HashSet<String> = (0..100_000).map(topic).collect();
        assert_eq!(topics.len(), 100_000);
        assert!(topics.iter().all(|topic| topic.len() == LENGTH));
    }

    #[test]
    fn messages_begin_with_topics_that_are_subscribed_to_and_with_most_of_these() {
        for count in [1, 100, 10_000] {
            let subscribed: HashSet<Vec<u8>> =
                (0..count).map(|index| topic(index).into_bytes()).collect();
            let sent: HashSet<Vec<u8>> =
                Topics::new(count).0.iter().map(|topic| topic.to_vec()).collect();
            assert!(sent.is_subset(&subscribed));
            assert!(sent.len() * 10 > count * 9, "{} of {count}", sent.len());
        }
    }

    #[test]
    fn the_number_stands_behind_the_topic() {
        let mut body = crate::body(24);
        Topics::new(1).head(&mut body, 5, 0x0102);
        assert_eq!(&body, b"00000000d\x02\x01\0\0\0\0\0\0ddddddd");
        let mut body = crate::body(16);
        Topics::new(0).head(&mut body, 5, 0x0102);
        assert_eq!(&body, b"d\x02\x01\0\0\0\0\0\0ddddddd");
    }
}
