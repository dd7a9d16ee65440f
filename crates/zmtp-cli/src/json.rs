//! Messages as JSON: `{"parts":["text",{"base64":"AAH/"}]}`, one per line.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::Deserialize;
use zmtp_socket::Message;

/// A message in input: the form that is written, or only the array of parts, or only one part.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a part (\"text\" or {\"base64\":\"…\"}), an array of \
                               parts, or {\"parts\":[…]}"
)]
enum Line {
    One(Part),
    Many(Vec<Part>),
    Message { parts: Vec<Part> },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Part {
    Text(String),
    Octets { base64: String },
}

/// Parses one line.
pub(crate) fn parse(line: &[u8]) -> Result<Message, String> {
    let parts = match serde_json::from_slice(line).map_err(|error| error.to_string())? {
        Line::One(part) => vec![part],
        Line::Many(parts) | Line::Message { parts } => parts,
    };
    let parts: Vec<Bytes> = parts.into_iter().map(Part::into_octets).collect::<Result<_, _>>()?;
    Message::multipart(parts).ok_or_else(|| "a message has at least one part".to_owned())
}

impl Part {
    fn into_octets(self) -> Result<Bytes, String> {
        match self {
            Self::Text(text) => Ok(text.into()),
            Self::Octets { base64 } => {
                let octets = BASE64.decode(base64).map_err(|error| format!("base64: {error}"))?;
                Ok(octets.into())
            }
        }
    }
}

/// Appends parts as an array.
pub(crate) fn push_parts(parts: &[Bytes], out: &mut Vec<u8>) {
    out.push(b'[');
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        push_part(part, out);
    }
    out.push(b']');
}

/// Appends one part: as text if it is UTF-8, and otherwise as base64.
pub(crate) fn push_part(part: &[u8], out: &mut Vec<u8>) {
    match str::from_utf8(part) {
        Ok(text) => serde_json::to_writer(out, text).expect("text can be written to memory"),
        Err(_) => {
            out.extend_from_slice(b"{\"base64\":\"");
            push_base64(part, out);
            out.extend_from_slice(b"\"}");
        }
    }
}

/// Appends octets as base64.
pub(crate) fn push_base64(octets: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(BASE64.encode(octets).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_shorter_forms_are_too() {
        let rows: [(&str, &[&[u8]]); 4] = [
            (r#""a\"b""#, &[b"a\"b"]),
            (r#"{"base64":"AP8="}"#, &[b"\0\xff"]),
            (r#"["", "ü"]"#, &[b"", "ü".as_bytes()]),
            (r#"{"time":"now","parts":["a",{"base64":"/w=="}]}"#, &[b"a", b"\xff"]),
        ];
        for (line, parts) in rows {
            let message = parse(line.as_bytes()).unwrap();
            assert_eq!(message.parts(), parts, "{line}");
            let mut out = Vec::new();
            push_parts(message.parts(), &mut out);
            assert_eq!(parse(&out).unwrap().parts(), parts);
        }
        for bad in ["", "1", "[]", "[1]", r#"{"base64":"?"}"#, r#"{"parts":[]}"#, "\"a\" \"b\""] {
            parse(bad.as_bytes()).expect_err(bad);
        }
    }
}
