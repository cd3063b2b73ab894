//! One call, from readiness to its answer.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use oneport_proto::BoxError;
use tokio::io::AsyncWrite;
use tower::Service;

use super::{reply::Reply, request::Request};
use crate::{Conn, caught::caught};

/// Handlers that panicked.
const PANICS: &str = "oneport.netrpc.panics";

/// How a call ended.
pub(crate) type Outcome = Result<Reply, BoxError>;

/// Ready when the service takes a call, or the connection broke meanwhile.
pub(crate) fn poll_taken<S>(
    conn: &mut Conn,
    service: &mut S,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Result<(), BoxError>>>
where
    S: Service<Request, Error: Into<BoxError>>,
{
    poll_step(conn, cx, |cx| service.poll_ready(cx)).map_ok(flatten)
}

/// Calls a service that is ready.
pub(crate) fn begin<S: Service<Request>>(
    service: &mut S,
    request: Request,
) -> Result<S::Future, BoxError> {
    caught(PANICS, || service.call(request))
}

/// Ready with the answer of a call, or when the connection broke meanwhile. A blocking query may
/// wait for minutes: it ends with its caller, so for one the connection is watched, which reads
/// ahead one chunk at most.
pub(crate) fn poll_answer<F, E>(
    conn: &mut Conn,
    mut call: Pin<&mut F>,
    blocking: bool,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Outcome>>
where
    F: Future<Output = Result<Reply, E>>,
    E: Into<BoxError>,
{
    match poll_step(conn, cx, |cx| call.as_mut().poll(cx)) {
        Poll::Pending if blocking => poll_hangup(conn, cx).map(Err),
        polled => polled.map_ok(flatten),
    }
}

/// Polls `step`; if it is not done, sends what is queued. A panic is an outcome.
fn poll_step<T>(
    conn: &mut Conn,
    cx: &mut Context<'_>,
    mut step: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Poll<io::Result<Result<T, BoxError>>> {
    match caught(PANICS, || step(cx)) {
        Ok(Poll::Ready(value)) => Poll::Ready(Ok(Ok(value))),
        Err(panicked) => Poll::Ready(Ok(Err(panicked))),
        Ok(Poll::Pending) => match Pin::new(conn).poll_flush(cx) {
            Poll::Ready(Err(broken)) => Poll::Ready(Err(broken)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        },
    }
}

/// Ready when the peer has ended its side.
fn poll_hangup(conn: &mut Conn, cx: &mut Context<'_>) -> Poll<io::Error> {
    match conn.poll_peek(cx) {
        Poll::Ready(Ok(None)) => Poll::Ready(io::ErrorKind::ConnectionAborted.into()),
        Poll::Ready(Err(broken)) => Poll::Ready(broken),
        // What came ahead waits for its turn.
        Poll::Ready(Ok(Some(_))) | Poll::Pending => Poll::Pending,
    }
}

fn flatten<T, E: Into<BoxError>>(outcome: Result<Result<T, E>, BoxError>) -> Result<T, BoxError> {
    outcome?.map_err(Into::into)
}
