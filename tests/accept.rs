//! Who is let in, and what accepting survives.

// A helper that fails fails its test.
#![allow(clippy::unwrap_used)]

use std::{io, sync::Arc, time::Duration};

use oneport::{
    CONN_BURST, CONNS_PER_SECOND, ListenConfig, MAX_CONNS_PER_SOURCE,
    layers::{
        MetricsLayer, RateLimitLayer,
        auth::{AuthLayer, Networks},
        bucket::{Limit, Rate},
        rate_limit::{Limiter, Limits, Mode},
    },
    proto::BoxError,
    services::{Conn, Protocol},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::{Instant, advance},
};
use tower::{ServiceBuilder, service_fn};

#[path = "harness/queue.rs"]
mod queue;
#[path = "harness/recorder.rs"]
mod recorder;

use queue::Server;
use recorder::Counts;

/// Says hello, then waits for the end; panics if it is told to.
fn hello() -> impl Protocol {
    service_fn(|mut conn: Conn| async move {
        conn.write_all(b"hello").await?;
        let told = conn.chunk().await?;
        assert_ne!(&told[..], b"panic");
        Ok::<_, BoxError>(())
    })
}

/// Whether the server greets, or else closes without a byte.
async fn is_in(conn: &mut DuplexStream) -> bool {
    let mut hello = [0; 5];
    let got = conn.read(&mut hello).await.unwrap();
    assert!(got == 0 || &hello == b"hello");
    got > 0
}

async fn greeted(server: &Server, peer: &str) -> Option<DuplexStream> {
    let mut conn = server.connect(peer);
    is_in(&mut conn).await.then_some(conn)
}

/// A config with one limit only.
fn only(limit: impl FnOnce(&mut ListenConfig)) -> ListenConfig {
    let mut config = ListenConfig {
        max_conns: 0,
        max_conns_per_source: 0,
        conns_per_second: 0,
        ..ListenConfig::default()
    };
    limit(&mut config);
    config
}

#[tokio::test]
async fn a_source_has_its_hundred_and_no_more() {
    let (counts, _guard) = Counts::install();
    let server = Server::start(ListenConfig::default(), hello());
    let mut open = Vec::new();
    for port in 1..=MAX_CONNS_PER_SOURCE {
        let conn = greeted(&server, &format!("10.0.0.1:{port}")).await;
        open.push(conn.expect("within the limit"));
    }
    assert!(greeted(&server, "10.0.0.1:101").await.is_none());
    assert!(greeted(&server, "10.0.0.2:1").await.is_some());
    assert_eq!(counts.of("oneport.connections.refused{source}"), 1);

    open.pop();
    server.handles(2 + MAX_CONNS_PER_SOURCE - 1).await;
    let again = greeted(&server, "10.0.0.1:101").await;
    assert!(again.is_some());
    assert!(greeted(&server, "10.0.0.1:102").await.is_none());
    assert_eq!(counts.of("rpc.accept_conn"), 104);
}

/// D-accept-ipv6-64: Consul counts full addresses; an IPv6 host has 2^64 of them.
#[tokio::test]
async fn an_ipv6_source_is_a_64() {
    let server = Server::start(only(|config| config.max_conns_per_source = 1), hello());
    let first = greeted(&server, "[2001:db8::1]:1").await;
    assert!(first.is_some());
    assert!(greeted(&server, "[2001:db8::2]:1").await.is_none());
    assert!(greeted(&server, "[2001:db8:0:1::1]:1").await.is_some());
}

#[tokio::test]
async fn a_port_has_a_limit_in_all() {
    let (counts, _guard) = Counts::install();
    let server = Server::start(only(|config| config.max_conns = 2), hello());
    let first = greeted(&server, "10.0.0.1:1").await;
    let second = greeted(&server, "in process").await;
    assert!(first.is_some() && second.is_some());
    assert!(greeted(&server, "10.0.0.3:1").await.is_none());
    assert_eq!(counts.of("oneport.connections.refused{total}"), 1);
    drop(first);
    server.handles(2 + 1).await;
    assert!(greeted(&server, "10.0.0.3:1").await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_source_comes_in_a_burst_and_then_at_its_rate() {
    let (counts, _guard) = Counts::install();
    let config = only(|config| config.conns_per_second = CONNS_PER_SECOND);
    let server = Server::start(config, hello());
    for _ in 0..CONN_BURST {
        assert!(greeted(&server, "10.0.0.1:1").await.is_some());
    }
    assert!(greeted(&server, "10.0.0.1:1").await.is_none());
    assert!(greeted(&server, "10.0.0.2:1").await.is_some());
    advance(Duration::from_secs(1) / CONNS_PER_SECOND).await;
    assert!(greeted(&server, "10.0.0.1:1").await.is_some());
    assert!(greeted(&server, "10.0.0.1:1").await.is_none());
    assert_eq!(counts.of("oneport.connections.refused{rate}"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_port_has_a_rate_in_all() {
    let (counts, _guard) = Counts::install();
    let config = only(|config| (config.all_conns_per_second, config.all_conn_burst) = (10, 2));
    let server = Server::start(config, hello());
    assert!(greeted(&server, "10.0.0.1:1").await.is_some());
    assert!(greeted(&server, "10.0.0.2:1").await.is_some());
    assert!(greeted(&server, "10.0.0.3:1").await.is_none());
    advance(Duration::from_millis(100)).await;
    assert!(greeted(&server, "10.0.0.3:1").await.is_some());
    assert_eq!(counts.of("oneport.connections.refused{total_rate}"), 1);
}

/// A connection is a call, so what guards calls guards connections: here as a host might have it,
/// with limits of its own choice and only its own network let in.
#[tokio::test(start_paused = true)]
async fn layers_guard_connections_too() {
    let (counts, _guard) = Counts::install();
    let two = Limit {
        rate: Rate::per_second(10.0).unwrap(),
        burst: 2,
    };
    let limiter = Arc::new(Limiter::new(Limits {
        mode: Mode::Enforcing,
        source: two,
        ..Limits::default()
    }));
    let networks = Networks::default().allow("10.0.0.0/8").unwrap();
    let guarded = ServiceBuilder::new()
        .layer(MetricsLayer::new())
        .layer(RateLimitLayer::new(Arc::clone(&limiter)))
        .layer(AuthLayer::new(networks))
        .service(hello());
    let server = Server::start(only(|_| ()), guarded);
    for _ in 0..2 {
        assert!(greeted(&server, "10.0.0.1:1").await.is_some());
    }
    assert!(greeted(&server, "10.0.0.1:1").await.is_none());
    assert!(greeted(&server, "10.0.0.2:1").await.is_some());
    assert!(greeted(&server, "192.0.2.1:1").await.is_none());
    let refused = |why| {
        counts.of(&format!(
            "oneport.calls.refused{{connection}}{{accept}}{{{why}}}"
        ))
    };
    assert_eq!((refused("rate_limited"), refused("denied")), (1, 1));
    assert_eq!(counts.of("oneport.calls{connection}{accept}"), 5);
    limiter.set(Limits::default());
    assert!(greeted(&server, "10.0.0.1:1").await.is_some());
}

/// Linux: too many open files in this process.
const EMFILE: i32 = 24;

#[tokio::test(start_paused = true)]
async fn accepting_pauses_when_files_run_out_and_goes_on() {
    let (counts, _guard) = Counts::install();
    let server = Server::start(ListenConfig::default(), hello());
    let began = Instant::now();
    for _ in 0..4 {
        server.push(Err(io::Error::from_raw_os_error(EMFILE)));
    }
    assert!(greeted(&server, "10.0.0.1:1").await.is_some());
    // 5, 10, 20 and 40 ms, of which jitter may take up to a half.
    let paused = began.elapsed();
    assert!(paused >= Duration::from_millis(37), "{paused:?}");
    assert!(paused <= Duration::from_millis(80), "{paused:?}");
    assert_eq!(counts.of("oneport.accept.errors{listener}"), 4);

    // It worked, so the next pause is a short one.
    let began = Instant::now();
    server.push(Err(io::Error::from_raw_os_error(EMFILE)));
    assert!(greeted(&server, "10.0.0.1:2").await.is_some());
    assert!(began.elapsed() < Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn a_connection_gone_before_it_was_accepted_costs_no_time() {
    let (counts, _guard) = Counts::install();
    let server = Server::start(ListenConfig::default(), hello());
    let began = Instant::now();
    for _ in 0..100 {
        server.push(Err(io::ErrorKind::ConnectionAborted.into()));
    }
    assert!(greeted(&server, "10.0.0.1:1").await.is_some());
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(counts.of("oneport.accept.errors{connection}"), 100);
}

#[tokio::test]
async fn a_panic_ends_one_connection_and_gives_its_place_back() {
    let (counts, _guard) = Counts::install();
    let server = Server::start(only(|config| config.max_conns = 1), hello());
    let mut conn = greeted(&server, "10.0.0.1:1").await.unwrap();
    conn.write_all(b"panic").await.unwrap();
    assert!(!is_in(&mut conn).await);
    server.handles(2).await;
    let next = greeted(&server, "10.0.0.1:2").await;
    assert!(next.is_some());
    drop(next);
    server.drainer.drain();
    assert_eq!(server.task.await.unwrap().panicked, 1);
    assert_eq!(counts.of("oneport.connections.ended{panic}"), 1);
    assert_eq!(counts.of("oneport.connections.ended{done}"), 1);
}
