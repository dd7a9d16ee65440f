//! The operations that every index is measured with.

use micro::topics::{drawn, long_topic, zipcode};

/// A kind of topics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Topics {
    pub(crate) name: &'static str,
    topic: fn(u32) -> String,
    /// How many octets an unwanted message has in common with a topic: all but the last few.
    common: usize,
}

pub(crate) const TOPICS: [Topics; 2] = [
    Topics { name: "zipcodes", topic: zipcode, common: 4 },
    Topics { name: "long topics", topic: long_topic, common: 30 },
];

/// More than caches hold, where there are many subscriptions.
const MESSAGES: usize = 1 << 18;
const CHANGES: usize = 1 << 16;

/// Topics, messages and changes, drawn before anything is measured.
#[derive(Debug)]
pub(crate) struct Workload {
    /// Distinct ones, in no order.
    pub(crate) topics: Vec<String>,
    pub(crate) wanted: Vec<String>,
    pub(crate) unwanted: Vec<String>,
    /// Which topics are cancelled and subscribed to again.
    pub(crate) changes: Vec<usize>,
}

impl Workload {
    pub(crate) fn new(kind: &Topics, count: u32) -> Self {
        let mut topics: Vec<String> = (0..count).map(kind.topic).collect();
        for (last, other) in (1..topics.len()).rev().zip(drawn(u32::MAX)) {
            topics.swap(last, other as usize % (last + 1));
        }
        let message = |number| format!("{} 27 33", (kind.topic)(number));
        let near = |number| format!("{}x 27 33", &(kind.topic)(number)[..kind.common]);
        Self {
            topics,
            wanted: drawn(count).take(MESSAGES).map(message).collect(),
            unwanted: drawn(count).take(MESSAGES).map(near).collect(),
            changes: drawn(count).take(CHANGES).map(|number| number as usize).collect(),
        }
    }
}
