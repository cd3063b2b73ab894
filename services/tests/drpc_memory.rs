//! What dRPC costs in memory: an idle session, and a call.
//!
//! Counted by the allocator of this process, in the one test that there is.
#![cfg(all(feature = "drpc", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(unsafe_code, reason = "an allocator is an unsafe trait")]

mod drpc_support;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use bytes::Bytes;
use drpc_support::*;
use oneport_services::drpc::{Client, MAX_PACKET};

#[global_allocator]
static MEMORY: Counted = Counted {
    held: AtomicUsize::new(0),
    large: AtomicUsize::new(0),
};

/// The system's allocator, counting the bytes that are held and how often as much as half a packet
/// was asked for.
struct Counted {
    held: AtomicUsize,
    large: AtomicUsize,
}

impl Counted {
    fn took(&self, size: usize) {
        self.held.fetch_add(size, Relaxed);
        self.large
            .fetch_add(usize::from(size >= MAX_PACKET / 2), Relaxed);
    }
}

// SAFETY: every call is the system allocator's, as it came.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.took(layout.size());
        // SAFETY: as our caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        self.held.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as our caller promised.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.held.fetch_sub(layout.size(), Relaxed);
        self.took(size);
        // SAFETY: as our caller promised.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// How many bytes an idle session may cost.
const IDLE: usize = 8 * 1024;
const SESSIONS: usize = 100;

#[tokio::test]
async fn idle_sessions_are_small_and_calls_take_no_packets() {
    let server = serve().await;
    let client = Client::builder(&server.path).build();
    client.connect().await.unwrap();
    let body = Bytes::from(vec![7; 4096]);
    let call = async |client: &Client| {
        let reply = client.call_raw(TEST, ECHO, body.clone()).await.unwrap();
        assert_eq!(reply.body, body);
    };
    call(&client).await;

    let before = MEMORY.large.load(Relaxed);
    for _ in 0..1000 {
        call(&client).await;
    }
    assert_eq!(MEMORY.large.load(Relaxed), before);

    // Both ends of each are here, and each has had a call of more than one packet.
    let before = MEMORY.held.load(Relaxed);
    let mut clients = Vec::with_capacity(SESSIONS);
    for _ in 0..SESSIONS {
        let client = Client::builder(&server.path).build();
        client.connect().await.unwrap();
        let large = client.call_raw(TEST, ECHO, vec![7; 2 * MAX_PACKET]).await;
        drop(large.unwrap());
        clients.push(client);
    }
    // The last session gives its buffer back when it waits for its next call.
    call(&client).await;
    let each = (MEMORY.held.load(Relaxed) - before) / SESSIONS;
    println!("{each} bytes for both ends of an idle connection");
    assert!(each < IDLE, "{each} bytes");
}
