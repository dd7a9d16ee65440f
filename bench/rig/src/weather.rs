//! The weather updates of the classic example, the same in every process.

use std::collections::HashSet;

const TEXTS: usize = 1 << 16;
const ZIPCODES: usize = 99_999;

/// A round of 65,536 updates, `zipcode temperature humidity`, published again and again.
#[derive(Debug)]
pub struct Weather {
    texts: Vec<String>,
    zipcodes: Vec<usize>,
}

impl Weather {
    /// Draws the updates, always the same ones.
    pub fn new() -> Self {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut draw = move |below: u64| {
            // Xorshift: a generator that needs no crate and gives each peer the same numbers.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) % below
        };
        let (mut texts, mut zipcodes) = (Vec::new(), Vec::new());
        for _ in 0..TEXTS {
            let zipcode = draw(ZIPCODES as u64) + 1;
            let (temperature, humidity) = (draw(215) as i64 - 80, draw(50) + 10);
            texts.push(format!("{zipcode:05} {temperature} {humidity}"));
            zipcodes.push(zipcode as usize);
        }
        Self { texts, zipcodes }
    }

    /// The text of message `number`.
    #[inline]
    pub fn text(&self, number: u64) -> &[u8] {
        self.texts[number as usize % TEXTS].as_bytes()
    }

    /// The number of the first `sent` messages that `subs` sockets of `zips` zipcodes each receive in
    /// all.
    pub fn expected(&self, sent: u64, subs: usize, zips: usize) -> u64 {
        let mut wanted = vec![0; ZIPCODES + 1];
        for global in 0..subs * zips {
            wanted[zipcode(global)] += 1;
        }
        let of = |zipcodes: &[usize]| zipcodes.iter().map(|zipcode| wanted[*zipcode]).sum::<u64>();
        let (rounds, rest) = (sent / TEXTS as u64, sent as usize % TEXTS);
        of(&self.zipcodes) * rounds + of(&self.zipcodes[..rest])
    }

    /// All texts that begin with one of `topics`.
    pub(crate) fn matching(&self, topics: &[String]) -> HashSet<Vec<u8>> {
        let topics: HashSet<&str> = topics.iter().map(String::as_str).collect();
        let matching = self.texts.iter().filter(|text| topics.contains(&text[..5]));
        matching.map(|text| text.clone().into_bytes()).collect()
    }
}

impl Default for Weather {
    fn default() -> Self {
        Self::new()
    }
}

/// The zipcode of subscription `global`, counted through all sockets; distinct for the first 99,999.
pub(crate) fn zipcode(global: usize) -> usize {
    (global * 7919 + 10_000) % ZIPCODES + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zipcodes_are_distinct() {
        let drawn: HashSet<usize> = (0..ZIPCODES).map(zipcode).collect();
        assert_eq!(drawn.len(), ZIPCODES);
        assert!(drawn.iter().all(|zipcode| (1..=ZIPCODES).contains(zipcode)));
    }

    #[test]
    fn the_expected_count_is_that_of_matching_texts() {
        let weather = Weather::new();
        let topics: Vec<String> =
            (0..2000).map(|global| format!("{:05}", zipcode(global))).collect();
        let texts = weather.matching(&topics);
        let sent = TEXTS as u64 + 1000;
        let got = (0..sent).filter(|number| texts.contains(weather.text(*number))).count();
        assert!(got > 1000);
        assert_eq!(weather.expected(sent, 1, 2000), got as u64);
        assert_eq!(weather.expected(sent, 20, 100), got as u64);
    }
}
