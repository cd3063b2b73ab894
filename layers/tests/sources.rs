//! A million strangers do not fill the memory, and nobody who is idle is remembered.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]
#![allow(unsafe_code, reason = "an allocator is an unsafe trait")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    net::Ipv4Addr,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use oneport_layers::{
    Source,
    bucket::{Buckets, Limit, Rate},
    rate_limit::{Limiter, Limits, Mode, SOURCES},
};
use oneport_proto::{Class, Family, Head, Local, Method, MethodInfo, Peer, Session};
use tokio::time::Instant;

/// Counts what is allocated and not given back.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MADE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Relaxed);
        MADE.fetch_add(1, Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: `at` came from `alloc` above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The bound that [`SOURCES`] promises, in bytes.
const BOUND: usize = 2 * 1024 * 1024;
/// What is not the table: a set is aligned, a test has threads and names.
const SLACK: usize = 64 * 1024;

fn one_a_second() -> Limit {
    Limit {
        rate: Rate::per_second(1.0).unwrap(),
        burst: 1,
    }
}

/// One test, since the allocator counts for all of them.
#[tokio::test(start_paused = true)]
async fn a_million_sources_keep_their_bound_and_leave_nothing() {
    let read = MethodInfo::intern(Family::NetRpc, "Sources.Read", Class::Read).unwrap();
    let mut head = Head::new(Method::Known(read), Session::in_process(), Instant::now());
    let before = HELD.load(Relaxed);
    let limiter = Limiter::new(Limits {
        mode: Mode::Enforcing,
        source: one_a_second(),
        ..Limits::default()
    });
    for n in 0..1_000_000_u32 {
        let peer = Peer::Tcp((Ipv4Addr::from_bits(n), 1).into());
        head.session = Session::new(peer, Local::InProcess);
        // Nobody is refused for the strangers' number.
        limiter.check(&head).unwrap();
    }
    let held = HELD.load(Relaxed) - before;
    assert!(held <= BOUND + SLACK, "{held} bytes");
    assert!(held >= BOUND, "{held} bytes: nothing was remembered");

    // A source that is known costs no allocation, served or not.
    let made = MADE.load(Relaxed);
    let again = limiter.check(&head);
    assert!(again.is_err());
    head.at += Duration::from_secs(1);
    let made_by_refusal = MADE.load(Relaxed) - made;
    limiter.check(&head).unwrap();
    assert_eq!(MADE.load(Relaxed) - made, made_by_refusal);

    // The same table by itself tells how many it remembers.
    let buckets = Buckets::new(one_a_second(), SOURCES);
    assert_eq!(buckets.bytes(), BOUND);
    let now = Instant::now();
    for n in 0..400_000 {
        let source = Source::V4(Ipv4Addr::from_bits(n));
        buckets.take(&source, now).unwrap();
    }
    let busy = buckets.busy(now);
    assert!((SOURCES * 9 / 10..=SOURCES).contains(&busy), "{busy}");
    assert_eq!(buckets.busy(now + Duration::from_secs(1)), 0);
}
