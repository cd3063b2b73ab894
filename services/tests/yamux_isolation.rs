//! A silent, slow, empty, panicking or broken stream never touches its neighbours.
#![cfg(feature = "yamux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod yamux_support;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use oneport_proto::BoxError;
use oneport_services::{
    BoxProtocol, Conn, Drainer,
    yamux::{Config, Yamux},
};
use tokio::{
    io::AsyncWriteExt,
    sync::{Notify, Semaphore},
};
use tower::service_fn;
use yamux_support::*;

/// Does what the first chunk of the stream says, then echoes.
fn naughty() -> BoxProtocol {
    let gate = Arc::new(Semaphore::new(0));
    BoxProtocol::new(service_fn(move |mut conn: Conn| {
        let gate = Arc::clone(&gate);
        async move {
            let said = conn.chunk().await?;
            match &said[..] {
                b"panic" => panic!("as asked"),
                b"panic in put" => conn.put(&mut |out| {
                    out.extend_from_slice(b"half an answer");
                    panic!("as asked");
                }),
                b"error" => return Err("as asked".into()),
                b"forget" => {
                    drop(conn);
                    return std::future::pending().await;
                }
                b"hang" => return std::future::pending().await,
                b"permit" => gate.acquire().await?.forget(),
                b"give" => gate.add_permits(1),
                b"spin" => loop {
                    tokio::task::yield_now().await;
                },
                _ => {}
            }
            conn.put(&mut |out| out.extend_from_slice(&said));
            conn.flush().await?;
            serve_echo(conn).await
        }
    }))
}

async fn neighbours(mut peer: Peer) {
    peer.expect_alive(1).await;
    for (id, said, ending) in [
        (3, "panic", Some(rst(3))),
        (5, "panic in put", Some(rst(5))),
        (7, "error", Some(fin(7))),
        (9, "forget", Some(rst(9))),
        (11, "hang", None),
        (13, "spin", None),
    ] {
        peer.send(&[syn(id), data(id, said.as_bytes())]).await;
        peer.expect(&[ack(id)]).await;
        if let Some(ending) = ending {
            peer.expect(&[ending]).await;
        }
        peer.send(&[data(1, b"and you?")]).await;
        peer.expect(&[data(1, b"and you?")]).await;
    }
    // A neighbour that is full up, and one that does not read its answers.
    peer.send(&[syn(15), data(15, b"hang")]).await;
    peer.expect(&[ack(15)]).await;
    peer.send(&[data(15, &vec![0; 262_140])]).await;
    peer.send(&[syn(17), data(17, &vec![0; 100_000])]).await;
    peer.expect(&[ack(17)]).await;
    let mut got = 0;
    while got < 100_000 {
        got += peer.next().await.unwrap().body.len();
    }
    peer.send(&[data(17, &vec![0; 162_144]), data(1, b"and you?")])
        .await;
    loop {
        let frame = peer.next().await.unwrap();
        if frame.header.stream == 1 {
            assert_eq!(frame, data(1, b"and you?"));
            break;
        }
    }
    assert!(!peer.session.is_finished());
}

#[tokio::test]
async fn neighbours_in_one_task() {
    neighbours(Peer::new(naughty(), Config::default())).await;
}

#[tokio::test]
async fn neighbours_in_tasks_of_their_own() {
    let drainer = Drainer::new();
    let server = Yamux::new(naughty()).spawn_streams(drainer.handle());
    neighbours(Peer::serve(server, 4 << 20)).await;
}

/// The budget that tokio gives a task is not used up by the first streams polled.
#[tokio::test(start_paused = true)]
async fn permits_reach_every_stream() {
    let mut peer = Peer::new(naughty(), Config::default());
    for i in 0..500 {
        peer.send(&[syn(2 * i + 1), data(2 * i + 1, b"permit")])
            .await;
        peer.expect(&[ack(2 * i + 1)]).await;
    }
    let mut answered = 0;
    for i in 500..1000 {
        peer.send(&[syn(2 * i + 1), data(2 * i + 1, b"give"), fin(2 * i + 1)])
            .await;
        while let Some(frame) = peer.next().await {
            answered += usize::from(frame.body == "permit");
            if frame == fin(2 * i + 1) {
                break;
            }
        }
    }
    settle().await;
    while answered < 500 {
        answered += usize::from(peer.next().await.unwrap().body == "permit");
    }
}

/// A panic poisons a lock of the host's, not ours.
#[tokio::test(start_paused = true)]
async fn a_panic_with_a_lock_held() {
    let shared = Arc::new(Mutex::new(0_u32));
    let protocol = BoxProtocol::new(service_fn(move |mut conn: Conn| {
        let shared = Arc::clone(&shared);
        async move {
            let said = conn.chunk().await?;
            {
                let mut count = shared.lock().unwrap_or_else(PoisonError::into_inner);
                *count += 1;
                assert!(said != "panic");
            }
            conn.unread(said);
            serve_echo(conn).await
        }
    }));
    let mut peer = Peer::new(protocol, Config::default());
    for id in [1, 3, 5] {
        peer.send(&[syn(id), data(id, b"panic")]).await;
        peer.expect(&[ack(id), rst(id)]).await;
    }
    peer.expect_alive(7).await;
}

/// Many streams that answer late: all are accepted at once.
#[tokio::test(start_paused = true)]
async fn slow_streams_are_accepted_at_once() {
    for n in [300, 700] {
        let protocol = BoxProtocol::new(service_fn(|mut conn: Conn| async move {
            let said = conn.chunk().await?;
            tokio::time::sleep(Duration::from_secs(2)).await;
            conn.put(&mut |out| out.extend_from_slice(&said));
            conn.flush().await?;
            Ok(())
        }));
        let mut peer = Peer::new(protocol, Config::default());
        let start = tokio::time::Instant::now();
        for i in 0..n {
            peer.send(&[syn(2 * i + 1), data(2 * i + 1, b"late")]).await;
        }
        for i in 0..n {
            peer.expect(&[ack(2 * i + 1)]).await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        for _ in 0..2 * n {
            peer.next().await.unwrap();
        }
        assert_eq!(start.elapsed().as_secs(), 2);
    }
}

/// At the end of the connection streams that are ready answer first; the others are cancelled.
#[tokio::test(start_paused = true)]
async fn requests_before_the_end_are_answered() {
    let alive = Alive::default();
    let seen = alive.clone();
    let protocol = BoxProtocol::new(service_fn(move |mut conn: Conn| {
        let guard = seen.enter();
        async move {
            if conn.chunk().await? == "hang" {
                std::future::pending::<()>().await;
            }
            // Not done at its first poll.
            tokio::task::yield_now().await;
            conn.put(&mut |out| out.extend_from_slice(b"done"));
            conn.flush().await?;
            drop(guard);
            Ok(())
        }
    }));
    let mut peer = Peer::new(protocol, Config::default());
    peer.send(&[
        syn(1),
        data(1, b"hang"),
        syn(3),
        data(3, b"x"),
        syn(5),
        data(5, b"x"),
    ])
    .await;
    peer.io.shutdown().await.unwrap();
    let mut answers = 0;
    while let Some(frame) = peer.next().await {
        answers += usize::from(frame.body == "done");
    }
    assert_eq!(answers, 2);
    peer.session.await.unwrap().unwrap();
    assert_eq!(alive.count(), 0);
}

/// Whatever ends the session ends the streams, in the session's task or in their own.
#[tokio::test(start_paused = true)]
async fn no_stream_outlives_its_session() {
    for spawned in [false, true] {
        let alive = Alive::default();
        let seen = alive.clone();
        let protocol = BoxProtocol::new(service_fn(move |mut conn: Conn| {
            let guard = seen.enter();
            async move {
                conn.chunk().await?;
                std::future::pending::<()>().await;
                drop((guard, conn));
                Ok::<_, BoxError>(())
            }
        }));
        let drainer = Drainer::new();
        let mut server = Yamux::new(protocol);
        if spawned {
            server = server.spawn_streams(drainer.handle());
        }
        let mut peer = Peer::serve(server, 1 << 16);
        for i in 0..20 {
            peer.send(&[syn(2 * i + 1), data(2 * i + 1, b"x")]).await;
        }
        settle().await;
        assert_eq!(alive.count(), 20);
        peer.send(&[rst(1)]).await;
        settle().await;
        assert_eq!(alive.count(), 19);
        peer.session.abort();
        settle().await;
        assert_eq!(alive.count(), 0);
    }
}

/// A drain reaches idle streams although they have no waiter of their own.
#[tokio::test(start_paused = true)]
async fn drain_is_one_go_away_and_a_poll_for_everybody() {
    let protocol = BoxProtocol::new(service_fn(|mut conn: Conn| async move {
        std::future::poll_fn(|cx| match conn.poll_draining(cx) {
            std::task::Poll::Ready(()) => std::task::Poll::Ready(()),
            std::task::Poll::Pending => conn.poll_chunk(cx).map(drop),
        })
        .await;
        Ok(())
    }));
    let mut peer = Peer::new(protocol, Config::default());
    peer.send(&[syn(1), syn(3)]).await;
    peer.expect(&[ack(1), ack(3)]).await;
    peer.drainer.drain();
    peer.expect(&[go_away(0), fin(1), fin(3)]).await;
    assert_eq!(peer.next().await, None);
    drop(peer.io);
    peer.session.await.unwrap().unwrap();
    peer.drainer.drained().await;
}

/// While it drains, streams at work go on and new ones are sent elsewhere.
#[tokio::test(start_paused = true)]
async fn a_draining_session_takes_no_new_streams() {
    let notify = Arc::new(Notify::new());
    let inner = Arc::clone(&notify);
    let protocol = BoxProtocol::new(service_fn(move |mut conn: Conn| {
        let notify = Arc::clone(&inner);
        async move {
            let said = conn.chunk().await?;
            notify.notified().await;
            conn.put(&mut |out| out.extend_from_slice(&said));
            conn.flush().await?;
            Ok(())
        }
    }));
    let mut peer = Peer::new(protocol, Config::default());
    peer.send(&[syn(1), data(1, b"work")]).await;
    peer.expect(&[ack(1)]).await;
    peer.drainer.drain();
    peer.expect(&[go_away(0)]).await;
    peer.send(&[syn(3), data(3, b"more")]).await;
    peer.expect(&[rst(3)]).await;
    peer.expect_quiet().await;
    notify.notify_one();
    peer.expect(&[data(1, b"work"), fin(1)]).await;
    assert_eq!(peer.next().await, None);
}
