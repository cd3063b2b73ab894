//! Keepalive, stalls and the timers of streams, on a paused clock.
#![cfg(feature = "yamux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod yamux_support;

use std::time::Duration;

use oneport_proto::Session;
use oneport_services::{
    BoxProtocol, Conn, Drainer,
    yamux::{
        Config, StreamError, client,
        frame::{Flags, Kind},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    time::{Instant, advance, sleep_until, timeout},
};
use tower::service_fn;
use yamux_support::*;

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The recorded client never sends a frame.
fn patient() -> Config {
    Config {
        first_frame: Duration::MAX,
        ..Config::default()
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_frame_has_a_deadline() {
    for (at, lives) in [(9_999, true), (10_001, false)] {
        let start = Instant::now();
        let mut peer = Peer::new(echo(), Config::default());
        sleep_until(start + millis(at)).await;
        if lives {
            peer.send(&[ping(Flags::SYN, 7)]).await;
            peer.expect(&[ping(Flags::ACK, 7)]).await;
            peer.expect(&[ping(Flags::SYN, 0)]).await;
            assert_eq!(start.elapsed(), millis(30_000));
        } else {
            assert_eq!(peer.next().await, None);
            let why = peer.session.await.unwrap().unwrap_err();
            assert_eq!(why.to_string(), "yamux: no frame in time");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_recorded_keepalive() {
    let start = Instant::now();
    let mut peer = Peer::new(echo(), patient());
    assert_eq!(peer.next().await, Some(ping(Flags::SYN, 0)));
    assert_eq!(start.elapsed(), millis(30_000));
    assert_eq!(peer.next().await, None);
    assert_eq!(start.elapsed(), millis(40_000));
    let why = peer.session.await.unwrap().unwrap_err();
    assert_eq!(why.to_string(), "yamux: keepalive failed");
}

#[tokio::test(start_paused = true)]
async fn answers_keep_it_alive_until_they_are_late() {
    for (late, lives) in [(9_999, true), (10_001, false)] {
        let start = Instant::now();
        let mut peer = Peer::new(echo(), patient());
        peer.expect(&[ping(Flags::SYN, 0)]).await;
        sleep_until(start + millis(30_000 + late)).await;
        if lives {
            peer.send(&[ping(Flags::ACK, 0)]).await;
            peer.expect(&[ping(Flags::SYN, 1)]).await;
            assert_eq!(start.elapsed(), millis(60_000 + late));
        } else {
            assert_eq!(peer.next().await, None);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_stalls_ends_the_session() {
    let mut peer = Peer::with_buffer(fountain(200_000), Config::default(), 1024);
    peer.send(&[syn(1), data(1, b"x")]).await;
    settle().await;
    // Each byte taken counts as progress.
    for _ in 0..5 {
        advance(millis(9_999)).await;
        settle().await;
        assert!(!peer.session.is_finished());
        peer.io.read_u8().await.unwrap();
        settle().await;
        // The keepalive is answered all the while.
        peer.send(&[ping(Flags::ACK, 0), ping(Flags::ACK, 1)]).await;
    }
    advance(millis(9_999)).await;
    settle().await;
    assert!(!peer.session.is_finished());
    advance(millis(1)).await;
    let why = peer.session.await.unwrap().unwrap_err();
    assert_eq!(why.to_string(), "yamux: write stalled");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_the_peer_does_not_close_is_reset_after_five_minutes() {
    let hello = BoxProtocol::new(service_fn(|mut conn: Conn| async move {
        conn.chunk().await?;
        Ok(())
    }));
    let config = Config {
        keepalive_interval: millis(3_600_000),
        ..Config::default()
    };
    let mut peer = Peer::new(hello, config);
    peer.send(&[syn(1), data(1, b"x"), syn(3), data(3, b"x")])
        .await;
    peer.expect(&[ack(1), ack(3), fin(1), fin(3)]).await;
    let start = Instant::now();
    advance(millis(1000)).await;
    peer.send(&[fin(3)]).await;
    assert_eq!(peer.next().await, Some(rst(1)));
    assert_eq!(start.elapsed(), millis(300_000));
    peer.expect_quiet().await;
    peer.send(&[data(1, b"late"), fin(1), ping(Flags::SYN, 5)])
        .await;
    peer.expect(&[ping(Flags::ACK, 5)]).await;
}

fn dial(config: Config) -> (oneport_services::yamux::Opener, Peer) {
    let drainer = Drainer::new();
    let (near, far) = duplex(1 << 20);
    let conn = Conn::stream(Session::in_process(), drainer.handle(), near);
    let (opener, driver) = client(conn, config);
    let peer = Peer {
        io: far,
        session: tokio::spawn(driver),
        drainer,
    };
    (opener, peer)
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_not_accepted_fails_alone() {
    let config = Config {
        keepalive_interval: millis(3_600_000),
        ..Config::default()
    };
    let (opener, mut peer) = dial(config);
    let start = Instant::now();
    let mut stream = opener.open().await.unwrap();
    let mut other = opener.open().await.unwrap();
    peer.expect(&[syn(1), syn(3)]).await;
    peer.send(&[ack(3)]).await;
    let err = stream.read_u8().await.unwrap_err();
    assert_eq!(start.elapsed(), millis(75_000));
    let inner = err.get_ref().unwrap().downcast_ref();
    assert_eq!(inner, Some(&StreamError::TimedOut));
    peer.expect(&[rst(1)]).await;
    other.write_all(b"still here").await.unwrap();
    peer.expect(&[data(3, b"still here")]).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_takes_no_streams() {
    let (opener, mut peer) = dial(Config::default());
    peer.send(&[syn(2), data(2, b"x")]).await;
    peer.expect(&[rst(2)]).await;
    let mut stream = opener.open().await.unwrap();
    stream.write_all(b"x").await.unwrap();
    peer.expect(&[syn(1), data(1, b"x")]).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_dropped_unfinished_says_so() {
    let (opener, mut peer) = dial(Config::default());
    let unread = opener.open().await.unwrap();
    let mut closed = opener.open().await.unwrap();
    peer.expect(&[syn(1), syn(3)]).await;
    drop(unread);
    peer.expect(&[rst(1)]).await;
    closed.shutdown().await.unwrap();
    peer.expect(&[fin(3)]).await;
    peer.send(&[ack(3), fin(3)]).await;
    settle().await;
    drop(closed);
    peer.expect_quiet().await;
    assert_eq!(opener.streams(), 0);
}

/// A long round trip: the window doubles to its cap, and that of the session.
#[tokio::test(start_paused = true)]
async fn windows_grow_where_the_round_trip_is_long() {
    for (cap, session, want) in [
        (4 << 20, 8 << 20, 4 << 20),
        (1 << 20, 8 << 20, 1 << 20),
        (4 << 20, 768 << 10, 1 << 20),
        (4 << 20, (768 << 10) - 1, 512 << 10),
        (1, 8 << 20, 256 << 10),
    ] {
        let config = Config {
            max_stream_window: cap,
            session_window: session,
            ..Config::default()
        };
        let mut peer = Peer::new(sink(), config);
        peer.send(&[syn(1)]).await;
        peer.expect(&[ack(1)]).await;
        let mut credit = 256 << 10;
        let mut window = credit;
        for _ in 0..300 {
            peer.send(&[data(1, &[0; 32 << 10])]).await;
            credit -= 32 << 10;
            while let Ok(frame) = timeout(millis(1), peer.next()).await {
                let header = frame.unwrap().header;
                if header.kind == Kind::Ping {
                    advance(millis(400)).await;
                    peer.send(&[ping(Flags::ACK, header.length)]).await;
                } else {
                    credit += usize::try_from(header.length).unwrap();
                }
            }
            window = window.max(credit);
        }
        assert_eq!(window, want, "cap {cap} session {session}");
    }
}
