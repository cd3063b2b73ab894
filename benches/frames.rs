//! What frames cost. msgpack: Consul's commonest request and two replies, measured, read and
//! written, beside rmp-serde doing the same to the same bytes and beside a bare copy of them. Yamux:
//! data frames by size, read and written by a session, beside the same reads and writes without
//! frames.
//!
//! `cargo bench --bench frames`

#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the bench")]

#[path = "support/pump.rs"]
mod pump;

use std::{hint::black_box, time::Duration};

use bytes::{Bytes, BytesMut};
use criterion::{
    BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use oneport::{
    proto::{
        BoxError, Session,
        structs::{DirEntry, IndexedDirEntries, KeyRequest, QueryMeta},
    },
    services::{
        Conn, Drainer, Protocol,
        msgpack::{Limits, Scanner, decode, encode},
        yamux::{
            Yamux,
            frame::{Flags, Header},
        },
    },
};
use pump::Pump;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    io::AsyncWriteExt,
    runtime::{Builder, Runtime},
};
use tower::{ServiceExt, service_fn};

type Group<'a> = BenchmarkGroup<'a, WallTime>;

/// The same request for a codec without embedding.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PlainKeyRequest {
    allow_not_modified_response: bool,
    allow_stale: bool,
    datacenter: String,
    filter: String,
    key: String,
    max_age: i64,
    max_query_time: i64,
    max_stale_duration: i64,
    min_query_index: u64,
    must_revalidate: bool,
    require_consistent: bool,
    stale_if_error: i64,
    token: String,
    use_cache: bool,
}

/// The same reply for a codec without embedding; its values are strings, as they are on this wire.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PlainEntries {
    backend: i64,
    consistency_level: String,
    entries: Option<Vec<PlainEntry>>,
    index: u64,
    known_leader: bool,
    last_contact: i64,
    not_modified: bool,
    #[serde(rename = "ResultsFilteredByACLs")]
    results_filtered_by_acls: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PlainEntry {
    create_index: u64,
    flags: u64,
    key: String,
    lock_index: u64,
    modify_index: u64,
    session: String,
    value: String,
}

fn msgpack(c: &mut Criterion) {
    let request = KeyRequest {
        datacenter: "dc1".into(),
        key: "service/web-0001/leader".into(),
        ..KeyRequest::default()
    };
    codec::<_, PlainKeyRequest>(c.benchmark_group("msgpack request"), &request);
    for (entries, name) in [(1, "msgpack reply"), (100, "msgpack reply of 100")] {
        codec::<_, PlainEntries>(c.benchmark_group(name), &reply(entries));
    }
}

/// Our codec and rmp-serde, reading and writing the same bytes.
fn codec<T, P>(mut group: Group<'_>, value: &T)
where
    T: Serialize + DeserializeOwned,
    P: Serialize + DeserializeOwned,
{
    let mut out = BytesMut::new();
    encode(value, &mut out).unwrap();
    let bytes = out.split().freeze();
    let plain: P = rmp_serde::from_slice(&bytes).unwrap();
    group.throughput(Throughput::Bytes(u64::try_from(bytes.len()).unwrap()));
    group.bench_function("bare copy", |b| b.iter(|| black_box(&bytes[..]).to_vec()));
    let mut scanner = Scanner::new(Limits::new(1 << 20));
    group.bench_function("scan", |b| {
        b.iter(|| {
            scanner.reset();
            scanner.scan(black_box(&bytes)).is_ok()
        });
    });
    group.bench_function("decode", |b| {
        b.iter(|| decode::<T>(black_box(&bytes)).unwrap())
    });
    group.bench_function("decode, rmp-serde", |b| {
        b.iter(|| rmp_serde::from_slice::<P>(black_box(&bytes)).unwrap());
    });
    group.bench_function("encode", |b| {
        b.iter(|| {
            out.clear();
            encode(black_box(value), &mut out).unwrap();
        });
    });
    let mut out = Vec::with_capacity(2 * bytes.len());
    group.bench_function("encode, rmp-serde", |b| {
        b.iter(|| {
            out.clear();
            rmp_serde::encode::write_named(&mut out, black_box(&plain)).unwrap();
        });
    });
}

fn reply(entries: usize) -> IndexedDirEntries {
    let entry = DirEntry {
        key: "service/web-0001/leader".into(),
        value: Some(vec![7; 128].into()),
        ..DirEntry::default()
    };
    IndexedDirEntries {
        entries: Some(vec![entry; entries]),
        meta: QueryMeta {
            index: 4711,
            known_leader: true,
            ..QueryMeta::default()
        },
    }
}

/// Bytes carried in one iteration, which is also a session's whole life.
const LOAD: usize = 1 << 20;

fn yamux(c: &mut Criterion) {
    header(c);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    for size in [64, 1024, 16 * 1024, 64 * 1024] {
        let mut group = c.benchmark_group(format!("yamux frames of {size} bytes"));
        group.throughput(Throughput::Bytes(u64::try_from(LOAD).unwrap()));
        let frame = frame(size);
        group.bench_function("read", |b| {
            b.iter(|| {
                serve(&runtime, Yamux::new(reader()), || {
                    reads(syn(0), &frame, size)
                })
            });
        });
        let bare = Bytes::from(vec![7; size]);
        group.bench_function("read, bare", |b| {
            b.iter(|| serve(&runtime, reader(), || reads(Bytes::new(), &bare, size)));
        });
        group.bench_function("write", |b| {
            b.iter(|| serve(&runtime, Yamux::new(writer(size)), || writes(syn(LOAD))));
        });
        group.bench_function("write, bare", |b| {
            b.iter(|| serve(&runtime, writer(size), || writes(Bytes::new())));
        });
    }
}

/// The twelve bytes alone.
fn header(c: &mut Criterion) {
    let mut group = c.benchmark_group("yamux header");
    let header = Header::data(1, 1024);
    let bytes = header.encode();
    group.bench_function("bare copy", |b| b.iter(|| *black_box(&bytes)));
    group.bench_function("encode", |b| b.iter(|| black_box(header).encode()));
    group.bench_function("decode", |b| b.iter(|| Header::decode(*black_box(&bytes))));
}

/// A connection's whole life.
fn serve<P: Protocol>(runtime: &Runtime, protocol: P, far: impl FnOnce() -> Pump) {
    let drainer = Drainer::new();
    let conn = Conn::stream(Session::in_process(), drainer.handle(), far());
    runtime.block_on(protocol.oneshot(conn)).unwrap();
}

/// A client that sends a load in blocks which hold `size` bytes of it.
fn reads(first: Bytes, block: &Bytes, size: usize) -> Pump {
    Pump::new(first, block.clone(), LOAD / size, 0)
}

/// A client that takes a load.
fn writes(first: Bytes) -> Pump {
    Pump::new(first, Bytes::new(), 0, LOAD)
}

/// Opens stream 1 with so much more credit than streams begin with.
fn syn(credit: usize) -> Bytes {
    let credit = u32::try_from(credit).unwrap();
    Bytes::copy_from_slice(&Header::window(1, Flags::SYN, credit).encode())
}

fn frame(size: usize) -> Bytes {
    let header = Header::data(1, u32::try_from(size).unwrap()).encode();
    [&header[..], &vec![7; size]].concat().into()
}

/// Takes all that comes.
fn reader() -> impl Protocol {
    service_fn(|mut conn: Conn| async move {
        let mut got = 0;
        while got < LOAD {
            got += conn.chunk().await?.len();
        }
        Ok::<_, BoxError>(())
    })
}

/// Writes a load, so many bytes at once.
fn writer(size: usize) -> impl Protocol {
    service_fn(move |mut conn: Conn| async move {
        let bytes = vec![7; size];
        for _ in 0..LOAD / size {
            conn.write_all(&bytes).await?;
        }
        conn.flush().await?;
        Ok::<_, BoxError>(())
    })
}

fn config() -> Criterion {
    Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
}

criterion_group!(name = benches; config = config(); targets = msgpack, yamux);
criterion_main!(benches);
