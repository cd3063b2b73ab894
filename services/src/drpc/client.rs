//! Typed calls on any request service.

use std::{num::NonZeroUsize, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use oneport_proto::{BoxError, Family, Head, Method, Session};
use tokio::time::Instant;
use tower::{Service, ServiceExt};

use super::{
    call_error::CallError,
    channel::Channel,
    failure::Failure,
    link::ClientConfig,
    pool::{DEFAULT_POOL, Pool},
    reply::Reply,
    request::Request,
    status::Status,
};

/// Typed calls on any request service: a [`Channel`] or a [`Pool`], or the very stack that a server
/// serves, so that callers in this process meet the same layers as everybody else.
///
/// Calls take `&self`; on a [`Channel`] they queue, on a [`Pool`] as many run as it has connections.
#[derive(Clone, Debug)]
pub struct Client<S = Channel> {
    service: S,
    session: Arc<Session>,
    timeout: Option<Duration>,
}

/// A path and what to do with it: see [`Client::builder`].
#[derive(Clone, Debug)]
pub struct ClientBuilder {
    path: PathBuf,
    config: ClientConfig,
    timeout: Option<Duration>,
    size: NonZeroUsize,
}

impl ClientBuilder {
    /// Largest answer in bytes; the default is
    /// [`DEFAULT_MESSAGE_LIMIT`](super::DEFAULT_MESSAGE_LIMIT).
    #[must_use]
    pub fn message_limit(mut self, bytes: usize) -> ClientBuilder {
        self.config.message_limit = bytes;
        self
    }

    /// How long connecting may take; the default is
    /// [`DEFAULT_CONNECT_TIME`](super::DEFAULT_CONNECT_TIME).
    #[must_use]
    pub fn connect_time(mut self, time: Duration) -> ClientBuilder {
        self.config.connect_time = time;
        self
    }

    /// How long each call may take, counted from its start; the default is for ever.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> ClientBuilder {
        self.timeout = Some(timeout);
        self
    }

    /// Most connections of a [pool](ClientBuilder::pool); the default is [`DEFAULT_POOL`].
    #[must_use]
    pub fn size(mut self, size: NonZeroUsize) -> ClientBuilder {
        self.size = size;
        self
    }

    /// A client of one connection, which is not made yet.
    pub fn build(self) -> Client<Channel> {
        let timeout = self.timeout;
        Client {
            timeout,
            ..Client::new(Channel::new(self.path, self.config))
        }
    }

    /// A client of several connections, which are made when they are needed.
    pub fn pool(self) -> Client<Pool> {
        let timeout = self.timeout;
        Client {
            timeout,
            ..Client::new(Pool::new(self.path, self.size, self.config))
        }
    }
}

impl Client<Channel> {
    /// A client for the server at `path`; nothing is opened yet. A name of the abstract namespace
    /// has an `@` in front.
    pub fn builder(path: impl Into<PathBuf>) -> ClientBuilder {
        ClientBuilder {
            path: path.into(),
            config: ClientConfig::default(),
            timeout: None,
            size: DEFAULT_POOL,
        }
    }

    /// See [`Channel::connect`].
    ///
    /// # Errors
    /// [`CallError::Connect`], [`CallError::Busy`].
    pub async fn connect(&self) -> Result<(), CallError> {
        self.service.connect().await
    }

    /// See [`Channel::is_connected`].
    pub fn is_connected(&self) -> bool {
        self.service.is_connected()
    }

    /// See [`Channel::close`].
    pub fn close(&self) {
        self.service.close();
    }

    /// Where the server is.
    pub fn path(&self) -> &std::path::Path {
        self.service.path()
    }

    /// One call on a connection of its own, which is closed behind it: how most callers in DAOS do
    /// it. The client's own connection is not touched.
    ///
    /// # Errors
    /// As [`connect`](Client::connect) and [`call`](Client::call).
    pub async fn connect_call_close<Req, Rsp>(
        &self,
        module: i32,
        method: i32,
        request: &Req,
    ) -> Result<Rsp, CallError>
    where
        Req: prost::Message,
        Rsp: prost::Message + Default,
    {
        let own = Channel::new(self.service.path(), self.service.config().clone());
        let client = Client {
            service: own,
            session: Arc::clone(&self.session),
            timeout: self.timeout,
        };
        client.connect().await?;
        client.call(module, method, request).await
    }
}

impl<S> Client<S> {
    /// A client whose calls come from inside this process and have no deadline.
    pub fn new(service: S) -> Client<S> {
        Client {
            service,
            session: Session::in_process(),
            timeout: None,
        }
    }

    /// The same client with a deadline for every call, counted from its start.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Client<S> {
        Client {
            timeout: Some(timeout),
            ..self
        }
    }

    /// The service that is called.
    pub fn get_ref(&self) -> &S {
        &self.service
    }
}

impl<S> Client<S>
where
    S: Service<Request, Response = Reply, Error = BoxError> + Clone,
{
    /// Calls a method and waits for its result.
    ///
    /// # Errors
    /// [`CallError::Failed`] is the server's answer; everything else is the way there.
    pub async fn call<Req, Rsp>(
        &self,
        module: i32,
        method: i32,
        request: &Req,
    ) -> Result<Rsp, CallError>
    where
        Req: prost::Message,
        Rsp: prost::Message + Default,
    {
        let reply = self.call_raw(module, method, request.encode_to_vec());
        let reply = reply.await?;
        match reply.status {
            Status::SUCCESS => Rsp::decode(reply.body).map_err(CallError::Body),
            status => Err(Failure::new(status).into()),
        }
    }

    /// Calls a method with an encoded body and gives the answer as it is, whatever its status.
    ///
    /// # Errors
    /// The way there. A service in this process may fail with a [`Failure`] as well.
    pub async fn call_raw(
        &self,
        module: i32,
        method: i32,
        body: impl Into<Bytes>,
    ) -> Result<Reply, CallError> {
        let now = Instant::now();
        let session = Arc::clone(&self.session);
        let mut head = Head::new(Method::Unknown(Family::Drpc), session, now);
        head.deadline = self.timeout.map(|timeout| now + timeout);
        let request = Request {
            head,
            module,
            method,
            sequence: 0,
            body: body.into(),
        };
        let called = self.service.clone().oneshot(request);
        called.await.map_err(CallError::of)
    }
}
