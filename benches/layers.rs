//! What the layers cost a call that does not pend: the bare handler, each layer alone, all of them,
//! all in a box; and what others take for the same job. Then on two threads at once.
//!
//! `cargo bench --bench layers`

#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a bench that fails has failed")]

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
    num::NonZeroU32,
    pin::pin,
    sync::{Arc, Barrier},
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use criterion::{Criterion, criterion_group, criterion_main};
use governor::{Quota, RateLimiter};
use oneport::{
    Everybody, Layers, Stack, StackConfig,
    layers::{
        InFlightConfig, InFlightLayer, MetricsLayer, RateLimitLayer, TimeoutConfig, TimeoutLayer,
        TraceLayer,
        auth::AuthLayer,
        bucket::{Bucket, Limit, Rate},
        rate_limit::{Limiter, Limits, Mode},
    },
    proto::{
        BoxError, Call, Class, Code, End, Family, Head, Local, Method, MethodInfo, Peer, Reply,
        Session,
    },
    services::grpc::{Methods, Stamp},
};
use tokio::time::Instant;
use tonic::body::Body;
use tower::{Layer, Service, ServiceBuilder, layer::util::Identity, service_fn};

/// A request that is nothing but its head.
#[derive(Debug)]
struct Ask(Head);

impl Call for Ask {
    fn head(&self) -> Option<&Head> {
        Some(&self.0)
    }

    fn head_mut(&mut self) -> Option<&mut Head> {
        Some(&mut self.0)
    }
}

#[derive(Debug)]
struct Answer;

impl Reply for Answer {
    type Tracked<E: End> = Answer;

    fn on_end<E: End>(self, end: E) -> Answer {
        end.end(Code::Ok);
        self
    }
}

fn handle(ask: Ask) -> Ready<Result<Answer, BoxError>> {
    black_box(ask);
    ready(Ok(Answer))
}

/// A connection: its calls share one clock reading, as those of a batch do.
#[derive(Clone)]
struct Caller {
    session: Arc<Session>,
    method: Method,
    at: Instant,
}

impl Caller {
    fn new(port: u16) -> Caller {
        let peer = Peer::Tcp((Ipv4Addr::new(192, 0, 2, 1), port).into());
        let method = MethodInfo::intern(Family::NetRpc, "Bench.Get", Class::Read).unwrap();
        Caller {
            session: Session::new(peer, Local::InProcess),
            method: Method::Known(method),
            at: Instant::now(),
        }
    }

    fn ask(&self) -> Ask {
        Ask(Head::new(self.method, Arc::clone(&self.session), self.at))
    }
}

/// One call from readiness to its answer.
fn call<S, R>(service: &mut S, request: R) -> bool
where
    S: Service<R>,
{
    let mut cx = Context::from_waker(Waker::noop());
    let ready = service.poll_ready(&mut cx).is_ready();
    let call = pin!(service.call(request));
    ready && matches!(call.poll(&mut cx), Poll::Ready(Ok(_)))
}

fn high() -> Limit {
    Limit {
        rate: Rate::per_second(1e9).unwrap(),
        burst: u32::MAX,
    }
}

/// Every limit is on, and high enough.
fn limits() -> Limits {
    Limits {
        rpc: high(),
        mode: Mode::Enforcing,
        read: high(),
        write: high(),
        source: high(),
        identity: high(),
    }
}

fn config() -> StackConfig {
    StackConfig {
        rates: limits(),
        ..StackConfig::default()
    }
}

fn one_by_one(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let mut group = c.benchmark_group("call");
    macro_rules! layered {
        ($name:expr, $layer:expr) => {
            group.bench_function($name, |b| {
                // A connection of its own: a session keeps the counts of the layer that was first.
                let caller = Caller::new(1);
                let mut service = Layer::layer(&$layer, service_fn(handle));
                assert!(call(&mut service, caller.ask()));
                b.iter(|| call(&mut service, caller.ask()));
            });
        };
    }
    layered!("bare", Identity::new());
    layered!("metrics", MetricsLayer::new());
    layered!("trace, no subscriber", TraceLayer::new());
    layered!("timeout", TimeoutLayer::new(TimeoutConfig::default()));
    layered!("in flight", InFlightLayer::new(InFlightConfig::default()));
    let limiter = Arc::new(Limiter::new(limits()));
    layered!(
        "rate limit, all of three",
        RateLimitLayer::new(Arc::clone(&limiter))
    );
    layered!(
        "rate limit, off",
        RateLimitLayer::new(Arc::new(Limiter::new(Limits::default())))
    );
    layered!("auth, everybody", AuthLayer::new(Everybody::new()));
    layered!(
        "rate limit, identity",
        RateLimitLayer::by_identity(Arc::clone(&limiter))
    );
    layered!(
        "all, limits off",
        Layers::new(&StackConfig::default(), Everybody::new())
    );
    layered!("all", Layers::new(&config(), Everybody::new()));
    group.bench_function("all, boxed", |b| {
        let caller = Caller::new(1);
        let layers = Layers::new(&config(), Everybody::new());
        let mut stack: Stack<Ask, Answer> = layers.stack(service_fn(handle));
        b.iter(|| call(&mut stack, caller.ask()));
    });

    // What tower has for some of it.
    layered!(
        "tower: timeout",
        tower::timeout::TimeoutLayer::new(Duration::from_secs(60))
    );
    layered!(
        "tower: concurrency limit",
        tower::limit::ConcurrencyLimitLayer::new(1024)
    );
    layered!(
        "tower: load shed over concurrency limit",
        ServiceBuilder::new().load_shed().concurrency_limit(1024)
    );
    group.finish();
}

/// The same for HTTP, where others have layers too.
fn http(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let session = Session::in_process();
    let path = "/bench.Bench/Get";
    let stamp = Stamp::new(Methods::new([(path, Class::Read)]).unwrap());
    let request = || {
        let mut request = http::Request::new(Body::empty());
        *request.uri_mut() = http::Uri::from_static("/bench.Bench/Get");
        request.extensions_mut().insert(Arc::clone(&session));
        request
    };
    let answer = |request: http::Request<Body>| {
        black_box(request);
        ready(Ok::<_, Infallible>(http::Response::new(Body::empty())))
    };
    let mut group = c.benchmark_group("http call");
    macro_rules! layered {
        ($name:expr, $layer:expr) => {
            group.bench_function($name, |b| {
                let mut service = Layer::layer(&$layer, service_fn(answer));
                assert!(call(&mut service, request()));
                b.iter(|| call(&mut service, request()));
            });
        };
    }
    layered!("bare", Identity::new());
    layered!("stamp", stamp);
    layered!(
        "stamp, timeout",
        ServiceBuilder::new()
            .layer(stamp.clone())
            .layer(TimeoutLayer::new(TimeoutConfig::default()))
    );
    layered!(
        "tower-http: timeout",
        tower_http::timeout::TimeoutLayer::with_status_code(
            http::StatusCode::GATEWAY_TIMEOUT,
            Duration::from_secs(60)
        )
    );
    layered!(
        "stamp, trace, no subscriber",
        ServiceBuilder::new()
            .layer(stamp.clone())
            .layer(TraceLayer::new())
    );
    layered!(
        "tower-http: trace, no subscriber",
        tower_http::trace::TraceLayer::new_for_grpc()
    );
    layered!(
        "stamp, all",
        ServiceBuilder::new()
            .layer(stamp.clone())
            .layer(Layers::new(&config(), Everybody::new()))
    );
    layered!(
        "tonic: interceptor",
        tonic::service::InterceptorLayer::new(|request: tonic::Request<()>| Ok(request))
    );
    group.finish();
}

/// One token bucket, and one for each address.
fn buckets(c: &mut Criterion) {
    let mut group = c.benchmark_group("bucket");
    let quota = Quota::per_second(NonZeroU32::MAX);
    let ours = Bucket::new(high());
    let now = Instant::now();
    group.bench_function("ours", |b| b.iter(|| ours.take(black_box(now)).is_ok()));
    group.bench_function("ours, with a clock reading", |b| {
        b.iter(|| ours.take(Instant::now()).is_ok());
    });
    let theirs = RateLimiter::direct(quota);
    group.bench_function("governor", |b| b.iter(|| theirs.check().is_ok()));
    let caller = Caller::new(1).ask().0;
    let limiter = Limiter::new(Limits {
        mode: Mode::Enforcing,
        source: high(),
        ..Limits::default()
    });
    group.bench_function("ours, by source", |b| {
        b.iter(|| limiter.check(black_box(&caller)).is_ok())
    });
    let theirs = RateLimiter::hashmap(quota);
    let source = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    group.bench_function("governor, by source", |b| {
        b.iter(|| theirs.check_key(black_box(&source)).is_ok());
    });
    group.finish();
}

/// The same thing on two threads at once: time for a call of each.
fn contended(c: &mut Criterion) {
    let mut group = c.benchmark_group("on 2 threads");
    macro_rules! layered {
        ($name:expr, $layer:expr) => {
            group.bench_function($name, |b| {
                let service = Layer::layer(&$layer, service_fn(handle));
                b.iter_custom(|calls| {
                    on_two(|thread| {
                        let (mut service, caller) = (service.clone(), Caller::new(thread));
                        move || {
                            for _ in 0..calls {
                                assert!(call(&mut service, caller.ask()));
                            }
                        }
                    })
                });
            });
        };
    }
    layered!("bare", Identity::new());
    layered!("metrics", MetricsLayer::new());
    layered!("in flight", InFlightLayer::new(InFlightConfig::default()));
    layered!(
        "rate limit, all of three",
        RateLimitLayer::new(Arc::new(Limiter::new(limits())))
    );
    layered!("all", Layers::new(&config(), Everybody::new()));
    layered!(
        "tower: concurrency limit",
        tower::limit::ConcurrencyLimitLayer::new(1024)
    );
    let ours = Bucket::new(high());
    group.bench_function("bucket", |b| {
        let now = Instant::now();
        b.iter_custom(|calls| {
            on_two(|_| || (0..calls).for_each(|_| assert!(ours.take(black_box(now)).is_ok())))
        });
    });
    let theirs = RateLimiter::direct(Quota::per_second(NonZeroU32::MAX));
    group.bench_function("governor", |b| {
        b.iter_custom(|calls| {
            on_two(|_| || (0..calls).for_each(|_| assert!(theirs.check().is_ok())))
        });
    });
    group.finish();
}

/// How long the slower of two threads takes that begin together.
fn on_two<W: FnOnce() + Send>(work: impl Fn(u16) -> W) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let start = Barrier::new(2);
    thread::scope(|scope| {
        let threads = [1, 2].map(|thread| {
            let (work, start, handle) = (work(thread), &start, runtime.handle());
            scope.spawn(move || {
                let _entered = handle.enter();
                start.wait();
                let began = Instant::now();
                work();
                began.elapsed()
            })
        });
        let took = threads.map(|thread| thread.join().unwrap());
        took.into_iter().fold(Duration::ZERO, Duration::max)
    })
}

criterion_group!(benches, one_by_one, http, buckets, contended);
criterion_main!(benches);
