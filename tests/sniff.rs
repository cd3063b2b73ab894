//! Every way in which looking for a protocol can end.

// A helper that fails fails its test.
#![allow(clippy::unwrap_used)]

use std::{
    future::pending,
    io::{self, ErrorKind},
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use oneport::{
    FIRST_BYTE_WITHIN, ListenConfig, Listener, Mark, Port, Sniff, SniffError,
    proto::{BoxError, Session, code_of},
    services::{BoxProtocol, Conn, Drainer, Protocol},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex},
    net::TcpStream,
    time::{Instant, timeout},
};
use tower::{Service, ServiceExt, service_fn};

#[path = "harness/recorder.rs"]
mod recorder;

use recorder::Counts;

const LONG: Duration = Duration::from_secs(24 * 3600);

/// A protocol that says its name once it is sent something, and then waits for the end.
fn named(name: &'static str) -> impl Protocol {
    service_fn(move |mut conn: Conn| async move {
        conn.chunk().await?;
        conn.write_all(name.as_bytes()).await?;
        Ok::<_, BoxError>(())
    })
}

/// The rows that a Consul server has, of which two are served.
fn consul_like() -> Port {
    Port::builder()
        .tag(0, "net/rpc", named("net/rpc"))
        .unserved(1, "raft")
        .unserved(3, "tls")
        .tag(4, "yamux", named("yamux"))
        .unserved(5, "snapshot")
        .unserved(7, "tls insecure")
        .unserved(8, "grpc")
        .build()
        .unwrap()
}

fn pipe(drainer: &Drainer) -> (Conn, DuplexStream) {
    let (near, far) = duplex(64);
    let conn = Conn::stream(Session::in_process(), drainer.handle(), near);
    (conn, far)
}

/// What a client that sends `bytes` at once reads.
async fn answer(addr: SocketAddr, bytes: &[u8]) -> Result<String, ErrorKind> {
    let mut client = TcpStream::connect(addr).await.unwrap();
    client.write_all(bytes).await.unwrap();
    let mut said = String::new();
    let read = client.read_to_string(&mut said).await;
    read.map(|_| said).map_err(|error| error.kind())
}

/// Recorded of a Consul 1.13 server: a refused byte alone ends in FIN without a byte, and in RST
/// when more had been sent.
#[tokio::test]
async fn every_first_byte_on_a_plain_port() {
    let (counts, _guard) = Counts::install();
    let config = ListenConfig {
        conns_per_second: 0,
        ..ListenConfig::default()
    };
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), config)
        .await
        .unwrap();
    let addr = listener.local_addr();
    let drainer = Drainer::new();
    let server = tokio::spawn(listener.serve(Sniff::new(consul_like()), drainer.handle()));

    for byte in 0..=u8::MAX {
        let more = answer(addr, &[byte, b'p', b'i', b'n', b'g']).await;
        match byte {
            0 => assert_eq!(more.as_deref(), Ok("net/rpc")),
            4 => assert_eq!(more.as_deref(), Ok("yamux")),
            _ => {
                assert_eq!(more, Err(ErrorKind::ConnectionReset), "{byte} and more");
                assert_eq!(answer(addr, &[byte]).await.as_deref(), Ok(""), "{byte}");
            }
        }
    }

    drainer.drain();
    let served = server.await.unwrap();
    assert_eq!((served.accepted, served.cut), (2 + 2 * 254, 0));
    assert_eq!(counts.of("oneport.sniff.outcomes{routed}"), 2);
    assert_eq!(counts.of("oneport.sniff.outcomes{unserved}"), 2 * 5);
    assert_eq!(counts.of("oneport.sniff.outcomes{unknown}"), 2 * 249);
    assert_eq!(counts.of("oneport.sniff.duration{unknown}"), 2 * 249);
    assert_eq!(counts.of("oneport.port.routed{yamux}"), 1);
    assert_eq!(counts.of("oneport.port.routed{grpc}"), 2);
    assert_eq!(counts.of("oneport.connections.accepted"), 2 + 2 * 254);
    assert_eq!(counts.of("rpc.accept_conn"), 2 + 2 * 254);
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_has_five_seconds() {
    let (counts, _guard) = Counts::install();
    let drainer = Drainer::new();
    let (conn, _far) = pipe(&drainer);
    let began = Instant::now();
    let error = Sniff::new(consul_like()).oneshot(conn).await.unwrap_err();
    assert_eq!(began.elapsed(), FIRST_BYTE_WITHIN);
    assert_eq!(error.to_string(), "no first byte within 5s");
    assert_eq!(code_of(&error), tonic::Code::DeadlineExceeded);
    assert_eq!(counts.of("oneport.sniff.outcomes{late}"), 1);
}

#[tokio::test(start_paused = true)]
async fn no_time_is_for_ever() {
    let drainer = Drainer::new();
    let (conn, _far) = pipe(&drainer);
    let sniff = Sniff::new(consul_like()).within(Duration::ZERO);
    assert!(timeout(LONG, sniff.oneshot(conn)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_timed_after_the_first_byte() {
    let drainer = Drainer::new();
    let (conn, mut far) = pipe(&drainer);
    far.write_all(&[4]).await.unwrap();
    let waiting = Sniff::new(consul_like()).oneshot(conn);
    assert!(timeout(LONG, waiting).await.is_err());
}

#[tokio::test]
async fn a_peer_that_leaves_is_no_error() {
    let (counts, _guard) = Counts::install();
    let drainer = Drainer::new();
    let (conn, far) = pipe(&drainer);
    drop(far);
    Sniff::new(consul_like()).oneshot(conn).await.unwrap();
    assert_eq!(counts.of("oneport.sniff.outcomes{ended}"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_who_has_not_spoken() {
    let (counts, _guard) = Counts::install();
    let drainer = Drainer::new();
    let (silent, _far) = pipe(&drainer);
    let began = Instant::now();
    let sniffing = tokio::spawn(Sniff::new(consul_like()).oneshot(silent));
    drainer.drain();
    let error = sniffing.await.unwrap().unwrap_err();
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert!(matches!(error.downcast_ref(), Some(SniffError::Draining)));
    assert_eq!(code_of(&error), tonic::Code::Unavailable);
    assert_eq!(counts.of("oneport.sniff.outcomes{draining}"), 1);

    let (spoken, mut far) = pipe(&drainer);
    far.write_all(b"\x04ping").await.unwrap();
    Sniff::new(consul_like()).oneshot(spoken).await.unwrap();
    let mut said = String::new();
    far.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "yamux");
}

/// A transport that fails at the first read.
struct Broken;

impl AsyncRead for Broken {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(Err(ErrorKind::ConnectionReset.into()))
    }
}

impl AsyncWrite for Broken {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(ErrorKind::ConnectionReset.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_broken_transport_is_counted_apart() {
    let (counts, _guard) = Counts::install();
    let drainer = Drainer::new();
    let conn = Conn::stream(Session::in_process(), drainer.handle(), Broken);
    let error = Sniff::new(consul_like()).oneshot(conn).await.unwrap_err();
    assert!(matches!(error.downcast_ref(), Some(SniffError::Broken(_))));
    assert_eq!(counts.of("oneport.sniff.outcomes{broken}"), 1);
}

#[tokio::test]
async fn a_maker_may_fail_for_its_own_reasons() {
    let (counts, _guard) = Counts::install();
    let drainer = Drainer::new();
    let (conn, mut far) = pipe(&drainer);
    far.write_all(&[4]).await.unwrap();
    let maker = service_fn(|mark: Mark| async move {
        Err::<BoxProtocol, BoxError>(format!("nothing for {mark}").into())
    });
    let error = Sniff::new(maker).oneshot(conn).await.unwrap_err();
    assert_eq!(error.to_string(), "nothing for 0x04");
    assert_eq!(counts.of("oneport.sniff.outcomes{failed}"), 1);
}

/// A maker that must be made ready before each call, and tells that it was.
#[derive(Default)]
struct Reserving {
    reserved: bool,
    ever: Arc<AtomicBool>,
}

impl Clone for Reserving {
    /// A clone has reserved nothing.
    fn clone(&self) -> Self {
        Reserving {
            reserved: false,
            ever: Arc::clone(&self.ever),
        }
    }
}

impl Service<Mark> for Reserving {
    type Response = BoxProtocol;
    type Error = BoxError;
    type Future = std::future::Ready<Result<BoxProtocol, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.reserved = true;
        self.ever.store(true, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Mark) -> Self::Future {
        assert!(std::mem::take(&mut self.reserved), "called unready");
        std::future::ready(Ok(BoxProtocol::new(named("reserved"))))
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_holds_no_capacity() {
    let drainer = Drainer::new();
    let maker = Reserving::default();
    let ever = Arc::clone(&maker.ever);
    let sniff = Sniff::new(maker);

    let (silent, _far) = pipe(&drainer);
    assert!(sniff.clone().oneshot(silent).await.is_err());
    assert!(!ever.load(Ordering::Relaxed));

    let (spoken, mut far) = pipe(&drainer);
    far.write_all(b"\x04").await.unwrap();
    sniff.oneshot(spoken).await.unwrap();
    assert!(ever.load(Ordering::Relaxed));
}

#[tokio::test(start_paused = true)]
async fn a_connection_refused_while_nobody_reads_is_still_closed() {
    let drainer = Drainer::new();
    let (conn, mut far) = pipe(&drainer);
    far.write_all(&[0xff; 64]).await.unwrap();
    let refused = Sniff::new(consul_like()).oneshot(conn).await;
    assert!(refused.is_err());
    assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
    assert!(timeout(LONG, pending::<()>()).await.is_err());
    assert_eq!(drainer.handles(), 0);
}
