//! A server at the far end, and our client for it.

pub(crate) mod caller;
pub(crate) mod calls;
pub(crate) mod misbehaving;
pub(crate) mod polls;
pub(crate) mod sessions;

use std::{future::Future, time::Duration};

use oneport::{
    client::{Dial, Endpoint, Mux},
    proto::wire::byte,
    services::{Conn, Drainer, yamux},
};
use tokio::time::timeout;
use tower::Service;

use crate::{peers::Go, process::Running};
use caller::Caller;

/// A check that has not ended by then hangs. Most take milliseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A server that somebody else has started.
pub(crate) struct Far {
    name: &'static str,
    addr: String,
    drainer: Drainer,
}

impl Far {
    pub(crate) fn new(name: &'static str, addr: &str) -> Far {
        Far {
            name,
            addr: addr.to_owned(),
            drainer: Drainer::new(),
        }
    }

    async fn dial(&self, tag: u8) -> Conn {
        let endpoint = Endpoint::new(&self.addr).tag(tag);
        Dial::new(self.drainer.handle())
            .call(endpoint)
            .await
            .unwrap()
    }

    /// A connection of its own, for net/rpc.
    pub(crate) async fn plain(&self) -> Caller {
        Caller::new(self.dial(byte::RPC_SINGLE).await)
    }

    /// A connection of its own, for yamux.
    pub(crate) async fn mux(&self) -> Mux {
        self.mux_with(yamux::Config::default()).await
    }

    pub(crate) async fn mux_with(&self, config: yamux::Config) -> Mux {
        Mux::new(self.dial(byte::RPC_MULTI).await, config)
    }
}

/// A small Go server, started for one test.
pub(crate) struct SmallServer {
    _running: Running,
    addr: String,
}

impl SmallServer {
    pub(crate) fn start(go: Go, module: &str) -> SmallServer {
        let program = go.build(module, "./cmd/server");
        let mut running = Running::start::<&str>(program.as_os_str(), &[]);
        let addr = running.wait_for("line with \"ready\"", |line| {
            line.strip_prefix("ready ")
                .map(|addr| addr.trim().to_owned())
        });
        SmallServer {
            _running: running,
            addr,
        }
    }

    pub(crate) fn addr(&self) -> &str {
        &self.addr
    }
}

/// Checks that were made, one after the other.
#[derive(Default)]
pub(crate) struct Steps {
    with: &'static str,
    done: u32,
}

impl Steps {
    /// Makes a check, which must end.
    pub(crate) async fn run(&mut self, far: &Far, name: &str, check: impl Future<Output = ()>) {
        self.with = far.name;
        // Shown if it fails.
        println!("{name}, with {}", far.name);
        let ended = timeout(PATIENCE, check).await;
        assert!(ended.is_ok(), "{name} does not end within {PATIENCE:?}");
        self.done += 1;
    }

    /// Says how many there were.
    pub(crate) fn close(self) {
        let Steps { with, done } = self;
        crate::tell::tell(&format!("our client with {with}: {done} checks passed"));
    }
}
