//! The memory that a received message costs while it is kept: a subscriber keeps one of many, and its process
//! grows by so many times what it has kept. `cargo run --release -p kept`.

use std::error::Error;
use std::io::Write;
use std::process::{Command, Stdio};
use std::{env, hint};

use libzmq::{Context, Message, SocketOption, SocketType};
use rig::Memory;
use tokio::runtime::Builder;
use zmtp_socket::{HighWaterMark, PubOptions, PubSocket, SubOptions, SubSocket, WhenFull};

/// Sizes of messages, and one of how many is kept.
const ROWS: [(usize, usize); 11] = [
    (64, 100),
    (256, 100),
    (1 << 10, 100),
    (5 << 10, 100),
    (16 << 10, 100),
    (20_000, 100),
    (30_000, 100),
    (40_000, 100),
    (64 << 10, 50),
    (256 << 10, 20),
    (1 << 20, 10),
];

/// Octets that are kept.
const KEPT: usize = 32 << 20;

/// Of small messages, fewer: a hundred times as many have to be received.
const KEPT_OF_SMALL: usize = 4 << 20;

/// Messages that wait to be received: little beside what is kept.
fn queue(size: usize) -> usize {
    ((1 << 20) / size).clamp(2, 1000)
}

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments[..] {
        [library, endpoint, size, each] => keep(library, endpoint, size.parse()?, each.parse()?),
        _ => print_table(),
    }
}

fn print_table() -> Result<(), Failure> {
    println!("{:>10}  {:>8}  {:>6}  {:>6}", "size", "kept", "ours", "libzmq");
    for (size, each) in ROWS {
        print!("{size:>10}  1 of {each:>3}");
        for library in ["ours", "libzmq"] {
            print!("  {:>6}", factor(library, size, each)?);
            std::io::stdout().flush()?;
        }
        println!();
    }
    Ok(())
}

/// Starts this program again as a subscriber, and sends to it until it has had enough.
fn factor(library: &str, size: usize, each: usize) -> Result<String, Failure> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let publisher = PubSocket::with_options(PubOptions::new().when_full(WhenFull::Wait));
    let endpoint = runtime.block_on(publisher.bind("tcp://127.0.0.1:*"))?.to_string();
    let body = vec![b'x'; size];
    let sending = runtime.spawn(async move {
        publisher.wait_for_subscriber("x").await?;
        loop {
            publisher.send(&body[..]).await?;
        }
        #[expect(unreachable_code, reason = "it says what the task fails with")]
        Ok::<(), Failure>(())
    });
    let subscriber = Command::new(env::current_exe()?)
        .args([library, &endpoint, &size.to_string(), &each.to_string()])
        .stderr(Stdio::inherit())
        .output()?;
    sending.abort();
    Ok(String::from_utf8(subscriber.stdout)?.trim().to_owned())
}

/// Receives, keeps, and prints the factor.
fn keep(library: &str, endpoint: &str, size: usize, each: usize) -> Result<(), Failure> {
    let count = if size < 1 << 10 { KEPT_OF_SMALL } else { KEPT } / size;
    match library {
        "ours" => {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mark = HighWaterMark::messages(queue(size));
                let mut socket = SubSocket::with_options(SubOptions::new().receive_hwm(mark));
                socket.subscribe("");
                socket.connect(endpoint)?;
                // After these messages, the memory that is needed only once is there.
                for _ in 0..4 * each {
                    socket.recv().await?;
                }
                let (before, mut kept) = (rest()?, Vec::with_capacity(count));
                while kept.len() < count {
                    kept.push(socket.recv().await?);
                    for _ in 1..each {
                        socket.recv().await?;
                    }
                }
                println!("{:.2}", grown(before, count * size)?);
                drop(hint::black_box(kept));
                Ok(())
            })
        }
        "libzmq" => {
            let socket = Context::new(1).socket(SocketType::Sub);
            socket.set(SocketOption::ReceiveHwm, queue(size) as i32);
            socket.subscribe("");
            socket.connect(endpoint);
            let mut passing = Message::default();
            for _ in 0..4 * each {
                socket.receive(&mut passing, true);
            }
            let (before, mut kept) = (rest()?, Vec::with_capacity(count));
            while kept.len() < count {
                kept.push(Message::default());
                socket.receive(kept.last_mut().expect("it has just been pushed"), true);
                for _ in 1..each {
                    socket.receive(&mut passing, true);
                }
            }
            println!("{:.2}", grown(before, count * size)?);
            drop(hint::black_box(kept));
            Ok(())
        }
        other => Err(format!("{other}: which library is that?").into()),
    }
}

/// The octets in memory, without those that the allocator has free.
fn rest() -> Result<u64, Failure> {
    Memory::trim();
    Ok(Memory::of_self().resident()?)
}

/// By how many times `kept` this process has grown.
fn grown(before: u64, kept: usize) -> Result<f64, Failure> {
    Ok(rest()?.saturating_sub(before) as f64 / kept as f64)
}
