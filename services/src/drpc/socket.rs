//! One connection of packets.

use std::{io, os::fd::OwnedFd, path::PathBuf, sync::Arc};

use oneport_proto::{Local, Peer, Session};

use super::packet::Packets;
use crate::drain::{Drain, DrainSignal};

/// One connection: what a [`Server`](super::Server) serves. It is to packets what a
/// [`Conn`](crate::Conn) is to bytes.
pub struct Socket {
    pub(crate) packets: Packets,
    pub(crate) session: Arc<Session>,
    pub(crate) drain: DrainSignal,
}

impl Socket {
    /// A connected `SOCK_SEQPACKET` socket that came in at `path`. Who is at the other end is asked
    /// here, once: process, user and group as of when it connected.
    ///
    /// # Errors
    /// If it is another kind of socket, or the runtime or the kernel do not take it.
    pub fn new(socket: OwnedFd, path: Arc<PathBuf>, drain: Drain) -> io::Result<Socket> {
        Socket::accepted(Packets::new(socket)?, path, drain)
    }

    pub(crate) fn accepted(
        packets: Packets,
        path: Arc<PathBuf>,
        drain: Drain,
    ) -> io::Result<Socket> {
        let peer = Peer::Unix(packets.peer()?);
        Ok(Socket {
            packets,
            session: Session::new(peer, Local::Unix(path)),
            drain: DrainSignal::new(drain),
        })
    }

    /// Two ends of one connection, both in this process: a socket to serve, and the other end.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn pair(drain: Drain) -> io::Result<(Socket, super::Channel)> {
        let (near, far) = Packets::pair()?;
        let near = Socket::accepted(near, Arc::new(PathBuf::new()), drain)?;
        Ok((near, super::Channel::connected(far)))
    }

    /// The facts of the connection.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}
