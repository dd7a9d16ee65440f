//! Octets from a peer as text for people: bounded, and harmless in a log.

use std::fmt;

/// The octets as text that is harmless in a log: bounded, control characters replaced.
pub(crate) fn printable(octets: &[u8]) -> String {
    let bounded = octets.get(..255).unwrap_or(octets);
    let harmless = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    String::from_utf8_lossy(bounded).chars().map(harmless).collect()
}

/// Prints octets as text between quotes, bounded.
pub(crate) struct Excerpt<'a>(pub(crate) &'a [u8]);

impl fmt::Debug for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 64;
        let shown = self.0.get(..SHOWN).unwrap_or(self.0);
        write!(f, "\"{}\"", shown.escape_ascii())?;
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            hidden => write!(f, "+{hidden}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_bounded_and_harmless() {
        assert_eq!(printable(b"no\x1B[2J\nentry\xFF"), "no\u{fffd}[2J\u{fffd}entry\u{fffd}");
        assert_eq!(printable(&[b'x'; 1000]).len(), 255);
    }

    #[test]
    fn an_excerpt_is_between_quotes_and_tells_what_is_left_out() {
        assert_eq!(format!("{:?}", Excerpt(b"a\xFF\"")), r#""a\xff\"""#);
        assert_eq!(format!("{:?}", Excerpt(&[b'x'; 65])), format!("\"{}\"+1", "x".repeat(64)));
    }
}
