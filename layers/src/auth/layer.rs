//! The layer.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use oneport_proto::{BoxError, Call};
use pin_project_lite::pin_project;
use tonic::Status;
use tower::{Layer, Service};

use super::authorize::{Authorize, Decision, Verdict};
use crate::refusable::{head, unstamped};

/// Asks an [`Authorize`] about each call and writes what it finds into the call's head.
#[derive(Debug)]
pub struct AuthLayer<A> {
    authorize: Arc<A>,
}

impl<A: Authorize> AuthLayer<A> {
    /// Guards with `authorize`.
    pub fn new(authorize: A) -> AuthLayer<A> {
        AuthLayer {
            authorize: Arc::new(authorize),
        }
    }
}

impl<A> Clone for AuthLayer<A> {
    fn clone(&self) -> Self {
        AuthLayer {
            authorize: Arc::clone(&self.authorize),
        }
    }
}

impl<S, A> Layer<S> for AuthLayer<A> {
    type Service = Auth<S, A>;

    fn layer(&self, inner: S) -> Auth<S, A> {
        Auth {
            inner,
            authorize: Arc::clone(&self.authorize),
        }
    }
}

/// A service behind an [`AuthLayer`]. It is ready when the inner service is. While a decision is
/// under way it holds the request and the service that said it was ready, and leaves a clone
/// behind.
pub struct Auth<S, A> {
    inner: S,
    authorize: Arc<A>,
}

impl<S: Clone, A> Clone for Auth<S, A> {
    fn clone(&self) -> Self {
        Auth {
            inner: self.inner.clone(),
            authorize: Arc::clone(&self.authorize),
        }
    }
}

impl<S: fmt::Debug, A> fmt::Debug for Auth<S, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<S, A, R> Service<R> for Auth<S, A>
where
    R: Call,
    A: Authorize,
    S: Service<R, Error: Into<BoxError>> + Clone,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = AuthFuture<S, R, A::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    #[inline]
    fn call(&mut self, mut request: R) -> Self::Future {
        let decision = match head(&request) {
            Ok(head) => self.authorize.authorize(head),
            Err(unstamped) => return AuthFuture::refused(unstamped),
        };
        match decision {
            Decision::Now(verdict) => match admit(&mut request, verdict) {
                Ok(()) => AuthFuture::calling(self.inner.call(request)),
                Err(refused) => AuthFuture::refused(refused),
            },
            Decision::Later(deciding) => {
                let clone = self.inner.clone();
                let ready = mem::replace(&mut self.inner, clone);
                AuthFuture::deciding(deciding, request, ready)
            }
        }
    }
}

/// Writes a verdict into the request's head, or says why it is refused.
///
/// An identity that somebody wrote before would hold instead of this one, and grant what this
/// verdict does not: that is a mistake in how layers were put together, so nothing passes.
#[inline]
fn admit<R: Call>(request: &mut R, verdict: Verdict) -> Result<(), Status> {
    let Some(identity) = verdict? else {
        return Ok(());
    };
    let head = request.head_mut().ok_or_else(unstamped)?;
    identity.may_call(&head.method)?;
    let written = head.identity.set(identity);
    written.map_err(|_| Status::internal("two layers say who the caller is"))
}

pin_project! {
    /// A call that is being decided about, or that was.
    pub struct AuthFuture<S, R, D>
    where
        S: Service<R>,
    {
        #[pin]
        state: State<S, R, D, S::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, R, D, F> {
        // In a box of its own: in place the request and the service would make every call's future
        // larger, and the many that are decided about at once would be moved about with that room.
        Deciding {
            waiting: Pin<Box<Waiting<S, R, D>>>,
        },
        Calling {
            #[pin]
            call: F,
        },
        Refused {
            status: Option<Status>,
        },
    }
}

pin_project! {
    struct Waiting<S, R, D> {
        #[pin]
        deciding: D,
        call: Option<(R, S)>,
    }
}

impl<S: Service<R>, R, D> AuthFuture<S, R, D> {
    fn refused(status: Status) -> Self {
        AuthFuture {
            state: State::Refused {
                status: Some(status),
            },
        }
    }

    fn calling(call: S::Future) -> Self {
        AuthFuture {
            state: State::Calling { call },
        }
    }

    fn deciding(deciding: D, request: R, ready: S) -> Self {
        AuthFuture {
            state: State::Deciding {
                waiting: Box::pin(Waiting {
                    deciding,
                    call: Some((request, ready)),
                }),
            },
        }
    }
}

impl<S, R, D> Future for AuthFuture<S, R, D>
where
    R: Call,
    D: Future<Output = Verdict>,
    S: Service<R, Error: Into<BoxError>>,
{
    type Output = Result<S::Response, BoxError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Deciding { waiting } => {
                    let waiting = waiting.as_mut().project();
                    let verdict = ready!(waiting.deciding.poll(cx));
                    match waiting.call.take() {
                        Some((request, ready)) => decided(verdict, request, ready),
                        None => State::Refused { status: None },
                    }
                }
                StateProj::Calling { call } => return call.poll(cx).map_err(Into::into),
                StateProj::Refused { status } => match status.take() {
                    Some(status) => return Poll::Ready(Err(status.into())),
                    // Polled after its end: nothing will ever come.
                    None => return Poll::Pending,
                },
            };
            state.set(next);
        }
    }
}

fn decided<S, R, D>(verdict: Verdict, mut request: R, mut ready: S) -> State<S, R, D, S::Future>
where
    R: Call,
    S: Service<R>,
{
    match admit(&mut request, verdict) {
        Ok(()) => State::Calling {
            call: ready.call(request),
        },
        Err(refused) => State::Refused {
            status: Some(refused),
        },
    }
}

impl<S: Service<R>, R, D> fmt::Debug for AuthFuture<S, R, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthFuture").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use oneport_proto::{Code, Denial, Family, Head, Identity, Method, Refusal, Session, code_of};
    use tokio::{sync::oneshot, time::Instant};
    use tower::{ServiceExt, service_fn};

    use super::*;

    /// Says what it was made with, at once or when it is told.
    struct Say(Verdict);

    impl Authorize for Say {
        type Future = super::super::Never;

        fn authorize(&self, _: &Head) -> Decision<Self::Future> {
            Decision::Now(self.0.clone())
        }
    }

    struct Wait(std::sync::Mutex<Option<oneshot::Receiver<Verdict>>>);

    impl Authorize for Wait {
        type Future = Pin<Box<dyn Future<Output = Verdict> + Send>>;

        fn authorize(&self, _: &Head) -> Decision<Self::Future> {
            let told = self.0.lock().unwrap().take().unwrap();
            Decision::Later(Box::pin(async { told.await.unwrap() }))
        }
    }

    fn stamped() -> http::Request<()> {
        let mut request = http::Request::new(());
        let head = Head::new(
            Method::Unknown(Family::Grpc),
            Session::in_process(),
            Instant::now(),
        );
        request.extensions_mut().insert(head);
        request
    }

    type Name = Option<String>;

    /// An endpoint that says who called.
    fn endpoint(
        called: Arc<AtomicUsize>,
    ) -> impl Service<http::Request<()>, Response = Name, Error = BoxError, Future: Send> + Clone
    {
        service_fn(move |request: http::Request<()>| {
            called.fetch_add(1, Relaxed);
            let who = request.head().and_then(|head| head.identity.get());
            let name = who.map(|identity| identity.name().to_owned());
            async move { Ok::<_, BoxError>(name) }
        })
    }

    async fn ask(verdict: Verdict, request: http::Request<()>) -> (Result<Name, Code>, usize) {
        let called = Arc::new(AtomicUsize::new(0));
        let guarded = AuthLayer::new(Say(verdict)).layer(endpoint(Arc::clone(&called)));
        let answer = guarded.oneshot(request).await;
        (
            answer.map_err(|error| code_of(&error)),
            called.load(Relaxed),
        )
    }

    #[tokio::test]
    async fn the_endpoint_learns_who_calls() {
        let ann = || Ok(Some(Identity::new("ann")));
        assert_eq!(ask(ann(), stamped()).await, (Ok(Some("ann".to_owned())), 1));
        assert_eq!(ask(Ok(None), stamped()).await, (Ok(None), 1));
    }

    #[tokio::test]
    async fn what_may_not_pass_never_reaches_the_endpoint() {
        let denied = Err(Refusal::Denied(Denial::Plain));
        let refused = |code| (Err(code), 0);
        assert_eq!(
            ask(denied, stamped()).await,
            refused(Code::PermissionDenied)
        );
        assert_eq!(
            ask(Err(Refusal::UnknownToken), stamped()).await,
            refused(Code::Unauthenticated)
        );
        let ann = || Ok(Some(Identity::new("ann")));
        let nobodys = http::Request::new(());
        assert_eq!(ask(ann(), nobodys).await, refused(Code::Internal));
        // Somebody said already who calls.
        let mut twice = stamped();
        let head = twice.head_mut().unwrap();
        head.identity.set(Identity::new("bob")).unwrap();
        assert_eq!(ask(ann(), twice).await, refused(Code::Internal));
    }

    #[tokio::test]
    async fn a_decision_may_take_its_time() {
        for (verdict, code) in [
            (Ok(Some(Identity::new("ann"))), Code::Ok),
            (Err(Refusal::UnknownToken), Code::Unauthenticated),
        ] {
            let called = Arc::new(AtomicUsize::new(0));
            let (tell, told) = oneshot::channel();
            let wait = Wait(std::sync::Mutex::new(Some(told)));
            let guarded = AuthLayer::new(wait).layer(endpoint(Arc::clone(&called)));
            let mut call = by_hand(guarded.oneshot(stamped()));
            assert!(call.poll_once().is_none());
            assert_eq!(called.load(Relaxed), 0);
            tell.send(verdict).unwrap();
            let answer = call.poll_once().unwrap();
            assert_eq!(answer.map_or_else(|e| code_of(&e), |_| Code::Ok), code);
        }
    }

    /// A future that is polled by hand.
    struct ByHand<F>(Pin<Box<F>>);

    fn by_hand<F: Future>(future: F) -> ByHand<F> {
        ByHand(Box::pin(future))
    }

    impl<F: Future> ByHand<F> {
        fn poll_once(&mut self) -> Option<F::Output> {
            let mut cx = Context::from_waker(std::task::Waker::noop());
            match self.0.as_mut().poll(&mut cx) {
                Poll::Ready(output) => Some(output),
                Poll::Pending => None,
            }
        }
    }
}
