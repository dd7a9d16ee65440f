//! Standard output, written by a thread of its own. A reader that does not read must not keep the
//! program from handling a signal.

use std::io::{self, Write};
use std::mem;
use std::thread;

use tokio::sync::{mpsc, oneshot};

/// How many pieces may wait for the thread.
const WAITING: usize = 4;

/// How many octets are collected before they are passed on.
const PIECE: usize = 64 << 10;

/// Collects output, and passes it to the thread that writes it.
#[derive(Debug)]
pub(crate) struct Writer {
    buffer: Vec<u8>,
    pieces: mpsc::Sender<Vec<u8>>,
    written: mpsc::UnboundedReceiver<Vec<u8>>,
    /// The error with which the thread ended; `None` once it was returned.
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
                    // At the end of the program, nobody receives this any more.
                    let _ = end.send(error);
                    return;
                }
                let _ = recycle.send(piece);
            }
        });
        Self { buffer: Vec::new(), pieces, written, ended: Some(ended) }
    }

    /// The buffer that collects output.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Passes the collected output on, if there is enough of it.
    pub(crate) async fn flush_if_full(&mut self) -> io::Result<()> {
        if self.buffer.len() >= PIECE { self.flush().await } else { Ok(()) }
    }

    /// Passes the collected output on.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        // Room is reserved first, so that nothing is lost if this future is dropped.
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

    /// Waits until everything is written.
    pub(crate) async fn finish(mut self) -> io::Result<()> {
        self.flush().await?;
        drop(self.pieces);
        // The thread drops its sender when it has nothing more to write.
        match self.ended {
            Some(ended) => ended.await.map_or(Ok(()), Err),
            None => Ok(()),
        }
    }
}
