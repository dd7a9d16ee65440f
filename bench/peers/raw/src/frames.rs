//! The frames of ZMTP, with no more checks than counting takes.

use rig::Tally;

/// The largest body that is put together; of a larger one only the beginning is looked at.
const WHOLE: usize = 65536;
/// The octets at the beginning of a larger message that are looked at.
const HEAD: usize = 16;

/// A message of one part on the wire (RFC 23, Framing).
pub(crate) fn frame(body: &[u8]) -> Vec<u8> {
    let mut frame = match u8::try_from(body.len()) {
        Ok(size) => vec![0, size],
        Err(_) => [&[2], &(body.len() as u64).to_be_bytes()[..]].concat(),
    };
    frame.extend_from_slice(body);
    frame
}

/// Takes frames apart.
pub(crate) struct Splitter {
    buffer: Vec<u8>,
    filled: usize,
    skip: usize,
    chunk: usize,
}

impl Splitter {
    /// Reads `chunk` octets at a time, or 64 KiB if that is more.
    pub(crate) fn new(chunk: usize) -> Self {
        let chunk = chunk.max(WHOLE);
        Self { buffer: vec![0; 2 * chunk + WHOLE], filled: 0, skip: 0, chunk }
    }

    /// Where the next octets belong.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        let end = self.buffer.len().min(self.filled + self.chunk);
        &mut self.buffer[self.filled..end]
    }

    /// Counts the frames that `arrived` octets have completed.
    pub(crate) fn split(&mut self, arrived: usize, tally: &mut Tally) {
        self.filled += arrived;
        let mut at = 0;
        while !tally.is_done() {
            let skipped = self.skip.min(self.filled - at);
            self.skip -= skipped;
            at += skipped;
            let rest = &self.buffer[at..self.filled];
            let Some((header, size)) = header(rest) else { break };
            if size > WHOLE {
                let Some(head) = rest.get(header..header + HEAD) else { break };
                tally.head(head, size);
                at += header;
                self.skip = size;
            } else {
                let Some(body) = rest.get(header..header + size) else { break };
                tally.message(body);
                at += header + size;
            }
        }
        self.buffer.copy_within(at..self.filled, 0);
        self.filled -= at;
    }
}

/// The length of the header and that of the body, if the header is there.
fn header(octets: &[u8]) -> Option<(usize, usize)> {
    let [flags, rest @ ..] = octets else { return None };
    if flags & 2 == 0 {
        rest.first().map(|size| (2, usize::from(*size)))
    } else {
        rest.first_chunk().map(|size| (9, u64::from_be_bytes(*size) as usize))
    }
}
