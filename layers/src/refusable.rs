//! The future of a layer that may refuse.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use oneport_proto::{BoxError, Call, Head};
use pin_project_lite::pin_project;
use tonic::Status;

/// Requests that nobody stamped, refused by whichever layer met them first.
pub const UNSTAMPED: &str = "oneport.calls.unstamped";

/// The head of a request.
///
/// # Errors
/// Nobody stamped it. That is a mistake in how a host put its server together and none of the
/// caller's, so it is refused as [`Internal`](tonic::Code::Internal) and counted as [`UNSTAMPED`]:
/// a policy that cannot see whom it decides about must not let anybody through.
#[inline]
pub fn head<R: Call>(request: &R) -> Result<&Head, Status> {
    request.head().ok_or_else(unstamped)
}

/// What [`head`] fails with, for layers that look at [`Call::head_mut`].
pub fn unstamped() -> Status {
    metrics::counter!(UNSTAMPED).increment(1);
    Status::internal("a request without a head")
}

pin_project! {
    /// A call that was passed on, or one that was refused: the future of a layer that does nothing
    /// with the answer. Neither costs a box.
    #[derive(Debug)]
    pub struct Refusable<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    #[derive(Debug)]
    enum State<F> {
        Passed {
            #[pin]
            call: F,
        },
        Refused {
            error: Option<BoxError>,
        },
    }
}

impl<F> Refusable<F> {
    /// A call that was passed on to the inner service.
    #[inline]
    pub fn passed(call: F) -> Refusable<F> {
        Refusable {
            state: State::Passed { call },
        }
    }

    /// A call that is refused.
    pub fn refused(error: impl Into<BoxError>) -> Refusable<F> {
        Refusable {
            state: State::Refused {
                error: Some(error.into()),
            },
        }
    }
}

impl<F, T, E> Future for Refusable<F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Output = Result<T, BoxError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Passed { call } => call.poll(cx).map_err(Into::into),
            StateProj::Refused { error } => match error.take() {
                Some(error) => Poll::Ready(Err(error)),
                // Polled after its end: nothing will ever come.
                None => Poll::Pending,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, ready};

    use oneport_proto::{Denial, Refusal, code_of};
    use tonic::Code;

    use super::*;

    #[tokio::test]
    async fn it_is_what_was_put_into_it() {
        let passed = Refusable::passed(ready(Ok::<_, BoxError>(7)));
        assert_eq!(passed.await.unwrap(), 7);
        let refused: Refusable<Ready<Result<(), BoxError>>> =
            Refusable::refused(Status::from(Refusal::Denied(Denial::Plain)));
        assert_eq!(code_of(&refused.await.unwrap_err()), Code::PermissionDenied);
    }

    #[test]
    fn a_request_without_a_head_is_an_internal_error() {
        let refused = head(&http::Request::new(())).unwrap_err();
        assert_eq!(refused.code(), Code::Internal);
    }
}
