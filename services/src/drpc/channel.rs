//! One connection as a request service.

use std::{
    fmt,
    future::Future,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use oneport_proto::BoxError;
use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tower::Service;

use super::{
    call_error::CallError,
    link::{ClientConfig, Link},
    message::Response,
    packet::Packets,
    reply::Reply,
    request::Request,
    status::Status,
};

/// Calls over one connection, one at a time, in the order in which clones became ready.
///
/// It begins without a connection and may be connected and closed as often as one likes; clones
/// share it. A call that is dropped or runs into its head's deadline leaves its answer outstanding:
/// the connection is closed then, and so it is after an answer that makes no sense. Parallel calls
/// are for a [`Pool`](super::Pool).
pub struct Channel {
    shared: Arc<Shared>,
    turn: Option<OwnedMutexGuard<Slot>>,
    waiting: Option<Pin<Box<dyn Future<Output = OwnedMutexGuard<Slot>> + Send + Sync>>>,
}

struct Shared {
    path: PathBuf,
    config: ClientConfig,
    slot: Arc<Mutex<Slot>>,
    connected: AtomicBool,
    /// Counts how often the channel was closed: calls under way listen to it.
    closed: watch::Sender<u64>,
}

/// The connection, if there is one, and how often the channel had been closed when it was made.
#[derive(Default)]
struct Slot {
    link: Option<Link>,
    made: u64,
}

impl Channel {
    /// A channel to the server at `path` that is not connected yet. A name of the abstract namespace
    /// has an `@` in front.
    pub fn new(path: impl Into<PathBuf>, config: ClientConfig) -> Channel {
        Channel::with(path.into(), config, Slot::default())
    }

    /// A channel over a connection that is there already; it cannot be connected again.
    pub(crate) fn connected(packets: Packets) -> Channel {
        let config = ClientConfig::default();
        let link = Some(Link::new(packets, &config));
        Channel::with(PathBuf::new(), config, Slot { link, made: 0 })
    }

    fn with(path: PathBuf, config: ClientConfig, slot: Slot) -> Channel {
        Channel {
            shared: Arc::new(Shared {
                path,
                config,
                connected: AtomicBool::new(slot.link.is_some()),
                slot: Arc::new(Mutex::new(slot)),
                closed: watch::Sender::new(0),
            }),
            turn: None,
            waiting: None,
        }
    }

    /// Connects, and begins to count calls from 1 again. Does nothing if it is connected already.
    ///
    /// # Errors
    /// [`CallError::Connect`] with what the kernel says, [`CallError::Busy`] if the server had no
    /// room.
    pub async fn connect(&self) -> Result<(), CallError> {
        let mut slot = Arc::clone(&self.shared.slot).lock_owned().await;
        self.shared.connect(&mut slot).await
    }

    /// Whether there is a connection: with a call under way, or open as far as is known. It never
    /// waits.
    pub fn is_connected(&self) -> bool {
        match self.shared.slot.try_lock() {
            Ok(slot) => self.shared.usable(&slot),
            // A call is under way.
            Err(_) => self.shared.connected.load(Ordering::Acquire),
        }
    }

    /// Closes the connection; a call under way ends with [`CallError::Closed`]. Does nothing if there
    /// is none.
    pub fn close(&self) {
        self.shared.connected.store(false, Ordering::Release);
        self.shared.closed.send_modify(|times| *times += 1);
        if let Ok(mut slot) = self.shared.slot.try_lock() {
            slot.link = None;
        }
    }

    /// Where the server is.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// What it takes, and how long it tries.
    pub fn config(&self) -> &ClientConfig {
        &self.shared.config
    }
}

impl Shared {
    fn closes(&self) -> u64 {
        *self.closed.borrow()
    }

    fn usable(&self, slot: &Slot) -> bool {
        let link = slot.link.as_ref();
        slot.made == self.closes() && link.is_some_and(Link::is_usable)
    }

    async fn connect(&self, slot: &mut Slot) -> Result<(), CallError> {
        if self.usable(slot) {
            return Ok(());
        }
        slot.link = None;
        slot.made = self.closes();
        slot.link = Some(Link::dial(&self.path, &self.config).await?);
        self.connected.store(true, Ordering::Release);
        Ok(())
    }

    /// The connection for one call; it is put back when the call has gone well.
    fn take(&self, slot: &mut Slot) -> Result<Link, CallError> {
        let usable = self.usable(slot);
        match slot.link.take() {
            Some(link) if usable => Ok(link),
            Some(_) if slot.made == self.closes() => {
                self.connected.store(false, Ordering::Release);
                let sent = super::Sent::No;
                Err(CallError::Closed { sent })
            }
            _ => Err(CallError::NotConnected),
        }
    }

    async fn call(&self, slot: &mut Slot, request: Request) -> Result<Response, CallError> {
        let mut link = self.take(slot)?;
        let mut busy = Busy {
            connected: Some(&self.connected),
        };
        let mut closed = self.closed.subscribe();
        let made = slot.made;
        let deadline = request.head.deadline;
        let (module, method) = (request.module, request.method);
        let answered = tokio::select! {
            biased;
            _ = closed.wait_for(|times| *times != made) => None,
            answered = link.call(module, method, request.body, deadline) => Some(answered),
        };
        let sent = link.sent();
        let response = answered.unwrap_or(Err(CallError::Closed { sent }))?;
        link.rest();
        slot.link = Some(link);
        busy.connected = None;
        Ok(response)
    }
}

/// A call under way, which takes the connection with it unless it goes well.
struct Busy<'a> {
    connected: Option<&'a AtomicBool>,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        if let Some(connected) = self.connected {
            connected.store(false, Ordering::Release);
        }
    }
}

/// A clone shares the connection and waits for a turn of its own.
impl Clone for Channel {
    fn clone(&self) -> Self {
        Channel {
            shared: Arc::clone(&self.shared),
            turn: None,
            waiting: None,
        }
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("path", &self.shared.path)
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
            let slot = Arc::clone(&self.shared.slot);
            if self.waiting.is_none()
                && let Ok(turn) = Arc::clone(&slot).try_lock_owned()
            {
                self.turn = Some(turn);
                return Poll::Ready(Ok(()));
            }
            let waiting = self
                .waiting
                .get_or_insert_with(|| Box::pin(slot.lock_owned()));
            self.turn = Some(ready!(waiting.as_mut().poll(cx)));
            self.waiting = None;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let turn = self.turn.take();
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let mut slot = turn.ok_or(CallError::NotReady)?;
            Ok(shared.call(&mut slot, request).await?.into())
        })
    }
}

/// Every answer is a reply, whatever its status is: a layer on this end sees it as the server's
/// word.
impl From<Response> for Reply {
    fn from(response: Response) -> Reply {
        Reply {
            status: Status(response.status),
            body: response.body,
        }
    }
}
