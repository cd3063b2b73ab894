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

/// Waits until the service is ready, calls it and waits for the answer. While it waits, earlier
/// answers leave and nothing is read: that is the back-pressure. A panic is the call's outcome.
pub(crate) async fn turn<S>(conn: &mut Conn, service: &mut S, request: Request) -> Turn
where
    S: Service<Request, Response = Reply, Error: Into<BoxError>>,
{
    let ready = waiting(conn, |cx| service.poll_ready(cx)).await?;
    if let Err(error) = flatten(ready) {
        return Ok(Err(error));
    }
    let call = match caught(|| service.call(request)) {
        Ok(call) => call,
        Err(panicked) => return Ok(Err(panicked)),
    };
    let mut call = pin!(call);
    let answer = waiting(conn, |cx| call.as_mut().poll(cx)).await?;
    Ok(flatten(answer))
}

/// Polls `step` until it is done; whenever it is not, sends what is queued.
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
