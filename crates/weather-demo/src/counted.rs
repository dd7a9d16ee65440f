//! Numbers of things, in words.

use std::fmt;

use indicatif::HumanCount;

/// A number of things in words: `1 update`, `1,234 updates`.
#[derive(Clone, Copy, Debug)]
pub struct Counted(pub u64, pub &'static str);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number, thing) = *self;
        let plural = if number == 1 { "" } else { "s" };
        write!(f, "{} {thing}{plural}", HumanCount(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_singular_and_large_numbers_have_separators() {
        for (number, text) in [
            (0, "0 updates"),
            (1, "1 update"),
            (2, "2 updates"),
            (999, "999 updates"),
            (1_234_567, "1,234,567 updates"),
        ] {
            assert_eq!(Counted(number, "update").to_string(), text);
        }
    }
}
