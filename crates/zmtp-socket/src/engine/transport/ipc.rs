//! `ipc:///path` and, on Linux, `ipc://@name`.

use std::fs::{File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::Instant;

use super::Connected;
use crate::endpoint::IpcAddress;
use crate::options::LinkOptions;

/// The number of generated names that are tried.
const NAMES: usize = 16;

/// The longest wait for another server to bind: it normally takes almost no time.
const PATIENCE: Duration = Duration::from_secs(1);

/// A listening socket and its file.
pub(crate) struct Listener {
    /// Dropped before the listener: once that is closed, another server may put its own file in place of
    /// ours, and the file system may give it the inode number that ours had.
    _file: Option<SocketFile>,
    listener: UnixListener,
    address: String,
}

impl Listener {
    /// Binds the address, and returns the one that was chosen where any would do. A new file gets the
    /// mode of the options.
    pub(super) async fn bind(
        address: &IpcAddress,
        options: &LinkOptions,
    ) -> io::Result<(Self, IpcAddress)> {
        if let Some(socket) = &options.listener {
            let listener = std::os::unix::net::UnixListener::from(socket.try_clone()?);
            listener.set_nonblocking(true)?;
            let listener = UnixListener::from_std(listener)?;
            return Ok((
                Self { listener, address: name_of(address), _file: None },
                address.clone(),
            ));
        }
        let (address, (listener, file)) = match address {
            IpcAddress::Any => bind_any(options)?,
            IpcAddress::Path(path) => (address.clone(), bind_path(path, options).await?),
            IpcAddress::Abstract(_) => {
                let socket = bound(&location(address)?)?;
                (address.clone(), (listen(socket, options)?, None))
            }
        };
        Ok((Self { listener, address: name_of(&address), _file: file }, address))
    }

    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Connected>> {
        let (stream, _) = ready!(self.listener.poll_accept(cx))?;
        // The other side of an ipc connection has no name of its own.
        Poll::Ready(Ok((stream.into(), self.address.clone())))
    }
}

type Bound = (UnixListener, Option<SocketFile>);

/// Binds an unused path in the folder for temporary files.
fn bind_any(options: &LinkOptions) -> io::Result<(IpcAddress, Bound)> {
    let mut tries = NAMES;
    loop {
        let name = format!("zmtp-{}-{:016x}", std::process::id(), fastrand::u64(..));
        let path = std::env::temp_dir().join(name);
        tries -= 1;
        match bind_new(&path, options) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
            bound => return Ok((IpcAddress::Path(path), bound?)),
        }
    }
}

/// Binds a path, and replaces a file that a dead server has left there.
async fn bind_path(path: &Path, options: &LinkOptions) -> io::Result<Bound> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let _turn = turn_in(folder.unwrap_or(Path::new("."))).await;
    match bind_new(path, options) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path).await => {
            std::fs::remove_file(path)?;
            bind_new(path, options)
        }
        result => result,
    }
}

/// Makes the socket file.
fn bind_new(path: &Path, options: &LinkOptions) -> io::Result<Bound> {
    let socket = bound(path)?;
    let file = SocketFile::of(path)?;
    if let Some(mode) = options.ipc_mode {
        // No peer can connect before we listen.
        std::fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    Ok((listen(socket, options)?, Some(file)))
}

fn bound(location: &Path) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(location)?)?;
    Ok(socket)
}

fn listen(socket: Socket, options: &LinkOptions) -> io::Result<UnixListener> {
    socket.listen(i32::try_from(options.tcp.backlog).unwrap_or(i32::MAX))?;
    socket.set_nonblocking(true)?;
    UnixListener::from_std(socket.into())
}

/// Locks the folder while a server binds, so that servers that start at once bind one after the other.
/// Otherwise one could take the file of another, which is about to listen, for that of a dead server, or
/// remove the file that another has put in its place. If the folder cannot be locked, or not within
/// [`PATIENCE`], the server binds without the lock.
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

/// Whether the path is a socket file without a listener. Any other file is not ours to remove.
async fn is_stale(path: &Path) -> bool {
    let refused = UnixStream::connect(path).await.err().map(|error| error.kind());
    refused == Some(io::ErrorKind::ConnectionRefused)
        && std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
}

/// Connects. Fails at once also if the listener's backlog is full.
pub(super) async fn dial(address: &IpcAddress) -> io::Result<Connected> {
    let stream = UnixStream::connect(location(address)?).await?;
    Ok((stream.into(), name_of(address)))
}

/// The address in the form of the system: an abstract name stands behind a NUL.
fn location(address: &IpcAddress) -> io::Result<PathBuf> {
    match address {
        IpcAddress::Path(path) => Ok(path.clone()),
        #[cfg(any(target_os = "linux", target_os = "android"))]
        IpcAddress::Abstract(name) => Ok(format!("\0{name}").into()),
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        IpcAddress::Abstract(_) => Err(io::ErrorKind::Unsupported.into()),
        IpcAddress::Any => Err(io::ErrorKind::InvalidInput.into()),
    }
}

fn name_of(address: &IpcAddress) -> String {
    match address {
        IpcAddress::Path(path) => path.display().to_string(),
        IpcAddress::Abstract(name) => format!("@{name}"),
        IpcAddress::Any => "*".to_owned(),
    }
}

/// Removes the file when the listener is dropped, unless another server has put its own there since.
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        // The working directory of the process may have changed by then.
        Ok(Self { path: std::path::absolute(path)?, identity: identity(path)? })
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn to_dial_where_nobody_is_accepted_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let name = format!("zmtp-test-{:x}", fastrand::u64(..));
        for address in [IpcAddress::Path(path), IpcAddress::Abstract(name)] {
            let full = bound(&location(&address).unwrap()).unwrap();
            full.listen(0).unwrap();
            let mut taken = Vec::new();
            let error = loop {
                assert!(taken.len() < 10, "the queue of a listener has no end");
                match dial(&address).await {
                    Ok(connected) => taken.push(connected),
                    Err(error) => break error,
                }
            };
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        }
    }
}
