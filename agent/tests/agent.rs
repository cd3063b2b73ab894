//! The agent in this process, over TCP.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;

use oneport::{
    Served,
    client::{Dial, Endpoint},
    proto::{
        structs::{Empty, GoDuration, IndexedDirEntries, KeyRequest, QueryOptions},
        wire::byte,
    },
    services::{
        Drainer,
        netrpc::{CallError, Channel, Client},
        yamux,
    },
};
use oneport_agent::{Agent, Config, Server};
use tokio::{
    sync::oneshot,
    task::{JoinHandle, JoinSet},
};
use tower::Service;

/// A running agent; it drains when `stop` is sent or dropped.
struct Running {
    addr: std::net::SocketAddr,
    server: Arc<Server>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Served>,
}

async fn start() -> Running {
    let config = Config {
        server_port: 0,
        ..Config::default()
    };
    let agent = Agent::bind(config).await.unwrap();
    let (stop, stopped) = oneshot::channel();
    Running {
        addr: agent.local_addr(),
        server: Arc::clone(agent.server()),
        stop,
        served: tokio::spawn(agent.run(async {
            stopped.await.ok();
        })),
    }
}

async fn client(running: &Running, drainer: &Drainer) -> Client<Channel> {
    let endpoint = Endpoint::from(running.addr).tag(byte::RPC_SINGLE);
    let conn = Dial::new(drainer.handle()).call(endpoint).await.unwrap();
    Client::new(Channel::new(conn))
}

fn endless() -> KeyRequest {
    KeyRequest {
        key: "a".into(),
        query: QueryOptions {
            min_query_index: 1000,
            max_query_time: GoDuration(i64::MAX),
            ..QueryOptions::default()
        },
        ..KeyRequest::default()
    }
}

/// Lets others work until it is so.
async fn until(mut so: impl FnMut() -> bool) {
    while !so() {
        tokio::task::yield_now().await;
    }
}

async fn call(mut client: Client<Channel>) -> Result<IndexedDirEntries, CallError> {
    client.call("KVS.Get", &endless()).await
}

#[tokio::test]
async fn a_drain_answers_queries_that_wait() {
    let running = start().await;
    let drainer = Drainer::new();
    let waiting = tokio::spawn(call(client(&running, &drainer).await));
    until(|| running.server.queries().blocking() == 1).await;
    running.stop.send(()).unwrap();
    let reply = waiting.await.unwrap().unwrap();
    assert_eq!((reply.entries, reply.meta.index), (None, 1));
    assert_eq!(running.served.await.unwrap().cut, 0);
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_query_along() {
    let running = start().await;
    let drainer = Drainer::new();
    let endpoint = Endpoint::from(running.addr).tag(byte::RPC_MULTI);
    let conn = Dial::new(drainer.handle()).call(endpoint).await.unwrap();
    let (opener, driver) = yamux::client(conn, yamux::Config::default());
    let session = tokio::spawn(driver);
    let mut waiting = JoinSet::new();
    for _ in 0..2 {
        let stream = opener.open().await.unwrap();
        waiting.spawn(call(Client::new(Channel::new(stream))));
    }
    let queries = running.server.queries();
    until(|| queries.blocking() == 2).await;
    // Aborted calls drop their streams, which resets them one by one.
    waiting.shutdown().await;
    until(|| queries.blocking() == 0).await;
    assert_eq!(running.server.store().watches(), 0);
    let stream = opener.open().await.unwrap();
    waiting.spawn(call(Client::new(Channel::new(stream))));
    until(|| queries.blocking() == 1).await;
    // The connection goes, and what runs over it.
    session.abort();
    until(|| queries.blocking() == 0).await;
}

#[tokio::test]
async fn in_process_callers_meet_the_same_methods() {
    let config = Config {
        server_port: 0,
        ..Config::default()
    };
    let agent = Agent::bind(config).await.unwrap();
    let mut client = Client::new(agent.stack().clone());
    let leader: String = client
        .call("Status.Leader", &Empty::default())
        .await
        .unwrap();
    assert_eq!(leader, agent.local_addr().to_string());
    let error = client
        .call::<_, ()>("KVS.Apply", &Empty::default())
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "Must provide key");
}

#[tokio::test]
async fn a_bad_setting_binds_nothing() {
    let config = Config {
        datacenter: "dc/1".into(),
        ..Config::default()
    };
    let error = Agent::bind(config).await.unwrap_err();
    assert!(error.to_string().starts_with("datacenter is \"dc/1\", but"));
}
