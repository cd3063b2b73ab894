//! The way out: replies that tell how they ended.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http_body::{Body, Frame, SizeHint};
use tonic::{Code, Status};

/// Hears once how a call ended.
pub trait End: Send + 'static {
    /// The call ended so. Not called at all if the listener is dropped first, which means that the
    /// call was abandoned.
    fn end(self, code: Code);
}

impl<F: FnOnce(Code) + Send + 'static> End for F {
    fn end(self, code: Code) {
        self(code);
    }
}

/// A reply that can tell how it ended.
pub trait Reply {
    /// The reply with a listener inside.
    type Tracked<E: End>: Reply;

    /// Calls `end` when the reply has ended: at once where the whole answer is known, at the end
    /// of the stream where it is not.
    fn on_end<E: End>(self, end: E) -> Self::Tracked<E>;
}

/// The reply of a connection: it has ended when the future has.
impl Reply for () {
    type Tracked<E: End> = ();

    fn on_end<E: End>(self, end: E) {
        end.end(Code::Ok);
    }
}

impl<B: Body> Reply for http::Response<B> {
    type Tracked<E: End> = http::Response<EndBody<B, E>>;

    fn on_end<E: End>(self, end: E) -> Self::Tracked<E> {
        // A trailers-only answer carries its status among the headers.
        let ended = Status::from_header_map(self.headers()).map(|status| status.code());
        self.map(|body| match ended {
            Some(code) => {
                end.end(code);
                EndBody { body, end: None }
            }
            None => EndBody {
                body,
                end: Some(end),
            },
        })
    }
}

pin_project_lite::pin_project! {
    /// A body that tells its listener how it ended: by its trailers, by its plain end, by an error,
    /// or as cancelled when it is dropped before.
    #[derive(Debug)]
    pub struct EndBody<B, E: End> {
        #[pin]
        body: B,
        end: Option<E>,
    }

    impl<B, E: End> PinnedDrop for EndBody<B, E> {
        fn drop(this: Pin<&mut Self>) {
            if let Some(end) = this.project().end.take() {
                end.end(Code::Cancelled);
            }
        }
    }
}

impl<B: Body, E: End> Body for EndBody<B, E> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        if let Some(code) = ended_with(&frame)
            && let Some(end) = this.end.take()
        {
            end.end(code);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        // Only once the listener has heard: hyper skips the last poll of a body that says so.
        self.end.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How a stream ended with this frame, if it did.
fn ended_with<D, E>(frame: &Option<Result<Frame<D>, E>>) -> Option<Code> {
    match frame {
        None => Some(Code::Ok),
        Some(Err(_)) => Some(Code::Unknown),
        Some(Ok(frame)) => frame.trailers_ref().map(|trailers| {
            Status::from_header_map(trailers).map_or(Code::Unknown, |status| status.code())
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn tracked(response: http::Response<tonic::body::Body>) -> (mpsc::Receiver<Code>, impl Body) {
        let (tx, rx) = mpsc::channel();
        let body = response
            .on_end(move |code| tx.send(code).unwrap())
            .into_body();
        (rx, body)
    }

    #[test]
    fn trailers_only_answers_end_at_once() {
        let (rx, _body) = tracked(Status::not_found("x").into_http());
        assert_eq!(rx.try_recv(), Ok(Code::NotFound));
    }

    #[test]
    fn a_dropped_body_was_cancelled() {
        let (rx, body) = tracked(http::Response::new(tonic::body::Body::empty()));
        assert!(rx.try_recv().is_err());
        drop(body);
        assert_eq!(rx.try_recv(), Ok(Code::Cancelled));
    }
}
