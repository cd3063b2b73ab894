//! How a socket comes to its path, and how it leaves.

use std::{
    fs::{self, File, Metadata, Permissions},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    fs::{FlockOperation, Mode, fchmod, flock},
    io::Errno,
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
    },
};
use tokio::time::{Instant, sleep};

use crate::Backoff;

/// The longest path of a unix socket in bytes: the kernel's `sun_path` without the zero behind it.
pub const MAX_PATH: usize = 107;
/// How many connections may wait to be accepted; the kernel takes `net.core.somaxconn` if that is
/// less.
const BACKLOG: i32 = 4096;
/// How long to wait for another starter that looks at the same directory.
const LOCK_WITHIN: Duration = Duration::from_secs(5);

/// Why there is no socket at a path.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// No path was given.
    #[error("the path of the dRPC socket is empty")]
    NoPath,
    /// The path does not fit into a socket's address.
    #[error("{} has {length} bytes, and the path of a socket has at most {MAX_PATH}", path.display())]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        length: usize,
    },
    /// A name of the abstract namespace, as clients write it, has no file and so no mode.
    #[error("{} is no path: a server's socket needs a file, whose mode says who may connect", path.display())]
    Abstract {
        /// What was given.
        path: PathBuf,
    },
    /// The mode is none.
    #[error("mode {mode:#o} is not between 0o001 and 0o777")]
    Mode {
        /// What was given.
        mode: u32,
    },
    /// Somebody serves there.
    #[error("{} is in use: another server listens on it", path.display())]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// Something else than a socket is there.
    #[error("{} is {kind} and no socket: it is left alone", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// The system does not do it.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The path.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
}

/// The file of a socket that is ours: removed when this is dropped, unless another is there by then.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode));
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "a dRPC socket was left behind");
        }
    }
}

/// A listening socket at `path` of exactly this mode.
///
/// Nobody can connect before the mode holds, and at no time is it wider.
pub(crate) async fn bind_at(path: &Path, mode: u32) -> Result<(OwnedFd, SocketFile), BindError> {
    let address = address(path)?;
    if mode == 0 || mode > 0o777 {
        return Err(BindError::Mode { mode });
    }
    // Two starters at once would both find nothing; the lock is on the directory and leaves no file.
    let _locked = lock_directory(path).await?;
    make_way(path, &address)?;
    let failed = |what| {
        let path = path.to_owned();
        move |error: Errno| BindError::Io {
            what,
            path,
            source: error.into(),
        }
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
        .map_err(failed("make a socket for"))?;
    // On Linux the file then appears with this mode, less the umask.
    fchmod(&socket, Mode::from_raw_mode(mode)).map_err(failed("set the mode of"))?;
    bind(&socket, &address).map_err(failed("bind"))?;
    let file = own(path, mode)?;
    listen(&socket, BACKLOG).map_err(failed("listen on"))?;
    Ok((socket, file))
}

/// The address of `path`.
fn address(path: &Path) -> Result<SocketAddrUnix, BindError> {
    let length = path.as_os_str().len();
    if length == 0 {
        return Err(BindError::NoPath);
    }
    if path.as_os_str().as_encoded_bytes().starts_with(b"@") {
        let path = path.to_owned();
        return Err(BindError::Abstract { path });
    }
    if length > MAX_PATH {
        let path = path.to_owned();
        return Err(BindError::PathTooLong { path, length });
    }
    SocketAddrUnix::new(path).map_err(|error| broken("bind", path, error.into()))
}

/// Holds the directory of `path` until it is dropped. A directory that cannot be read is not held:
/// whoever may write there all the same has to know what he does.
async fn lock_directory(path: &Path) -> Result<Option<File>, BindError> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let Ok(opened) = File::open(directory) else {
        return Ok(None);
    };
    let until = Instant::now() + LOCK_WITHIN;
    let mut backoff = Backoff::default();
    loop {
        match flock(&opened, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(opened)),
            Err(Errno::WOULDBLOCK) if Instant::now() < until => sleep(backoff.wait()).await,
            Err(error) => return Err(broken("lock the directory of", path, error.into())),
        }
    }
}

/// Removes what an earlier server left at `path`, and nothing else.
fn make_way(path: &Path, address: &SocketAddrUnix) -> Result<(), BindError> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(broken("look at", path, error)),
    };
    if let Some(kind) = other_kind(&found) {
        let path = path.to_owned();
        return Err(BindError::NotASocket { path, kind });
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let probe = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
        .map_err(|error| broken("probe", path, error.into()))?;
    match connect(&probe, address) {
        Err(Errno::CONNREFUSED) => {
            fs::remove_file(path).map_err(|error| broken("remove the stale socket", path, error))
        }
        // Gone meanwhile.
        Err(Errno::NOENT) => Ok(()),
        // It listens; with a full queue, or to another type of connection.
        Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) => {
            let path = path.to_owned();
            Err(BindError::InUse { path })
        }
        Err(error) => Err(broken("probe", path, error.into())),
    }
}

/// What a file is that is no socket.
fn other_kind(found: &Metadata) -> Option<&'static str> {
    let kind = found.file_type();
    if kind.is_socket() {
        None
    } else if kind.is_dir() {
        Some("a directory")
    } else if kind.is_symlink() {
        Some("a symbolic link")
    } else if kind.is_file() {
        Some("a regular file")
    } else {
        Some("a device or a pipe")
    }
}

/// Takes possession of the file that `bind` has just made, and undoes what the umask did to its
/// mode.
fn own(path: &Path, mode: u32) -> Result<SocketFile, BindError> {
    let looked = |error| broken("set the mode of", path, error);
    let made = fs::symlink_metadata(path).map_err(looked)?;
    let file = SocketFile {
        path: path.to_owned(),
        device: made.dev(),
        inode: made.ino(),
    };
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(looked)?;
    let now = fs::symlink_metadata(path).map_err(looked)?;
    let same = (now.dev(), now.ino()) == (file.device, file.inode);
    if !same || now.mode() & 0o777 != mode {
        let text = "it did not take it";
        return Err(looked(io::Error::other(text)));
    }
    Ok(file)
}

fn broken(what: &'static str, path: &Path, source: io::Error) -> BindError {
    BindError::Io {
        what,
        path: path.to_owned(),
        source,
    }
}
