//! The other end: a request service over one connection.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use oneport_proto::BoxError;
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::timeout_at,
};
use tower::Service;

use super::{
    client::CallError, config::DEFAULT_REPLY_LIMIT, pipeline::Pipeline, reply::Reply,
    request::Request,
};
use crate::Conn;

/// Calls over one connection or stream, one at a time, in the order in which clones became ready.
///
/// A call that is dropped or runs into its head's deadline leaves its answer outstanding; the
/// channel is then closed for good, so that no later call can read a stranger's answer. Several
/// calls outstanding on one connection are a [`Pipeline`].
pub struct Channel {
    link: Arc<Mutex<Link>>,
    turn: Option<OwnedMutexGuard<Link>>,
    waiting: Option<Pin<Box<dyn Future<Output = OwnedMutexGuard<Link>> + Send>>>,
}

struct Link {
    pipeline: Pipeline,
    /// An answer is outstanding, or the connection broke.
    closed: bool,
}

impl Channel {
    /// A channel over a connection whose protocol byte is written already, or over a stream.
    pub fn new(conn: Conn) -> Channel {
        Channel::with_reply_limit(conn, DEFAULT_REPLY_LIMIT)
    }

    /// A channel that takes replies of at most `limit` bytes.
    pub fn with_reply_limit(conn: Conn, limit: usize) -> Channel {
        Channel {
            link: Arc::new(Mutex::new(Link {
                pipeline: Pipeline::with_reply_limit(conn, 1, limit),
                closed: false,
            })),
            turn: None,
            waiting: None,
        }
    }
}

/// A clone shares the connection and waits for a turn of its own.
impl Clone for Channel {
    fn clone(&self) -> Self {
        Channel {
            link: Arc::clone(&self.link),
            turn: None,
            waiting: None,
        }
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("ready", &self.turn.is_some())
            .finish_non_exhaustive()
    }
}

impl Service<Request> for Channel {
    type Response = Reply;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Reply, BoxError>> + Send>>;

    /// Ready when no other call is under way.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.turn.is_none() {
            let link = &self.link;
            let waiting = self
                .waiting
                .get_or_insert_with(|| Box::pin(Arc::clone(link).lock_owned()));
            self.turn = Some(ready!(waiting.as_mut().poll(cx)));
            self.waiting = None;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let turn = self.turn.take();
        Box::pin(async move {
            let Some(mut link) = turn else {
                return Err(CallError::NotReady.into());
            };
            let deadline = request.head.deadline;
            let exchange = link.exchange(request);
            let answer = match deadline {
                Some(at) => timeout_at(at, exchange)
                    .await
                    .unwrap_or(Err(CallError::TimedOut)),
                None => exchange.await,
            };
            Ok(answer?)
        })
    }
}

impl Link {
    async fn exchange(&mut self, request: Request) -> Result<Reply, CallError> {
        if std::mem::replace(&mut self.closed, true) {
            return Err(CallError::Closed);
        }
        self.pipeline.send(&request.name, &request.body)?;
        let answer = self.pipeline.receive().await?;
        self.closed = false;
        answer.result.map(Reply::raw).map_err(CallError::Remote)
    }
}
