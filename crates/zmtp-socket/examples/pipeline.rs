//! Work that is spread over workers and gathered again: ventilator, workers and sink.
//!
//! PUSH gives each task to one worker, in turn; PULL hears all workers in turn. A worker that is full is
//! passed over, and where all are full the ventilator waits, so nothing is dropped.
//!
//! ```text
//! cargo run --example pipeline
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use tokio::time::sleep;
use zmtp_socket::{PullSocket, PushSocket};

const WORKERS: usize = 3;
const TASKS: usize = 60;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (ventilator, mut sink) = (PushSocket::new(), PullSocket::new());
    let for_tasks = ventilator.bind("tcp://127.0.0.1:*").await?;
    let for_results = sink.bind("tcp://127.0.0.1:*").await?;
    for number in 1..=WORKERS {
        let (tasks, results) = (PullSocket::new(), PushSocket::new());
        tasks.connect(&for_tasks)?;
        results.connect(&for_results)?;
        tokio::spawn(work(number, tasks, results));
    }
    // Otherwise the first worker that is there is given all tasks.
    while ventilator.peer_count() < WORKERS {
        sleep(Duration::from_millis(1)).await;
    }

    let start = Instant::now();
    let (_, done) = tokio::try_join!(spread(&ventilator), gather(&mut sink))?;
    println!("{TASKS} tasks of 10 ms took {} ms", start.elapsed().as_millis());
    for (worker, count) in done {
        println!("{worker} has done {count}");
    }
    Ok(())
}

async fn spread(ventilator: &PushSocket) -> Result<(), Box<dyn Error>> {
    for task in 0..TASKS {
        ventilator.send(format!("task {task}")).await?;
    }
    Ok(())
}

/// Counts what each worker has done.
async fn gather(sink: &mut PullSocket) -> Result<BTreeMap<String, usize>, Box<dyn Error>> {
    let mut done = BTreeMap::new();
    for _ in 0..TASKS {
        let worker = String::from_utf8_lossy(sink.recv().await?.first()).into_owned();
        *done.entry(worker).or_default() += 1;
    }
    Ok(done)
}

async fn work(
    number: usize,
    mut tasks: PullSocket,
    results: PushSocket,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    loop {
        let task = tasks.recv().await?;
        sleep(Duration::from_millis(10)).await;
        results.send((format!("worker {number}"), task.into_first())).await?;
    }
}
