//! Several requests outstanding on one connection.

use std::{
    collections::VecDeque,
    fmt, io,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::{
    client::CallError,
    config::DEFAULT_REPLY_LIMIT,
    frame::{Bounds, Found, Frame, Parser},
    header::Header,
};
use crate::{Conn, msgpack};

/// The largest header of a reply, in bytes: an error text can be long.
const REPLY_HEADER_LIMIT: usize = 64 * 1024;

/// Requests on their way over one connection or stream, up to a depth, and their answers.
///
/// A server serves a connection's requests one after the other and answers in their order, so that
/// nothing is gained in how long one call takes; but requests that leave together and answers that
/// come together cost both ends a fraction of the system calls. [`send`](Pipeline::send) only puts
/// a request into the connection's output buffer, [`receive`](Pipeline::receive) sends what is
/// there while it waits: a server that does not read on before its answers are taken is no
/// deadlock.
///
/// An error of any method is the end: which answers are still to come is unknown then, and every
/// later call gets [`CallError::Closed`]. For one call at a time there is
/// [`Channel`](super::Channel), a `tower::Service`.
///
/// ```
/// # use oneport_proto::{BoxError, Class, Head, Session};
/// # use oneport_services::{Conn, Drainer, netrpc::{self, Pipeline}};
/// # use tower::{Service, ServiceExt};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// # async fn double(_: (), _: Head, n: u64) -> Result<u64, tonic::Status> { Ok(n * 2) }
/// # let router = netrpc::Router::builder(()).method("Math.Double", Class::Read, double).build()?;
/// # let (near, far) = tokio::io::duplex(1024);
/// # let drainer = Drainer::new();
/// # let near = Conn::stream(Session::in_process(), drainer.handle(), near);
/// # let conn = Conn::stream(Session::in_process(), drainer.handle(), far);
/// # let mut server = netrpc::Server::new(router.methods(), router);
/// # let serving = server.ready().await?.call(near);
/// # let calling = async {
/// let mut pipeline = Pipeline::new(conn, 2);
/// pipeline.send(b"Math.Double", b"\x03")?;
/// pipeline.send(b"Math.Double", b"\x04")?;
/// assert_eq!(pipeline.room(), 0);
/// assert_eq!(pipeline.receive().await?.result.as_deref(), Ok(&b"\x06"[..]));
/// assert_eq!(pipeline.receive().await?.result.as_deref(), Ok(&b"\x08"[..]));
/// # Ok::<_, BoxError>(())
/// # };
/// # let (served, called) = tokio::join!(serving, calling);
/// # served.and(called)
/// # }
/// ```
pub struct Pipeline {
    conn: Conn,
    parser: Parser,
    bounds: Bounds,
    depth: usize,
    /// The numbers of the requests that were not answered, oldest first.
    outstanding: VecDeque<u64>,
    /// Something was put that the transport may not have taken.
    unsent: bool,
    closed: bool,
    sent: u64,
    received: u64,
}

/// What a server said to one request of a [`Pipeline`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The request's number, as [`Pipeline::send`] gave it.
    pub seq: u64,
    /// The msgpack body of the result, or the server's error text.
    pub result: Result<Bytes, String>,
}

impl Pipeline {
    /// A pipeline of at most `depth` requests (at least 1) over a connection whose protocol byte is
    /// written already, or over a stream. It takes replies of at most [`DEFAULT_REPLY_LIMIT`]
    /// bytes.
    pub fn new(conn: Conn, depth: usize) -> Pipeline {
        Pipeline::with_reply_limit(conn, depth, DEFAULT_REPLY_LIMIT)
    }

    /// A pipeline that takes replies of at most `limit` bytes.
    pub fn with_reply_limit(conn: Conn, depth: usize, limit: usize) -> Pipeline {
        let limits = |size| msgpack::Limits {
            size,
            depth: msgpack::MAX_DEPTH,
            // A reply of many small elements is fine: its bytes are bounded.
            elements: u64::MAX,
        };
        let bounds = Bounds {
            header: limits(REPLY_HEADER_LIMIT),
            method: REPLY_HEADER_LIMIT,
            body: limits(limit),
        };
        Pipeline {
            conn,
            parser: Parser::default(),
            bounds,
            depth: depth.max(1),
            outstanding: VecDeque::new(),
            unsent: false,
            closed: false,
            sent: 0,
            received: 0,
        }
    }

    /// How many more requests may be sent now.
    pub fn room(&self) -> usize {
        self.depth - self.outstanding.len()
    }

    /// How many requests were not answered yet.
    pub fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    /// How many bytes of requests and of answers have passed, headers included; what carries the
    /// connection adds its own.
    pub fn traffic(&self) -> (u64, u64) {
        (self.sent, self.received)
    }

    /// Puts a request with a msgpack body into the output buffer and gives its number.
    ///
    /// The buffer holds `depth` requests at most; how large those are is the caller's to bound.
    ///
    /// # Errors
    /// [`CallError::NotReady`] if there is no [room](Pipeline::room), which changes nothing;
    /// [`CallError::Closed`] after an error.
    pub fn send(&mut self, method: &[u8], body: &[u8]) -> Result<u64, CallError> {
        if self.closed {
            return Err(CallError::Closed);
        }
        if self.room() == 0 {
            return Err(CallError::NotReady);
        }
        let seq = next_seq();
        let header = Header {
            method,
            seq,
            error: None,
        };
        let (mut wrote, mut len) = (Ok(()), 0);
        self.conn.put(&mut |out| {
            let before = out.len();
            wrote = header.put(out);
            out.extend_from_slice(body);
            len = out.len() - before;
        });
        wrote.inspect_err(|_| self.closed = true)?;
        self.sent += len as u64;
        self.unsent = true;
        self.outstanding.push_back(seq);
        Ok(seq)
    }

    /// Sends what is to be sent and waits for the next answer. Dropping the future loses nothing.
    ///
    /// # Errors
    /// What ended the connection; for an answer that is nobody's turn, [`CallError::Sequence`].
    /// With nothing outstanding only the end of the connection is waited for.
    pub async fn receive(&mut self) -> Result<Answer, CallError> {
        std::future::poll_fn(|cx| self.poll_receive(cx)).await
    }

    /// As [`receive`](Pipeline::receive).
    ///
    /// # Errors
    /// As [`receive`](Pipeline::receive).
    pub fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answer, CallError>> {
        loop {
            if let Some(answer) = self.arrived()? {
                return Poll::Ready(Ok(answer));
            }
            let read = self.poll_exchange(cx);
            let read = ready!(read).inspect_err(|_| self.closed = true)?;
            self.received += read.len() as u64;
            self.parser.push(read);
        }
    }

    /// The next answer among those that have arrived; asks the connection for nothing.
    ///
    /// # Errors
    /// As [`receive`](Pipeline::receive).
    pub fn arrived(&mut self) -> Result<Option<Answer>, CallError> {
        if self.closed {
            return Err(CallError::Closed);
        }
        let found = self.parsed();
        found.inspect_err(|_| self.closed = true)
    }

    /// Says that no more requests follow; answers may still be received.
    ///
    /// # Errors
    /// What the transport says.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.conn.shutdown().await
    }

    /// Sends what the transport takes, then reads. A write that has to wait does not keep the
    /// reading: the server may be waiting for just that.
    fn poll_exchange(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        if self.unsent {
            self.unsent = Pin::new(&mut self.conn).poll_flush(cx)?.is_pending();
        }
        let chunk = ready!(self.conn.poll_chunk(cx))?;
        if chunk.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        Poll::Ready(Ok(chunk))
    }

    fn parsed(&mut self) -> Result<Option<Answer>, CallError> {
        let frame = match self.parser.next(&self.bounds)? {
            Some(Found::Frame(frame)) => frame,
            Some(Found::Refused(_, fault)) => return Err(CallError::Refused(fault)),
            None => return Ok(None),
        };
        // Numbers begin at 1: 0 stands for no request at all.
        let sent = self.outstanding.pop_front().unwrap_or(0);
        if sent != frame.seq {
            let got = frame.seq;
            return Err(CallError::Sequence { sent, got });
        }
        Ok(Some(Answer::from(frame)))
    }
}

impl From<Frame> for Answer {
    fn from(frame: Frame) -> Answer {
        let Frame {
            seq, error, body, ..
        } = frame;
        let result = match error.is_empty() {
            true => Ok(body),
            false => Err(String::from_utf8_lossy(&error).into_owned()),
        };
        Answer { seq, result }
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("conn", &self.conn)
            .field("depth", &self.depth)
            .field("outstanding", &self.outstanding.len())
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

/// Counted from 1 for the whole process, as Consul's clients count.
fn next_seq() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use oneport_proto::Session;
    use tokio::io::{AsyncReadExt, DuplexStream, duplex};

    use super::*;
    use crate::Drainer;

    fn pipeline(depth: usize, buffer: usize) -> (Pipeline, DuplexStream) {
        let (near, far) = duplex(buffer);
        let conn = Conn::stream(Session::in_process(), Drainer::new().handle(), near);
        (Pipeline::with_reply_limit(conn, depth, 1024), far)
    }

    /// An answer as a server writes it.
    fn answer(seq: u64, error: &str, body: &[u8]) -> Vec<u8> {
        let header = Header {
            method: b"A.B",
            seq,
            error: Some(error.as_bytes()),
        };
        let mut out = bytes::BytesMut::new();
        header.put(&mut out).unwrap();
        out.extend_from_slice(body);
        out.to_vec()
    }

    #[tokio::test]
    async fn requests_leave_together_and_answers_come_in_order() {
        let (mut pipeline, mut far) = pipeline(2, 1024);
        let first = pipeline.send(b"A.B", b"\x01").unwrap();
        let second = pipeline.send(b"A.B", b"\x02").unwrap();
        let full = pipeline.send(b"A.B", b"\x03").unwrap_err();
        assert!(matches!(full, CallError::NotReady));
        assert_eq!((pipeline.room(), pipeline.outstanding()), (0, 2));

        let both = [answer(first, "", b"\x0a"), answer(second, "no", b"\x80")].concat();
        far.write_all(&both).await.unwrap();
        assert_eq!(
            pipeline.receive().await.unwrap(),
            Answer {
                seq: first,
                result: Ok(Bytes::from_static(b"\x0a"))
            }
        );
        let refused = pipeline.arrived().unwrap().unwrap();
        assert_eq!(refused.result, Err("no".to_owned()));
        assert_eq!(pipeline.arrived().unwrap(), None);
        assert_eq!(pipeline.room(), 2);

        let (sent, received) = pipeline.traffic();
        assert_eq!(received, both.len() as u64);
        let mut requests = vec![0; 1024];
        let n = far.read(&mut requests).await.unwrap();
        assert_eq!(n as u64, sent, "one write had both requests");
        assert!(requests[..n].ends_with(b"\x02"));
    }

    #[tokio::test]
    async fn a_server_that_answers_before_it_reads_on_is_no_deadlock() {
        let (mut pipeline, mut far) = pipeline(2, 64);
        let body = [b"\xda\x02\x00".as_slice(), &[b'x'; 512]].concat();
        let seqs = [(); 2].map(|()| pipeline.send(b"A.B", &body).unwrap());
        let total = usize::try_from(pipeline.traffic().0).unwrap();
        let serving = async move {
            let mut byte = [0];
            far.read_exact(&mut byte).await.unwrap();
            for seq in seqs {
                far.write_all(&answer(seq, "", &body)).await.unwrap();
            }
            let mut rest = vec![0; total - 1];
            far.read_exact(&mut rest).await.unwrap();
        };
        let calling = async {
            for seq in seqs {
                assert_eq!(pipeline.receive().await.unwrap().seq, seq);
            }
            // What the server has not taken of the second request is sent while we wait.
            let ended = pipeline.receive().await.unwrap_err();
            assert!(matches!(ended, CallError::Io(_)), "{ended:?}");
        };
        tokio::join!(serving, calling);
    }

    #[tokio::test]
    async fn an_answer_to_nobody_is_the_end() {
        let (mut unasked, mut far) = pipeline(1, 1024);
        far.write_all(&answer(7, "", b"\x80")).await.unwrap();
        let error = unasked.receive().await.unwrap_err();
        assert!(matches!(error, CallError::Sequence { sent: 0, got: 7 }));

        let (mut pipeline, mut far) = pipeline(1, 1024);
        let seq = pipeline.send(b"A.B", b"\x80").unwrap();
        far.write_all(&answer(seq + 1, "", b"\x80")).await.unwrap();
        let error = pipeline.receive().await.unwrap_err();
        assert!(matches!(error, CallError::Sequence { sent, .. } if sent == seq));
        let closed = pipeline.receive().await.unwrap_err();
        assert!(matches!(closed, CallError::Closed));
        let closed = pipeline.send(b"A.B", b"\x80").unwrap_err();
        assert!(matches!(closed, CallError::Closed));
    }

    #[tokio::test]
    async fn an_answer_has_a_limit() {
        let (mut pipeline, mut far) = pipeline(2, 8192);
        let sized = |n: u16| [b"\xda".as_slice(), &n.to_be_bytes(), &vec![7; n.into()]].concat();
        for (size, taken) in [(1021, true), (1022, false)] {
            let seq = pipeline.send(b"A.B", b"\x80").unwrap();
            far.write_all(&answer(seq, "", &sized(size))).await.unwrap();
            let got = pipeline.receive().await;
            assert_eq!(got.is_ok(), taken, "{size}: {got:?}");
        }
    }

    #[tokio::test]
    async fn a_dropped_wait_loses_nothing() {
        let (mut pipeline, mut far) = pipeline(1, 1024);
        let seq = pipeline.send(b"A.B", b"\x80").unwrap();
        let bytes = answer(seq, "", b"\x80");
        for byte in bytes {
            far.write_all(&[byte]).await.unwrap();
            tokio::select! {
                biased;
                got = pipeline.receive() => assert_eq!(got.unwrap().seq, seq),
                () = std::future::ready(()) => {}
            }
        }
        assert_eq!(pipeline.outstanding(), 0);
    }
}
