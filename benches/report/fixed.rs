//! Runs of a fixed number of calls, to have their instructions counted.
//!
//! The client of the calls is a [`Feed`]: bytes that are there before the run begins. So what is
//! counted is the server, from the bytes of a socket to the bytes of a socket, without the kernel.
//! Lives of connections are different: sockets are part of them, so there the client is another
//! thread, which is not counted.

use std::{
    future::Future,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
};

use bytes::Bytes;
use oneport::{
    Listener,
    services::{Conn, Drainer, Protocol},
};
use tokio::{io::AsyncWriteExt, net::TcpListener, runtime::Builder, sync::oneshot};
use tower::ServiceExt;

use crate::{
    bare,
    calls::{self, Call, Exchange},
    ends,
    feed::{self, Feed},
    limited,
    peers::{LOOPBACK, unlimited},
    way::Way,
};

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// Calls on one connection.
    Calls { call: Call, way: Way, by: By },
    /// Connections with one call each.
    Lives(Life),
}

/// Who answers calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// Our port with the methods.
    Methods,
    /// Our port with the methods behind all layers, each with a limit.
    Layers,
    /// Bytes for bytes.
    Bare,
}

/// Who serves a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Our listener, sniffing and a table.
    Sniffed,
    /// Our listener with the protocol itself.
    Known,
    /// A bare accept, a read and a write.
    Bare,
}

const STREAMS: Way = Way::Yamux(16);

/// All of them: their names, what they run, and how many calls or connections make a count.
pub(crate) const RUNS: [(&str, Run, u32); 15] = [
    (
        "ping-plain",
        calls_of(Call::Ping, Way::Plain, By::Methods),
        2000,
    ),
    (
        "ping-plain-layers",
        calls_of(Call::Ping, Way::Plain, By::Layers),
        2000,
    ),
    (
        "ping-plain-bare",
        calls_of(Call::Ping, Way::Plain, By::Bare),
        2000,
    ),
    (
        "get-plain",
        calls_of(Call::Get, Way::Plain, By::Methods),
        2000,
    ),
    (
        "get-plain-layers",
        calls_of(Call::Get, Way::Plain, By::Layers),
        2000,
    ),
    (
        "get-plain-bare",
        calls_of(Call::Get, Way::Plain, By::Bare),
        2000,
    ),
    (
        "ping-yamux",
        calls_of(Call::Ping, STREAMS, By::Methods),
        3200,
    ),
    (
        "ping-yamux-layers",
        calls_of(Call::Ping, STREAMS, By::Layers),
        3200,
    ),
    (
        "ping-yamux-bare",
        calls_of(Call::Ping, STREAMS, By::Bare),
        3200,
    ),
    ("get-yamux", calls_of(Call::Get, STREAMS, By::Methods), 3200),
    (
        "get-yamux-layers",
        calls_of(Call::Get, STREAMS, By::Layers),
        3200,
    ),
    (
        "get-yamux-bare",
        calls_of(Call::Get, STREAMS, By::Bare),
        3200,
    ),
    ("life-sniffed", Run::Lives(Life::Sniffed), 500),
    ("life-known", Run::Lives(Life::Known), 500),
    ("life-bare", Run::Lives(Life::Bare), 500),
];

const fn calls_of(call: Call, way: Way, by: By) -> Run {
    Run::Calls { call, way, by }
}

impl Run {
    pub(crate) fn named(name: &str) -> Option<Run> {
        let named = RUNS.iter().find(|(known, ..)| *known == name);
        named.map(|(_, run, _)| *run)
    }
}

/// Does it, so many times.
pub(crate) fn run(run: Run, count: u64) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    match run {
        Run::Calls { call, way, by } => runtime.block_on(serve_calls(call, way, by, count)),
        Run::Lives(life) => runtime.block_on(serve_lives(life, count)),
    }
}

async fn serve_calls(call: Call, way: Way, by: By, count: u64) {
    let agent = match by {
        By::Layers => limited::agent().await,
        By::Methods | By::Bare => calls::agent().await,
    };
    let exchange = call.exchange(&agent).await;
    let rounds = count / u64::from(way.calls());
    let conn = ends::conn(Feed::new(feed::client(way, &exchange, rounds)));
    match by {
        By::Methods => calls::protocol(&agent).oneshot(conn).await.unwrap(),
        By::Layers => limited::layered(&agent).oneshot(conn).await.unwrap(),
        By::Bare => {
            let request = way.once_each(&exchange.request).len();
            let answer = way.once_each(&exchange.answer);
            move_bytes(conn, request, answer).await.unwrap();
        }
    }
}

/// Gives an answer for so many bytes, in the manner of our own talkers.
async fn move_bytes(mut conn: Conn, request: usize, answer: Bytes) -> std::io::Result<()> {
    let mut got = 0;
    loop {
        let chunk = conn.chunk().await?;
        if chunk.is_empty() {
            return Ok(());
        }
        got += chunk.len();
        while got >= request {
            got -= request;
            conn.put(&mut |out| out.extend_from_slice(&answer));
        }
        conn.flush().await?;
    }
}

async fn serve_lives(life: Life, count: u64) {
    let agent = calls::agent().await;
    let exchange = Call::Ping.exchange(&agent).await;
    match life {
        Life::Sniffed => listen(calls::protocol(&agent), &[0], &exchange, count).await,
        Life::Known => listen(calls::methods(&agent), &[], &exchange, count).await,
        Life::Bare => accept(&exchange, count).await,
    }
}

async fn listen(protocol: impl Protocol, first: &[u8], exchange: &Exchange, count: u64) {
    let listener = Listener::bind(LOOPBACK, unlimited()).await.unwrap();
    let addr = listener.local_addr();
    let drainer = Drainer::new();
    let serving = listener.serve(protocol, drainer.handle());
    until_over(serving, addr, first, exchange, count).await;
}

async fn accept(exchange: &Exchange, count: u64) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (request, answer) = (exchange.request.len(), exchange.answer.clone());
    let serving = async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let answer = answer.clone();
            tokio::spawn(async move { bare::answer(socket, request, &answer).await.unwrap() });
        }
    };
    until_over(serving, addr, &[], exchange, count).await;
}

/// Serves until a client in a thread of its own has had all its lives.
async fn until_over<T>(
    serving: impl Future<Output = T>,
    addr: SocketAddr,
    first: &[u8],
    exchange: &Exchange,
    count: u64,
) {
    let say = [first, &exchange.request].concat();
    let hear = exchange.answer.len();
    let (over, is_over) = oneshot::channel();
    let client = thread::spawn(move || {
        let mut heard = vec![0; hear];
        for _ in 0..count {
            let mut socket = TcpStream::connect(addr).unwrap();
            socket.write_all(&say).unwrap();
            socket.read_exact(&mut heard).unwrap();
            drop(socket);
        }
        over.send(()).unwrap();
    });
    tokio::select! {
        _ = serving => panic!("a server does not end"),
        ended = is_over => ended.unwrap(),
    }
    client.join().unwrap();
}
