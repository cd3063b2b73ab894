//! The admin socket's life in the file system.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tokio::net::{UnixListener, UnixStream};

use super::doors::AdminError;

/// A listening unix socket that only its user may open. Its file goes when this is dropped, unless
/// another process has put its own there.
#[derive(Debug)]
pub(super) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    file: FileId,
}

/// What tells one file from another that has its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    fn of(path: &Path) -> io::Result<FileId> {
        let found = fs::symlink_metadata(path)?;
        Ok(FileId {
            device: found.dev(),
            inode: found.ino(),
        })
    }
}

impl Socket {
    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if FileId::of(&self.path).is_ok_and(|file| file == self.file)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the admin socket");
        }
    }
}

/// Makes the socket. One that a dead process left is replaced; one that somebody listens on is not,
/// and neither is anything else.
pub(super) async fn bind(path: &Path) -> Result<Socket, AdminError> {
    let path = path.to_owned();
    match fs::symlink_metadata(&path) {
        Ok(found) if !found.file_type().is_socket() => return Err(AdminError::NoSocket { path }),
        Ok(_) if UnixStream::connect(&path).await.is_ok() => {
            return Err(AdminError::InUse { path });
        }
        // Stale, or not there: both give way to the new one.
        _ => {}
    }
    make(&path).map_err(|source| AdminError::Socket { path, source })
}

/// The socket is made in a directory that nobody else can enter, given its mode there, and moved to
/// its place: so it never is where others could open it, and it replaces a stale one at once.
fn make(path: &Path) -> io::Result<Socket> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let dir = dir.unwrap_or(Path::new("."));
    let private = tempfile::Builder::new()
        .prefix(".")
        .rand_bytes(6)
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir_in(dir)?;
    let made = private.path().join("s");
    let listener = UnixListener::bind(&made)?;
    fs::set_permissions(&made, fs::Permissions::from_mode(0o600))?;
    let file = FileId::of(&made)?;
    fs::rename(&made, path)?;
    Ok(Socket {
        listener,
        path: path.to_owned(),
        file,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        (dir, path)
    }

    #[tokio::test]
    async fn a_socket_is_its_users_alone_and_goes_at_the_end() {
        let (dir, path) = dir();
        let socket = bind(&path).await.unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let (connected, accepted) = tokio::join!(UnixStream::connect(&path), socket.accept());
        connected.and(accepted).unwrap();
        // Nothing is left of how it was made.
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        drop(socket);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let (_dir, path) = dir();
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let socket = bind(&path).await.unwrap();
        let error = bind(&path).await.unwrap_err();
        assert!(matches!(error, AdminError::InUse { .. }), "{error}");
        drop(socket);
        fs::write(&path, "precious").unwrap();
        let error = bind(&path).await.unwrap_err();
        assert!(matches!(error, AdminError::NoSocket { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn the_socket_of_a_successor_stays() {
        let (_dir, path) = dir();
        let socket = bind(&path).await.unwrap();
        fs::remove_file(&path).unwrap();
        let successor = bind(&path).await.unwrap();
        drop(socket);
        assert!(path.exists());
        drop(successor);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn the_longest_path_that_may_be_set_can_be_bound() {
        let (dir, _) = dir();
        let room = crate::config::LONGEST_SOCKET - dir.path().as_os_str().len() - 1;
        let path = dir.path().join("s".repeat(room));
        bind(&path).await.unwrap();
    }
}
