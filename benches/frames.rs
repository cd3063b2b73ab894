//! What msgpack costs: Consul's commonest request and reply, measured, read and written, beside
//! rmp-serde doing the same to the same bytes and beside a bare copy of them.
//!
//! `cargo bench --bench frames`

#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{Criterion, criterion_group, criterion_main};
use oneport::{
    proto::structs::{DirEntry, IndexedDirEntries, KeyRequest, QueryMeta},
    services::msgpack::{Limits, Scanner, decode, encode},
};
use serde::{Deserialize, Serialize};

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

fn request(c: &mut Criterion) {
    let value = KeyRequest {
        datacenter: "dc1".into(),
        key: "service/web-0001/leader".into(),
        ..KeyRequest::default()
    };
    let plain = PlainKeyRequest {
        datacenter: "dc1".into(),
        key: "service/web-0001/leader".into(),
        ..PlainKeyRequest::default()
    };
    let bytes = written(&value);
    let mut group = c.benchmark_group("request");
    group.bench_function("bare copy", |b| b.iter(|| black_box(&bytes[..]).to_vec()));
    group.bench_function("scan", |b| {
        let mut scanner = Scanner::new(Limits::new(1 << 20));
        b.iter(|| {
            scanner.reset();
            scanner.scan(black_box(&bytes)).is_ok()
        });
    });
    group.bench_function("decode", |b| {
        b.iter(|| decode::<KeyRequest>(black_box(&bytes)).is_ok());
    });
    group.bench_function("decode, rmp-serde", |b| {
        b.iter(|| rmp_serde::from_slice::<PlainKeyRequest>(black_box(&bytes)).is_ok());
    });
    let mut out = BytesMut::with_capacity(4096);
    group.bench_function("encode", |b| {
        b.iter(|| {
            out.clear();
            encode(black_box(&value), &mut out).is_ok()
        });
    });
    let mut out = Vec::with_capacity(4096);
    group.bench_function("encode, rmp-serde", |b| {
        b.iter(|| {
            out.clear();
            rmp_serde::encode::write_named(&mut out, black_box(&plain)).is_ok()
        });
    });
}

fn reply(c: &mut Criterion) {
    let entry = DirEntry {
        key: "service/web-0001/leader".into(),
        value: Some(vec![7; 128].into()),
        ..DirEntry::default()
    };
    let value = IndexedDirEntries {
        entries: Some(vec![entry; 1]),
        meta: QueryMeta {
            index: 4711,
            known_leader: true,
            ..QueryMeta::default()
        },
    };
    let bytes = written(&value);
    let mut group = c.benchmark_group("reply");
    group.bench_function("bare copy", |b| b.iter(|| black_box(&bytes[..]).to_vec()));
    let mut out = BytesMut::with_capacity(4096);
    group.bench_function("encode", |b| {
        b.iter(|| {
            out.clear();
            encode(black_box(&value), &mut out).is_ok()
        });
    });
    group.bench_function("decode", |b| {
        b.iter(|| decode::<IndexedDirEntries>(black_box(&bytes)).is_ok());
    });
}

fn written<T: Serialize>(value: &T) -> BytesMut {
    let mut out = BytesMut::new();
    encode(value, &mut out).unwrap_or_else(|error| panic!("{error}"));
    out
}

criterion_group!(benches, request, reply);
criterion_main!(benches);
