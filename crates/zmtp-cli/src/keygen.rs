//! `zmtp keygen`: keys for CURVE.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use zmtp_socket::CurveKeyPair;

use crate::ending::{Ending, Failure};
use crate::keys::key_pair;

/// `zmtp keygen`
#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// Where the secret key is written, readable by you alone; the public key is written to FILE.pub
    file: PathBuf,

    /// Make no keys: print the public key that belongs to the secret key in FILE
    #[arg(long)]
    public: bool,
}

impl Keygen {
    pub(crate) fn run(&self) -> Result<Ending, Failure> {
        let keys = match self.public {
            true => key_pair(&self.file)?,
            false => self.generate()?,
        };
        println!("{}", keys.public());
        Ok(Ending::Done)
    }

    fn generate(&self) -> Result<CurveKeyPair, Failure> {
        let keys = CurveKeyPair::generate()?;
        let mut public = self.file.clone().into_os_string();
        public.push(".pub");
        write(&self.file, 0o600, keys.secret().to_z85().as_str())?;
        write(public.as_ref(), 0o644, &keys.public().to_string())?;
        Ok(keys)
    }
}

/// Writes a new file. An existing key may be in use, and is never overwritten.
fn write(file: &Path, mode: u32, key: &str) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    let created = options.write(true).create_new(true).mode(mode).open(file);
    let written = created.and_then(|mut file| writeln!(file, "{key}"));
    written.map_err(|error| format!("{}: {error}", file.display()).into())
}
