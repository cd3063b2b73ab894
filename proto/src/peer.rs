//! Who is at each end of a connection.

use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc};

/// The far end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A TCP peer and its address.
    Tcp(SocketAddr),
    /// A process on this host, with the credentials that the kernel vouches for.
    Unix(UnixPeer),
    /// This very process: an in-process caller or a test.
    Local,
}

/// What the kernel tells of the process behind a unix socket (`SO_PEERCRED`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnixPeer {
    /// Process id, where the kernel gives it.
    pub pid: Option<i32>,
    /// Effective user id at connect time.
    pub uid: u32,
    /// Effective group id at connect time.
    pub gid: u32,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Tcp(addr) => write!(f, "{addr}"),
            Peer::Unix(unix) => write!(f, "uid={} gid={}", unix.uid, unix.gid),
            Peer::Local => f.write_str("local"),
        }
    }
}

/// The near end of a connection: where it was accepted, or from where it was dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Local {
    /// A TCP address of this host.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(Arc<PathBuf>),
    /// Inside this process.
    InProcess,
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Local::Tcp(addr) => write!(f, "{addr}"),
            Local::Unix(path) => write!(f, "{}", path.display()),
            Local::InProcess => f.write_str("in-process"),
        }
    }
}
