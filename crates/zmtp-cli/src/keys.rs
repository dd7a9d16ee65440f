//! Security from files: CURVE keys, PLAIN names and passwords.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use zmtp_codec::Mechanism;
use zmtp_socket::{
    Configured, CurveKeyPair, CurvePublicKey, CurveSecretKey, Options, PlainUsers, allow_keys,
};

use crate::ending::Failure;

/// Our identity, the server that we trust, and the clients that may come in. Secrets are read from files
/// alone.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Security")]
pub(crate) struct Security {
    /// Encrypt with CURVE, as a client of the server with this public key: 40 characters, or a file
    #[arg(long, value_name = "KEY|FILE", allow_hyphen_values = true)]
    curve_server: Option<String>,

    /// The file with our secret key, as `zmtp keygen` writes it. Without --curve-server we are the CURVE server
    #[arg(long, value_name = "FILE")]
    curve_secret: Option<PathBuf>,

    /// As a CURVE server, admit only clients whose public keys are in this file, one on a line
    #[arg(long, value_name = "FILE", requires = "curve_secret", conflicts_with = "curve_server")]
    curve_allow: Option<PathBuf>,

    /// As a PLAIN client: the file with our user name and password, one line, name:password
    #[arg(long, value_name = "FILE", conflicts_with_all = ["curve_server", "curve_secret"])]
    plain_login: Option<PathBuf>,

    /// As a PLAIN server, admit only the users in this file, a line name:password for each
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["curve_server", "curve_secret", "plain_login"]
    )]
    plain_users: Option<PathBuf>,
}

impl Security {
    /// Applies the settings to the options of a socket.
    pub(crate) fn apply<T: Configured>(&self, options: Options<T>) -> Result<Options<T>, Failure> {
        if let Some(users) = &self.plain_users {
            let mut table = PlainUsers::new();
            for line in lines(&read(users)?) {
                let (name, password) = user(line, users)?;
                table = table.user(name, password);
            }
            return Ok(options.plain_server(table));
        }
        let options = with_mechanism(options, self.mechanism()?);
        // Only a CURVE server can be given one.
        let Some(file) = &self.curve_allow else { return Ok(options) };
        let text = read(file)?;
        let keys = lines(&text).map(|line| public_key(line, file));
        Ok(options.authorize(allow_keys(keys.collect::<Result<Vec<_>, _>>()?)))
    }

    /// The mechanism of a connection that is not a PLAIN server.
    pub(crate) fn mechanism(&self) -> Result<Mechanism, Failure> {
        if let Some(file) = &self.plain_login {
            let (username, password) = login(file)?;
            return Ok(Mechanism::PlainClient {
                username: username.into(),
                password: password.into(),
            });
        }
        let ours = self.curve_secret.as_deref().map(key_pair).transpose()?;
        Ok(match (&self.curve_server, ours) {
            (Some(server), ours) => {
                let server_key = server_key(server)?;
                let keys = ours.map_or_else(CurveKeyPair::generate, Ok)?;
                Mechanism::CurveClient { server_key, keys }
            }
            (None, Some(keys)) => Mechanism::CurveServer { keys },
            (None, None) => Mechanism::Null,
        })
    }
}

/// Options with a mechanism that is not a PLAIN server's.
pub(crate) fn with_mechanism<T: Configured>(
    options: Options<T>,
    mechanism: Mechanism,
) -> Options<T> {
    match mechanism {
        Mechanism::PlainClient { username, password } => options.plain_client(username, password),
        Mechanism::CurveClient { server_key, keys } => options.curve_client(server_key, keys),
        Mechanism::CurveServer { keys } => options.curve_server(keys),
        _ => options,
    }
}

/// Reads a name and a password from a file.
pub(crate) fn login(file: &Path) -> Result<(String, String), Failure> {
    let text = read(file)?;
    let line = lines(&text).next().ok_or_else(|| {
        format!("{}: the file is empty; expected a line name:password", file.display())
    })?;
    user(line, file)
}

/// Reads a secret key from a file, and returns its key pair.
pub(crate) fn key_pair(file: &Path) -> Result<CurveKeyPair, Failure> {
    let text = read(file)?;
    let line = lines(&text).next().unwrap_or_default();
    let secret: CurveSecretKey = line.parse().map_err(|error| {
        format!("{}: not a secret key, as zmtp keygen writes it: {error}", file.display())
    })?;
    Ok(CurveKeyPair::from(secret))
}

/// A public key, given as text or as the file that contains it.
fn server_key(text: &str) -> Result<CurvePublicKey, Failure> {
    if let Ok(key) = text.parse() {
        return Ok(key);
    }
    let file = Path::new(text);
    match fs::read_to_string(file) {
        Ok(content) => public_key(lines(&content).next().unwrap_or_default(), file),
        Err(error) => Err(format!(
            "--curve-server {text}: not a public key of 40 characters, and not a file: {error}"
        )
        .into()),
    }
}

fn public_key(line: &str, file: &Path) -> Result<CurvePublicKey, Failure> {
    let key = line.parse();
    key.map_err(|error| {
        format!("{}: not a public key, as zmtp keygen writes it: {error}", file.display()).into()
    })
}

fn user(line: &str, file: &Path) -> Result<(String, String), Failure> {
    let (name, password) = line.split_once(':').ok_or_else(|| {
        format!("{}: expected name:password on a line, and there is no colon", file.display())
    })?;
    Ok((name.to_owned(), password.to_owned()))
}

/// The lines that are not empty. There are no comments, since a key in Z85 may begin with #.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

fn read(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()).into())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        security: Security,
    }

    #[test]
    fn a_key_may_begin_as_an_option_does() {
        let key = format!("-R{}", "0".repeat(38));
        let program = Program::try_parse_from(["program", "--curve-server", &key]).unwrap();
        assert_eq!(program.security.curve_server, Some(key));
    }
}
