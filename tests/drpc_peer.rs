//! dRPC with an end that is not ours: Python, raw sockets and Google's protobuf.
//!
//! It was written from what DAOS' own ends send, not from our code. Its client calls our server, and
//! our client calls its server, in every way that the protocol has and in those that it has not.
//!
//! This needs Python with the package `protobuf`. Without it the tests say so and pass; with
//! `ONEPORT_REQUIRE_PEERS=1` they fail instead.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[allow(dead_code, reason = "nothing is built with Go here")]
#[path = "support/peers.rs"]
mod peers;
#[allow(dead_code, reason = "our program is not needed")]
#[path = "support/process.rs"]
mod process;
#[path = "support/python.rs"]
mod python;
#[path = "support/tell.rs"]
mod tell;
#[path = "support/verdict.rs"]
mod verdict;

use std::{num::NonZeroUsize, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use oneport::{
    proto::{BoxError, Class},
    services::{
        Drainer,
        drpc::{
            CallError, Client, Failure, FrameError, Listener, MAX_DATA, Module, Reply, Request,
            Router, Server, Status,
        },
    },
};
use process::Running;
use python::{Python, script};
use tokio::{sync::Barrier, task::JoinSet};
use tower::service_fn;
use verdict::assert_passed;

const GOOD: i32 = 100;
const ODD: i32 = 101;
const ECHO: i32 = 1;
const NOTHING: i32 = 2;
const FAIL: i32 = 3;
const STATUS: i32 = 4;
const TOGETHER: i32 = 5;
const NUMBER: i32 = 6;

/// Connections at once.
const PARALLEL: usize = 32;
/// The far end hangs if a call takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_python_client_works_with_our_server() {
    let Some(python) = Python::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ours.sock");
    let listener = Listener::builder(&path).bind().await.unwrap();
    let router = Router::builder().module(module()).build().unwrap();
    let drainer = Drainer::new();
    let serving = tokio::spawn(listener.serve(Server::router(router), drainer.handle()));
    let said = tokio::task::spawn_blocking(move || {
        let path = path.to_str().unwrap();
        peers::run(python.program(), &[&script("drpc/client.py"), path])
    });
    let said = said.await.unwrap();
    drainer.drain();
    serving.await.unwrap();
    assert!(said.good, "{}", said.all());
    assert_passed("Python's dRPC client", &said.out, 75);
}

fn module() -> Module {
    let barrier = Arc::new(Barrier::new(PARALLEL));
    let together = service_fn(move |request: Request| {
        let barrier = Arc::clone(&barrier);
        async move {
            barrier.wait().await;
            Ok::<_, BoxError>(Reply::new(request.body))
        }
    });
    let fail = |_| async { Err::<Reply, BoxError>("no".into()) };
    Module::builder(GOOD, "peer")
        .service(ECHO, "echo", Class::Read, service_fn(echo))
        .service(NOTHING, "nothing", Class::Read, service_fn(nothing))
        .service(FAIL, "fail", Class::Read, service_fn(fail))
        .service(STATUS, "status", Class::Read, service_fn(fail_as_told))
        .service(TOGETHER, "together", Class::Read, together)
        .build()
        .unwrap()
}

async fn echo(request: Request) -> Result<Reply, BoxError> {
    Ok(Reply::new(request.body))
}

async fn nothing(_request: Request) -> Result<Reply, BoxError> {
    Ok(Reply::default())
}

async fn fail_as_told(request: Request) -> Result<Reply, BoxError> {
    let status = request.body[..].try_into().map(i32::from_le_bytes)?;
    Err(Failure::new(Status(status)).into())
}

#[tokio::test(flavor = "multi_thread")]
async fn our_client_works_with_a_python_server() {
    let Some(python) = Python::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("theirs.sock");
    let args = [script("drpc/server.py"), path.to_str().unwrap().to_owned()];
    let mut server = Running::start(python.program(), &args);
    let oddities = server.wait_for("line with \"listening\"", |line| {
        let (_, rest) = line.split_once("listening, ")?;
        rest.strip_suffix(" oddities\n")?.parse::<usize>().ok()
    });
    let mut passed = bodies(&path).await;
    passed += statuses(&path).await;
    passed += numbers(&path).await;
    passed += at_once(&path).await;
    if oddities > 0 {
        assert_eq!(oddities, ODDITIES.len(), "both ends have the same list");
        passed += odd(&path).await;
    }
    assert!(!server.said().contains("Traceback"), "{}", server.said());
    tell::tell(&format!(
        "our dRPC client and Python: {passed} checks passed"
    ));
}

/// One line for each check.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: &T, wanted: &T) -> usize {
    assert!(got == wanted, "{what}: {:.200}", format!("{got:?}"));
    println!("ok: {what}");
    1
}

fn client(path: &Path) -> Client {
    Client::builder(path).timeout(PATIENCE).build()
}

async fn connected(path: &Path) -> Client {
    let client = client(path);
    client.connect().await.unwrap();
    client
}

fn letters(length: usize) -> Bytes {
    let words = (0..=length / 8).flat_map(|number| format!("{number:07} ").into_bytes());
    words.take(length).collect()
}

async fn bodies(path: &Path) -> usize {
    let mut lengths = vec![0, 64, 20_000, 1 << 20, 16 << 20];
    // The body alone, and with what a call and an answer have around it, from one side of an edge
    // to the other.
    lengths.extend(MAX_DATA - 16..=MAX_DATA + 1);
    lengths.extend(2 * MAX_DATA - 16..=2 * MAX_DATA + 1);
    let client = connected(path).await;
    let mut passed = 0;
    for length in lengths {
        let body = letters(length);
        let reply = client.call_raw(GOOD, ECHO, body.clone()).await.unwrap();
        passed += same(
            &format!("echo of {length} bytes"),
            &reply,
            &Reply::new(body),
        );
    }
    passed
}

async fn statuses(path: &Path) -> usize {
    let client = connected(path).await;
    let mut passed = 0;
    for (what, module, method, status) in [
        ("success without a body", GOOD, NOTHING, Status::SUCCESS),
        ("unknown module", 99, ECHO, Status::UNKNOWN_MODULE),
        ("negative module", -1, ECHO, Status::UNKNOWN_MODULE),
        ("unknown method", GOOD, 99, Status::UNKNOWN_METHOD),
        ("negative method", GOOD, -7, Status::UNKNOWN_METHOD),
        ("handler failure", GOOD, FAIL, Status::FAILURE),
    ] {
        let reply = client.call_raw(module, method, "x").await.unwrap();
        let body = Bytes::new();
        passed += same(what, &reply, &Reply { status, body });
    }
    for number in [1, 2, 3, 4, 5, 6, 7, 9, 42, 255, -1_i32] {
        let told = Bytes::copy_from_slice(&number.to_le_bytes());
        let reply = client.call_raw(GOOD, STATUS, told).await.unwrap();
        let what = format!("failure with status {number}");
        passed += same(&what, &reply.status, &Status(number));
    }
    passed
}

async fn numbers(path: &Path) -> usize {
    let client = connected(path).await;
    let mut numbers = Vec::new();
    for _ in 0..2 {
        for _ in 0..3 {
            numbers.push(client.call_raw(GOOD, NUMBER, "").await.unwrap().body);
        }
        client.close();
        client.connect().await.unwrap();
    }
    let wanted = ["1", "2", "3", "1", "2", "3"].map(Bytes::from).to_vec();
    same(
        "calls are counted from 1 on each connection",
        &numbers,
        &wanted,
    )
}

async fn at_once(path: &Path) -> usize {
    let size = NonZeroUsize::new(PARALLEL).unwrap();
    let pool = Client::builder(path).size(size).timeout(PATIENCE).pool();
    let mut calls = JoinSet::new();
    for number in 0..PARALLEL {
        let pool = pool.clone();
        calls.spawn(async move {
            let together = pool.call_raw(GOOD, TOGETHER, number.to_string()).await;
            let large = letters(1000 * number);
            let echo = pool.call_raw(GOOD, ECHO, large.clone()).await.unwrap();
            together.unwrap().body == number.to_string() && echo.body == large
        });
    }
    let good = calls.join_all().await;
    same("32 connections at once", &good, &vec![true; PARALLEL])
}

type Expected = fn(&Result<Reply, CallError>) -> bool;

/// What the server's methods of the module 101 do, in the order of their numbers, and what a call
/// comes to.
const ODDITIES: [(&str, Expected); 23] = [
    ("closes", |r| matches!(r, Err(CallError::Closed { .. }))),
    ("one byte", |r| {
        frame(r, |e| matches!(e, FrameError::Short { length: 1 }))
    }),
    ("23 bytes", |r| {
        frame(r, |e| matches!(e, FrameError::Short { length: 23 }))
    }),
    ("the answer of 2.6", |r| {
        frame(r, |e| matches!(e, FrameError::Legacy))
    }),
    ("no chunks", |r| {
        frame(r, |e| matches!(e, FrameError::NoChunks))
    }),
    ("begins with chunk 1", |r| {
        frame(r, |e| matches!(e, FrameError::Index { .. }))
    }),
    ("index repeated", |r| {
        frame(r, |e| matches!(e, FrameError::Index { .. }))
    }),
    ("count changed", |r| {
        frame(r, |e| matches!(e, FrameError::ChunksChanged { .. }))
    }),
    ("total changed", |r| {
        frame(r, |e| matches!(e, FrameError::TotalChanged { .. }))
    }),
    ("data said longer", |r| {
        frame(r, |e| matches!(e, FrameError::DataSize { .. }))
    }),
    ("data said shorter", |r| {
        frame(r, |e| matches!(e, FrameError::DataSize { .. }))
    }),
    ("a packet too long", |r| {
        frame(r, |e| matches!(e, FrameError::Long { .. }))
    }),
    ("too much at once", |r| {
        frame(r, |e| matches!(e, FrameError::Overflow { .. }))
    }),
    ("too much in the end", |r| {
        frame(r, |e| matches!(e, FrameError::Overflow { .. }))
    }),
    ("too little", |r| {
        frame(r, |e| matches!(e, FrameError::Incomplete { .. }))
    }),
    ("a huge total", |r| {
        frame(r, |e| matches!(e, FrameError::TooLarge { .. }))
    }),
    ("big-endian", |r| frame(r, |_| true)),
    ("closes half-way", |r| {
        matches!(r, Err(CallError::Closed { .. }))
    }),
    ("no response", |r| {
        matches!(r, Err(CallError::NoResponse(_)))
    }),
    ("another call's number", |r| {
        matches!(r, Err(CallError::Sequence { .. }))
    }),
    ("number -1 and success", |r| {
        matches!(r, Err(CallError::Sequence { .. }))
    }),
    ("a message of no bytes", |r| {
        matches!(r, Err(CallError::Sequence { got: 0, .. }))
    }),
    (
        "number -1 and status 5",
        |r| matches!(r, Ok(reply) if reply.status == Status::FAILED_UNMARSHAL_CALL),
    ),
];

fn frame(result: &Result<Reply, CallError>, expected: fn(&FrameError) -> bool) -> bool {
    matches!(result, Err(CallError::Frame(error)) if expected(error))
}

async fn odd(path: &Path) -> usize {
    let client = client(path);
    let mut passed = 0;
    for (method, (what, expected)) in (0..).zip(ODDITIES) {
        client.connect().await.unwrap();
        let result = client.call_raw(ODD, method, "x").await;
        assert!(expected(&result), "{what}: {result:?}");
        if result.is_err() {
            assert!(!client.is_connected(), "{what}: the connection was kept");
        }
        client.close();
        client.connect().await.unwrap();
        let again = client.call_raw(GOOD, ECHO, "again").await.unwrap();
        assert_eq!(again.body, "again", "after: {what}");
        println!("ok: a server's oddity, {what}");
        passed += 1;
    }
    passed
}
