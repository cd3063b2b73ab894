//! One session: requests in, answers out, one after the other.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{self, Context, Poll},
};

use bytes::{Bytes, BytesMut};
use oneport_proto::{BoxError, Method};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    time::{Instant, timeout},
};
use tower::Service;

use super::{
    config::Config,
    face::{Face, face},
    fault::Fault,
    frame::{Awaits, Found, Frame, Parser},
    header::Header,
    pace::{Late, Pace},
    reply::Reply,
    request::Request,
    server::Shared,
    turn::{Turn, begin, finish, ready},
};
use crate::{Conn, msgpack::breaks_between_reads};

/// One net/rpc session.
pub(super) struct Session<S> {
    conn: Conn,
    service: S,
    shared: Arc<Shared>,
    parser: Parser,
    pace: Pace,
    /// One clock reading for all requests of a chunk.
    read_at: Instant,
}

/// What a session does with what has arrived.
enum Step {
    Answer(Frame),
    Stop(Next),
}

/// Whether a session goes on.
enum Next {
    Go,
    End,
    /// The peer may still be sending what is not taken: closing at once would lose the answer.
    Linger,
}

impl<S> Session<S>
where
    S: Service<Request, Response = Reply, Error: Into<BoxError>>,
{
    pub(super) fn new(conn: Conn, service: S, shared: Arc<Shared>) -> Session<S> {
        let now = Instant::now();
        Session {
            conn,
            service,
            parser: Parser::new(&shared.config),
            shared,
            pace: Pace::new(now),
            read_at: now,
        }
    }

    /// Serves the connection to its end.
    pub(super) async fn run(&mut self) -> Result<(), BoxError> {
        let ended = self.serve().await;
        if let Err(error) = &ended {
            if !is_hangup(error) {
                self.shared.request_errors.increment(1);
            }
            Box::pin(self.part()).await;
        }
        ended
    }

    /// The end of a broken session: what was answered before it broke still leaves.
    async fn part(&mut self) {
        let linger = self.shared.config.linger;
        // A peer that is gone, or takes nothing, has had its chance.
        let _parted = timeout(linger, self.conn.shutdown()).await;
    }

    async fn serve(&mut self) -> Result<(), BoxError> {
        loop {
            match self.answer_what_is_here().await? {
                Next::Go => {}
                Next::End => break,
                Next::Linger => {
                    self.conn.shutdown().await?;
                    // Rare, so it takes no room in the others.
                    Box::pin(self.linger()).await;
                    return Ok(());
                }
            }
            self.flush().await?;
            if !self.read().await? {
                break;
            }
        }
        self.conn.shutdown().await?;
        Ok(())
    }

    /// Sends what is queued.
    async fn flush(&mut self) -> Result<(), BoxError> {
        let conn = &mut self.conn;
        let at_once = poll_fn(|cx| Poll::Ready(Pin::new(&mut *conn).poll_flush(cx))).await;
        match at_once {
            Poll::Ready(sent) => Ok(sent?),
            // Rare, so it takes no room in the others.
            Poll::Pending => Box::pin(self.flush_slowly()).await,
        }
    }

    /// Sends what is queued to a peer that takes it slowly, as long as it takes some.
    async fn flush_slowly(&mut self) -> Result<(), BoxError> {
        let Some(stall) = self.shared.config.write_stall else {
            return Ok(self.conn.flush().await?);
        };
        loop {
            let queued = self.conn.queued();
            match timeout(stall, self.conn.flush()).await {
                Ok(sent) => return Ok(sent?),
                Err(_) if self.conn.queued() < queued => {}
                Err(_) => return Err(Late::Write(stall).into()),
            }
        }
    }

    /// Answers every whole request that has arrived.
    async fn answer_what_is_here(&mut self) -> Result<Next, BoxError> {
        let mut complete = false;
        let next = loop {
            let frame = match self.next_step()? {
                Step::Answer(frame) => frame,
                Step::Stop(next) => break next,
            };
            if !complete {
                complete = true;
                self.prove();
            }
            let outcome = self.turn(&frame).await?;
            if !self.put_outcome(&frame, outcome)? {
                break Next::End;
            }
        };
        let under_way = self.parser.unparsed();
        self.pace.received(self.read_at, under_way, complete);
        Ok(next)
    }

    /// The peer has sent a whole request.
    fn prove(&mut self) {
        if !self.pace.is_proven() {
            self.conn.prove();
        }
    }

    /// Looks for the next whole request; refuses one that is not taken.
    fn next_step(&mut self) -> Result<Step, BoxError> {
        match self.parser.next()? {
            None => Ok(Step::Stop(Next::Go)),
            Some(Found::Frame(frame)) => Ok(Step::Answer(frame)),
            Some(Found::Refused(frame, body)) => {
                let refused = face(
                    tonic::Status::from(Fault::Refused(body)).into(),
                    &frame.name,
                );
                self.put_error(&frame, &refused)?;
                Ok(Step::Stop(Next::Linger))
            }
        }
    }

    /// Queues the answer of a call. False when the session ends behind it.
    fn put_outcome(
        &mut self,
        frame: &Frame,
        outcome: Result<Reply, BoxError>,
    ) -> Result<bool, BoxError> {
        match outcome.map_err(|error| face(error, &frame.name)) {
            Ok(reply) => self.put_reply(frame, &reply).map(|()| true),
            Err(failed) => self.put_error(frame, &failed).map(|()| !failed.ends),
        }
    }

    /// Waits until the service is ready, calls it and waits for the answer. While it waits, earlier
    /// answers leave and nothing is read: that is the back-pressure.
    async fn turn(&mut self, frame: &Frame) -> Turn {
        self.shared.requests.increment(1);
        if let Err(error) = ready(&mut self.conn, &mut self.service).await? {
            return Ok(Err(error));
        }
        match self.begin(frame) {
            Ok((call, blocking)) => finish(&mut self.conn, call, blocking).await,
            Err(panicked) => Ok(Err(panicked)),
        }
    }

    // Not async: what it passes on would take room in every session that waits.
    fn begin(&mut self, frame: &Frame) -> Result<(S::Future, bool), BoxError> {
        let request = self.request(frame);
        let blocking = request.head.wait.is_some();
        Ok((begin(&mut self.service, request)?, blocking))
    }

    fn request(&self, frame: &Frame) -> Request {
        let session = Arc::clone(self.conn.session());
        Request {
            head: self
                .shared
                .head(&frame.name, &frame.body, session, self.read_at),
            name: frame.name.clone(),
            body: frame.body.clone(),
        }
    }

    fn put_reply(&mut self, frame: &Frame, reply: &Reply) -> Result<(), BoxError> {
        let mut wrote = Ok(());
        self.conn.put(&mut |out| {
            let start = out.len();
            wrote = header(frame, b"").put(out).and_then(|()| reply.put(out));
            if wrote.is_err() {
                out.truncate(start);
            }
        });
        wrote.or_else(|unencodable| {
            let text = unencodable.to_string().into_bytes();
            self.put_error(frame, &Face { text, ends: false })
        })
    }

    /// Queues an error: its text in the header, and an empty map for the body.
    fn put_error(&mut self, frame: &Frame, face: &Face) -> Result<(), BoxError> {
        let mut wrote = Ok(());
        self.conn.put(&mut |out: &mut BytesMut| {
            wrote = header(frame, &face.text)
                .put(out)
                .and_then(|()| Reply::empty().put(out));
        });
        Ok(wrote?)
    }

    /// Waits for more bytes. False when the session should end: the peer has, or a drain has begun
    /// and no request is under way.
    async fn read(&mut self) -> Result<bool, BoxError> {
        let awaits = self.parser.awaits();
        let Session {
            conn, pace, shared, ..
        } = self;
        let chunk = poll_fn(|cx| poll_read(conn, pace, &shared.config, awaits, cx)).await?;
        let Some(chunk) = chunk else {
            return Ok(false);
        };
        if chunk.is_empty() {
            if awaits == Awaits::Start {
                return Ok(false);
            }
            self.put_broken_off()?;
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        self.read_at = Instant::now();
        self.parser.push(chunk);
        Ok(true)
    }

    /// Queues the answer to a request that the peer ended in the middle of: it may still be reading.
    /// The method is not called, whatever it would say to a part of a body.
    fn put_broken_off(&mut self) -> Result<(), BoxError> {
        let Some(frame) = self.parser.broken_off() else {
            return Ok(());
        };
        let methods = &self.shared.methods;
        let fault = match methods.find(&frame.name) {
            Method::Unknown(_) => methods.fault(&frame.name),
            Method::Known(_) if breaks_between_reads(&frame.body) => Fault::Ended,
            Method::Known(_) => Fault::BrokenOff,
        };
        let refused = face(tonic::Status::from(fault).into(), &frame.name);
        self.put_error(&frame, &refused)
    }

    /// Throws away what the peer still sends, until it is silent or has sent too much: a socket
    /// that is closed with unread bytes takes the answer with it.
    async fn linger(&mut self) {
        let mut left = self.shared.config.linger_bytes;
        let silence = self.shared.config.linger;
        while let Ok(Ok(chunk)) = timeout(silence, self.conn.chunk()).await {
            if chunk.is_empty() || chunk.len() > left {
                return;
            }
            left -= chunk.len();
        }
    }
}

/// The next chunk; `None` when a drain has begun and nothing is under way.
fn poll_read(
    conn: &mut Conn,
    pace: &mut Pace,
    config: &Config,
    awaits: Awaits,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<Bytes>, BoxError>> {
    if let Poll::Ready(chunk) = conn.poll_chunk(cx) {
        return Poll::Ready(Ok(Some(chunk?)));
    }
    if awaits == Awaits::Start && conn.poll_draining(cx).is_ready() {
        return Poll::Ready(Ok(None));
    }
    let late: Late = task::ready!(pace.poll_late(cx, config, awaits));
    Poll::Ready(Err(late.into()))
}

fn header<'a>(frame: &'a Frame, error: &'a [u8]) -> Header<'a> {
    Header {
        method: &frame.name,
        seq: frame.seq,
        error: Some(error),
    }
}

/// A peer that hung up is no error of the session.
fn is_hangup(error: &BoxError) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    error.downcast_ref::<io::Error>().is_some_and(|error| {
        matches!(
            error.kind(),
            BrokenPipe | ConnectionAborted | ConnectionReset
        )
    })
}
