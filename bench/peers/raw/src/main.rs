//! The floor of the benchmarks: frames encoded beforehand, a plain tcp connection, and a reader that
//! only takes frames apart and counts; for requests, frames that are sent back as they come. `--rt std`
//! (the default) blocks its thread, `--rt tokio` is on a current-thread runtime.

mod frames;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use rig::{
    Args, Group, Mode, Receiver, Role, Run, Sender, Tally, Ticker, ask_all, now, report_answering,
    run_ready, sleep,
};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::frames::{Splitter, frame};

/// One connection, blocking or not.
enum Wire {
    Std(TcpStream),
    Tokio(tokio::net::TcpStream),
}

impl Wire {
    fn new(stream: TcpStream, on_tokio: bool) -> Self {
        set_up(SockRef::from(&stream));
        if !on_tokio {
            return Self::Std(stream);
        }
        stream.set_nonblocking(true).expect("a tcp socket");
        Self::Tokio(tokio::net::TcpStream::from_std(stream).expect("a runtime"))
    }

    /// Writes everything. That the reader has left is no matter: it has seen the end.
    async fn write(&mut self, octets: &[u8]) {
        let _ = match self {
            Self::Std(stream) => stream.write_all(octets),
            Self::Tokio(stream) => stream.write_all(octets).await,
        };
    }

    async fn read(&mut self, room: &mut [u8]) -> usize {
        let read = match self {
            Self::Std(stream) => stream.read(room),
            Self::Tokio(stream) => stream.read(room).await,
        };
        read.expect("the connection stands")
    }
}

/// Sets a connection up as fast as the system's tcp is: without a wait for more to send, and without a pace.
fn set_up(socket: SockRef<'_>) {
    socket.set_tcp_nodelay(true).expect("a tcp socket");
    #[cfg(target_os = "linux")]
    socket.set_tcp_congestion(b"reno").expect("every Linux has it");
}

fn main() {
    let args = Args::of_peer("raw");
    let on_tokio = match args.rt.as_deref() {
        None | Some("std") => false,
        Some("tokio") => true,
        Some(other) => panic!("--rt is std or tokio, not {other}"),
    };
    let run = async || match (args.role, args.pattern.asks()) {
        (Role::Sender, false) => sender(&args, on_tokio).await,
        (Role::Receiver, false) => receiver(&args, on_tokio).await,
        (Role::Sender, true) => ask_all(&args, async |_| Client::connect(&args, on_tokio)).await,
        (Role::Receiver, true) => answers(&args).await,
        (role, _) => panic!("raw has no {role:?}"),
    };
    if on_tokio {
        rig::runtime(&Args { rt: None, ..args.clone() }).block_on(run());
    } else {
        run_ready(run());
    }
    std::process::exit(0);
}

async fn sender(args: &Args, on_tokio: bool) {
    let listener = TcpListener::bind(args.address()).expect("the address is free");
    if args.sndbuf != 0 {
        // An accepted connection inherits the listener's buffer size.
        let listener = SockRef::from(&listener);
        listener.set_send_buffer_size(args.sndbuf as usize).expect("a tcp socket");
    }
    args.bound();
    let (stream, _) = listener.accept().expect("a receiver");
    let mut wire = Wire::new(stream, on_tokio);
    while !rig::started() {
        wire.write(&frame(&rig::sync(0))).await;
        sleep(Duration::from_millis(5)).await;
    }
    let sent = match args.mode {
        Mode::Thr => flood(&mut wire, args).await,
        Mode::Lat => beat(&mut wire, args).await,
        Mode::Weather | Mode::Idle => panic!("raw has two modes: thr and lat"),
    };
    let end = frame(&rig::end(0, sent.count()));
    while !rig::stopped() {
        wire.write(&end).await;
        sleep(Duration::from_millis(10)).await;
    }
    sent.report(args.name, 0);
}

/// Writes the same chunk of whole frames again and again.
async fn flood(wire: &mut Wire, args: &Args) -> rig::Sent {
    let mut body = rig::body(args.size);
    body[1..9].copy_from_slice(&u64::MAX.to_le_bytes());
    let frame = frame(&body);
    let in_chunk = (args.chunk / frame.len()).max(1);
    let chunk = frame.repeat(in_chunk);
    let run = Run::begin(args);
    let mut sent = 0;
    while sent < args.count && !run.is_late() {
        let frames = (args.count - sent).min(in_chunk as u64);
        wire.write(&chunk[..frames as usize * frame.len()]).await;
        sent += frames;
    }
    run.end(sent)
}

async fn beat(wire: &mut Wire, args: &Args) -> rig::Sent {
    let ticker = Ticker::new(Duration::from_micros(args.interval_us));
    let mut frame = frame(&rig::body(args.size));
    let time = frame.len() - args.size + 1;
    let run = Run::begin(args);
    for _ in 0..args.count {
        ticker.tick().await;
        frame[time..time + 8].copy_from_slice(&now().to_le_bytes());
        wire.write(&frame).await;
    }
    run.end(args.count)
}

async fn receiver(args: &Args, on_tokio: bool) {
    let group = Group::new(args);
    let mut tally = Tally::new(&group, 0);
    let stream = TcpStream::connect(args.address()).expect("a sender");
    let mut wire = Wire::new(stream, on_tokio);
    let mut splitter = Splitter::new(args.chunk);
    while !tally.is_done() {
        let read = wire.read(splitter.room()).await;
        if read == 0 {
            break;
        }
        splitter.split(read, &mut tally);
    }
    group.report(&[tally]);
}

/// A connection that requests go out on: all at once, when answers are waited for.
struct Client {
    wire: Wire,
    unsent: Vec<u8>,
    splitter: Splitter,
}

impl Client {
    fn connect(args: &Args, on_tokio: bool) -> Self {
        let stream = TcpStream::connect(args.address()).expect("what answers");
        let (wire, splitter) = (Wire::new(stream, on_tokio), Splitter::new(args.chunk));
        Self { wire, unsent: Vec::new(), splitter }
    }
}

impl Sender for Client {
    async fn send(&mut self, body: &[u8]) {
        self.unsent.extend_from_slice(&frame(body));
    }
}

impl Receiver for Client {
    async fn receive(&mut self, tally: &mut Tally) -> Result<(), String> {
        self.wire.write(&self.unsent).await;
        self.unsent.clear();
        let read = self.wire.read(self.splitter.room()).await;
        if read == 0 {
            return Err("the end of the stream".into());
        }
        self.splitter.split(read, tally);
        Ok(())
    }
}

/// Sends everything back on the connection that it came on.
async fn answers(args: &Args) {
    let listener =
        tokio::net::TcpListener::bind(args.address()).await.expect("the address is free");
    args.bound();
    report_answering(args);
    loop {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        set_up(SockRef::from(&stream));
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                let _ = stream.write_all(&buffer[..read]).await;
            }
        });
    }
}
