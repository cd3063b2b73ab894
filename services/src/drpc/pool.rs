//! Several connections as a request service, for calls in parallel.

use std::{
    fmt,
    future::Future,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use oneport_proto::BoxError;
use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
    time::timeout_at,
};
use tower::Service;

use super::{
    call_error::{CallError, Sent},
    link::{ClientConfig, Link},
    reply::Reply,
    request::Request,
};

/// Most connections of a [`Pool`] unless configured otherwise.
pub const DEFAULT_POOL: NonZeroUsize = NonZeroUsize::new(8).expect("8 is not zero");

/// Calls in parallel, each on a connection of its own, as many as there may be connections.
///
/// It connects when it has to and keeps what it has for the next calls; a connection that its
/// server has closed is replaced before anything is sent on it. Ready when there is a connection
/// for one more call, so that callers over the bound wait. Clones share the connections.
pub struct Pool {
    shared: Arc<Shared>,
    place: Option<OwnedSemaphorePermit>,
    waiting: Option<Waiting>,
}

type Waiting =
    Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send + Sync>>;

struct Shared {
    path: PathBuf,
    config: ClientConfig,
    places: Arc<Semaphore>,
    /// Connections without a call; at most as many as there are places. The last used is first.
    idle: Mutex<Vec<Link>>,
}

impl Pool {
    /// A pool of at most `size` connections to the server at `path`; none is made yet.
    pub fn new(path: impl Into<PathBuf>, size: NonZeroUsize, config: ClientConfig) -> Pool {
        let size = size.get().min(Semaphore::MAX_PERMITS);
        Pool {
            shared: Arc::new(Shared {
                path: path.into(),
                config,
                places: Arc::new(Semaphore::new(size)),
                idle: Mutex::new(Vec::new()),
            }),
            place: None,
            waiting: None,
        }
    }

    /// Where the server is.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// How many connections have no call at the moment.
    pub fn idle(&self) -> usize {
        self.shared.idle().len()
    }

    /// Closes the connections that have no call.
    pub fn close_idle(&self) {
        self.shared.idle().clear();
    }
}

impl Shared {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Link>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that can be used, the last used one if there is any.
    async fn link(&self) -> Result<Link, CallError> {
        loop {
            let Some(link) = self.idle().pop() else {
                return Link::dial(&self.path, &self.config).await;
            };
            if link.is_usable() {
                return Ok(link);
            }
        }
    }

    async fn call(&self, request: Request) -> Result<Reply, CallError> {
        let deadline = request.head.deadline;
        let mut link = match deadline {
            None => self.link().await?,
            Some(at) => match timeout_at(at, self.link()).await {
                Ok(link) => link?,
                Err(_) => return Err(CallError::TimedOut { sent: Sent::No }),
            },
        };
        let (module, method) = (request.module, request.method);
        let response = link.call(module, method, request.body, deadline).await?;
        link.rest();
        self.idle().push(link);
        Ok(response.into())
    }
}

/// A clone shares the connections and waits for a place of its own.
impl Clone for Pool {
    fn clone(&self) -> Self {
        Pool {
            shared: Arc::clone(&self.shared),
            place: None,
            waiting: None,
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("path", &self.shared.path)
            .field("idle", &self.idle())
            .finish_non_exhaustive()
    }
}

impl Service<Request> for Pool {
    type Response = Reply;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Reply, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.place.is_none() {
            let places = &self.shared.places;
            if self.waiting.is_none()
                && let Ok(place) = Arc::clone(places).try_acquire_owned()
            {
                self.place = Some(place);
                return Poll::Ready(Ok(()));
            }
            let waiting = self
                .waiting
                .get_or_insert_with(|| Box::pin(Arc::clone(places).acquire_owned()));
            let place = ready!(waiting.as_mut().poll(cx));
            self.waiting = None;
            self.place = Some(place?);
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let place = self.place.take();
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            // Held to the end: it is the place of the connection.
            let _place = place.ok_or(CallError::NotReady)?;
            Ok(shared.call(request).await?)
        })
    }
}
