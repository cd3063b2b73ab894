//! Opening connections.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use oneport_proto::{BoxError, Local, Peer, Session};
use oneport_services::{Conn, Drain};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tower::Service;
use tracing::debug;

use crate::{config::KEEPALIVE, socket::prepare};

/// How long resolving and connecting may take together: Consul's dial time-out.
pub const DIAL_WITHIN: Duration = Duration::from_secs(10);

/// Where to connect, and what to say first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    address: String,
    tag: Option<u8>,
    within: Duration,
}

impl Endpoint {
    /// An endpoint at `host:port`, where the host may be a name; nothing is said first.
    pub fn new(address: impl Into<String>) -> Endpoint {
        Endpoint {
            address: address.into(),
            tag: None,
            within: DIAL_WITHIN,
        }
    }

    /// With the byte that opens the protocol at the far end, as
    /// [`PortBuilder::tag`](crate::PortBuilder::tag) names it there.
    #[must_use]
    pub fn tag(mut self, byte: u8) -> Endpoint {
        self.tag = Some(byte);
        self
    }

    /// With another time for resolving and connecting together; the default is [`DIAL_WITHIN`].
    #[must_use]
    pub fn within(mut self, within: Duration) -> Endpoint {
        self.within = within;
        self
    }

    /// The address as it was given.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(addr: SocketAddr) -> Endpoint {
        Endpoint::new(addr.to_string())
    }
}

/// Opens connections: `Service<Endpoint, Response = Conn>`, always ready.
///
/// The type byte waits in the connection's output buffer and leaves with the first request. Errors
/// are [`DialError`]s.
#[derive(Clone, Debug)]
pub struct Dial {
    drain: Drain,
}

impl Dial {
    /// A dialler whose connections take part in `drain`.
    pub fn new(drain: Drain) -> Dial {
        Dial { drain }
    }
}

impl Service<Endpoint> for Dial {
    type Response = Conn;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Conn, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, endpoint: Endpoint) -> Self::Future {
        let drain = self.drain.clone();
        Box::pin(async move {
            let mut conn = dial(&endpoint, drain).await?;
            if let Some(byte) = endpoint.tag {
                conn.put(&mut |out| out.extend_from_slice(&[byte]));
            }
            Ok(conn)
        })
    }
}

async fn dial(endpoint: &Endpoint, drain: Drain) -> Result<Conn, DialError> {
    let (stream, peer) = in_time(endpoint, connect(&endpoint.address)).await?;
    let local = stream.local_addr().map_err(|source| DialError::Connect {
        address: endpoint.address.clone(),
        source,
    })?;
    let session = Session::new(Peer::Tcp(peer), Local::Tcp(local));
    Ok(Conn::tcp(session, drain, stream))
}

async fn in_time<T>(
    endpoint: &Endpoint,
    connecting: impl Future<Output = Result<T, DialError>>,
) -> Result<T, DialError> {
    match timeout(endpoint.within, connecting).await {
        Ok(connected) => connected,
        Err(_elapsed) => Err(DialError::Late {
            address: endpoint.address.clone(),
            within: endpoint.within,
        }),
    }
}

/// Tries the addresses of a name one after the other; the error is the last one's.
async fn connect(address: &str) -> Result<(TcpStream, SocketAddr), DialError> {
    let owned = || address.to_owned();
    let resolve = |source| DialError::Resolve {
        address: owned(),
        source,
    };
    let mut error = DialError::NoAddress { address: owned() };
    for addr in lookup_host(address).await.map_err(resolve)? {
        match TcpStream::connect(addr).await {
            Ok(stream) => {
                if let Err(error) = prepare(&stream, KEEPALIVE) {
                    debug!(%addr, %error, "socket options were not taken");
                }
                return Ok((stream, addr));
            }
            Err(source) => {
                let address = owned();
                error = DialError::Connect { address, source };
            }
        }
    }
    Err(error)
}

/// Why there is no connection. Every variant names the address that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The host's name has no address, or the address is none.
    #[error("cannot resolve {address}")]
    Resolve {
        /// As it was given.
        address: String,
        /// What the resolver says.
        source: io::Error,
    },
    /// The resolver had no objection and no address.
    #[error("{address} resolves to nothing")]
    NoAddress {
        /// As it was given.
        address: String,
    },
    /// Nobody answered there.
    #[error("cannot connect to {address}")]
    Connect {
        /// As it was given.
        address: String,
        /// What the kernel says.
        source: io::Error,
    },
    /// It took too long.
    #[error("no connection to {address} within {within:?}")]
    Late {
        /// As it was given.
        address: String,
        /// The time that it had.
        within: Duration,
    },
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use oneport_services::Drainer;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    async fn open(endpoint: Endpoint) -> Result<Conn, DialError> {
        let drainer = Drainer::new();
        let conn = Dial::new(drainer.handle()).call(endpoint).await;
        conn.map_err(|error| *error.downcast().unwrap())
    }

    #[tokio::test]
    async fn the_tag_leaves_with_the_first_request() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::from(listener.local_addr().unwrap()).tag(4);
        let mut conn = open(endpoint).await.unwrap();
        let (mut far, peer) = listener.accept().await.unwrap();
        assert_eq!(conn.session().local, Local::Tcp(peer));
        conn.write_all(b"request").await.unwrap();
        let mut got = [0; 8];
        far.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"\x04request");
    }

    #[tokio::test]
    async fn nobody_there_is_an_error_with_the_address() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        drop(listener);
        let error = open(addr.into()).await.unwrap_err();
        assert_eq!(error.to_string(), format!("cannot connect to {addr}"));
        assert!(matches!(error, DialError::Connect { .. }));
    }

    #[tokio::test]
    async fn an_address_without_port_is_no_address() {
        let error = open(Endpoint::new("localhost")).await.unwrap_err();
        assert_eq!(error.to_string(), "cannot resolve localhost");
    }

    #[tokio::test(start_paused = true)]
    async fn a_dial_has_a_limit() {
        let endpoint = Endpoint::new("consul:8300");
        let error = in_time::<()>(&endpoint, pending()).await.unwrap_err();
        assert_eq!(error.to_string(), "no connection to consul:8300 within 10s");
    }
}
