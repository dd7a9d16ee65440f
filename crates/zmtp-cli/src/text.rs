//! Text as people type it, and as terminals can safely show it.

use std::io::Write;

/// Parses the escapes `\t`, `\n`, `\r`, `\0`, `\\` and `\xNN`. The error is the part that cannot be
/// parsed.
pub(crate) fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        octets.extend_from_slice(before.as_bytes());
        let mut letters = after.chars();
        let letter = letters.next();
        rest = letters.as_str();
        octets.push(match letter {
            Some('t') => b'\t',
            Some('n') => b'\n',
            Some('r') => b'\r',
            Some('0') => 0,
            Some('\\') => b'\\',
            Some('x') => {
                let digits = rest.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
                let octet = digits.ok_or("two hexadecimal digits must follow \\x")?;
                rest = &rest[2..];
                octet
            }
            _ => return Err("after \\ there must be t, n, r, 0, x or \\".to_owned()),
        });
    }
    octets.extend_from_slice(rest.as_bytes());
    Ok(octets)
}

/// Appends octets of a peer in a form that a terminal can show without obeying them.
pub(crate) fn push_shown(octets: &[u8], out: &mut Vec<u8>) {
    for letter in String::from_utf8_lossy(octets).chars() {
        let written = match letter {
            '\t' | '\n' => write!(out, "{letter}"),
            _ if letter.is_control() => write!(out, "\\x{:02x}", u32::from(letter)),
            _ => write!(out, "{letter}"),
        };
        written.expect("memory can be written to");
    }
}

/// Appends octets as hexadecimal digits.
pub(crate) fn push_hex(octets: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for octet in octets {
        out.push(DIGITS[usize::from(octet >> 4)]);
        out.push(DIGITS[usize::from(octet & 15)]);
    }
}

/// A number with its noun, for people: `1 message`, `2,000 messages`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", indicatif::HumanCount(count))
}

/// A number of octets, for people.
pub(crate) fn octets(count: u64) -> String {
    indicatif::BinaryBytes(count).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read() {
        let rows =
            [("a\\tb", Some(&b"a\tb"[..])), ("\\x00\\\\n", Some(b"\0\\n")), ("\\0", Some(b"\0"))];
        let bad = [("\\", None), ("\\q", None), ("\\x1", None), ("\\x1ü", None), ("\\xgg", None)];
        for (text, octets) in rows.into_iter().chain(bad) {
            assert_eq!(unescape(text).ok().as_deref(), octets, "{text}");
        }
    }

    #[test]
    fn a_noun_agrees_with_its_number() {
        let rows =
            [(0, "0 messages"), (1, "1 message"), (2, "2 messages"), (1000, "1,000 messages")];
        for (count, shown) in rows {
            assert_eq!(counted(count, "message"), shown);
        }
    }

    #[test]
    fn a_terminal_is_given_no_order() {
        let mut out = Vec::new();
        push_shown(b"a\x1b[2J\r\xc2\x9b1m\tb\x07\xff", &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "a\\x1b[2J\\x0d\\x9b1m\tb\\x07\u{fffd}");
    }
}
