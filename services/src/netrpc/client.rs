//! Typed calls on any request service.

use std::{fmt, io, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use oneport_proto::{BoxError, Family, Head, Method, Session};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;
use tower::{Service, ServiceExt};

use super::{
    face::face, fault::BodyRefused, frame::BadHeader, reply::Reply, request::Request,
    server::Shared,
};
use crate::msgpack;

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The server answered with this error text.
    #[error("{0}")]
    Remote(String),
    /// The connection failed.
    #[error("connection failed: {0}")]
    Io(#[from] io::Error),
    /// An earlier call left the connection unusable.
    #[error("the connection is closed")]
    Closed,
    /// The answer did not come in time.
    #[error("no answer in time")]
    TimedOut,
    /// The answer is to another question.
    #[error("answer number {got} to request number {sent}")]
    Sequence {
        /// The request's number; 0 if no request was waiting for an answer.
        sent: u64,
        /// The answer's.
        got: u64,
    },
    /// The answer's header is none.
    #[error("bad answer: {0}")]
    Header(#[from] BadHeader),
    /// The answer's body is larger than this client takes.
    #[error("bad answer: {0}")]
    Refused(#[from] BodyRefused),
    /// The answer does not fit the expected type.
    #[error("bad answer: {0}")]
    Decode(#[from] msgpack::DecodeError),
    /// The request has no msgpack form.
    #[error("bad request: {0}")]
    Encode(#[from] msgpack::EncodeError),
    /// The service was called without having been ready.
    #[error("the channel was called before it was ready")]
    NotReady,
}

/// Typed calls on any request service: a [`Channel`](super::Channel), or the very stack that a
/// port serves, so that callers in this process meet the same layers as everybody else.
///
/// A stack's layers look at the head of a call. [`Server::client`](super::Server::client) gives its
/// calls the heads that they would have on the wire; a client made by [`new`](Client::new) says only
/// where they come from, which is all that a remote end needs.
#[derive(Clone)]
pub struct Client<S> {
    service: S,
    session: Arc<Session>,
    timeout: Option<Duration>,
    /// Of the server whose stack the service is.
    server: Option<Arc<Shared>>,
}

impl<S> Client<S>
where
    S: Service<Request, Response = Reply, Error = BoxError>,
{
    /// A client whose calls come from inside this process and have no deadline.
    pub fn new(service: S) -> Client<S> {
        Client {
            service,
            session: Session::in_process(),
            timeout: None,
            server: None,
        }
    }

    /// A client whose calls are stamped as those that a server reads.
    pub(super) fn of(service: S, server: Arc<Shared>) -> Client<S> {
        Client {
            server: Some(server),
            ..Client::new(service)
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

    /// Calls `method` and waits for its result.
    ///
    /// # Errors
    /// [`CallError::Remote`] is the server's answer; everything else is the way there.
    pub async fn call<Req, Rsp>(&mut self, method: &str, request: &Req) -> Result<Rsp, CallError>
    where
        Req: Serialize + ?Sized,
        Rsp: DeserializeOwned,
    {
        let mut body = BytesMut::new();
        msgpack::encode(request, &mut body)?;
        Ok(self.reply(method, body.freeze()).await?.decode()?)
    }

    /// Calls `method` with a msgpack body and gives the msgpack body of the result.
    ///
    /// # Errors
    /// As [`call`](Client::call).
    pub async fn call_raw(&mut self, method: &str, body: Bytes) -> Result<Bytes, CallError> {
        Ok(self.reply(method, body).await?.into_bytes()?)
    }

    async fn reply(&mut self, method: &str, body: Bytes) -> Result<Reply, CallError> {
        let now = Instant::now();
        let session = Arc::clone(&self.session);
        let mut head = match &self.server {
            Some(server) => server.head(method.as_bytes(), &body, session, now),
            None => Head::new(Method::Unknown(Family::NetRpc), session, now),
        };
        head.deadline = self.timeout.map(|timeout| now + timeout);
        let request = Request {
            head,
            name: Bytes::copy_from_slice(method.as_bytes()),
            body,
        };
        let called = match self.service.ready().await {
            Ok(ready) => ready.call(request).await,
            Err(error) => Err(error),
        };
        called.map_err(|error| local(error, method))
    }
}

impl<S: fmt::Debug> fmt::Debug for Client<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("service", &self.service)
            .field("session", &self.session)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// An error of the service itself: a channel's is ours already, a local stack's gets the text that
/// it would have had on the wire.
fn local(error: BoxError, method: &str) -> CallError {
    match error.downcast::<CallError>() {
        Ok(error) => *error,
        Err(error) => {
            let text = face(error, method.as_bytes()).text;
            CallError::Remote(String::from_utf8_lossy(&text).into_owned())
        }
    }
}
