//! The signals that ask a program to end.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Ctrl-C, and the SIGTERM of `kill` and of service managers.
#[derive(Debug)]
pub struct Interrupts([(SignalKind, Signal); 2]);

impl Interrupts {
    /// From now on neither signal ends the program by itself. It must be made before a program
    /// binds, so that a signal leaves no file of an ipc endpoint behind.
    ///
    /// # Errors
    ///
    /// The error of the system.
    pub fn new() -> io::Result<Self> {
        let listen = |kind| Ok::<_, io::Error>((kind, signal(kind)?));
        Ok(Self([listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?]))
    }

    /// Waits for either signal. Returns the exit status of a program that the signal kept from its
    /// work: as in shells 128 plus the number of the signal, so 130 or 143.
    pub async fn next(&mut self) -> u8 {
        let [(interrupt, one), (terminate, other)] = &mut self.0;
        let kind = tokio::select! {
            _ = one.recv() => interrupt,
            _ = other.recv() => terminate,
        };
        u8::try_from(128 + kind.as_raw_value()).expect("the numbers of both signals are small")
    }
}
