//! A relay between two tcp peers that records the octets.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

type Record = Arc<Mutex<Vec<u8>>>;

/// The octets of one direction, and whether they are swallowed.
type Way = (Record, Arc<AtomicBool>);

/// Relays and records octets between the peer that dials it and the address that it was started for.
#[derive(Debug)]
pub struct Wiretap {
    endpoint: String,
    from_dialler: Record,
    from_dialled: Record,
    silent: Arc<AtomicBool>,
}

impl Wiretap {
    /// Starts a relay in front of `endpoint`, `tcp://host:port`. It lives as long as the runtime.
    pub async fn before(endpoint: &str) -> Self {
        let address = endpoint.strip_prefix("tcp://").expect("a tcp endpoint").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("some port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let [from_dialler, from_dialled] = [Record::default(), Record::default()];
        let silent = Arc::new(AtomicBool::new(false));
        let ways = [&from_dialler, &from_dialled].map(|record| (record.clone(), silent.clone()));
        tokio::spawn(async move {
            while let Ok((dialler, _)) = listener.accept().await {
                let Ok(dialled) = TcpStream::connect(&address).await else { continue };
                let (from_dialler, to_dialler) = dialler.into_split();
                let (from_dialled, to_dialled) = dialled.into_split();
                let [there, back] = ways.clone();
                tokio::spawn(pass_on(from_dialler, to_dialled, there));
                tokio::spawn(pass_on(from_dialled, to_dialler, back));
            }
        });
        Self { endpoint: format!("tcp://127.0.0.1:{port}"), from_dialler, from_dialled, silent }
    }

    /// The endpoint to dial.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Swallows all further octets of either side; the connections stay open.
    pub fn silence(&self) {
        self.silent.store(true, Ordering::Relaxed);
    }

    /// How often the side that dialled has sent `octets`.
    pub fn count_from_dialler(&self, octets: &[u8]) -> usize {
        count(&self.from_dialler, octets)
    }

    /// How often the side that was dialled has sent `octets`.
    pub fn count_from_dialled(&self, octets: &[u8]) -> usize {
        count(&self.from_dialled, octets)
    }
}

fn count(record: &Record, octets: &[u8]) -> usize {
    let record = record.lock().unwrap_or_else(PoisonError::into_inner);
    record.windows(octets.len()).filter(|window| *window == octets).count()
}

/// Relays octets until one side ends, which the other then notices.
async fn pass_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, (record, silent): Way) {
    let mut octets = vec![0; 8 << 10];
    while let Ok(length @ 1..) = from.read(&mut octets).await {
        let octets = &octets[..length];
        record.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(octets);
        if !silent.load(Ordering::Relaxed) && to.write_all(octets).await.is_err() {
            return;
        }
    }
}
