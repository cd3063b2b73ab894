//! One call, from readiness to its answer.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    task::{Context, Poll},
};

use oneport_proto::{BoxError, Refusal};
use tokio::io::AsyncWrite;
use tonic::Status;
use tower::Service;

use super::{reply::Reply, request::Request};
use crate::Conn;

/// How a turn ended: with the call's outcome, or because the connection broke under it.
pub(crate) type Turn = std::io::Result<Result<Reply, BoxError>>;

/// Waits until the service takes a call.
pub(crate) async fn ready<S>(
    conn: &mut Conn,
    service: &mut S,
) -> std::io::Result<Result<(), BoxError>>
where
    S: Service<Request, Error: Into<BoxError>>,
{
    let ready = waiting(conn, |cx| service.poll_ready(cx)).await?;
    Ok(flatten(ready))
}

/// Calls a service that is ready.
pub(crate) fn begin<S: Service<Request>>(
    service: &mut S,
    request: Request,
) -> Result<S::Future, BoxError> {
    caught(|| service.call(request))
}

/// Waits for the answer of a call.
pub(crate) async fn finish<E: Into<BoxError>>(
    conn: &mut Conn,
    call: impl Future<Output = Result<Reply, E>>,
) -> Turn {
    let mut call = pin!(call);
    let answer = waiting(conn, |cx| call.as_mut().poll(cx)).await?;
    Ok(flatten(answer))
}

/// Polls `step` until it is done; whenever it is not, sends what is queued. A panic is an outcome.
async fn waiting<T>(
    conn: &mut Conn,
    mut step: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> std::io::Result<Result<T, BoxError>> {
    poll_fn(|cx| match caught(|| step(cx)) {
        Ok(Poll::Ready(value)) => Poll::Ready(Ok(Ok(value))),
        Err(panicked) => Poll::Ready(Ok(Err(panicked))),
        Ok(Poll::Pending) => match Pin::new(&mut *conn).poll_flush(cx) {
            Poll::Ready(Err(broken)) => Poll::Ready(Err(broken)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        },
    })
    .await
}

/// Runs foreign code; a panic becomes an error. What it left behind is dropped and never used
/// again, so nobody sees it half done.
fn caught<T>(run: impl FnOnce() -> T) -> Result<T, BoxError> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| {
        metrics::counter!("oneport.netrpc.panics").increment(1);
        tracing::error!("a net/rpc handler panicked");
        Status::from(Refusal::Panicked).into()
    })
}

fn flatten<T, E: Into<BoxError>>(outcome: Result<Result<T, E>, BoxError>) -> Result<T, BoxError> {
    outcome?.map_err(Into::into)
}
