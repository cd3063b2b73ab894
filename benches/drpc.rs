//! dRPC round trips: our client and our server, beside pairs that send packets of the same sizes and
//! understand none of them, on tokio and on blocking threads. The ends have threads of their own, all
//! on one core or free.
//!
//! An iteration is one round trip on each connection, all under way at once.
//!
//! `cargo bench --bench drpc`

#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the bench")]

use std::{
    os::{fd::OwnedFd, unix::net::UnixStream as StdUnixStream},
    thread,
    time::Duration,
};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use oneport::{
    proto::{BoxError, Class},
    services::{
        Drainer,
        drpc::{Client, Listener, MAX_PACKET, Module, Reply, Request, Router, Server},
    },
};
use rustix::{
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};
use tokio::{
    io::Interest,
    net::UnixStream,
    runtime::{Builder, Runtime},
    task::JoinSet,
    time::Instant,
};
use tower::service_fn;

const MODULE: i32 = 100;
const ECHO: i32 = 1;

fn drpc(c: &mut Criterion) {
    let all = sched_getaffinity(None).unwrap();
    let first = (0..CpuSet::MAX_CPU).find(|cpu| all.is_set(*cpu)).unwrap();
    let mut one = CpuSet::new();
    one.set(first);
    for (place, cores, workers) in [("one core", one, 1), ("free", all, 2)] {
        // Threads that are started from here on stay there.
        sched_setaffinity(None, &cores).unwrap();
        for connections in [1, 4, 16] {
            for size in [64, 4096, 65536, 1 << 20] {
                let title = format!("drpc, {place}, {connections} x {size} B");
                let mut group = c.benchmark_group(title);
                group.throughput(Throughput::Elements(connections));
                let ends = [runtime(workers), runtime(workers)];
                group.bench_function("oneport", |b| {
                    b.iter_custom(|rounds| oneport(&ends, connections, size, rounds));
                });
                group.bench_function("bare, tokio", |b| {
                    b.iter_custom(|rounds| bare(&ends, connections, size, rounds));
                });
                group.bench_function("bare, blocking", |b| {
                    b.iter_custom(|rounds| blocking(connections, size, rounds));
                });
            }
        }
    }
    sched_setaffinity(None, &all).unwrap();
}

fn runtime(workers: usize) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(workers)
        .enable_all()
        .build()
        .unwrap()
}

fn oneport([near, far]: &[Runtime; 2], connections: u64, size: usize, rounds: u64) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bench.sock");
    let drainer = Drainer::new();
    let listener = far.block_on(Listener::builder(&path).bind()).unwrap();
    let serving = far.spawn(listener.serve(server(), drainer.handle()));
    let body = Bytes::from(vec![7; size]);
    let took = near.block_on(async {
        let mut calls = JoinSet::new();
        let mut clients = Vec::new();
        for _ in 0..connections {
            let client = Client::builder(&path).build();
            client.connect().await.unwrap();
            clients.push(client);
        }
        let start = Instant::now();
        for client in clients {
            let body = body.clone();
            calls.spawn(async move {
                for _ in 0..rounds {
                    let reply = client.call_raw(MODULE, ECHO, body.clone()).await.unwrap();
                    assert_eq!(reply.body.len(), body.len());
                }
            });
        }
        calls.join_all().await;
        start.elapsed()
    });
    drainer.drain();
    far.block_on(serving).unwrap();
    took
}

fn server() -> Server<Router> {
    let echo = service_fn(async |request: Request| Ok::<_, BoxError>(Reply::new(request.body)));
    let module = Module::builder(MODULE, "bench").service(ECHO, "echo", Class::Read, echo);
    let router = Router::builder().module(module.build().unwrap());
    Server::router(router.build().unwrap())
}

fn pair() -> (OwnedFd, OwnedFd) {
    let flags = SocketFlags::CLOEXEC;
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap()
}

/// The packets of a body.
fn pieces(size: usize) -> impl Iterator<Item = usize> {
    (0..size)
        .step_by(MAX_PACKET)
        .map(move |at| MAX_PACKET.min(size - at))
}

fn bare([near, far]: &[Runtime; 2], connections: u64, size: usize, rounds: u64) -> Duration {
    let mut echoes = JoinSet::new();
    let mut calls = JoinSet::new();
    let start = Instant::now();
    for _ in 0..connections {
        let (one, other) = pair();
        let (one, other) = (nonblocking(near, one), nonblocking(far, other));
        let echo = async move {
            let mut packet = vec![7; MAX_PACKET];
            for _ in 0..rounds {
                take(&other, &mut packet, size).await;
                put(&other, &packet, size).await;
            }
        };
        echoes.spawn_on(echo, far.handle());
        let call = async move {
            let mut packet = vec![7; MAX_PACKET];
            for _ in 0..rounds {
                put(&one, &packet, size).await;
                take(&one, &mut packet, size).await;
            }
        };
        calls.spawn_on(call, near.handle());
    }
    near.block_on(calls.join_all());
    let took = start.elapsed();
    far.block_on(echoes.join_all());
    took
}

fn nonblocking(runtime: &Runtime, socket: OwnedFd) -> UnixStream {
    let socket = StdUnixStream::from(socket);
    socket.set_nonblocking(true).unwrap();
    let _entered = runtime.enter();
    UnixStream::from_std(socket).unwrap()
}

async fn put(socket: &UnixStream, packet: &[u8], size: usize) {
    for length in pieces(size) {
        let write = || Ok(send(socket, &packet[..length], SendFlags::NOSIGNAL)?);
        let sent = socket.async_io(Interest::WRITABLE, write).await;
        assert_eq!(sent.unwrap(), length);
    }
}

async fn take(socket: &UnixStream, packet: &mut [u8], size: usize) {
    for length in pieces(size) {
        let read = || Ok(recv(socket, &mut *packet, RecvFlags::empty())?.1);
        let received = socket.async_io(Interest::READABLE, read).await;
        assert_eq!(received.unwrap(), length);
    }
}

fn blocking(connections: u64, size: usize, rounds: u64) -> Duration {
    let start = Instant::now();
    thread::scope(|threads| {
        for _ in 0..connections {
            let (one, other) = pair();

            threads.spawn(move || rounds_of(&one, size, rounds, true));
            threads.spawn(move || rounds_of(&other, size, rounds, false));
        }
    });
    start.elapsed()
}

fn rounds_of(socket: &OwnedFd, size: usize, rounds: u64, first: bool) {
    let mut packet = vec![7; MAX_PACKET];
    // Whoever does not begin hears before it says.
    for half in 0..rounds * 2 {
        for length in pieces(size) {
            let done = if (half % 2 == 0) == first {
                send(socket, &packet[..length], SendFlags::NOSIGNAL).unwrap()
            } else {
                recv(socket, &mut packet, RecvFlags::empty()).unwrap().1
            };
            assert_eq!(done, length);
        }
    }
}

criterion_group!(benches, drpc);
criterion_main!(benches);
