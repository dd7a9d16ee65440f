//! The security options of the command lines: files of users and of keys.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use zmtp_socket::{Configured, CurveKeyPair, CurvePublicKey, CurveSecretKey, Options, PlainUsers};

use crate::Failure;

/// A server's part: who may come in.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct ServerSecurity {
    /// Encrypt with CURVE; the file contains our secret key, as the keygen example writes it
    #[arg(long, value_name = "FILE")]
    curve_secret: Option<PathBuf>,

    /// Admit only the users in this file, a line name:password for each
    #[arg(long, value_name = "FILE")]
    plain: Option<PathBuf>,
}

/// A client's part: who it is, and whom it trusts.
#[derive(Debug, Args)]
pub struct ClientSecurity {
    /// Encrypt with CURVE; this is the server's public key, 40 characters
    #[arg(long, value_name = "KEY", conflicts_with = "user", allow_hyphen_values = true)]
    curve_server: Option<CurvePublicKey>,

    /// Our own secret key, in a file [default: a new one each time]
    #[arg(long, value_name = "FILE", requires = "curve_server")]
    curve_secret: Option<PathBuf>,

    /// Our name and password, for a server that asks for them
    #[arg(long, value_name = "NAME:PASSWORD", allow_hyphen_values = true)]
    user: Option<User>,
}

impl ServerSecurity {
    /// Applies the settings to a socket's options.
    ///
    /// # Errors
    /// If a file cannot be read, or has a wrong content; the text names it.
    pub fn apply<T: Configured>(&self, options: Options<T>) -> Result<Options<T>, Failure> {
        if let Some(file) = &self.curve_secret {
            return Ok(options.curve_server(keys(file)?));
        }
        let Some(file) = &self.plain else { return Ok(options) };
        let text = read(file)?;
        let mut users = PlainUsers::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let User { name, password } =
                line.parse().map_err(|error| format!("{}: {error}", file.display()))?;
            users = users.user(name, password);
        }
        Ok(options.plain_server(users))
    }
}

impl ClientSecurity {
    /// Applies the settings to a socket's options.
    ///
    /// # Errors
    /// If a file cannot be read or holds no key; the text names it.
    pub fn apply<T: Configured>(&self, options: Options<T>) -> Result<Options<T>, Failure> {
        if let Some(server) = self.curve_server {
            let ours = self
                .curve_secret
                .as_deref()
                .map_or_else(|| CurveKeyPair::generate().map_err(Failure::from), keys)?;
            return Ok(options.curve_client(server, ours));
        }
        let Some(user) = &self.user else { return Ok(options) };
        Ok(options.plain_client(user.name.clone(), user.password.clone()))
    }
}

/// A name and a password, in the form of command lines and files: separated by a colon.
#[derive(Clone, Debug)]
struct User {
    name: String,
    password: String,
}

impl FromStr for User {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, password) =
            text.trim().split_once(':').ok_or("expected name:password, and there is no colon")?;
        Ok(Self { name: name.to_owned(), password: password.to_owned() })
    }
}

fn keys(file: &Path) -> Result<CurveKeyPair, Failure> {
    let secret: CurveSecretKey =
        read(file)?.trim().parse().map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(CurveKeyPair::from(secret))
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
        security: ClientSecurity,
    }

    #[test]
    fn a_key_and_a_password_may_begin_as_an_option_does() {
        let key = format!("-R{}", "0".repeat(38));
        let program = Program::try_parse_from(["program", "--curve-server", &key]).unwrap();
        assert_eq!(program.security.curve_server.unwrap().to_string(), key);
        let program = Program::try_parse_from(["program", "--user", "-name:-password"]).unwrap();
        assert!(program.security.user.is_some());
    }
}
