//! Ends of connections, as our protocols take them.

use std::sync::LazyLock;

use oneport::{
    proto::Session,
    services::{Conn, Drainer},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

/// A bench never drains.
static DRAINER: LazyLock<Drainer> = LazyLock::new(Drainer::new);

/// A connection over anything that carries bytes.
pub(crate) fn conn<T>(io: T) -> Conn
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    Conn::stream(Session::in_process(), DRAINER.handle(), io)
}

/// A TCP connection.
pub(crate) fn tcp(socket: TcpStream) -> Conn {
    Conn::tcp(Session::in_process(), DRAINER.handle(), socket)
}
