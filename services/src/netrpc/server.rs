//! The driver: a connection becomes calls of a request service.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use oneport_proto::{BoxError, Head, Method, MethodInfo, Session};
use tokio::time::Instant;
use tower::Service;

use super::{
    asked::{Asked, asked},
    client::Client,
    config::Config,
    frame::Bounds,
    methods::Methods,
    reply::Reply,
    request::Request,
    session,
};
use crate::Conn;

/// Serves net/rpc on a whole connection, or on one stream of a session.
///
/// It reads what the connection holds, answers every whole request in it, one after the other, and
/// sends all answers at once before it would wait for more. It ends with the peer, at a frame edge
/// when a drain begins, and after a request that cannot be served at all.
pub struct Server<S> {
    service: S,
    shared: Arc<Shared>,
}

/// What all sessions of a server share.
pub(super) struct Shared {
    pub(super) methods: Methods,
    pub(super) config: Config,
    /// As `config` says.
    pub(super) bounds: Bounds,
    pub(super) asked: fn(&MethodInfo, &[u8]) -> Asked,
    pub(super) requests: metrics::Counter,
    pub(super) request_errors: metrics::Counter,
}

impl Shared {
    /// What is known about a request before its body is decoded.
    pub(super) fn head(
        &self,
        name: &[u8],
        body: &[u8],
        session: Arc<Session>,
        at: Instant,
    ) -> Head {
        let mut head = Head::new(self.methods.find(name), session, at);
        if let Method::Known(info) = head.method {
            let asked = (self.asked)(info, body);
            head.token = asked.token;
            head.wait = asked.wait.map(|wait| self.config.longest_wait(wait));
        }
        head
    }
}

impl<S> Server<S> {
    /// A driver that knows `methods` and calls `service` for each request, known or not.
    ///
    /// The handles of its counters (`rpc.request`, `rpc.request_error`) are made here: install a
    /// metrics recorder before.
    pub fn new(methods: Methods, service: S) -> Server<S> {
        Server {
            service,
            shared: Arc::new(Shared {
                methods,
                bounds: Config::default().bounds(),
                config: Config::default(),
                asked,
                requests: metrics::counter!("rpc.request"),
                request_errors: metrics::counter!("rpc.request_error"),
            }),
        }
    }

    /// The same driver with other limits.
    #[must_use]
    pub fn config(self, config: Config) -> Server<S> {
        let bounds = config.bounds();
        self.with(|shared| Shared {
            config,
            bounds,
            ..shared
        })
    }

    /// The same driver with another way to find token and wait time in a body; the default is
    /// [`asked`], which knows Consul's keys.
    #[must_use]
    pub fn asked(self, asked: fn(&MethodInfo, &[u8]) -> Asked) -> Server<S> {
        self.with(|shared| Shared { asked, ..shared })
    }

    /// A client in this process. Its calls have the heads that they would have had on the wire, with
    /// method, token and wait, so that layers decide about them as about everybody's.
    pub fn client(&self) -> Client<S>
    where
        S: Service<Request, Response = Reply, Error = BoxError> + Clone,
    {
        Client::of(self.service.clone(), Arc::clone(&self.shared))
    }

    fn with(self, change: impl FnOnce(Shared) -> Shared) -> Server<S> {
        let Shared {
            methods,
            config,
            bounds,
            asked,
            requests,
            request_errors,
        } = &*self.shared;
        Server {
            service: self.service,
            shared: Arc::new(change(Shared {
                methods: methods.clone(),
                config: config.clone(),
                bounds: *bounds,
                asked: *asked,
                requests: requests.clone(),
                request_errors: request_errors.clone(),
            })),
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

impl<S> fmt::Debug for Server<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("config", &self.shared.config)
            .finish_non_exhaustive()
    }
}

impl<S> Service<Conn> for Server<S>
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

    fn call(&mut self, conn: Conn) -> Self::Future {
        let mut session =
            session::Session::new(conn, self.service.clone(), Arc::clone(&self.shared));
        // Captured and not passed on: an async fn would hold a second copy of its argument.
        Box::pin(async move { session.run().await })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Router, *};
    use crate::Drainer;

    /// A yamux session holds thousands of these, most of them idle.
    #[test]
    fn a_session_is_small() {
        let router = Router::builder(()).build().unwrap();
        let mut server = Server::new(router.methods(), router);
        let (near, _far) = tokio::io::duplex(1);
        let drain = Drainer::new().handle();
        let conn = Conn::stream(Session::in_process(), drain, near);
        let size = size_of_val(&*server.call(conn));
        assert!(size <= 432, "{size} bytes");
    }
}
