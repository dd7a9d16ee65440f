//! `ipc:///path` and, on Linux, `ipc://@name`.

use std::fs::{File, TryLockError};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{SocketAddr, UnixListener as StdListener, UnixStream as StdStream};
use std::path::{Path, PathBuf};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::time::Instant;

use super::Connected;
use crate::IpcAddress;

/// Others bind in no time.
const PATIENCE: Duration = Duration::from_secs(1);

/// A listening socket, and the file that goes with it.
pub(crate) struct Listener {
    /// Goes before the listener: once that is closed, another server may put its own file in place of
    /// ours, and the file system may give it the number that ours had.
    _file: Option<SocketFile>,
    listener: UnixListener,
    address: String,
}

impl Listener {
    pub(super) async fn bind(address: &IpcAddress) -> io::Result<Self> {
        let (listener, file) = match address {
            IpcAddress::Abstract(name) => {
                let name = SocketAddr::from_abstract_name(name)?;
                let listener = StdListener::bind_addr(&name)?;
                listener.set_nonblocking(true)?;
                (UnixListener::from_std(listener)?, None)
            }
            IpcAddress::Path(path) => {
                let listener = bind_path(path).await?;
                (listener, Some(SocketFile::of(path)?))
            }
        };
        Ok(Self { listener, address: name_of(address), _file: file })
    }

    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Connected>> {
        let (stream, _) = ready!(self.listener.poll_accept(cx))?;
        // The other side of an ipc connection has no name of its own.
        Poll::Ready(Ok((stream.into(), self.address.clone())))
    }
}

/// Binds a path; a file left there by a dead server is in nobody's way.
async fn bind_path(path: &Path) -> io::Result<UnixListener> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let _turn = turn_in(folder.unwrap_or(Path::new("."))).await;
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path).await => {
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        result => result,
    }
}

/// Of servers that come at once, one binds after the other: else one takes a file for that of a dead server
/// whose owner is about to listen, or removes what another has put in its place. So the folder is locked
/// meanwhile, if it can be, but nobody is waited for longer than [`PATIENCE`].
async fn turn_in(folder: &Path) -> Option<File> {
    let folder = File::open(folder).ok()?;
    let until = Instant::now() + PATIENCE;
    loop {
        match folder.try_lock() {
            Ok(()) => return Some(folder),
            Err(TryLockError::WouldBlock) if Instant::now() < until => {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Err(_) => return None,
        }
    }
}

/// A socket file that nobody listens on. Whatever else stands there is not ours to remove.
async fn is_stale(path: &Path) -> bool {
    let refused = UnixStream::connect(path).await.err().map(|error| error.kind());
    refused == Some(io::ErrorKind::ConnectionRefused)
        && std::fs::symlink_metadata(path)
            .is_ok_and(|file| std::os::unix::fs::FileTypeExt::is_socket(&file.file_type()))
}

pub(super) async fn dial(address: &IpcAddress) -> io::Result<Connected> {
    let stream = match address {
        IpcAddress::Path(path) => UnixStream::connect(path).await?,
        IpcAddress::Abstract(name) => {
            // Within one machine a connection is made or refused at once.
            let stream = StdStream::connect_addr(&SocketAddr::from_abstract_name(name)?)?;
            stream.set_nonblocking(true)?;
            UnixStream::from_std(stream)?
        }
    };
    Ok((stream.into(), name_of(address)))
}

fn name_of(address: &IpcAddress) -> String {
    match address {
        IpcAddress::Path(path) => path.display().to_string(),
        IpcAddress::Abstract(name) => format!("@{name}"),
    }
}

/// Removes the file when the listener goes, unless another server has put its own there since.
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|now| now == self.identity) {
            let _gone_already = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}
