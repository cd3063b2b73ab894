//! What a stranger's connection costs before its first request decodes.
//!
//! Whatever it sends, it takes at most 64 KiB and the bytes that it sent. Counted by the allocator of
//! this process, in which nothing but the server allocates meanwhile: the client writes what was made
//! before.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]
#![allow(unsafe_code, reason = "an allocator is an unsafe trait")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    thread,
};

use oneport_agent::{Agent, Config};

#[global_allocator]
static MEMORY: Counted = Counted {
    used: AtomicUsize::new(0),
    most: AtomicUsize::new(0),
};

/// The system's allocator, counting.
struct Counted {
    used: AtomicUsize,
    most: AtomicUsize,
}

impl Counted {
    fn took(&self, bytes: usize) {
        let used = self.used.fetch_add(bytes, Relaxed) + bytes;
        self.most.fetch_max(used, Relaxed);
    }

    fn gave(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Relaxed);
    }

    /// Forgets the peak, and tells what is used now.
    fn mark(&self) -> usize {
        let used = self.used.load(Relaxed);
        self.most.store(used, Relaxed);
        used
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
        self.gave(layout.size());
        // SAFETY: as our caller promised.
        unsafe { System.dealloc(at, layout) }
    }

    // Growing in place is one allocation that got larger, not two.
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.gave(layout.size());
        self.took(size);
        // SAFETY: as our caller promised.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// What an idle stream of a yamux session may take, in bytes, net/rpc session included: fifty of
/// them, with what the allocator adds, stay below 60 KB.
const IDLE_STREAM: usize = 896;

/// What a connection may take beyond the bytes that it sent.
const ALLOWANCE: usize = 64 * 1024;

/// One test: the counts are of the whole process.
#[test]
fn peers_take_little() {
    an_idle_stream_takes_little();
    a_stranger_takes_little_more_than_it_sends();
}

/// Streams that have had an answer and keep quiet, as those of a pool.
fn an_idle_stream_takes_little() {
    const FEW: u32 = 50;
    const MANY: u32 = 250;
    let (addr, stop, server) = start();
    let mut control = Control::new(addr);
    let mut held = |streams| {
        let before = MEMORY.mark();
        let mut conn = TcpStream::connect(addr).unwrap();
        conn.write_all(&[4]).unwrap();
        for n in 0..streams {
            let id = 2 * n + 1;
            conn.write_all(&[open(id), data(id, PING)].concat())
                .unwrap();
            conn.read_exact(&mut [0; 2 * 12 + ANSWER]).unwrap();
        }
        control.wait();
        let held = MEMORY.used.load(Relaxed).saturating_sub(before);
        drop(conn);
        control.wait();
        held
    };
    held(1);
    let (few, many) = (held(FEW), held(MANY));
    let each = (many - few) / usize::try_from(MANY - FEW).unwrap();
    println!("{each:>9} bytes of memory for an idle stream");
    assert!(each <= IDLE_STREAM);
    drop(control);
    stop.send(()).unwrap();
    server.join().unwrap();
}

fn a_stranger_takes_little_more_than_it_sends() {
    let (addr, stop, server) = start();
    let mut control = Control::new(addr);
    let attacks = attacks();
    // The first round meets tables and buffers that are made once for the whole process.
    for (_, bytes) in &attacks {
        cost(addr, bytes, &mut control);
    }
    for (name, bytes) in &attacks {
        let cost = cost(addr, bytes, &mut control);
        println!(
            "{cost:>9} bytes of memory for {:>9} sent: {name}",
            bytes.len()
        );
        assert!(cost <= ALLOWANCE + bytes.len(), "{name}");
    }
    drop(control);
    stop.send(()).unwrap();
    server.join().unwrap();
}

/// An agent in a thread of its own, on one worker, until told to stop.
fn start() -> (
    SocketAddr,
    tokio::sync::oneshot::Sender<()>,
    thread::JoinHandle<()>,
) {
    let (tell, told) = mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let server = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let config = Config {
                server_port: 0,
                ..Config::default()
            };
            let agent = Agent::bind(config).await.unwrap();
            tell.send(agent.local_addr()).unwrap();
            agent.run(async { _ = stopped.await }).await;
        });
    });
    (told.recv().unwrap(), stop, server)
}

/// A request.
const PING: &[u8] = b"\x82\xa3Seq\x01\xadServiceMethod\xabStatus.Ping\x80";
/// The bytes of its answer.
const ANSWER: usize = 40;

/// A well-behaved session. The server has one thread and serves its connections in turn, so after a
/// few answers here it has met everything that was sent elsewhere before.
struct Control(TcpStream);

impl Control {
    fn new(addr: SocketAddr) -> Control {
        let mut conn = TcpStream::connect(addr).unwrap();
        conn.write_all(&[0]).unwrap();
        Control(conn)
    }

    fn wait(&mut self) {
        for _ in 0..20 {
            self.0.write_all(PING).unwrap();
            self.0.read_exact(&mut [0; ANSWER]).unwrap();
        }
    }
}

/// The most memory that one connection took that sends these bytes.
fn cost(addr: SocketAddr, bytes: &[u8], control: &mut Control) -> usize {
    control.wait();
    let before = MEMORY.mark();
    let mut conn = TcpStream::connect(addr).unwrap();
    // A server that refuses what it read need not read the rest.
    let _refused = conn.write_all(bytes);
    control.wait();
    let cost = MEMORY.most.load(Relaxed).saturating_sub(before);
    drop(conn);
    control.wait();
    cost
}

fn attacks() -> Vec<(&'static str, Vec<u8>)> {
    let head: &[u8] = b"\x82\xa3Seq\x01\xadServiceMethod\xa9KVS.Apply";
    let body = |body: &[u8]| [&[0], head, body].concat();
    let stream = |bytes: &[u8]| [&[4], open(1).as_slice(), &data(1, bytes)].concat();
    let many = |count: u32, bytes: &[u8]| {
        let begun = (0..count).flat_map(|n| [open(2 * n + 1), data(2 * n + 1, bytes)].concat());
        [vec![4], begun.collect()].concat()
    };
    vec![
        ("nothing", vec![]),
        ("byte 0", vec![0]),
        ("byte 4", vec![4]),
        ("an unknown byte and more", vec![0xfe; 4096]),
        ("half a header", [&[0], &head[..20]].concat()),
        ("a string that claims 4 GiB", body(b"\xdb\xff\xff\xff\xff")),
        ("bytes that claim 4 GiB", body(b"\xc6\xff\xff\xff\xff")),
        (
            "a list that claims 2^32-1 elements",
            body(b"\xdd\xff\xff\xff\xff"),
        ),
        (
            "a map that claims 2^32-1 entries",
            body(b"\xdf\xff\xff\xff\xff"),
        ),
        (
            "a string that claims all it may",
            body(b"\xdb\x00\x7f\xff\x00"),
        ),
        ("a million lists in each other", body(&vec![0x91; 1 << 20])),
        (
            "half of a body of 8 MiB",
            body(&[b"\xdb\x00\x7f\xff\x00", vec![7; 4 << 20].as_slice()].concat()),
        ),
        (
            "a body of 8 MiB but one byte",
            body(&[b"\xdb\x00\x7f\xff\x00", vec![7; (8 << 20) - 257].as_slice()].concat()),
        ),
        (
            "a list of a million nils but one",
            body(
                &[
                    b"\xdd\x00\x0f\xff\xff",
                    vec![0xc0; (1 << 20) - 2].as_slice(),
                ]
                .concat(),
            ),
        ),
        (
            "a header of a string of 1 KiB",
            [&[0], b"\xda\x03\xfd".as_slice(), &[7; 1000]].concat(),
        ),
        ("a yamux stream with half a header", stream(&head[..20])),
        (
            "a yamux stream with a window of body",
            stream(&[head, b"\xdb\x00\x7f\xff\x00", &[7; 200_000]].concat()),
        ),
        (
            "a yamux frame that claims 4 GiB",
            [vec![4], open(1), frame(0, 0, 1, u32::MAX)].concat(),
        ),
        (
            "data for no stream",
            [vec![4], data(9, &[7; 100_000])].concat(),
        ),
        (
            "a hundred pings",
            [vec![4], frame(2, 1, 0, 7).repeat(100)].concat(),
        ),
        (
            "four thousand resets",
            [vec![4], frame(1, 8, 1, 0).repeat(4000)].concat(),
        ),
        (
            "256 silent streams",
            [vec![4], (0..256).flat_map(|n| open(2 * n + 1)).collect()].concat(),
        ),
        (
            "20,000 silent streams",
            [vec![4], (0..20_000).flat_map(|n| open(2 * n + 1)).collect()].concat(),
        ),
        ("256 streams of one byte", many(256, b"\x82")),
        ("4,096 streams of one byte", many(4096, b"\x82")),
        (
            "100 streams of 1,000 bytes",
            many(100, &[head, b"\xda\x10\x00", &[7; 960]].concat()),
        ),
        ("garbage in yamux", [vec![4], vec![0x5a; 5000]].concat()),
    ]
}

fn frame(kind: u8, flags: u16, stream: u32, length: u32) -> Vec<u8> {
    let mut out = vec![0, kind];
    out.extend(flags.to_be_bytes());
    out.extend(stream.to_be_bytes());
    out.extend(length.to_be_bytes());
    out
}

fn open(stream: u32) -> Vec<u8> {
    frame(1, 1, stream, 0)
}

fn data(stream: u32, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap();
    [frame(0, 0, stream, length), bytes.to_vec()].concat()
}
