//! Where a bench plays: a runtime of one thread and the servers that run on it.

use std::{cell::RefCell, future::Future, net::SocketAddr};

use oneport::{
    ListenConfig, Listener,
    proto::BoxError,
    services::{Drainer, Protocol},
};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
};

/// One thread. Both ends of a bench run on it, so that what is measured is the work of
/// both and not how the kernel spreads them.
pub(crate) struct Stage {
    runtime: Runtime,
    drainer: Drainer,
    servers: RefCell<JoinSet<()>>,
}

impl Stage {
    pub(crate) fn new() -> Stage {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        Stage {
            drainer: Drainer::new(),
            servers: RefCell::default(),
            runtime,
        }
    }

    pub(crate) fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Runs a server for as long as the stage stands. It may end, but not fail.
    pub(crate) fn spawn<E: Into<BoxError>>(
        &self,
        server: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let server = async { server.await.map_err(Into::into).unwrap() };
        let handle = self.runtime.handle();
        self.servers.borrow_mut().spawn_on(server, handle);
    }

    /// Serves a protocol at a loopback port, without limits on who comes how often.
    pub(crate) fn listen(&self, protocol: impl Protocol) -> SocketAddr {
        let config = ListenConfig {
            max_conns_per_source: 0,
            conns_per_second: 0,
            ..ListenConfig::default()
        };
        let any = "127.0.0.1:0".parse().unwrap();
        let listener = self.run(Listener::bind(any, config)).unwrap();
        let addr = listener.local_addr();
        let serving = listener.serve(protocol, self.drainer.handle());
        self.spawn(async move {
            serving.await;
            Ok::<_, BoxError>(())
        });
        addr
    }
}
