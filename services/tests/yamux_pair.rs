//! Our client against our server.
#![cfg(feature = "yamux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod yamux_support;

use std::{future::poll_fn, pin::Pin, task::Poll, time::Duration};

use oneport_proto::{BoxError, Session};
use oneport_services::{
    BoxProtocol, Conn, Drainer,
    yamux::{Config, OpenError, Opener, StreamError, Yamux, client},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    task::{JoinHandle, JoinSet},
};
use tower::{Service, service_fn};
use yamux_support::*;

struct Pair {
    opener: Opener,
    server: JoinHandle<Result<(), BoxError>>,
    driver: JoinHandle<Result<(), BoxError>>,
    /// Drains the server.
    drainer: Drainer,
    /// Drains the client.
    client_drainer: Drainer,
}

fn pair(protocol: BoxProtocol) -> Pair {
    pair_of(Yamux::new(protocol), Drainer::new(), Config::default())
}

fn pair_of(mut server: Yamux<BoxProtocol>, drainer: Drainer, config: Config) -> Pair {
    let client_drainer = Drainer::new();
    let (near, far) = duplex(64 * 1024);
    let server =
        tokio::spawn(server.call(Conn::stream(Session::in_process(), drainer.handle(), near)));
    let conn = Conn::stream(Session::in_process(), client_drainer.handle(), far);
    let (opener, driver) = client(conn, config);
    Pair {
        opener,
        server,
        driver: tokio::spawn(driver),
        drainer,
        client_drainer,
    }
}

async fn call(opener: &Opener, said: &[u8]) -> Vec<u8> {
    let mut stream = opener.open().await.unwrap();
    stream.write_all(said).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}

#[tokio::test(start_paused = true)]
async fn a_thousand_streams_at_once() {
    let pair = pair(echo());
    let mut calls = JoinSet::new();
    for i in 0..1000_u32 {
        let opener = pair.opener.clone();
        calls.spawn(async move {
            let said = i.to_be_bytes().repeat(50);
            assert_eq!(call(&opener, &said).await, said);
        });
    }
    assert_eq!(calls.join_all().await.len(), 1000);
    settle().await;
    assert_eq!(pair.opener.streams(), 0);
    drop(pair.opener);
    pair.driver.await.unwrap().unwrap();
    pair.server.await.unwrap().unwrap();
}

/// More than window, transport and limit of outgoing bytes, by a writer that does not read.
#[tokio::test(start_paused = true)]
async fn bulk_both_ways() {
    let pair = pair(echo());
    let stream = pair.opener.open().await.unwrap();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let said: Vec<u8> = (0..10_000_000_u32).map(|i| i.to_be_bytes()[1]).collect();
    let copy = said.clone();
    let write = tokio::spawn(async move {
        writer.write_all(&copy).await.unwrap();
        writer.shutdown().await.unwrap();
        writer
    });
    let mut heard = Vec::new();
    reader.read_to_end(&mut heard).await.unwrap();
    assert!(heard == said);
    write.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn half_close_still_reads() {
    let protocol = BoxProtocol::new(service_fn(|mut conn: Conn| async move {
        let mut said = Vec::new();
        conn.read_to_end(&mut said).await?;
        conn.write_all(&vec![1; 600_000]).await?;
        Ok(())
    }));
    let pair = pair(protocol);
    assert_eq!(call(&pair.opener, b"how much?").await.len(), 600_000);
}

#[tokio::test(start_paused = true)]
async fn streams_in_tasks_of_their_own() {
    let drainer = Drainer::new();
    let server = Yamux::new(echo()).spawn_streams(drainer.handle());
    let pair = pair_of(server, drainer, Config::default());
    let mut calls = JoinSet::new();
    for i in 0..100_u32 {
        let opener = pair.opener.clone();
        calls.spawn(async move {
            let said = i.to_be_bytes().repeat(5000);
            assert_eq!(call(&opener, &said).await, said);
        });
    }
    assert_eq!(calls.join_all().await.len(), 100);
    settle().await;
    assert_eq!(pair.opener.streams(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_streams_of_an_ended_session_fail_and_none_can_be_opened() {
    let pair = pair(deaf());
    let mut stream = pair.opener.open().await.unwrap();
    stream.write_all(b"hello?").await.unwrap();
    settle().await;
    pair.server.abort();
    let err = stream.read_u8().await.unwrap_err();
    assert_eq!(err.to_string(), "session shutdown");
    let err = stream.write_all(b"x").await.unwrap_err();
    let inner = err.get_ref().unwrap().downcast_ref();
    assert_eq!(inner, Some(&StreamError::SessionClosed));
    assert!(pair.opener.is_closed());
    let refused = pair.opener.open().await.unwrap_err();
    assert_eq!(refused, OpenError::SessionClosed);
    assert_eq!(refused.to_string(), "session shutdown");
    pair.driver.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_draining_server_finishes_what_was_begun() {
    let protocol = BoxProtocol::new(service_fn(|mut conn: Conn| async move {
        let said = conn.chunk().await?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        conn.put(&mut |out| out.extend_from_slice(&said));
        conn.flush().await?;
        // Idle from here on: until the peer or the drain says so.
        poll_fn(|cx| {
            if conn.poll_draining(cx).is_ready() {
                return Poll::Ready(());
            }
            Pin::new(&mut conn).poll_chunk(cx).map(drop)
        })
        .await;
        Ok(())
    }));
    let pair = pair(protocol);
    let mut idle = pair.opener.open().await.unwrap();
    idle.write_all(b"a").await.unwrap();
    assert_eq!(idle.read_u8().await.unwrap(), b'a');
    let mut busy = pair.opener.open().await.unwrap();
    busy.write_all(b"b").await.unwrap();
    settle().await;

    pair.drainer.drain();
    assert_eq!(idle.read(&mut [0]).await.unwrap(), 0, "the idle one ends");
    let refused = pair.opener.open().await.unwrap_err();
    assert_eq!(refused, OpenError::GoAway);
    assert_eq!(
        refused.to_string(),
        "remote end is not accepting connections"
    );
    assert_eq!(busy.read_u8().await.unwrap(), b'b');
    assert_eq!(busy.read(&mut [0]).await.unwrap(), 0);
    pair.server.await.unwrap().unwrap();
    pair.driver.await.unwrap().unwrap();
    pair.drainer.drained().await;
}

#[tokio::test(start_paused = true)]
async fn a_draining_client_opens_nothing_and_finishes() {
    let pair = pair(echo());
    let mut stream = pair.opener.open().await.unwrap();
    stream.write_all(b"a").await.unwrap();
    pair.opener.drain();
    assert!(pair.opener.is_closed());
    assert_eq!(
        pair.opener.open().await.unwrap_err(),
        OpenError::SessionClosed
    );
    assert_eq!(stream.read_u8().await.unwrap(), b'a');
    stream.write_all(b"b").await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'b');
    drop(stream);
    pair.driver.await.unwrap().unwrap();
    pair.server.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_drainer_drains_a_client_too() {
    let pair = pair(echo());
    pair.client_drainer.drain();
    pair.driver.await.unwrap().unwrap();
    pair.server.await.unwrap().unwrap();
    assert_eq!(
        pair.opener.open().await.unwrap_err(),
        OpenError::SessionClosed
    );
}

#[tokio::test(start_paused = true)]
async fn closing_ends_everything_at_once() {
    let pair = pair(echo());
    let mut stream = pair.opener.open().await.unwrap();
    pair.opener.close();
    assert_eq!(
        stream.read_u8().await.unwrap_err().to_string(),
        "session shutdown"
    );
    pair.driver.await.unwrap().unwrap();
    pair.server.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_is_cancelled_at_the_server() {
    let alive = Alive::default();
    let seen = alive.clone();
    let protocol = BoxProtocol::new(service_fn(move |mut conn: Conn| {
        let guard = seen.enter();
        async move {
            conn.chunk().await?;
            std::future::pending::<()>().await;
            drop((guard, conn));
            Ok(())
        }
    }));
    let pair = pair(protocol);
    let mut streams = Vec::new();
    for _ in 0..1000 {
        let mut stream = pair.opener.open().await.unwrap();
        stream.write_all(b"wait").await.unwrap();
        streams.push(stream);
    }
    settle().await;
    assert_eq!(alive.count(), 1000);
    streams.truncate(1);
    settle().await;
    assert_eq!(alive.count(), 1);
    assert_eq!(pair.opener.streams(), 1);
    assert!(!pair.server.is_finished());
}
