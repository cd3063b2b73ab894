//! Many connections, and too few files for them. Alone in its process, whose limits it changes.
#![cfg(all(feature = "drpc", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod drpc_support;

use std::time::Duration;

use drpc_support::*;
use oneport_services::{
    Drainer,
    drpc::{Client, Config, ListenLimits, Listener, Server},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many connections there are at once; each has two ends here.
const CONNECTIONS: usize = 1000;

/// The tests of this file run one after the other.
#[tokio::test(start_paused = true)]
async fn many_connections_and_few_files() {
    a_thousand_connections_are_served().await;
    a_process_out_of_files_accepts_again().await;
}

fn soft_limit(files: u64) {
    let limit = getrlimit(Resource::Nofile);
    let soft = limit.maximum.map_or(files, |hard| files.min(hard));
    let limit = Rlimit {
        current: Some(soft),
        ..limit
    };
    setrlimit(Resource::Nofile, limit).unwrap();
}

async fn a_thousand_connections_are_served() {
    soft_limit(4096);
    let limits = ListenLimits {
        max_sessions: CONNECTIONS,
        max_sessions_per_user: CONNECTIONS,
        ..ListenLimits::default()
    };
    let server = serve_with(Config::default(), limits).await;
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let client = Client::builder(&server.path).build();
        client.connect().await.unwrap();
        clients.push(client);
    }
    for round in 0..3 {
        for (number, client) in clients.iter().enumerate() {
            let body = format!("{round} {number}");
            let reply = client.call_raw(TEST, ECHO, body.clone()).await.unwrap();
            assert_eq!(reply.body, body);
        }
    }
    assert_eq!(server.sessions.open(), CONNECTIONS);
    server.drainer.drain();
    let served = server.served.await.unwrap();
    assert_eq!((served.refused, served.cut), (0, 0));
}

/// Go's server stops accepting for ever at the first such error.
async fn a_process_out_of_files_accepts_again() {
    let directory = Directory::new();
    let path = directory.join("drpc.sock");
    let listener = Listener::builder(&path).bind().await.unwrap();
    let client = Client::builder(&path).build();
    client.connect().await.unwrap();
    let sessions = listener.sessions();
    let drainer = Drainer::new();
    let server = Server::router(router(&Lab::default()));
    // Not one file more.
    soft_limit(3);
    let served = tokio::spawn(listener.serve(server, drainer.handle()));
    // On the paused clock: many tries.
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(sessions.open(), 0);
    soft_limit(1024);
    client.call_raw(TEST, ECHO, "x").await.unwrap();
    drainer.drain();
    assert_eq!(served.await.unwrap().accepted, 1);
}
