//! Format strings: `{topic} {1} {size}`.

use std::io::Write;
use std::time::UNIX_EPOCH;

use bytes::Bytes;

use super::{Moment, Printer, push_hex_parts, rfc3339};
use crate::json;
use crate::text::unescape;

/// A parsed format string.
#[derive(Debug)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
    pub(super) ends_line: bool,
    pub(super) wants_time: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(Vec<u8>),
    All,
    Part(usize),
    Body,
    Hex,
    Base64,
    Json,
    Size,
    Parts,
    Number,
    Time,
    Unix,
    Delta,
}

impl Template {
    pub(crate) fn parse(format: &str) -> Result<Self, String> {
        let (mut rest, ends_line) = match format.strip_suffix("\\c") {
            Some(rest) => (rest, false),
            None => (format, true),
        };
        let mut pieces = Vec::new();
        let mut literal = String::new();
        while let Some(at) = rest.find(['{', '}']) {
            let (before, after) = rest.split_at(at);
            literal.push_str(before);
            if let Some(after) = after.strip_prefix("{{").or_else(|| after.strip_prefix("}}")) {
                literal.push(if rest[at..].starts_with('{') { '{' } else { '}' });
                rest = after;
                continue;
            }
            let Some((name, after)) =
                after.strip_prefix('{').and_then(|named| named.split_once('}'))
            else {
                return Err(
                    "a brace is not closed, or not opened; for a brace itself, write {{ or }}"
                        .to_owned(),
                );
            };
            if !literal.is_empty() {
                pieces.push(Piece::Literal(unescape(&literal)?));
                literal.clear();
            }
            pieces.push(Piece::parse(name)?);
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(unescape(&literal)?));
        }
        let timed = [Piece::Number, Piece::Time, Piece::Unix, Piece::Delta];
        let wants_time = pieces.iter().any(|piece| timed.contains(piece));
        Ok(Self { pieces, ends_line, wants_time })
    }

    pub(super) fn fill(
        &self,
        printer: &Printer,
        parts: &[Bytes],
        moment: Option<Moment>,
        out: &mut Vec<u8>,
    ) {
        for piece in &self.pieces {
            piece.fill(printer, parts, moment, out).expect("memory can be written to");
        }
    }
}

impl Piece {
    fn parse(name: &str) -> Result<Self, String> {
        if let Ok(number) = name.parse() {
            return Ok(Self::Part(number));
        }
        Ok(match name {
            "" => Self::All,
            "topic" => Self::Part(0),
            "body" => Self::Body,
            "hex" => Self::Hex,
            "base64" => Self::Base64,
            "json" => Self::Json,
            "size" => Self::Size,
            "parts" => Self::Parts,
            "number" => Self::Number,
            "time" => Self::Time,
            "unix" => Self::Unix,
            "delta" => Self::Delta,
            _ => {
                return Err(format!(
                    "{{{name}}} is not one of {{}}, {{0}}, {{1}} …, {{topic}}, {{body}}, {{hex}}, {{base64}}, \
                     {{json}}, {{size}}, {{parts}}, {{number}}, {{time}}, {{unix}} and {{delta}}"
                ));
            }
        })
    }

    fn fill(
        &self,
        printer: &Printer,
        parts: &[Bytes],
        moment: Option<Moment>,
        out: &mut Vec<u8>,
    ) -> std::io::Result<()> {
        match self {
            Self::Literal(octets) => out.extend_from_slice(octets),
            Self::All => printer.push_joined(parts, out),
            Self::Part(number) => {
                if let Some(part) = parts.get(*number) {
                    printer.push_text(part, out);
                }
            }
            Self::Body => printer.push_joined(parts.get(1..).unwrap_or_default(), out),
            Self::Hex => push_hex_parts(parts, out),
            Self::Base64 => {
                for (number, part) in parts.iter().enumerate() {
                    if number > 0 {
                        out.push(b' ');
                    }
                    json::push_base64(part, out);
                }
            }
            Self::Json => json::push_parts(parts, out),
            Self::Size => write!(out, "{}", parts.iter().map(Bytes::len).sum::<usize>())?,
            Self::Parts => write!(out, "{}", parts.len())?,
            timed => {
                let Some(Moment { time, delta, number }) = moment else { return Ok(()) };
                match timed {
                    Self::Number => write!(out, "{number}")?,
                    Self::Delta => write!(out, "{delta:.6}")?,
                    Self::Unix => {
                        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
                        write!(out, "{:.6}", since.as_secs_f64())?;
                    }
                    _ => write!(out, "{}", rfc3339(time))?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_taken_apart() {
        let literal = |text: &str| Piece::Literal(text.into());
        let rows = [
            ("{topic}\\t{1}", vec![Piece::Part(0), literal("\t"), Piece::Part(1)]),
            ("{{{}}}\\c", vec![literal("{"), Piece::All, literal("}")]),
            ("", vec![]),
            ("{size}", vec![Piece::Size]),
        ];
        for (format, pieces) in rows {
            let template = Template::parse(format).unwrap();
            assert_eq!(template.pieces, pieces, "{format}");
            assert_eq!(template.ends_line, !format.ends_with("\\c"));
        }
        for bad in ["{", "}", "{topc}", "{0", "\\q", "{-1}"] {
            Template::parse(bad).expect_err(bad);
        }
    }
}
