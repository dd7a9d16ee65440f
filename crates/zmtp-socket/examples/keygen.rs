//! Makes a pair of CURVE keys: the secret one goes to a file, the public one to standard output.
//!
//! ```text
//! cargo run --example keygen -- server.key
//! ```

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use zmtp_socket::CurveKeyPair;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).ok_or("usage: keygen FILE")?;
    let keys = CurveKeyPair::generate()?;
    // For its owner's eyes, and never in the place of another.
    let mut secret = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file)?;
    writeln!(secret, "{}", *keys.secret().to_z85())?;
    println!("{}", keys.public());
    Ok(())
}
