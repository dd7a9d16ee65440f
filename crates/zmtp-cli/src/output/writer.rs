//! Standard output, written by a thread of its own: a reader that does not read keeps nobody from
//! noticing a signal.

use std::io::{self, Write};
use std::mem;
use std::thread;

use tokio::sync::{mpsc, oneshot};

/// Pieces that may wait for the thread.
const WAITING: usize = 4;

/// So many octets are written together, if there are so many.
const PIECE: usize = 64 << 10;

/// Collects output, and hands it to the thread that writes it.
#[derive(Debug)]
pub(crate) struct Writer {
    buffer: Vec<u8>,
    pieces: mpsc::Sender<Vec<u8>>,
    written: mpsc::UnboundedReceiver<Vec<u8>>,
    /// How the thread has ended; none once that has been told.
    ended: Option<oneshot::Receiver<io::Error>>,
}

impl Writer {
    pub(crate) fn new() -> Self {
        let (pieces, mut to_write) = mpsc::channel::<Vec<u8>>(WAITING);
        let (recycle, written) = mpsc::unbounded_channel();
        let (end, ended) = oneshot::channel();
        thread::spawn(move || {
            let mut stdout = io::stdout().lock();
            while let Some(piece) = to_write.blocking_recv() {
                if let Err(error) = stdout.write_all(&piece).and_then(|()| stdout.flush()) {
                    // Nobody listens any more once the program has ended.
                    let _ = end.send(error);
                    return;
                }
                let _ = recycle.send(piece);
            }
        });
        Self { buffer: Vec::new(), pieces, written, ended: Some(ended) }
    }

    /// Where output is collected.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Hands on what is collected, if it is worth it.
    pub(crate) async fn flush_if_full(&mut self) -> io::Result<()> {
        if self.buffer.len() >= PIECE { self.flush().await } else { Ok(()) }
    }

    /// Hands on what is collected.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        // With the place reserved first, nothing is lost if this future is dropped.
        let Ok(place) = self.pieces.reserve().await else {
            self.buffer.clear();
            return match self.ended.take() {
                Some(ended) => Err(ended.await.unwrap_or(io::ErrorKind::BrokenPipe.into())),
                None => Ok(()),
            };
        };
        let mut next = self.written.try_recv().unwrap_or_default();
        next.clear();
        place.send(mem::replace(&mut self.buffer, next));
        Ok(())
    }

    /// Waits until all is written.
    pub(crate) async fn finish(mut self) -> io::Result<()> {
        self.flush().await?;
        drop(self.pieces);
        // The thread drops its end when it has nothing more to write.
        match self.ended {
            Some(ended) => ended.await.map_or(Ok(()), Err),
            None => Ok(()),
        }
    }
}
