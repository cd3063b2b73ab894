//! Every limit at one below, at the limit, and one above.
#![cfg(feature = "yamux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod yamux_support;

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use oneport_proto::{BoxError, Session};
use oneport_services::{
    BoxProtocol, Conn, Drainer,
    yamux::{
        Config, OpenError,
        config::STREAM_COST,
        frame::{Flags, Header, Kind},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    time::{Instant, advance, timeout},
};
use tower::{Service, service_fn};
use yamux_support::*;

/// Echo, but ready only as often as it is allowed to be.
#[derive(Clone, Default)]
struct Reluctant {
    permits: Arc<AtomicUsize>,
}

impl Service<Conn> for Reluctant {
    type Response = ();
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let permits = self.permits.load(Ordering::SeqCst);
        match permits {
            0 => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, conn: Conn) -> Self::Future {
        self.permits.fetch_sub(1, Ordering::SeqCst);
        Box::pin(serve_echo(conn))
    }
}

fn odd(n: usize) -> u32 {
    u32::try_from(2 * n + 1).unwrap()
}

/// Opens `n` streams, each with a byte; returns how many were accepted and how many reset.
async fn open(peer: &mut Peer, n: usize, with_byte: bool) -> (usize, usize) {
    for i in 0..n {
        peer.send(&[syn(odd(i))]).await;
        if with_byte {
            peer.send(&[data(odd(i), b"x")]).await;
        }
    }
    peer.send(&[ping(Flags::SYN, 4242)]).await;
    settle().await;
    let (mut accepted, mut reset) = (0, 0);
    let mut pong = false;
    while let Ok(frame) = timeout(Duration::from_millis(1), peer.next()).await {
        let header = frame.expect("the session lives").header;
        match header.kind {
            Kind::Ping => pong = true,
            _ if header.flags == Flags::ACK => accepted += 1,
            _ if header.flags == Flags::RST => reset += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(pong);
    (accepted, reset)
}

#[tokio::test(start_paused = true)]
async fn streams_of_a_session() {
    for n in [4095, 4096, 4097] {
        let mut peer = Peer::new(deaf(), Config::default());
        let over = n - n.min(4096);
        assert_eq!(open(&mut peer, n, true).await, (n - over, over), "{n}");
    }
}

#[tokio::test(start_paused = true)]
async fn streams_without_a_byte() {
    // As many are accepted, as many again wait, the rest is reset.
    for (n, accepted, reset) in [
        (255, 255, 0),
        (256, 256, 0),
        (257, 256, 0),
        (511, 256, 0),
        (512, 256, 0),
        (513, 256, 1),
    ] {
        let mut peer = Peer::new(echo(), Config::default());
        assert_eq!(open(&mut peer, n, false).await, (accepted, reset), "{n}");
        if n == 513 {
            // Who speaks passes by those that are silent.
            peer.send(&[data(1001, b"x")]).await;
            peer.expect(&[ack(1001), data(1001, b"x")]).await;
            // And makes room for the next one.
            peer.send(&[data(1, b"y")]).await;
            peer.expect(&[ack(513), data(1, b"y")]).await;
        }
    }
}

/// A client that opens more streams than may be silent before it writes to any loses none, as long
/// as it waits with what is not acknowledged.
#[tokio::test(start_paused = true)]
async fn many_streams_opened_ahead_of_their_bytes() {
    let mut peer = Peer::new(echo(), Config::default());
    let (mut opened, mut accepted, mut answered) = (0, 0, 0);
    while answered < 700 {
        while opened < 700 && opened < accepted + 256 {
            peer.send(&[syn(odd(opened))]).await;
            opened += 1;
        }
        if opened > answered {
            peer.send(&[data(odd(answered), b"x")]).await;
        }
        loop {
            let frame = peer.next().await.unwrap();
            assert_ne!(frame.header.flags, Flags::RST);
            accepted += usize::from(frame.header.flags == Flags::ACK);
            if frame == data(odd(answered), b"x") {
                break;
            }
        }
        answered += 1;
    }
    assert_eq!((opened, accepted), (700, 700));
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_a_byte_goes_after_thirty_seconds() {
    let alive = Alive::default();
    let seen = alive.clone();
    let protocol = BoxProtocol::new(service_fn(move |conn: Conn| {
        let guard = seen.enter();
        async move {
            let served = serve_echo(conn).await;
            drop(guard);
            served
        }
    }));
    let mut peer = Peer::new(protocol, Config::default());
    peer.send(&[syn(1), syn(3), data(3, b"x"), data(3, b"")])
        .await;
    peer.expect(&[ack(1), ack(3), data(3, b"x")]).await;
    // The keepalive ping would come in between.
    advance(Duration::from_millis(29_999)).await;
    settle().await;
    assert_eq!(alive.count(), 2);
    advance(Duration::from_millis(1)).await;
    peer.expect(&[ping(Flags::SYN, 0), rst(1)]).await;
    settle().await;
    assert_eq!(alive.count(), 1);
    peer.send(&[ping(Flags::ACK, 0), data(3, b"y")]).await;
    peer.expect(&[data(3, b"y")]).await;
}

#[tokio::test(start_paused = true)]
async fn streams_that_wait_for_a_protocol_that_is_not_ready() {
    for n in [255, 256, 257] {
        let protocol = Reluctant::default();
        let config = Config {
            max_silent: 1000,
            ..Config::default()
        };
        let mut peer = Peer::new(BoxProtocol::new(protocol.clone()), config);
        let over = n - n.min(256);
        assert_eq!(open(&mut peer, n, true).await, (0, over), "{n}");
        // Pings do not wait, and no byte is lost for those that do.
        protocol.permits.store(1, Ordering::SeqCst);
        peer.send(&[ping(Flags::SYN, 1)]).await;
        let mut got = [peer.next().await, peer.next().await, peer.next().await];
        got.sort_by_key(|frame| frame.as_ref().unwrap().header.kind == Kind::Ping);
        let [first, second, third] = got.map(Option::unwrap);
        assert_eq!(
            [first, second, third],
            [ack(1), data(1, b"x"), ping(Flags::ACK, 1)]
        );
    }
}

/// One read may hold more new streams than the backlog; a protocol that is ready takes them all.
#[tokio::test(start_paused = true)]
async fn a_backlog_is_only_for_who_waits() {
    let mut peer = Peer::new(echo(), Config::default());
    let mut frames = Vec::new();
    for i in 0..700 {
        frames.extend([syn(odd(i)), data(odd(i), b"x")]);
    }
    peer.send(&frames).await;
    let (mut accepted, mut answered) = (0, 0);
    while accepted + answered < 1400 {
        let frame = peer.next().await.unwrap();
        match frame.header.flags {
            Flags::ACK => accepted += 1,
            _ => {
                assert_eq!(&frame.body[..], b"x");
                answered += 1;
            }
        }
    }
    assert_eq!((accepted, answered), (700, 700));
    peer.expect_quiet().await;
}

async fn flood(frame: Vec<Frame>, config: Config) -> Result<(), String> {
    let mut peer = Peer::new(echo(), config);
    peer.send(&[syn(1), data(1, b"x")]).await;
    peer.expect(&[ack(1), data(1, b"x")]).await;
    peer.send(&frame).await;
    settle().await;
    if peer.session.is_finished() || {
        peer.send(&[data(1, b"y")]).await;
        loop {
            match peer.next().await {
                Some(frame) if frame == data(1, b"y") => break false,
                Some(frame) if frame == go_away(1) => break true,
                Some(_) => {}
                None => break true,
            }
        }
    } {
        drop(peer.io);
        return Err(peer.session.await.unwrap().unwrap_err().to_string());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn floods() {
    let resets = |n: usize| -> Vec<Frame> {
        let both = |i| [syn(odd(i)), rst(odd(i))];
        (1..=n).flat_map(both).collect()
    };
    type Frames<'a> = &'a dyn Fn(usize) -> Vec<Frame>;
    let cases: [(&str, usize, Frames<'_>); 5] = [
        ("ping flood", 100, &|n| vec![ping(Flags::SYN, 1); n]),
        ("flood of empty frames", 1000, &|n| vec![data(1, b""); n]),
        ("flood of empty frames", 1000, &|n| {
            vec![window(1, Flags::NONE, 0); n]
        }),
        ("flood of frames for unknown streams", 1000, &|n| {
            vec![data(77, b"z"); n]
        }),
        ("reset flood", 8192, &resets),
    ];
    for (why, limit, frames) in cases {
        for n in [limit - 1, limit] {
            assert_eq!(flood(frames(n), Config::default()).await, Ok(()), "{why}");
        }
        let ended = flood(frames(limit + 1), Config::default()).await;
        assert_eq!(ended, Err(format!("yamux: {why}")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_borne_for_ever() {
    let mut peer = Peer::new(echo(), Config::default());
    peer.expect_alive(1).await;
    peer.send(&vec![ping(Flags::SYN, 3); 100]).await;
    for _ in 0..100 {
        peer.expect(&[ping(Flags::ACK, 3)]).await;
    }
    for _ in 0..200 {
        advance(Duration::from_millis(100)).await;
        peer.send(&[ping(Flags::SYN, 3)]).await;
        peer.expect(&[ping(Flags::ACK, 3)]).await;
    }
}

/// A client that cancels all of its streams at once is no flood, twice over.
#[tokio::test(start_paused = true)]
async fn all_streams_may_be_reset_at_once() {
    let mut peer = Peer::new(deaf(), Config::default());
    for round in 0..2 {
        let ids = (round * 4096..(round + 1) * 4096).map(odd);
        for id in ids.clone() {
            peer.send(&[syn(id), data(id, b"x")]).await;
            peer.expect(&[ack(id)]).await;
        }
        let resets: Vec<Frame> = ids.map(rst).collect();
        peer.send(&resets).await;
    }
    peer.send(&[ping(Flags::SYN, 3)]).await;
    peer.expect(&[ping(Flags::ACK, 3)]).await;
}

/// What was under way when we reset a stream does not count as unknown.
#[tokio::test(start_paused = true)]
async fn late_frames_of_streams_that_we_reset_are_no_flood() {
    let gone = BoxProtocol::new(service_fn(|mut conn: Conn| async move {
        conn.chunk().await?;
        drop(conn);
        std::future::pending().await
    }));
    let mut peer = Peer::new(gone, Config::default());
    for i in 0..100 {
        peer.send(&[syn(odd(i)), data(odd(i), b"x")]).await;
        peer.expect(&[ack(odd(i)), rst(odd(i))]).await;
        peer.send(&vec![data(odd(i), b"late"); 50]).await;
        peer.send(&[fin(odd(i))]).await;
    }
    peer.send(&[ping(Flags::SYN, 3)]).await;
    peer.expect(&[ping(Flags::ACK, 3)]).await;
}

#[tokio::test(start_paused = true)]
async fn data_for_an_unknown_stream_is_refused_from_its_header() {
    let most = 4 * 1024 * 1024;
    for (length, fits) in [(most - 1, true), (most, true), (most + 1, false)] {
        let mut peer = Peer::new(echo(), Config::default());
        peer.send_bytes(&Header::data(5, length).encode()).await;
        if fits {
            let length = usize::try_from(length).unwrap();
            peer.send_bytes(&vec![0; length]).await;
            peer.expect_alive(1).await;
        } else {
            let why = peer.expect_fault().await;
            assert_eq!(why, "yamux: data over the receive window");
        }
    }
}

/// Unread bytes: above one limit no more credit, above the next the newest stream goes, above the
/// last the session.
#[tokio::test(start_paused = true)]
async fn unread_bytes_of_a_session() {
    let config = |max, fatal| Config {
        max_unread: max,
        fatal_unread: fatal,
        ..Config::default()
    };
    // 100 bytes on each of the first streams, `n` on the last one.
    for (n, gone) in [(99, false), (100, false), (101, true)] {
        let mut peer = Peer::new(deaf(), config(300, 1000));
        for (id, length) in [(1, 100), (3, 100), (5, n)] {
            peer.send(&[syn(id)]).await;
            peer.expect(&[ack(id)]).await;
            peer.send(&[data(id, &vec![0; length])]).await;
        }
        if gone {
            peer.expect(&[rst(5)]).await;
        }
        peer.expect_quiet().await;
    }
    for (n, dead) in [(99, false), (100, false), (101, true)] {
        let mut peer = Peer::new(deaf(), config(10_000, 200));
        peer.send(&[syn(1), data(1, &[0; 100])]).await;
        peer.expect(&[ack(1)]).await;
        peer.send(&[syn(3), data(3, &vec![0; n])]).await;
        if dead {
            let why = peer.expect_fault().await;
            assert_eq!(why, "yamux: too many unread bytes");
        } else {
            peer.expect(&[ack(3)]).await;
            peer.expect_quiet().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn credit_is_withheld_while_much_is_unread() {
    // Stream 1 reads on; the others let their bytes lie until they are told.
    let (tell, told) = tokio::sync::watch::channel(false);
    let protocol = BoxProtocol::new(service_fn(move |mut conn: Conn| {
        let mut told = told.clone();
        async move {
            if conn.chunk().await?[0] == b'w' {
                told.wait_for(|told| *told).await?;
            }
            while !conn.chunk().await?.is_empty() {}
            Ok(())
        }
    }));
    let half = vec![b'r'; 128 * 1024];
    for (unread, withheld) in [(999, false), (1000, false), (1001, true)] {
        let config = Config {
            session_window: 1000,
            ..Config::default()
        };
        let mut peer = Peer::new(protocol.clone(), config);
        peer.send(&[syn(3), data(3, b"w")]).await;
        peer.expect(&[ack(3)]).await;
        peer.send(&[data(3, &vec![b'w'; unread])]).await;
        peer.send(&[syn(1), data(1, b"r")]).await;
        peer.expect(&[ack(1)]).await;
        let mut sent = 1;
        // Small pieces, so that nothing of this stream is unread for long.
        for piece in half.chunks(500) {
            peer.send(&[data(1, piece)]).await;
            settle().await;
            sent += piece.len();
            if sent >= 128 * 1024 {
                break;
            }
        }
        if withheld {
            peer.expect_quiet().await;
            tell.send(true).unwrap();
        }
        let update = peer.next().await.unwrap();
        assert_eq!(update.header.stream, 1, "{unread}");
        assert!(update.header.length >= 128 * 1024);
        tell.send_replace(false);
    }
}

/// Streams of ours that the peer has not accepted.
#[tokio::test(start_paused = true)]
async fn unacknowledged_streams_of_a_client() {
    let drainer = Drainer::new();
    let (near, far) = duplex(1 << 20);
    let conn = Conn::stream(Session::in_process(), drainer.handle(), near);
    let (opener, driver) = oneport_services::yamux::client(conn, Config::default());
    let mut peer = Peer {
        io: far,
        session: tokio::spawn(driver),
        drainer,
    };
    let mut streams = Vec::new();
    for i in 0..256 {
        streams.push(opener.open().await.unwrap());
        peer.expect(&[syn(odd(i))]).await;
    }
    // One too many waits; one that gives up loses no place for those behind it.
    let wait = |ms| timeout(Duration::from_millis(ms), opener.open());
    assert!(wait(1).await.is_err());
    let opener2 = opener.clone();
    let waiting = tokio::spawn(async move { opener2.open().await });
    settle().await;
    assert!(wait(1).await.is_err());
    peer.send(&[ack(1)]).await;
    let mut stream = waiting.await.unwrap().unwrap();
    stream.write_all(b"go").await.unwrap();
    peer.expect(&[syn(odd(256)), data(odd(256), b"go")]).await;
    // RST and FIN give their place back too.
    peer.send(&[rst(3), fin(5)]).await;
    let more = (opener.open().await.unwrap(), opener.open().await.unwrap());
    assert!(wait(1).await.is_err());
    peer.expect(&[syn(odd(257)), syn(odd(258))]).await;
    drop((more, streams));
}

#[tokio::test(start_paused = true)]
async fn a_client_opens_no_more_than_it_may() {
    let drainer = Drainer::new();
    let (near, _far) = duplex(1 << 20);
    let conn = Conn::stream(Session::in_process(), drainer.handle(), near);
    let config = Config {
        max_streams: 3,
        ..Config::default()
    };
    let (opener, _driver) = oneport_services::yamux::client(conn, config);
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(opener.open().await.unwrap());
    }
    assert_eq!(opener.open().await.unwrap_err(), OpenError::TooManyStreams);
    assert!(!opener.is_closed());
    assert_eq!(opener.streams(), 3);
}

/// Writes wait at the limit of outgoing bytes, for each stream alike.
#[tokio::test(start_paused = true)]
async fn outgoing_bytes_of_a_session() {
    let done = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&done);
    let protocol = BoxProtocol::new(service_fn(move |mut conn: Conn| {
        let done = Arc::clone(&count);
        async move {
            conn.chunk().await?;
            for _ in 0..10 {
                conn.put(&mut |out| out.extend_from_slice(&[7; 10_000]));
                conn.flush().await?;
                done.fetch_add(10_000, Ordering::SeqCst);
            }
            Ok(())
        }
    }));
    let mut peer = Peer::with_buffer(protocol, Config::default(), 1024);
    let streams = 40;
    for i in 0..streams {
        peer.send(&[syn(odd(i)), data(odd(i), b"x")]).await;
        settle().await;
    }
    settle().await;
    // 40 x 100 KB are to be sent: 1 MiB is held, and a frame of each stream.
    let framed = done.load(Ordering::SeqCst);
    assert!(framed <= (1 << 20) + streams * 10_000, "{framed}");
    assert!(framed >= (1 << 20) - streams * 10_000, "{framed}");
    let mut got = vec![0; streams];
    let mut ended = 0;
    while ended < streams {
        let frame = peer.next().await.unwrap();
        let index = usize::try_from(frame.header.stream / 2).unwrap();
        got[index] += frame.body.len();
        ended += usize::from(frame.header.flags == Flags::FIN);
    }
    assert!(got.iter().all(|sent| *sent == 100_000), "{got:?}");
}

/// While the transport is blocked one answer is owed, to the last ping.
#[tokio::test(start_paused = true)]
async fn one_pong_is_owed_while_blocked() {
    let mut peer = Peer::with_buffer(fountain(200_000), Config::default(), 1024);
    peer.send(&[syn(1), data(1, b"x")]).await;
    settle().await;
    for value in 0..50 {
        peer.send(&[ping(Flags::SYN, value)]).await;
        settle().await;
    }
    let mut pongs = Vec::new();
    let mut got = 0;
    while got < 200_000 {
        let frame = peer.next().await.unwrap();
        got += frame.body.len();
        if frame.header.kind == Kind::Ping {
            pongs.push(frame.header.length);
        }
    }
    peer.expect(&[fin(1)]).await;
    if pongs.is_empty() {
        pongs.push(peer.next().await.unwrap().header.length);
    }
    assert_eq!(pongs, [49]);
}

/// A peer that opens and closes streams without reading any answer cannot make us hold them all.
#[tokio::test(start_paused = true)]
async fn answers_nobody_reads_are_bounded() {
    let config = Config {
        max_outgoing: 64 * 1024,
        ..Config::default()
    };
    let mut peer = Peer::with_buffer(echo(), config, 1 << 16);
    let mut ended = false;
    for i in 0..100_000 {
        let both = Frame {
            header: Header {
                flags: Flags::SYN.with(Flags::FIN),
                ..Header::data(odd(i), 1)
            },
            body: Bytes::from_static(b"x"),
        };
        let mut bytes = both.header.encode().to_vec();
        bytes.extend_from_slice(&both.body);
        if peer.io.write_all(&bytes).await.is_err() {
            ended = true;
            break;
        }
        if i % 1000 == 0 {
            settle().await;
        }
    }
    assert!(ended);
    let why = peer.session.await.unwrap().unwrap_err().to_string();
    assert!(
        why.contains("reset flood") || why.contains("write stalled"),
        "{why}"
    );
}

#[tokio::test(start_paused = true)]
async fn requests_wait_while_much_is_pending() {
    // Each answer is far more than its window: it stays pending.
    let config = Config {
        max_pending: 1_000_000,
        ..Config::default()
    };
    let mut peer = Peer::new(fountain(762_144), config);
    peer.send(&[syn(1), data(1, b"x"), syn(3), data(3, b"x")])
        .await;
    let mut got = 0;
    while got < 2 * 262_144 {
        got += peer.next().await.unwrap().body.len();
    }
    // 2 x 500,000 are pending now: the next request is not even read.
    peer.send(&[syn(5), data(5, b"x")]).await;
    peer.expect(&[ack(5)]).await;
    peer.expect_quiet().await;
    // One byte of credit makes room for it.
    peer.send(&[window(1, Flags::NONE, 1)]).await;
    peer.expect(&[data(1, &[7])]).await;
    assert_eq!(peer.next().await.unwrap().header.stream, 5);
}

#[tokio::test(start_paused = true)]
async fn reading_through_a_strangers_eyes() {
    // AsyncRead hands out what was asked for, and only that makes credit.
    let protocol = BoxProtocol::new(service_fn(|mut conn: Conn| async move {
        let mut buf = vec![0; 131_072];
        conn.read_exact(&mut buf[..131_071]).await?;
        conn.write_all(b"1").await?;
        conn.read_exact(&mut buf[..1]).await?;
        conn.write_all(b"2").await?;
        std::future::pending().await
    }));
    let mut peer = Peer::new(protocol, Config::default());
    peer.send(&[syn(1), data(1, &[0; 200_000])]).await;
    peer.expect(&[
        ack(1),
        data(1, b"1"),
        window(1, Flags::NONE, 131_072),
        data(1, b"2"),
    ])
    .await;
    peer.expect_quiet().await;
}

/// Room for two silent streams, or four that speak, beyond what was received.
fn on_probation() -> Config {
    Config {
        probation: 4 * STREAM_COST,
        ..Config::default()
    }
}

#[tokio::test]
async fn strangers_have_few_streams_until_one_proves_itself() {
    let mut peer = Peer::new(echo(), on_probation());
    peer.send(&[syn(1), syn(3), syn(5), syn(7)]).await;
    peer.expect(&[ack(1), ack(3)]).await;
    peer.expect_quiet().await;
    // An answer is proof; then the others are accepted in their order.
    peer.send(&[data(1, b"x")]).await;
    peer.expect(&[data(1, b"x"), ack(5), ack(7)]).await;
    peer.send(&[data(7, b"y")]).await;
    peer.expect(&[data(7, b"y")]).await;
}

#[tokio::test]
async fn a_stranger_pays_with_what_it_sends() {
    // Eight bytes pay for one; the header that asks counts too.
    let price = 8 * STREAM_COST - 10 * 12 - 2;
    for (paid, admitted) in [(price, true), (price - 1, false)] {
        let mut peer = Peer::new(deaf(), on_probation());
        let paid = vec![7; paid];
        peer.send(&[syn(1), syn(3), syn(5), syn(7), syn(9)]).await;
        peer.expect(&[ack(1), ack(3)]).await;
        // Whoever speaks finds a place, up to four.
        peer.send(&[data(7, b"y"), data(5, b"y")]).await;
        peer.expect(&[ack(7), ack(5)]).await;
        peer.send(&[data(1, &paid[..100]), data(3, &paid[100..])])
            .await;
        peer.send(&[data(9, b"z")]).await;
        let answer = if admitted { ack(9) } else { rst(9) };
        peer.expect(&[answer]).await;
    }
}

#[tokio::test]
async fn any_stream_may_prove_a_stranger() {
    let mut peer = Peer::new(echo(), on_probation());
    let opened: Vec<_> = (0..200).map(|number| syn(2 * number + 1)).collect();
    let spoken = (0..200).rev().map(|number| data(2 * number + 1, b"x"));
    // In one piece: nobody is reset because others were heard first.
    peer.send(&opened.into_iter().chain(spoken).collect::<Vec<_>>())
        .await;
    let mut answered = 0;
    while answered < 200 {
        let frame = peer.next().await.unwrap();
        assert!(!frame.header.flags.has(Flags::RST), "{frame:?}");
        answered += usize::from(frame.header.kind == Kind::Data);
    }
}

#[tokio::test]
async fn a_parked_stream_is_a_stream() {
    let opened = [syn(1), syn(3), syn(5)];
    let mut twice = Peer::new(deaf(), on_probation());
    twice.send(&opened).await;
    twice.expect(&[ack(1), ack(3)]).await;
    twice.send(&[syn(5)]).await;
    assert_eq!(
        twice.expect_fault().await,
        "yamux: second SYN for an open stream"
    );

    let mut ended = Peer::new(deaf(), on_probation());
    ended.send(&opened).await;
    ended.expect(&[ack(1), ack(3)]).await;
    ended.send(&[fin(5)]).await;
    ended.expect(&[ack(5)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_parked_stream_is_not_silent_for_ever() {
    let start = Instant::now();
    let mut peer = Peer::new(deaf(), on_probation());
    peer.send(&[syn(1), syn(3), syn(5)]).await;
    peer.expect(&[ack(1), ack(3)]).await;
    let ends = [
        peer.next().await,
        peer.next().await,
        peer.next().await,
        peer.next().await,
    ];
    assert_eq!(start.elapsed(), Duration::from_secs(30));
    assert!(ends.contains(&Some(rst(5))), "{ends:?}");
}
