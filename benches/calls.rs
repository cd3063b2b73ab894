//! Calls from our client to our server, in memory and on loopback, plain and over yamux, and much
//! data over one yamux stream; each beside a bare tokio stream that moves as many bytes and
//! understands none of them. Both ends share one thread, so that an iteration is the work of both.
//!
//! An iteration of `yamux x N` is N calls, one on each stream, all under way at once; what the bare
//! stream does meanwhile is one write and one answer of N calls' size.
//!
//! `cargo bench --bench calls`

#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the bench")]

#[path = "support/bare.rs"]
mod bare;
#[path = "support/bulk.rs"]
mod bulk;
#[path = "support/calls.rs"]
mod calls;
#[path = "support/ends.rs"]
mod ends;
#[path = "support/stage.rs"]
mod stage;
#[path = "support/way.rs"]
mod way;

use std::time::Duration;

use bulk::{Direction, LOAD};
use bytes::Bytes;
use calls::{Call, Exchange};
use criterion::{
    BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use oneport::{
    client::Mux,
    proto::BoxError,
    services::{
        Conn,
        netrpc::{Channel, Client},
        yamux::{Config, Yamux},
    },
};
use stage::Stage;
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, duplex},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::Instant,
};
use tower::{ServiceExt, service_fn};
use way::Way;

type Group<'a> = BenchmarkGroup<'a, WallTime>;

/// What a pipe in memory holds: as much as a stream's window.
const PIPE: usize = 256 * 1024;

const WAYS: [(Way, &str); 4] = [
    (Way::Plain, "plain"),
    (Way::Yamux(1), "yamux x 1"),
    (Way::Yamux(16), "yamux x 16"),
    (Way::Yamux(256), "yamux x 256"),
];

fn calls(c: &mut Criterion) {
    let everywhere = |(call, what)| WAYS.map(|(way, how)| (call, what, way, how));
    let small = [(Call::Ping, "ping"), (Call::Get, "get")].map(everywhere);
    let large = [(Call::GetLarge, "get 16 KiB"), (Call::List, "list of 100")]
        .map(|(call, what)| (call, what, Way::Plain, "plain"));
    for (call, what, way, how) in small.into_iter().flatten().chain(large) {
        let mut group = c.benchmark_group(format!("{what}, {how}"));
        group.throughput(Throughput::Elements(way.calls().into()));
        calls_in_memory(&mut group, call, way);
        calls_on_loopback(&mut group, call, way);
    }
}

fn calls_in_memory(group: &mut Group<'_>, call: Call, way: Way) {
    let stage = Stage::new();
    let agent = stage.run(calls::agent());
    let (near, far) = pipe();
    stage.spawn(calls::protocol(&agent).oneshot(ends::conn(near)));
    ours(group, "memory, oneport", &stage, call, way, ends::conn(far));
    let exchange = stage.run(call.exchange(&agent));
    let (near, far) = pipe();
    echo(group, "memory, bare", &stage, &exchange, way, near, far);
}

fn calls_on_loopback(group: &mut Group<'_>, call: Call, way: Way) {
    let stage = Stage::new();
    let agent = stage.run(calls::agent());
    let addr = stage.listen(calls::protocol(&agent));
    let socket = stage.run(TcpStream::connect(addr)).unwrap();
    socket.set_nodelay(true).unwrap();
    let conn = ends::tcp(socket);
    ours(group, "loopback, oneport", &stage, call, way, conn);
    let exchange = stage.run(call.exchange(&agent));
    let (near, far) = stage.run(sockets());
    echo(group, "loopback, bare", &stage, &exchange, way, near, far);
}

/// Our client at the far end of `conn`.
fn ours(group: &mut Group<'_>, name: &str, stage: &Stage, call: Call, way: Way, mut conn: Conn) {
    conn.put(&mut |out| out.extend_from_slice(&[way.tag()]));
    let (_mux, clients) = stage.run(clients(way, conn));
    let body = call.body();
    group.bench_function(name, |b| {
        b.iter_custom(|rounds| stage.run(rounds_of(rounds, &clients, call, &body)));
    });
}

/// A client for each call that is to be under way, and what keeps them alive.
async fn clients(way: Way, conn: Conn) -> (Option<Mux>, Vec<Client<Channel>>) {
    let Way::Yamux(streams) = way else {
        return (None, vec![Client::new(Channel::new(conn))]);
    };
    let mux = Mux::new(conn, Config::default());
    let mut clients = Vec::new();
    for _ in 0..streams {
        let stream = mux.open().await.unwrap();
        let mut client = Client::new(Channel::new(stream));
        // One after the other, so that the server need not hold them all back.
        client
            .call_raw("Status.Ping", Call::Ping.body())
            .await
            .unwrap();
        clients.push(client);
    }
    (Some(mux), clients)
}

/// Every client makes so many calls, one after the other.
async fn rounds_of(rounds: u64, clients: &[Client<Channel>], call: Call, body: &Bytes) -> Duration {
    let began = Instant::now();
    let mut callers = JoinSet::new();
    for client in clients {
        let (mut client, body) = (client.clone(), body.clone());
        callers.spawn(async move {
            for _ in 0..rounds {
                let answer = client.call_raw(call.method(), body.clone()).await;
                assert!(!answer.unwrap().is_empty());
            }
        });
    }
    while let Some(called) = callers.join_next().await {
        called.unwrap();
    }
    began.elapsed()
}

/// The same number of bytes to and fro.
fn echo<T>(
    group: &mut Group<'_>,
    name: &str,
    stage: &Stage,
    exchange: &Exchange,
    way: Way,
    near: T,
    mut far: T,
) where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let request = way.once_each(&exchange.request);
    let answer = way.once_each(&exchange.answer);
    let mut answered = vec![0; answer.len()];
    let length = request.len();
    stage.spawn(async move { bare::answer(near, length, &answer).await });
    group.bench_function(name, |b| {
        b.iter_custom(|rounds| {
            stage.run(async {
                let began = Instant::now();
                for _ in 0..rounds {
                    bare::ask(&mut far, &request, &mut answered).await.unwrap();
                }
                began.elapsed()
            })
        });
    });
}

fn bulk(c: &mut Criterion) {
    for (direction, name) in [(Direction::Up, "bulk, up"), (Direction::Down, "bulk, down")] {
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Bytes(u64::try_from(LOAD).unwrap()));
        let stage = Stage::new();
        let (near, far) = pipe();
        stage.spawn(carrier(direction).oneshot(ends::conn(near)));
        stream(
            &mut group,
            "memory, yamux",
            &stage,
            direction,
            ends::conn(far),
        );
        let (near, far) = pipe();
        pair(&mut group, "memory, bare", &stage, direction, near, far);
        let (near, far) = stage.run(sockets());
        stage.spawn(carrier(direction).oneshot(ends::tcp(near)));
        stream(
            &mut group,
            "loopback, yamux",
            &stage,
            direction,
            ends::tcp(far),
        );
        let (near, far) = stage.run(sockets());
        pair(&mut group, "loopback, bare", &stage, direction, near, far);
    }
}

/// A session whose streams carry loads.
fn carrier(direction: Direction) -> Yamux<impl oneport::services::Protocol> {
    Yamux::new(service_fn(move |conn: Conn| async move {
        Ok::<_, BoxError>(bulk::serve(direction, conn).await?)
    }))
}

fn stream(group: &mut Group<'_>, name: &str, stage: &Stage, direction: Direction, conn: Conn) {
    let (_mux, stream) = stage.run(async {
        let mux = Mux::new(conn, Config::default());
        let stream = mux.open().await.unwrap();
        (mux, stream)
    });
    loads(group, name, stage, direction, stream);
}

fn pair<T>(group: &mut Group<'_>, name: &str, stage: &Stage, direction: Direction, near: T, far: T)
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    stage.spawn(bulk::serve(direction, near));
    loads(group, name, stage, direction, far);
}

fn loads<T>(group: &mut Group<'_>, name: &str, stage: &Stage, direction: Direction, mut io: T)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    group.bench_function(name, |b| {
        b.iter_custom(|loads| {
            stage.run(async {
                let began = Instant::now();
                for _ in 0..loads {
                    bulk::load(direction, &mut io).await.unwrap();
                }
                began.elapsed()
            })
        });
    });
}

/// Both ends of a pipe in memory.
fn pipe() -> (DuplexStream, DuplexStream) {
    duplex(PIPE)
}

/// Both ends of a loopback connection.
async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let far = TcpStream::connect(listener.local_addr().unwrap());
    let (near, far) = tokio::join!(listener.accept(), far);
    let (near, far) = (near.unwrap().0, far.unwrap());
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    (near, far)
}

/// Long enough to be of use, and short enough to be run.
fn config() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
}

criterion_group!(name = benches; config = config(); targets = calls, bulk);
criterion_main!(benches);
