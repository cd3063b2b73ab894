//! One session: requests in, answers out, one after the other.

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
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
    turn::{Outcome, begin, poll_answer, poll_taken},
};
use crate::{Conn, msgpack::breaks_between_reads};

/// One net/rpc session. Thousands of these are idle: what only a call needs that has to be waited for
/// is kept in a box of its own.
pub(super) struct Session<S> {
    conn: Conn,
    service: S,
    shared: Arc<Shared>,
    parser: Parser,
    /// Its last chunk's time is the one clock reading for all requests of the chunk.
    pace: Pace,
}

/// A request whose answer is waited for.
struct Asking {
    frame: Frame,
    /// A blocking query, which may wait for minutes.
    blocking: bool,
}

/// What a session does with what has arrived.
enum Step {
    Answer(Asking),
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
        Session {
            conn,
            service,
            parser: Parser::default(),
            shared,
            pace: Pace::new(Instant::now()),
        }
    }

    /// Serves the connection to its end.
    pub(super) async fn run(&mut self) -> Result<(), BoxError> {
        // In here and not in a box: a call that is answered at once costs no allocation.
        let mut call = pin!(None);
        let ended = self.serve(call.as_mut()).await;
        // One that nobody waits for any more ends at once.
        call.set(None);
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

    async fn serve(&mut self, mut call: Pin<&mut Option<S::Future>>) -> Result<(), BoxError> {
        loop {
            match self.answer_what_is_here(call.as_mut()).await? {
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
    async fn answer_what_is_here(
        &mut self,
        mut call: Pin<&mut Option<S::Future>>,
    ) -> Result<Next, BoxError> {
        let mut waiting = None;
        poll_fn(|cx| self.poll_answers(&mut waiting, call.as_mut(), cx)).await
    }

    /// As [`answer_what_is_here`](Session::answer_what_is_here). While it is pending, `waiting` is
    /// the request that it waits for.
    fn poll_answers(
        &mut self,
        waiting: &mut Option<Box<Asking>>,
        mut call: Pin<&mut Option<S::Future>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Next, BoxError>> {
        let next = loop {
            let mut asking = match waiting.take() {
                Some(asking) => *asking,
                None => match self.next_step()? {
                    Step::Answer(asking) => asking,
                    Step::Stop(next) => break next,
                },
            };
            let Poll::Ready(outcome) = self.poll_turn(&mut asking, call.as_mut(), cx)? else {
                *waiting = Some(Box::new(asking));
                return Poll::Pending;
            };
            if !self.put_outcome(&asking.frame, outcome)? {
                break Next::End;
            }
        };
        self.pace.answered(self.parser.unparsed());
        Poll::Ready(Ok(next))
    }

    /// Looks for the next whole request; refuses one that is not taken.
    fn next_step(&mut self) -> Result<Step, BoxError> {
        match self.parser.next(&self.shared.bounds)? {
            None => Ok(Step::Stop(Next::Go)),
            Some(Found::Frame(frame)) => {
                if self.pace.complete() {
                    self.conn.prove();
                }
                self.shared.requests.increment(1);
                let blocking = false;
                Ok(Step::Answer(Asking { frame, blocking }))
            }
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
    fn put_outcome(&mut self, frame: &Frame, outcome: Outcome) -> Result<bool, BoxError> {
        match outcome.map_err(|error| face(error, &frame.name)) {
            Ok(reply) => self.put_reply(frame, &reply).map(|()| true),
            Err(failed) => self.put_error(frame, &failed).map(|()| !failed.ends),
        }
    }

    /// Waits until the service is ready, calls it and waits for the answer. While it waits, earlier
    /// answers leave and nothing is read: that is the back-pressure.
    fn poll_turn(
        &mut self,
        asking: &mut Asking,
        mut call: Pin<&mut Option<S::Future>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Outcome>> {
        let outcome = loop {
            if let Some(running) = call.as_mut().as_pin_mut() {
                break ready!(poll_answer(&mut self.conn, running, asking.blocking, cx))?;
            }
            let taken = ready!(poll_taken(&mut self.conn, &mut self.service, cx))?;
            match taken.and_then(|()| self.begin(asking)) {
                Ok(begun) => call.set(Some(begun)),
                Err(error) => return Poll::Ready(Ok(Err(error))),
            }
        };
        call.set(None);
        Poll::Ready(Ok(outcome))
    }

    fn begin(&mut self, asking: &mut Asking) -> Result<S::Future, BoxError> {
        let request = self.request(&asking.frame);
        asking.blocking = request.head.wait.is_some();
        begin(&mut self.service, request)
    }

    fn request(&self, frame: &Frame) -> Request {
        let session = Arc::clone(self.conn.session());
        Request {
            head: self
                .shared
                .head(&frame.name, &frame.body, session, self.pace.read_at()),
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
        self.pace.arrived(Instant::now());
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
    let late: Late = ready!(pace.poll_late(cx, config, awaits));
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
