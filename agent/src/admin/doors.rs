//! Where the agent can be asked.

use std::{io, net::SocketAddr, path::PathBuf};

use tokio::net::TcpListener;

use super::socket::{self, Socket};
use crate::config::Config;

/// Why the agent cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// A living process listens on the admin socket's path.
    #[error(
        "oneport.admin_socket {} is in use by a running process: end it, or choose another path",
        path.display()
    )]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// Something that is no socket has the admin socket's path.
    #[error(
        "oneport.admin_socket {} is there already and is no socket: remove it, or choose another path",
        path.display()
    )]
    NoSocket {
        /// The path.
        path: PathBuf,
    },
    /// The admin socket cannot be made.
    #[error("cannot make oneport.admin_socket {}", path.display())]
    Socket {
        /// The path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The address for metrics cannot be bound.
    #[error("cannot listen on oneport.metrics_addr {addr}")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// The admin socket and the address for metrics, as far as there are any.
#[derive(Debug, Default)]
pub(crate) struct Doors {
    socket: Option<Socket>,
    tcp: Option<TcpListener>,
}

impl Doors {
    pub(crate) async fn open(config: &Config) -> Result<Doors, AdminError> {
        let mut doors = Doors::default();
        if let Some(addr) = config.metrics_addr {
            let bound = TcpListener::bind(addr).await;
            doors.tcp = Some(bound.map_err(|source| AdminError::Bind { addr, source })?);
        }
        if let Some(path) = &config.admin_socket {
            doors.socket = Some(socket::bind(path).await?);
        }
        Ok(doors)
    }

    pub(crate) fn metrics_addr(&self) -> Option<SocketAddr> {
        // A bound socket has an address.
        self.tcp.as_ref()?.local_addr().ok()
    }

    pub(super) fn split(self) -> (Option<Socket>, Option<TcpListener>) {
        (self.socket, self.tcp)
    }
}
