//! dRPC behind the same layers as every other protocol, on a real socket.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::{path::PathBuf, sync::Arc, time::Duration};

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use oneport::{
    Everybody, Layers, Stack, StackConfig,
    layers::{
        InFlightConfig, TimeoutConfig,
        auth::{Authorize, UnixPeers},
        bucket::{Limit, Rate},
        metrics::CALLS,
    },
    proto::{Class, Everything, Head, Peer},
    services::{
        Drainer,
        drpc::{
            Client, Failure, Listener, Module, Pool, Reply, Request, Router, Served, Server, Status,
        },
    },
};
use tokio::{sync::Notify, task::JoinHandle};

const KV: i32 = 17;
const GET: i32 = 1700;
const HOLD: i32 = 1701;

/// A message without fields.
#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Nothing {}

/// A server at work.
struct Kv {
    path: PathBuf,
    drainer: Drainer,
    held: Arc<Notify>,
    serving: JoinHandle<Served>,
}

/// A server whose one module stands behind these layers.
async fn serve<A: Authorize>(name: &str, config: StackConfig, authorize: A) -> Kv {
    let held = Arc::new(Notify::new());
    let holding = Arc::clone(&held);
    let kv = Module::builder(KV, "kv")
        .method(
            GET,
            "get",
            Class::Read,
            |head: Head, _: Nothing| async move {
                assert_eq!(head.method.name(), "kv.get");
                assert!(matches!(head.session.peer, Peer::Unix(_)));
                Ok::<_, Failure>(Nothing {})
            },
        )
        .method(HOLD, "hold", Class::Read, move |_, _: Nothing| {
            let holding = Arc::clone(&holding);
            async move {
                holding.notify_one();
                std::future::pending::<Result<Nothing, Failure>>().await
            }
        });
    let router = Router::builder()
        .module(kv.build().unwrap())
        .build()
        .unwrap();
    let methods = router.methods();
    let stack: Stack<Request, Reply> = Layers::new(&config, authorize).stack(router);
    let path = std::env::temp_dir().join(format!("oneport-{name}-{}.sock", std::process::id()));
    let listener = Listener::builder(&path).bind().await.unwrap();
    let drainer = Drainer::new();
    let serving = tokio::spawn(listener.serve(Server::new(methods, stack), drainer.handle()));
    Kv {
        path,
        drainer,
        held,
        serving,
    }
}

async fn status(client: &Client<Pool>, method: i32) -> Status {
    client.call_raw(KV, method, "").await.unwrap().status
}

#[tokio::test]
async fn users_are_told_apart_by_the_kernel() {
    let uid = rustix::process::geteuid().as_raw();
    let gid = rustix::process::getegid().as_raw();
    let all = || Arc::new(Everything);
    for (name, peers, expected) in [
        (
            "user",
            UnixPeers::default().user(uid, all()),
            Status::SUCCESS,
        ),
        (
            "group",
            UnixPeers::default().group(gid, all()),
            Status::SUCCESS,
        ),
        (
            "stranger",
            UnixPeers::default()
                .user(uid + 1, all())
                .group(gid + 1, all()),
            Status::FAILURE,
        ),
    ] {
        let server = serve(name, StackConfig::default(), peers).await;
        let client = Client::builder(&server.path).pool();
        assert_eq!(status(&client, GET).await, expected, "{name}");
        server.drainer.drain();
        server.serving.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn limits_and_time_outs_hold() {
    let config = StackConfig {
        timeouts: TimeoutConfig {
            read: Duration::from_secs(1),
            ..TimeoutConfig::default()
        },
        ..StackConfig::default()
    };
    let server = serve("timeout", config, Everybody::new()).await;
    let client = Client::builder(&server.path).pool();
    assert_eq!(status(&client, HOLD).await, Status::FAILURE);
    assert_eq!(status(&client, GET).await, Status::SUCCESS);
    assert_eq!(status(&client, 99).await, Status::UNKNOWN_METHOD);
    server.drainer.drain();
    server.serving.await.unwrap();

    let mut config = StackConfig::default();
    config.rates.rpc = Limit {
        rate: Rate::per_second(0.001).unwrap(),
        burst: 1,
    };
    let server = serve("rate", config, Everybody::new()).await;
    let client = Client::builder(&server.path).pool();
    assert_eq!(status(&client, GET).await, Status::SUCCESS);
    assert_eq!(status(&client, GET).await, Status::FAILURE);
    server.drainer.drain();
    server.serving.await.unwrap();

    let config = StackConfig {
        in_flight: InFlightConfig {
            calls: 1,
            ..InFlightConfig::default()
        },
        ..StackConfig::default()
    };
    let server = serve("flight", config, Everybody::new()).await;
    let client = Client::builder(&server.path).pool();
    let holding = tokio::spawn({
        let client = client.clone();
        async move { client.call_raw(KV, HOLD, "").await }
    });
    server.held.notified().await;
    assert_eq!(status(&client, GET).await, Status::FAILURE);
    holding.abort();
    server.serving.abort();
}

/// The name of a method is its label; what nobody registered is `unknown`.
#[test]
fn calls_are_counted_by_their_names() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let server = serve("metrics", StackConfig::default(), Everybody::new()).await;
            let client = Client::builder(&server.path).pool();
            status(&client, GET).await;
            status(&client, 99).await;
            server.drainer.drain();
            server.serving.await.unwrap();
        });
    });
    let mut counted: Vec<_> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .filter(|(key, ..)| key.key().name() == CALLS)
        .map(|(key, _, _, value)| {
            let labels: Vec<_> = key
                .key()
                .labels()
                .map(|label| label.value().to_owned())
                .collect();
            assert_eq!(value, DebugValue::Counter(1));
            labels.join(" ")
        })
        .collect();
    counted.sort_unstable();
    assert_eq!(counted, ["drpc kv.get", "drpc unknown"]);
}
