//! The client side of a session: many streams over one connection to an agent.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use oneport::{
    client::{Dial, Endpoint, Mux},
    proto::{
        structs::{Empty, KeyRequest},
        wire::byte,
    },
    services::{
        Drainer,
        netrpc::{Channel, Client},
        yamux,
    },
};
use oneport_agent::{Agent, Config};
use tokio::{sync::oneshot, task::JoinSet};
use tower::Service;

/// An agent that runs until the sender is used or dropped.
async fn agent(tasks: &mut JoinSet<()>) -> (Endpoint, oneshot::Sender<()>) {
    let config = Config {
        server_port: 0,
        ..Config::default()
    };
    let agent = Agent::bind(config).await.unwrap();
    let endpoint = Endpoint::from(agent.local_addr()).tag(byte::RPC_MULTI);
    let (stop, stopped) = oneshot::channel();
    tasks.spawn(async {
        agent.run(async { _ = stopped.await }).await;
    });
    (endpoint, stop)
}

async fn mux(endpoint: &Endpoint, drainer: &Drainer) -> Mux {
    let conn = Dial::new(drainer.handle()).call(endpoint.clone()).await;
    Mux::new(conn.unwrap(), yamux::Config::default())
}

#[tokio::test]
async fn many_calls_share_a_session() {
    let (mut tasks, drainer) = (JoinSet::new(), Drainer::new());
    let (endpoint, stop) = agent(&mut tasks).await;
    let mux = mux(&endpoint, &drainer).await;
    let mut calls = JoinSet::new();
    for _ in 0..300 {
        let mut client = Client::new(Channel::new(mux.open().await.unwrap()));
        calls.spawn(async move {
            client
                .call::<_, String>("Status.Leader", &Empty::default())
                .await
        });
    }
    while let Some(leader) = calls.join_next().await {
        assert_eq!(leader.unwrap().unwrap(), endpoint.address());
    }
    mux.close().await;
    drop(stop);
    while tasks.join_next().await.is_some() {}
}

#[tokio::test]
async fn a_server_that_drains_ends_the_session() {
    let (mut tasks, drainer) = (JoinSet::new(), Drainer::new());
    let (endpoint, stop) = agent(&mut tasks).await;
    let mux = mux(&endpoint, &drainer).await;
    let mut client = Client::new(Channel::new(mux.open().await.unwrap()));
    client
        .call::<_, Empty>("Status.Ping", &Empty::default())
        .await
        .unwrap();
    let mut query = KeyRequest {
        key: "absent".into(),
        ..KeyRequest::default()
    };
    query.query.min_query_index = 1_000_000;
    stop.send(()).unwrap();
    // Answered at once, or not begun any more: never left waiting.
    let _either = client.call_raw("KVS.Get", encoded(&query)).await;
    while tasks.join_next().await.is_some() {}
    assert!(mux.open().await.is_err());
}

fn encoded(request: &KeyRequest) -> bytes::Bytes {
    let mut out = bytes::BytesMut::new();
    oneport::services::msgpack::encode(request, &mut out).unwrap();
    out.freeze()
}
