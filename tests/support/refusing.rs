//! A server that refuses, with the layers that a host would put in front of its endpoints.

use std::{net::SocketAddr, sync::mpsc, thread};

use oneport::{
    ListenConfig, Listener, Port, Sniff,
    proto::{
        Access, BoxError, Class, Head, Refusal, Resource, Status,
        structs::{IndexedDirEntries, KVSRequest, KeyRequest},
        wire::byte,
    },
    services::{
        Drainer,
        netrpc::{self, Reply, Request, Router},
        yamux::Yamux,
    },
};
use tower::{Layer, Service};

/// A server on a port of its own, as long as this lives.
pub(crate) struct Refusing {
    addr: SocketAddr,
    drainer: Drainer,
    thread: Option<thread::JoinHandle<()>>,
}

/// What the endpoints do with a call that reaches them.
#[derive(Clone, Copy)]
pub(crate) enum Endpoints {
    /// Serve it.
    Serve,
    /// Ask whether its caller may.
    Ask,
    /// Say that the server is going down.
    Drain,
}

impl Endpoints {
    fn decide(self, head: &Head, access: Access, key: &[u8]) -> Result<(), Status> {
        match self {
            Endpoints::Serve => Ok(()),
            Endpoints::Ask => Ok(head.may(access, Resource::Key, key)?),
            Endpoints::Drain => Err(Refusal::Draining.into()),
        }
    }
}

async fn leader(_: Endpoints, _: Head, _: serde::de::IgnoredAny) -> Result<String, Status> {
    Ok("127.0.0.1:8300".to_owned())
}

async fn get(ends: Endpoints, head: Head, key: KeyRequest) -> Result<IndexedDirEntries, Status> {
    ends.decide(&head, Access::Read, key.key.as_bytes())?;
    Ok(IndexedDirEntries::default())
}

async fn apply(ends: Endpoints, head: Head, change: KVSRequest) -> Result<bool, Status> {
    ends.decide(&head, Access::Write, change.dir_ent.key.as_bytes())?;
    Ok(true)
}

impl Refusing {
    /// Starts a server whose endpoints stand behind `layer`.
    pub(crate) fn start<L>(layer: L, endpoints: Endpoints) -> Refusing
    where
        L: Layer<Router> + Send + 'static,
        L::Service: Service<Request, Response = Reply, Error = BoxError, Future: Send + 'static>
            + Clone
            + Send
            + Sync
            + 'static,
    {
        let router = Router::builder(endpoints)
            .method("Status.Leader", Class::Exempt, leader)
            .method("KVS.Get", Class::Read, get)
            .method("KVS.Apply", Class::Write, apply)
            .build()
            .expect("the routes are sound");
        let server = netrpc::Server::new(router.methods(), layer.layer(router));
        let port = Port::builder()
            .tag(byte::RPC_SINGLE, "net/rpc", server.clone())
            .tag(byte::RPC_MULTI, "net/rpc over yamux", Yamux::new(server))
            .build()
            .expect("the rows are sound");
        let drainer = Drainer::new();
        let drain = drainer.handle();
        let (tell, bound) = mpsc::channel();
        let serve = async move {
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            let listener = Listener::bind(any, ListenConfig::default()).await;
            let listener = listener.expect("some port is free");
            tell.send(listener.local_addr()).expect("the test waits");
            listener.serve(Sniff::new(port), drain).await;
        };
        let thread = thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(serve);
        });
        Refusing {
            addr: bound.recv().expect("the server listens"),
            drainer,
            thread: Some(thread),
        }
    }

    pub(crate) fn addr(&self) -> String {
        self.addr.to_string()
    }
}

impl Drop for Refusing {
    fn drop(&mut self) {
        self.drainer.drain();
        if let Some(thread) = self.thread.take() {
            // Its panic was shown where it happened.
            let _ = thread.join();
        }
    }
}
