//! How every TCP socket of ours is set up, whoever opened it.

use std::{io, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// Sends small writes at once and probes a silent peer every `keepalive`; zero does not probe.
///
/// # Errors
/// What the kernel says; the socket works all the same.
pub(crate) fn prepare(stream: &TcpStream, keepalive: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if keepalive.is_zero() {
        return Ok(());
    }
    let probes = TcpKeepalive::new()
        .with_time(keepalive)
        .with_interval(keepalive);
    SockRef::from(stream).set_tcp_keepalive(&probes)
}
