//! This library as a victim.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rig::Ticker;
use tokio::runtime::{Builder, Runtime};
use zmtp_socket::kind::{Kind, Sends};
use zmtp_socket::{
    Allowed, Denial, Handle, Options, PubOptions, PubSocket, SubOptions, SubSocket, XPubOptions,
    XPubSocket, XSubSocket, proxy,
};

use super::{BEAT, BETWEEN_TICKS, Engine, FLOOD, PROBE, Settings, Shape, flood, topic};
use crate::victim::{ANY_PORT, TICK};

/// How long a thread rests between two calls that need the socket's lock.
const REST: Duration = Duration::from_micros(250);

/// Longer than any trial.
const THOUGHT: Duration = Duration::from_secs(60);

pub(super) fn run(settings: &Settings) {
    runtime(settings.engine).block_on(async {
        match settings.shape {
            Shape::Direct => direct(settings).await,
            Shape::Proxy => through_proxy(settings).await,
            Shape::Sub => subscriber(settings).await,
        }
        tokio::spawn(watch_turns());
        pending::<()>().await;
    });
}

async fn direct(settings: &Settings) {
    let socket = PubSocket::with_options(judged(PubOptions::new(), settings.judges));
    let endpoint = socket.bind(ANY_PORT).await.expect("a free port");
    rig::print(&endpoint.to_string());
    watch_lock_of(socket.handle());
    tokio::spawn(async move {
        let body = flood();
        loop {
            for _ in 0..BETWEEN_TICKS {
                socket.send(&body[..]).await.expect("the socket is open");
            }
            socket.send(TICK).await.expect("the socket is open");
        }
    });
}

async fn through_proxy(settings: &Settings) {
    let frontend = XSubSocket::new();
    let backend = XPubSocket::with_options(judged(XPubOptions::new(), settings.judges));
    let publishers = frontend.bind(ANY_PORT).await.expect("a free port");
    let subscribers = backend.bind(ANY_PORT).await.expect("a free port");
    rig::print(&format!("{publishers} {subscribers}"));
    watch_lock_of(backend.handle());
    let mut proxy = proxy(frontend, backend);
    tokio::spawn(async move { proxy.run().await });
}

async fn subscriber(settings: &Settings) {
    let mut socket = SubSocket::with_options(judged(SubOptions::new(), settings.judges));
    (0..settings.topics).for_each(|number| socket.subscribe(topic(number)));
    socket.subscribe(FLOOD);
    let endpoint = socket.bind(ANY_PORT).await.expect("a free port");
    rig::print(&endpoint.to_string());
    let handle = socket.handle();
    watch_lock(move || drop(handle.stats()));
    tokio::spawn(async move {
        while socket.recv().await.is_ok() {
            PROBE.received.count(1);
        }
    });
}

/// Lets the first peer in at once, and thinks about every later one for longer than a trial lasts.
fn judged<T: Kind>(options: Options<T>, judges: bool) -> Options<T> {
    static FIRST: AtomicBool = AtomicBool::new(true);
    if !judges {
        return options;
    }
    options.authorize(|_claim| async {
        if FIRST.swap(false, Ordering::Relaxed) {
            return Ok(Allowed::new());
        }
        tokio::time::sleep(THOUGHT).await;
        Err(Denial::refused("it took too long"))
    })
}

/// Wants a turn twice a millisecond, and notes how long it waits for it.
async fn watch_turns() {
    let beat = Ticker::new(BEAT);
    loop {
        PROBE.turn.begin();
        beat.tick().await;
    }
}

/// Sends what nobody wants, from a thread of its own.
fn watch_lock_of<T: Sends>(socket: Handle<T>) {
    watch_lock(move || socket.try_send("nobody").expect("the socket is open"));
}

fn watch_lock(call: impl Fn() + Send + 'static) {
    thread::spawn(move || {
        loop {
            PROBE.lock.begin();
            call();
            PROBE.lock.end();
            thread::sleep(REST);
        }
    });
}

fn runtime(engine: Engine) -> Runtime {
    let mut builder = match engine {
        Engine::Workers => Builder::new_multi_thread(),
        _ => Builder::new_current_thread(),
    };
    builder.worker_threads(2).enable_all().build().expect("a runtime")
}
