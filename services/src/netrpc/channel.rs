//! The other end: a request service over one connection.

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use oneport_proto::BoxError;
use tokio::{
    io::AsyncWriteExt,
    sync::{Mutex, OwnedMutexGuard},
    time::timeout_at,
};
use tower::Service;

use super::{
    client::CallError,
    config::DEFAULT_REPLY_LIMIT,
    frame::{Found, Frame, Parser},
    header::Header,
    reply::Reply,
    request::Request,
};
use crate::{Conn, msgpack};

/// The largest header of a reply: an error text can be long.
const REPLY_HEADER_LIMIT: usize = 64 * 1024;

/// Calls over one connection or stream, one at a time, in the order in which clones became ready.
///
/// A call that is dropped or runs into its head's deadline leaves its answer outstanding; the
/// channel is then closed for good, so that no later call can read a stranger's answer.
pub struct Channel {
    link: Arc<Mutex<Link>>,
    turn: Option<OwnedMutexGuard<Link>>,
    waiting: Option<Pin<Box<dyn Future<Output = OwnedMutexGuard<Link>> + Send>>>,
}

struct Link {
    conn: Conn,
    parser: Parser,
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
        let limits = |size| msgpack::Limits {
            size,
            depth: msgpack::MAX_DEPTH,
            // A reply of many small elements is fine: its bytes are bounded.
            elements: u64::MAX,
        };
        Channel {
            link: Arc::new(Mutex::new(Link {
                conn,
                parser: Parser::with_limits(
                    limits(REPLY_HEADER_LIMIT),
                    REPLY_HEADER_LIMIT,
                    limits(limit),
                ),
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
        let seq = next_seq();
        self.send(seq, &request).await?;
        let frame = self.receive().await?;
        if frame.seq != seq {
            return Err(CallError::Sequence {
                sent: seq,
                got: frame.seq,
            });
        }
        self.closed = false;
        if frame.error.is_empty() {
            return Ok(Reply::raw(frame.body));
        }
        Err(CallError::Remote(
            String::from_utf8_lossy(&frame.error).into_owned(),
        ))
    }

    async fn send(&mut self, seq: u64, request: &Request) -> Result<(), CallError> {
        let header = Header {
            method: &request.name,
            seq,
            error: None,
        };
        let mut wrote = Ok(());
        self.conn.put(&mut |out| {
            wrote = header.put(out);
            out.extend_from_slice(&request.body);
        });
        wrote?;
        self.conn.flush().await?;
        Ok(())
    }

    async fn receive(&mut self) -> Result<Frame, CallError> {
        loop {
            match self.parser.next()? {
                Some(Found::Frame(frame)) => return Ok(frame),
                Some(Found::Refused(_, fault)) => return Err(CallError::Refused(fault)),
                None => {}
            }
            let chunk: Bytes = self.conn.chunk().await?;
            if chunk.is_empty() {
                return Err(CallError::Io(io::ErrorKind::UnexpectedEof.into()));
            }
            self.parser.push(chunk);
        }
    }
}

/// Counted from 1 for the whole process, as Consul's clients count.
fn next_seq() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
