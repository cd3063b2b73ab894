//! Every layer of ours keeps the contract, and the contract's test finds whoever does not.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use oneport_layers::{
    InFlightConfig, InFlightLayer, MetricsLayer, TimeoutConfig, TimeoutLayer, TraceLayer,
    auth::{AuthLayer, Authorize, Cached, Decision, Networks, TokenTable, Tokens, Verdict},
    bucket::{Limit, Rate},
    rate_limit::{Limiter, Limits, Mode, RateLimitLayer},
    testing::{Ping, Pong, Probe, Rule, keeps_contract, keeps_contract_with, needs_head},
};
use oneport_proto::{BoxError, Head, Identity, Refusal, Status};
use tower::{Layer, Service, layer::layer_fn, limit::ConcurrencyLimitLayer};

/// One call at a time: a place that is not given back is missed at once.
fn one_call() -> InFlightLayer {
    InFlightLayer::new(InFlightConfig {
        calls: 1,
        calls_per_connection: 1,
        ..InFlightConfig::default()
    })
}

fn timeout() -> TimeoutLayer {
    TimeoutLayer::new(TimeoutConfig {
        read: Duration::from_secs(1),
        ..TimeoutConfig::default()
    })
}

/// Limits that the test's thousand calls do not reach.
fn limiter() -> Arc<Limiter> {
    let plenty = Limit {
        rate: Rate::per_second(1.0).unwrap(),
        burst: 100_000,
    };
    Arc::new(Limiter::new(Limits {
        mode: Mode::Enforcing,
        rpc: plenty,
        read: plenty,
        write: plenty,
        source: plenty,
        identity: plenty,
    }))
}

fn tokens() -> Tokens {
    Tokens::new(TokenTable::default()).unwrap()
}

/// Lets in everybody, after a while.
struct Elsewhere;

impl Authorize for Elsewhere {
    type Future = Pin<Box<dyn Future<Output = Verdict> + Send>>;

    fn authorize(&self, _: &Head) -> Decision<Self::Future> {
        Decision::Later(Box::pin(async {
            tokio::task::yield_now().await;
            Ok(Some(Identity::new("somebody")))
        }))
    }
}

mod ours {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn metrics() {
        keeps_contract(MetricsLayer::new()).await.unwrap();
        needs_head(MetricsLayer::new()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn trace() {
        keeps_contract(TraceLayer::new()).await.unwrap();
        needs_head(TraceLayer::new()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn trace_with_a_subscriber() {
        let _guard = tracing::subscriber::set_default(tracing_subscriber::registry());
        keeps_contract(TraceLayer::new()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn timeouts() {
        keeps_contract(timeout()).await.unwrap();
        needs_head(timeout()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn in_flight() {
        let layer = one_call();
        keeps_contract(layer.clone()).await.unwrap();
        assert_eq!(layer.calls(), 0);
        needs_head(layer).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn rate_limit() {
        let layer = RateLimitLayer::new(limiter());
        keeps_contract(layer.clone()).await.unwrap();
        needs_head(layer).await.unwrap();
        let layer = RateLimitLayer::by_identity(limiter());
        keeps_contract(layer.clone()).await.unwrap();
        needs_head(layer).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn auth() {
        let layer = AuthLayer::new(Networks::default().local());
        keeps_contract(layer.clone()).await.unwrap();
        needs_head(layer).await.unwrap();
        let layer = AuthLayer::new(tokens());
        keeps_contract(layer.clone()).await.unwrap();
        needs_head(layer).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn auth_that_asks_elsewhere() {
        let layer = AuthLayer::new(Elsewhere);
        keeps_contract(layer.clone()).await.unwrap();
        needs_head(layer).await.unwrap();
        let remembered = Cached::by(Elsewhere, |head| Some(head.session.id));
        keeps_contract(AuthLayer::new(remembered)).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn all_of_them_in_a_row() {
        let stack = tower::ServiceBuilder::new()
            .layer(MetricsLayer::new())
            .layer(TraceLayer::new())
            .layer(timeout())
            .layer(RateLimitLayer::new(limiter()))
            .layer(one_call())
            .layer(AuthLayer::new(tokens()))
            .layer(RateLimitLayer::by_identity(limiter()))
            .into_inner();
        keeps_contract(stack).await.unwrap();
    }

    /// What they are in somebody else's server.
    #[tokio::test(start_paused = true)]
    async fn all_of_them_with_http() {
        let stack = tower::ServiceBuilder::new()
            .layer(MetricsLayer::new())
            .layer(TraceLayer::new())
            .layer(timeout())
            .layer(RateLimitLayer::new(limiter()))
            .layer(one_call())
            .layer(AuthLayer::new(tokens()))
            .layer(RateLimitLayer::by_identity(limiter()))
            .into_inner();
        let request = || {
            let mut request = http::Request::new(());
            request.extensions_mut().insert(Ping::new().head.unwrap());
            request
        };
        let reply = || http::Response::new(tonic::body::Body::empty());
        keeps_contract_with(stack, request, reply).await.unwrap();
    }
}

/// A layer that is broken somewhere, by two functions.
#[derive(Clone)]
struct Broke<S, P, C> {
    inner: S,
    poll: P,
    call: C,
}

type Answer = Pin<Box<dyn Future<Output = Result<Pong, BoxError>> + Send>>;

impl<S, P, C> Service<Ping> for Broke<S, P, C>
where
    P: FnMut(&mut S, &mut Context<'_>) -> Poll<Result<(), BoxError>>,
    C: FnMut(&mut S, Ping) -> Answer,
{
    type Response = Pong;
    type Error = BoxError;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        (self.poll)(&mut self.inner, cx)
    }

    fn call(&mut self, request: Ping) -> Answer {
        (self.call)(&mut self.inner, request)
    }
}

type Inner = Probe<Pong>;

/// What a layer with these functions breaks.
async fn breaks<P, C>(poll: P, call: C) -> Rule
where
    P: FnMut(&mut Inner, &mut Context<'_>) -> Poll<Result<(), BoxError>> + Clone,
    C: FnMut(&mut Inner, Ping) -> Answer + Clone,
{
    let layer = layer_fn(|inner: Inner| Broke {
        inner,
        poll: poll.clone(),
        call: call.clone(),
    });
    broken_rule(layer).await
}

async fn broken_rule<L>(layer: L) -> Rule
where
    L: Layer<Inner>,
    L::Service: Service<Ping, Error: Into<BoxError>> + Clone,
{
    let broken = keeps_contract(layer).await.unwrap_err();
    println!("{broken}");
    broken.rule
}

fn asks(inner: &mut Inner, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
    Service::<Ping>::poll_ready(inner, cx)
}

fn passes(inner: &mut Inner, request: Ping) -> Answer {
    Box::pin(inner.call(request))
}

fn refuses() -> BoxError {
    Status::from(Refusal::InFlight).into()
}

#[tokio::test(start_paused = true)]
async fn what_does_nothing_keeps_it() {
    let nothing = layer_fn(|inner: Inner| Broke {
        inner,
        poll: asks,
        call: passes,
    });
    keeps_contract(nothing).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_refuses_everybody_cannot_be_tested() {
    let call = |_: &mut Inner, _| -> Answer { Box::pin(async { Err(refuses()) }) };
    assert_eq!(breaks(asks, call).await, Rule::Admits);
}

#[tokio::test(start_paused = true)]
async fn who_calls_a_clone_is_found() {
    let call = |inner: &mut Inner, request| -> Answer { Box::pin(inner.clone().call(request)) };
    assert_eq!(breaks(asks, call).await, Rule::CallsReady);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_ask_is_found() {
    let poll = |_: &mut Inner, _: &mut Context<'_>| Poll::Ready(Ok(()));
    assert_eq!(breaks(poll, passes).await, Rule::CallsReady);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_capacity_is_found() {
    assert_eq!(
        broken_rule(ConcurrencyLimitLayer::new(1)).await,
        Rule::NeverPends
    );
}

#[tokio::test(start_paused = true)]
async fn who_fails_when_full_is_found() {
    let running = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&running);
    let poll = move |inner: &mut Inner, cx: &mut Context<'_>| {
        if running.load(SeqCst) > 0 {
            return Poll::Ready(Err(refuses()));
        }
        asks(inner, cx)
    };
    let call = move |inner: &mut Inner, request| -> Answer {
        struct Less(Arc<AtomicUsize>);
        impl Drop for Less {
            fn drop(&mut self) {
                self.0.fetch_sub(1, SeqCst);
            }
        }
        count.fetch_add(1, SeqCst);
        let less = Less(Arc::clone(&count));
        let call = inner.call(request);
        Box::pin(async move {
            let _less = less;
            call.await
        })
    };
    assert_eq!(breaks(poll, call).await, Rule::NeverErrs);
}

#[tokio::test(start_paused = true)]
async fn who_hides_that_the_inner_service_is_dead_is_found() {
    let poll = |inner: &mut Inner, cx: &mut Context<'_>| match asks(inner, cx) {
        Poll::Ready(Err(_)) => Poll::Pending,
        other => other,
    };
    assert_eq!(breaks(poll, passes).await, Rule::PassesReadiness);
}

#[tokio::test(start_paused = true)]
async fn who_copies_readiness_is_found() {
    let poll = {
        let mut ready = false;
        move |inner: &mut Inner, cx: &mut Context<'_>| {
            // Remembered for good, and cloned with everything else.
            if !ready {
                std::task::ready!(asks(inner, cx))?;
                ready = true;
            }
            Poll::Ready(Ok(()))
        }
    };
    // As a layer of a single flag it is found at the second call already; one that resets it is
    // found by its clone.
    assert_eq!(breaks(poll, passes).await, Rule::CallsReady);
    assert_eq!(
        broken_rule(layer_fn(|inner| Remembers {
            inner,
            ready: false
        }))
        .await,
        Rule::CloneStartsUnready
    );
}

#[derive(Clone)]
struct Remembers {
    inner: Inner,
    ready: bool,
}

impl Service<Ping> for Remembers {
    type Response = Pong;
    type Error = BoxError;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if !self.ready {
            std::task::ready!(asks(&mut self.inner, cx))?;
            self.ready = true;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Ping) -> Answer {
        self.ready = false;
        passes(&mut self.inner, request)
    }
}

#[tokio::test(start_paused = true)]
async fn who_loses_a_wake_up_is_found() {
    let call = |inner: &mut Inner, request| -> Answer {
        let mut call = Box::pin(inner.call(request));
        Box::pin(std::future::poll_fn(move |_| {
            call.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        }))
    };
    assert_eq!(breaks(asks, call).await, Rule::WakesUp);
    let poll = |inner: &mut Inner, _: &mut Context<'_>| {
        asks(inner, &mut Context::from_waker(Waker::noop()))
    };
    assert_eq!(breaks(poll, passes).await, Rule::WakesUp);
    let hangs = |inner: &mut Inner, request| -> Answer {
        drop(inner.call(request));
        Box::pin(std::future::pending())
    };
    assert_eq!(breaks(asks, hangs).await, Rule::WakesUp);
}

#[tokio::test(start_paused = true)]
async fn who_changes_an_error_is_found() {
    let call = |inner: &mut Inner, request| -> Answer {
        let call = inner.call(request);
        Box::pin(async { call.await.map_err(|error| error.to_string().into()) })
    };
    assert_eq!(breaks(asks, call).await, Rule::PassesErrors);
}

#[tokio::test(start_paused = true)]
async fn who_loses_a_place_is_found() {
    let free = Arc::new(AtomicUsize::new(1));
    let call = move |inner: &mut Inner, request| -> Answer {
        if free.load(SeqCst) == 0 {
            return Box::pin(async { Err(refuses()) });
        }
        free.fetch_sub(1, SeqCst);
        let free = Arc::clone(&free);
        let call = inner.call(request);
        Box::pin(async move {
            let answer = call.await;
            // Not if the call is dropped before.
            free.fetch_add(1, SeqCst);
            answer
        })
    };
    assert_eq!(breaks(asks, call).await, Rule::DropsWhole);
}

#[tokio::test(start_paused = true)]
async fn who_lets_a_dropped_call_run_is_found() {
    let call = |inner: &mut Inner, request| -> Answer {
        let call = tokio::spawn(inner.call(request));
        Box::pin(async { call.await? })
    };
    assert!(matches!(
        breaks(asks, call).await,
        Rule::DropsWhole | Rule::WakesUp
    ));
}

#[tokio::test(start_paused = true)]
async fn who_keeps_a_call_for_ever_is_found() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let call = move |inner: &mut Inner, request| -> Answer {
        kept.lock().unwrap().push(inner.clone());
        passes(inner, request)
    };
    assert_eq!(breaks(asks, call).await, Rule::DropsWhole);
}

#[tokio::test(start_paused = true)]
async fn who_is_poisoned_by_a_panic_is_found() {
    let count = Arc::new(Mutex::new(0));
    let call = move |inner: &mut Inner, request| -> Answer {
        let mut count = count.lock().unwrap();
        *count += 1;
        passes(inner, request)
    };
    assert_eq!(breaks(asks, call).await, Rule::SurvivesPanics);
}

#[tokio::test(start_paused = true)]
async fn who_serves_without_a_head_is_found() {
    let broken = needs_head(layer_fn(|inner: Inner| inner))
        .await
        .unwrap_err();
    assert_eq!(broken.rule, Rule::NeedsHead);
}
