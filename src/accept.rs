//! Where a listener's connections come from.

use std::{
    io,
    net::SocketAddr,
    task::{Context, Poll, ready},
    time::Duration,
};

use oneport_proto::{Local, Peer};
use oneport_services::{Io, StreamIo};
use tokio::net::{TcpListener, TcpStream};
use tracing::debug;

use crate::socket::prepare;

/// A source of connections: a listening socket, or a queue in a test.
pub trait Accept: Send {
    /// What a connection is made of.
    type Io: Io + 'static;

    /// The next connection.
    ///
    /// # Errors
    /// What the transport says. It is asked again, at once if it was that one connection's fault
    /// and after a pause if not; no error ends a listener.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted<Self::Io>>>;
}

/// A connection that has just come in.
#[derive(Debug)]
pub struct Accepted<I> {
    /// Its bytes.
    pub io: I,
    /// Who is at the far end.
    pub peer: Peer,
    /// Where it came in.
    pub local: Local,
}

/// TCP connections of one listening socket.
#[derive(Debug)]
pub struct TcpAccept {
    listener: TcpListener,
    local: SocketAddr,
    keepalive: Duration,
}

impl TcpAccept {
    /// Binds `addr`; connections get `keepalive` as [`ListenConfig`](crate::ListenConfig) says.
    pub(crate) async fn bind(addr: SocketAddr, keepalive: Duration) -> io::Result<TcpAccept> {
        let listener = TcpListener::bind(addr).await?;
        let local = listener.local_addr()?;
        Ok(TcpAccept {
            listener,
            local,
            keepalive,
        })
    }

    /// The bound address: with port 0, the one that the kernel chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

impl Accept for TcpAccept {
    type Io = StreamIo<TcpStream>;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted<Self::Io>>> {
        let (stream, peer) = ready!(self.listener.poll_accept(cx))?;
        if let Err(error) = prepare(&stream, self.keepalive) {
            debug!(%peer, %error, "socket options were not taken");
        }
        Poll::Ready(Ok(Accepted {
            local: Local::Tcp(stream.local_addr().unwrap_or(self.local)),
            io: StreamIo::tcp(stream),
            peer: Peer::Tcp(peer),
        }))
    }
}
