//! The future of a layer that holds something until a call has ended.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use oneport_proto::{BoxError, End, Reply};
use pin_project_lite::pin_project;

use crate::Refusable;

/// What a layer holds from the beginning of a call to its end: a permit, a measurement, a span.
///
/// Exactly one of these ends it: [`End::end`] with the code of the reply, which for a stream is
/// long after the reply began; [`failed`](Guard::failed), when there is no reply; or its drop, when
/// the call was abandoned.
pub trait Guard: End {
    /// Runs one step of the call, which may panic.
    #[inline]
    fn around<T>(&mut self, step: impl FnOnce() -> T) -> T {
        step()
    }

    /// The call failed.
    fn failed(self, error: &BoxError)
    where
        Self: Sized,
    {
        let _ = error;
    }
}

pin_project! {
    /// A call with its [`Guard`].
    #[derive(Debug)]
    pub struct Guarded<F, G> {
        #[pin]
        call: Refusable<F>,
        guard: Option<G>,
    }
}

impl<F, G: Guard> Guarded<F, G> {
    /// Makes the call under `guard`.
    #[inline]
    pub fn begin(mut guard: G, call: impl FnOnce() -> F) -> Guarded<F, G> {
        Guarded {
            call: Refusable::passed(guard.around(call)),
            guard: Some(guard),
        }
    }

    /// A call that is refused; there is nothing to hold.
    pub fn refused(error: impl Into<BoxError>) -> Guarded<F, G> {
        Guarded {
            call: Refusable::refused(error),
            guard: None,
        }
    }
}

impl<F, G, T, E> Future for Guarded<F, G>
where
    F: Future<Output = Result<T, E>>,
    G: Guard,
    T: Reply,
    E: Into<BoxError>,
{
    type Output = Result<T::Tracked<G>, BoxError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let call = this.call;
        let outcome = match this.guard.as_mut() {
            Some(guard) => ready!(guard.around(|| call.poll(cx))),
            None => ready!(call.poll(cx)),
        };
        match (outcome, this.guard.take()) {
            (Ok(reply), Some(guard)) => Poll::Ready(Ok(reply.on_end(guard))),
            (Err(error), Some(guard)) => {
                guard.failed(&error);
                Poll::Ready(Err(error))
            }
            (Err(error), None) => Poll::Ready(Err(error)),
            // Polled after its end.
            (Ok(_), None) => Poll::Pending,
        }
    }
}
