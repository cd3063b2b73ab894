//! The way down: who may finish, who is cut, and when it is over.

// A helper that fails fails its test.
#![allow(clippy::unwrap_used)]

use std::{future::pending, io::ErrorKind, time::Duration};

use oneport::{
    GRACE, ListenConfig, Listener, Port, Sniff,
    proto::BoxError,
    services::{Conn, Drainer, Protocol},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep},
};
use tower::service_fn;

#[path = "harness/queue.rs"]
mod queue;

use queue::Server;

const WORK: Duration = Duration::from_secs(3);

/// Byte 0 works for a while and answers, byte 1 never ends, whatever the drain says.
fn port() -> impl Protocol {
    let works = service_fn(|mut conn: Conn| async move {
        conn.write_all(b"begun ").await?;
        sleep(WORK).await;
        conn.write_all(b"done").await?;
        Ok::<_, BoxError>(())
    });
    let hangs = service_fn(|mut conn: Conn| async move {
        conn.write_all(b"begun ").await?;
        pending::<Result<(), BoxError>>().await
    });
    let port = Port::builder()
        .tag(0, "works", works)
        .tag(1, "hangs", hangs)
        .build()
        .unwrap();
    Sniff::new(port)
}

/// A connection whose protocol has begun.
async fn begun(server: &Server, byte: u8) -> tokio::io::DuplexStream {
    let mut conn = server.connect("10.0.0.1:1");
    conn.write_all(&[byte]).await.unwrap();
    let mut said = [0; 6];
    conn.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"begun ");
    conn
}

async fn rest(mut conn: tokio::io::DuplexStream) -> String {
    let mut said = String::new();
    conn.read_to_string(&mut said).await.unwrap();
    said
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_never_blocks_the_stop() {
    let server = Server::start(ListenConfig::default(), port());
    let silent = server.connect("10.0.0.1:1");
    server.handles(2 + 2).await;
    let began = Instant::now();
    server.drainer.drain();
    let served = server.task.await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!((served.accepted, served.cut), (1, 0));
    assert_eq!(rest(silent).await, "");
}

#[tokio::test(start_paused = true)]
async fn what_has_begun_may_finish() {
    let server = Server::start(ListenConfig::default(), port());
    let busy = begun(&server, 0).await;
    let began = Instant::now();
    server.drainer.drain();
    assert_eq!(server.task.await.unwrap().cut, 0);
    assert_eq!(began.elapsed(), WORK);
    assert_eq!(rest(busy).await, "done");
    server.drainer.drained().await;
}

#[tokio::test(start_paused = true)]
async fn what_does_not_finish_is_cut_and_counted() {
    let server = Server::start(ListenConfig::default(), port());
    let (busy, first, second) = (
        begun(&server, 0).await,
        begun(&server, 1).await,
        begun(&server, 1).await,
    );
    let began = Instant::now();
    server.drainer.drain();
    let served = server.task.await.unwrap();
    assert_eq!(began.elapsed(), GRACE);
    assert_eq!((served.accepted, served.cut), (3, 2));
    assert_eq!(rest(busy).await, "done");
    assert_eq!(rest(first).await + &rest(second).await, "");
    server.drainer.drained().await;
}

#[tokio::test(start_paused = true)]
async fn no_grace_cuts_at_once() {
    let config = ListenConfig {
        grace: Duration::ZERO,
        ..ListenConfig::default()
    };
    let server = Server::start(config, port());
    let busy = begun(&server, 0).await;
    let began = Instant::now();
    server.drainer.drain();
    assert_eq!(server.task.await.unwrap().cut, 1);
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(rest(busy).await, "");
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_goes_takes_its_connections_along() {
    let server = Server::start(ListenConfig::default(), port());
    let hanging = begun(&server, 1).await;
    server.task.abort();
    assert_eq!(rest(hanging).await, "");
    server.drainer.drained().await;
}

#[tokio::test]
async fn the_socket_is_closed_while_connections_finish() {
    let held = service_fn(|mut conn: Conn| async move {
        conn.write_all(b"begun ").await?;
        conn.chunk().await?;
        Ok::<_, BoxError>(())
    });
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), ListenConfig::default())
        .await
        .unwrap();
    let addr = listener.local_addr();
    let drainer = Drainer::new();
    let server = tokio::spawn(listener.serve(held, drainer.handle()));
    let mut held = TcpStream::connect(addr).await.unwrap();
    held.read_exact(&mut [0; 6]).await.unwrap();

    drainer.drain();
    // Before the listener has heard of the drain, the kernel still queues connections for it, and
    // resets them when it closes.
    loop {
        match TcpStream::connect(addr).await {
            Ok(mut queued) => drop(queued.read(&mut [0]).await),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => (),
            Err(error) => break assert_eq!(error.kind(), ErrorKind::ConnectionRefused),
        }
    }
    assert!(!server.is_finished());
    held.write_all(b"bye").await.unwrap();
    assert_eq!(server.await.unwrap().cut, 0);
}
