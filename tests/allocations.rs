//! What all layers cost a call in memory: no allocation, one box when they are boxed, and little
//! room in the future, which is moved from layer to layer with it.
//!
//! Counted by the allocator of this process, in the one test that there is.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]
#![allow(unsafe_code, reason = "an allocator is an unsafe trait")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    future::{Ready, ready},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};

use oneport::{
    Everybody, Layers, Stack, StackConfig,
    layers::{
        bucket::{Limit, Rate},
        rate_limit::Mode,
    },
    proto::{
        BoxError, Call, Class, Code, End, Family, Head, Local, Method, MethodInfo, Peer, Reply,
        Session,
    },
};
use tokio::time::Instant;
use tower::{Layer, Service, service_fn};

#[global_allocator]
static MEMORY: Counted = Counted(AtomicUsize::new(0));

/// The system's allocator, counting how often it is asked.
struct Counted(AtomicUsize);

// SAFETY: every call is the system allocator's, as it came.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.fetch_add(1, Relaxed);
        // SAFETY: as our caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as our caller promised.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.0.fetch_add(1, Relaxed);
        // SAFETY: as our caller promised.
        unsafe { System.realloc(at, layout, size) }
    }
}

struct Ask(Head);

impl Call for Ask {
    fn head(&self) -> Option<&Head> {
        Some(&self.0)
    }

    fn head_mut(&mut self) -> Option<&mut Head> {
        Some(&mut self.0)
    }
}

struct Answer;

impl Reply for Answer {
    type Tracked<E: End> = Answer;

    fn on_end<E: End>(self, end: E) -> Answer {
        end.end(Code::Ok);
        self
    }
}

/// Every limit is on, and high enough.
fn config() -> StackConfig {
    let high = Limit::per_second(Rate::per_second(1e6).unwrap());
    let mut config = StackConfig::default();
    config.rates.mode = Mode::Enforcing;
    config.rates.rpc = high;
    config.rates.read = high;
    config.rates.source = high;
    config.rates.identity = high;
    config
}

/// How many allocations one call is, after it was made before.
fn allocations<S>(mut service: S, session: &Arc<Session>, method: &'static MethodInfo) -> usize
where
    S: Service<Ask, Response = Answer, Error = BoxError>,
{
    let mut cx = Context::from_waker(Waker::noop());
    let mut call = || {
        assert!(service.poll_ready(&mut cx).is_ready());
        let head = Head::new(Method::Known(method), Arc::clone(session), Instant::now());
        let call = pin!(service.call(Ask(head)));
        let Poll::Ready(answer) = call.poll(&mut cx) else {
            panic!("the call pends");
        };
        answer.map(|Answer| ()).unwrap();
    };
    for _ in 0..10 {
        call();
    }
    let before = MEMORY.0.load(Relaxed);
    for _ in 0..100 {
        call();
    }
    let all = MEMORY.0.load(Relaxed) - before;
    assert_eq!(all % 100, 0, "{all} for 100 calls");
    all / 100
}

/// How large the future of a call is.
fn size<S>(mut service: S, session: &Arc<Session>, method: &'static MethodInfo) -> usize
where
    S: Service<Ask, Response = Answer, Error = BoxError>,
{
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready());
    let head = Head::new(Method::Known(method), Arc::clone(session), Instant::now());
    size_of_val(&service.call(Ask(head)))
}

fn handle(_: Ask) -> Ready<Result<Answer, BoxError>> {
    ready(Ok(Answer))
}

#[test]
fn a_call_that_does_not_pend_costs_no_allocation_and_one_box() {
    let peer = Peer::Tcp("192.0.2.1:1".parse().unwrap());
    let session = Session::new(peer, Local::InProcess);
    let method = MethodInfo::intern(Family::NetRpc, "Memory.Get", Class::Read).unwrap();
    let layers = Layers::new(&config(), Everybody::new());
    let bare = allocations(service_fn(handle), &session, method);
    let layered = allocations(layers.layer(service_fn(handle)), &session, method);
    let stack: Stack<Ask, Answer> = layers.stack(service_fn(handle));
    let boxed = allocations(stack, &session, method);
    println!("allocations of a call: bare {bare}, behind all layers {layered}, boxed {boxed}");
    assert_eq!((bare, layered, boxed), (0, 0, 1));

    let bare = size(service_fn(handle), &session, method);
    let layered = size(layers.layer(service_fn(handle)), &session, method);
    println!("bytes of its future: bare {bare}, behind all layers {layered}");
    assert!(layered - bare <= 96, "{layered} - {bare}");
}
