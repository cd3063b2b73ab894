//! The driver: a connection becomes calls of a request service.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use oneport_proto::BoxError;
use tokio::sync::Semaphore;
use tower::Service;

use super::{
    config::Config, methods::Methods, reply::Reply, request::Request, router::Router,
    service::ModuleService, session, socket::Socket,
};

/// Memory is counted in pieces of this many bytes.
const PIECE: usize = 1024;

/// Serves dRPC on a connection: one call after the other, in their order, as Go's server does.
///
/// While a call runs nothing more is read, and while its answer does not go out the next one does
/// not begin: one connection slows down nobody else. A session ends with its peer, when a drain
/// begins and no call is under way, and with the first packet that makes no sense.
#[derive(Debug)]
pub struct Server<S> {
    service: ModuleService<S>,
    shared: Arc<Shared>,
}

/// What all sessions of a server share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Config,
    memory: Arc<Semaphore>,
    pieces: u32,
}

impl Shared {
    fn new(config: Config) -> Shared {
        let pieces = u32::try_from(config.memory.div_ceil(PIECE)).unwrap_or(u32::MAX);
        let permits = usize::try_from(pieces).unwrap_or(usize::MAX);
        Shared {
            memory: Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS))),
            pieces,
            config,
        }
    }

    /// Memory for a message of `bytes`, given back with what this returns.
    pub(super) async fn reserve(&self, bytes: u64) -> Option<tokio::sync::OwnedSemaphorePermit> {
        let pieces = bytes.div_ceil(PIECE as u64);
        // A message larger than all there is waits until it is alone.
        let pieces = u32::try_from(pieces).unwrap_or(u32::MAX).min(self.pieces);
        // Only a closed semaphore says no, and this one stays open.
        Arc::clone(&self.memory)
            .acquire_many_owned(pieces)
            .await
            .ok()
    }
}

impl Server<Router> {
    /// Serves the modules of a router, without any layer.
    pub fn router(router: Router) -> Server<Router> {
        Server::new(router.methods(), router)
    }
}

impl<S> Server<S> {
    /// A driver that knows `methods` and calls `service` for each call, known or not.
    pub fn new(methods: Methods, service: S) -> Server<S> {
        Server {
            service: ModuleService::new(methods, service),
            shared: Arc::new(Shared::new(Config::default())),
        }
    }

    /// The same driver with other limits.
    #[must_use]
    pub fn config(self, config: Config) -> Server<S> {
        Server {
            shared: Arc::new(Shared::new(config)),
            ..self
        }
    }
}

impl<S: Clone> Clone for Server<S> {
    fn clone(&self) -> Self {
        Server {
            service: self.service.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S> Service<Socket> for Server<S>
where
    S: Service<Request, Response = Reply, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
{
    type Response = ();
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

    /// Always: the request service is asked before each request.
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, socket: Socket) -> Self::Future {
        let (service, shared) = (self.service.clone(), Arc::clone(&self.shared));
        let mut session = session::Session::new(socket, service, shared);
        // Captured and not passed on: an async fn would hold a second copy of its argument.
        Box::pin(async move { session.run().await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Drainer;

    /// A thousand idle connections cost a thousand of these and little else.
    #[tokio::test]
    async fn a_session_is_small() {
        let mut server = Server::router(Router::builder().build().unwrap());
        let (near, _far) = Socket::pair(Drainer::new().handle()).unwrap();
        let size = size_of_val(&*server.call(near));
        assert!(size <= 2000, "{size} bytes");
    }
}
