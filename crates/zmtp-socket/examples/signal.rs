//! Two tasks that signal each other: a PAIR at either end, within the process.
//!
//! ```text
//! cargo run --example signal
//! ```

use std::error::Error;

use zmtp_socket::PairSocket;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut main = PairSocket::new();
    main.bind("inproc://steps").await?;
    let worker = tokio::spawn(async {
        let mut worker = PairSocket::new();
        worker.connect("inproc://steps").expect("it is a good endpoint");
        println!("worker: I am ready");
        worker.send("ready").await.expect("the socket is open");
        let signal = worker.recv().await.expect("the socket is open");
        println!("worker: I was told to {:?}", signal.first());
    });

    let signal = main.recv().await?;
    println!("main: the worker is {:?}", signal.first());
    main.send("go").await?;
    Ok(worker.await?)
}
