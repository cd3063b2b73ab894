//! Every row of `docs/deviations.md`, shown.
//!
//! The table is the list of places where we differ from Consul on purpose. Each row has a probe here
//! that sees the difference; a row without a probe fails, and so does a probe without a row.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::{
    collections::BTreeSet,
    future::Future,
    io::{Read, Write},
    pin::Pin,
    time::Duration,
};

use bytes::BytesMut;
use oneport::{
    CONN_BURST, ListenConfig, MAX_CONNS, MAX_CONNS_PER_SOURCE, Sniff,
    proto::{
        BoxError, Class, Head, Session,
        structs::{
            DirEntry, IndexedDirEntries, IndexedKeyList, KVSRequest, KeyListRequest, KeyRequest,
        },
    },
    services::{Conn, Drainer, msgpack, netrpc},
};
use oneport_agent::{Agent, CallStack, Config};
use serde::Serialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tonic::Status;
use tower::{Service, ServiceExt};

#[path = "harness/queue.rs"]
#[allow(dead_code, reason = "drains are another test's")]
mod queue;
#[path = "support/tell.rs"]
mod tell;

type Probe = fn() -> Pin<Box<dyn Future<Output = ()>>>;

macro_rules! probes {
    ($($id:literal => $probe:ident),* $(,)?) => {
        &[$(($id, || Box::pin($probe()))),*]
    };
}

const PROBES: &[(&str, Probe)] = probes! {
    "D1" => an_empty_stream_ends_alone,
    "D2" => a_silent_stream_delays_nobody,
    "D3" => stream_zero_is_refused,
    "D4" => a_large_body_is_refused_by_name,
    "D5" => a_deep_or_rich_body_is_refused_by_name,
    "D6" => silence_is_closed,
    "D7" => a_crawling_request_is_given_up,
    "D8" => a_long_header_is_not_answered,
    "D9" => a_panic_is_answered,
    "D10" => unbuilt_protocols_are_closed,
    "D11" => an_ipv6_network_is_one_source,
    "D12" => there_are_bounds_on_all_connections,
    "D13" => a_broken_session_says_go_away,
    "D14" => a_flood_ends_the_session,
    "D15" => streams_have_a_limit,
    "D16" => a_half_closed_stream_is_acknowledged,
    "D17" => a_reset_request_ends_alone,
    "D18" => a_negative_length_is_an_error,
    "D19" => long_replies_are_one_frame,
    "D20" => blocking_queries_have_a_limit,
    "D21" => other_services_are_unknown,
    "D22" => no_session_is_known,
    "D23" => an_old_tombstone_hides_no_deletion,
    "D24" => an_empty_list_sleeps_on,
    "D25" => a_query_ends_with_its_caller,
    "D26" => a_stranger_has_few_streams,
    "D27" => a_reset_call_is_dropped,
    "D28" => credit_does_not_wrap,
    "D29" => a_fin_is_an_end,
    "D30" => the_last_struct_counts,
    "D31" => answers_have_to_be_taken,
    "D32" => a_body_is_read_when_it_is_whole,
    "D33" => an_odd_operation_is_told_in_unicode,
    "D34" => a_key_shorter_than_its_prefix_is_listed,
    "D35" => an_answer_is_not_reset,
};

#[tokio::test(start_paused = true)]
async fn every_row_is_shown() {
    let table = include_str!("../docs/deviations.md");
    let rows: BTreeSet<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| D"))
        .filter_map(|line| line.split(" |").next())
        .collect();
    let probes: BTreeSet<&str> = PROBES.iter().map(|(id, _)| &id[1..]).collect();
    assert_eq!(rows, probes, "rows of the table, and probes of this file");
    for (id, probe) in PROBES {
        println!("{id}");
        probe().await;
    }
    tell::tell(&format!(
        "deviations: {} rows, all of them shown",
        rows.len()
    ));
}

/// A connection to an agent of its own.
struct Peer {
    far: DuplexStream,
    serving: JoinSet<Result<(), BoxError>>,
    _drainer: Drainer,
}

impl Peer {
    async fn new() -> Peer {
        Peer::of(Config::default()).await
    }

    async fn of(config: Config) -> Peer {
        let config = Config {
            server_port: 0,
            ..config
        };
        let agent = Agent::bind(config).await.unwrap();
        let (near, far) = duplex(1 << 20);
        let drainer = Drainer::new();
        let conn = Conn::stream(Session::in_process(), drainer.handle(), near);
        let mut sniff = Sniff::new(agent.port().clone());
        let mut serving = JoinSet::new();
        serving.spawn(async move { sniff.ready().await?.call(conn).await });
        Peer {
            far,
            serving,
            _drainer: drainer,
        }
    }

    /// A plain net/rpc session that has said these bytes.
    async fn plain(bytes: &[u8]) -> Peer {
        let mut peer = Peer::new().await;
        peer.send(&[&[0], bytes].concat()).await;
        peer
    }

    /// A yamux session that has sent these bytes.
    async fn yamux(bytes: &[u8]) -> Peer {
        let mut peer = Peer::new().await;
        peer.send(&[&[4], bytes].concat()).await;
        peer
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.far.write_all(bytes).await.unwrap();
    }

    /// All that comes until the server closes.
    async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.far.read_to_end(&mut rest).await.unwrap();
        rest
    }

    /// The next frame: kind, flags, stream, length and payload.
    async fn frame(&mut self) -> (u8, u16, u32, u32, Vec<u8>) {
        let mut head = [0; 12];
        self.far.read_exact(&mut head).await.unwrap();
        let four = |at| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let flags = u16::from_be_bytes([head[2], head[3]]);
        let (stream, length) = (four(4), four(8));
        let mut payload = vec![0; if head[1] == DATA { length as usize } else { 0 }];
        self.far.read_exact(&mut payload).await.unwrap();
        (head[1], flags, stream, length, payload)
    }

    /// Passes over frames until one of this kind, flags and stream.
    async fn until(&mut self, kind: u8, flags: u16, stream: u32) -> (u32, Vec<u8>) {
        loop {
            let frame = self.frame().await;
            if (frame.0, frame.1, frame.2) == (kind, flags, stream) {
                return (frame.3, frame.4);
            }
            let is_ping = frame.0 == PING && frame.1 == SYN;
            if is_ping {
                self.send(&head(PING, ACK, 0, frame.3)).await;
            }
        }
    }

    /// Whether a ping over this stream is answered.
    async fn is_served(&mut self, stream: u32) {
        let ping = request("Status.Ping", &[0x80]);
        self.send(&[open(stream), data(stream, &ping)].concat())
            .await;
        let (_, reply) = self.until(DATA, 0, stream).await;
        assert_eq!(error_of(&reply), "");
    }
}

const DATA: u8 = 0;
const WINDOW: u8 = 1;
const PING: u8 = 2;
const GO_AWAY: u8 = 3;
const SYN: u16 = 1;
const ACK: u16 = 2;
const FIN: u16 = 4;
const RST: u16 = 8;

fn head(kind: u8, flags: u16, stream: u32, length: u32) -> Vec<u8> {
    let mut out = vec![0, kind];
    out.extend(flags.to_be_bytes());
    out.extend(stream.to_be_bytes());
    out.extend(length.to_be_bytes());
    out
}

fn open(stream: u32) -> Vec<u8> {
    head(WINDOW, SYN, stream, 0)
}

fn data(stream: u32, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap();
    [&head(DATA, 0, stream, length), bytes].concat()
}

fn pack<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut out = BytesMut::new();
    msgpack::encode(value, &mut out).unwrap();
    out.to_vec()
}

fn request(method: &str, body: &[u8]) -> Vec<u8> {
    [
        b"\x82\xa3Seq\x01\xadServiceMethod".as_slice(),
        &pack(method),
        body,
    ]
    .concat()
}

/// The error text of a reply.
fn error_of(reply: &[u8]) -> String {
    let error = reply.strip_prefix(b"\x83\xa5Error".as_slice()).unwrap();
    msgpack::Decoder::new(error).decode().unwrap()
}

/// What a plain session answers to one request.
async fn answer(method: &str, body: &[u8]) -> String {
    let mut peer = Peer::plain(&request(method, body)).await;
    peer.far.shutdown().await.unwrap();
    error_of(&peer.rest().await)
}

async fn an_empty_stream_ends_alone() {
    let empty = [
        open(1),
        head(WINDOW, FIN, 1, 0),
        open(3),
        head(WINDOW, RST, 3, 0),
    ];
    let mut peer = Peer::yamux(&empty.concat()).await;
    peer.is_served(5).await;
}

async fn a_silent_stream_delays_nobody() {
    let opened = Instant::now();
    let mut peer = Peer::yamux(&open(1)).await;
    peer.is_served(3).await;
    peer.until(WINDOW, RST, 1).await;
    assert_eq!(opened.elapsed().as_secs(), 30);
}

async fn stream_zero_is_refused() {
    let mut peer = Peer::yamux(&head(DATA, SYN, 0, 1)).await;
    assert_eq!(peer.rest().await, head(GO_AWAY, 0, 0, 1));
}

async fn a_large_body_is_refused_by_name() {
    let claims = b"\xdb\x00\x80\x00\x00";
    let size = (8 << 20) + claims.len();
    let text = format!("request body of {size} bytes exceeds 8388608");
    assert_eq!(answer("KVS.Apply", claims).await, text);
}

async fn a_deep_or_rich_body_is_refused_by_name() {
    let text = answer("KVS.Get", &[0x91; 33]).await;
    assert_eq!(text, "request body nested 33 deep exceeds 32");
    let text = answer("KVS.Get", b"\xdd\x00\x10\x00\x01").await;
    assert_eq!(text, "request body of 1048577 elements exceeds 1048576");
}

/// How many seconds a connection lives that says these parts, each at its second.
async fn lives(parts: &[(u64, &[u8])]) -> u64 {
    let opened = Instant::now();
    let mut peer = Peer::new().await;
    for (at, part) in parts {
        sleep_until(opened + Duration::from_secs(*at)).await;
        peer.send(part).await;
    }
    peer.rest().await;
    opened.elapsed().as_secs()
}

async fn silence_is_closed() {
    assert_eq!(lives(&[(0, &[0])]).await, 10);
    assert_eq!(lives(&[(0, &[4])]).await, 10);
}

async fn a_crawling_request_is_given_up() {
    assert_eq!(lives(&[(0, &[0, 0x82])]).await, 10);
    let begun = [&[0], request("KVS.Get", b"\xda\x40\x00").as_slice()].concat();
    assert_eq!(lives(&[(0, &begun)]).await, 10);
    let quick = vec![b'x'; 1 << 20];
    let begun = [&[0], request("KVS.Get", b"\xdb\x00\x20\x00\x00").as_slice()].concat();
    assert_eq!(lives(&[(0, &begun), (5, &quick)]).await, 35);
}

async fn a_long_header_is_not_answered() {
    for (name, answered) in [(512, true), (513, false)] {
        let ping = request(&"n".repeat(name), &[0x80]);
        let mut peer = Peer::plain(&ping).await;
        assert_eq!(!peer.rest().await.is_empty(), answered, "{name} bytes");
    }
    let mut peer = Peer::plain(b"\x83\xa1x\xda\x04\x00").await;
    assert!(peer.rest().await.is_empty());
}

async fn a_panic_is_answered() {
    async fn panics((): (), _: Head, (): ()) -> Result<(), Status> {
        panic!("on purpose")
    }
    let router = netrpc::Router::builder(())
        .method("Lab.Panics", Class::Read, panics)
        .build()
        .unwrap();
    let mut server = netrpc::Server::new(router.methods(), router);
    let (near, mut far) = duplex(1 << 16);
    let drainer = Drainer::new();
    let conn = Conn::stream(Session::in_process(), drainer.handle(), near);
    let serving = server.call(conn);
    far.write_all(&request("Lab.Panics", &[0x80]))
        .await
        .unwrap();
    serving.await.unwrap();
    let mut reply = Vec::new();
    far.read_to_end(&mut reply).await.unwrap();
    assert_eq!(error_of(&reply), "rpc: the handler panicked");
}

async fn unbuilt_protocols_are_closed() {
    for byte in [1, 3, 5, 7, 8] {
        let mut peer = Peer::new().await;
        peer.send(&[byte]).await;
        assert!(peer.rest().await.is_empty(), "byte {byte}");
    }
}

/// A protocol that holds its connections.
fn holder() -> impl oneport::services::Protocol {
    tower::service_fn(|mut conn: Conn| async move {
        conn.write_all(b"in").await?;
        conn.chunk().await?;
        Ok::<_, BoxError>(())
    })
}

/// How many of these peers are let in.
async fn let_in(config: ListenConfig, peers: impl Iterator<Item = String>) -> usize {
    let server = queue::Server::start(config, holder());
    let mut held = Vec::new();
    for peer in peers {
        let mut conn = server.connect(&peer);
        let mut said = [0; 2];
        if conn.read(&mut said).await.unwrap() > 0 {
            held.push(conn);
        }
    }
    held.len()
}

async fn an_ipv6_network_is_one_source() {
    let peers = (1..=200).map(|host| format!("[2001:db8::{host:x}]:1"));
    assert_eq!(
        let_in(ListenConfig::default(), peers).await,
        MAX_CONNS_PER_SOURCE
    );
}

async fn there_are_bounds_on_all_connections() {
    let peers = (0..5000).map(|host| format!("10.0.{}.{}:1", host / 250, host % 250));
    assert_eq!(let_in(ListenConfig::default(), peers).await, MAX_CONNS);
    let config = ListenConfig {
        max_conns_per_source: 0,
        ..ListenConfig::default()
    };
    let peers = (0..500).map(|port| format!("10.0.0.1:{}", port + 1));
    let burst = usize::try_from(CONN_BURST).unwrap();
    assert_eq!(let_in(config, peers).await, burst);
}

async fn a_broken_session_says_go_away() {
    for broken in [
        b"\x01\x00\0\0\0\0\0\x01\0\0\0\0".as_slice(),
        b"\x00\x04\0\0\0\0\0\x01\0\0\0\0",
    ] {
        let mut peer = Peer::yamux(broken).await;
        assert_eq!(peer.rest().await, head(GO_AWAY, 0, 0, 1));
    }
}

async fn a_flood_ends_the_session() {
    let empty = head(DATA, 0, 1, 0);
    for flood in [
        head(PING, SYN, 0, 7).repeat(200),
        [open(1), empty.repeat(2100)].concat(),
        data(9, b"x").repeat(2100),
    ] {
        let mut peer = Peer::yamux(&flood).await;
        let all = peer.rest().await;
        assert!(all.ends_with(&head(GO_AWAY, 0, 0, 1)));
    }
}

async fn streams_have_a_limit() {
    let mut peer = Peer::yamux(&[]).await;
    // Known as a client, and one of them.
    peer.is_served(1).await;
    for number in 1..=4096 {
        let id = 2 * number + 1;
        peer.send(&[open(id), data(id, b"\x82")].concat()).await;
        let last = if number < 4096 { ACK } else { RST };
        peer.until(WINDOW, last, id).await;
    }
}

async fn a_half_closed_stream_is_acknowledged() {
    let ping = request("Status.Ping", &[0x80]);
    let sent = [open(1), data(1, &ping), head(WINDOW, FIN, 1, 0)].concat();
    let mut peer = Peer::yamux(&sent).await;
    let frame = peer.frame().await;
    assert_eq!((frame.0, frame.1), (WINDOW, ACK));
    peer.until(DATA, 0, 1).await;
    peer.until(WINDOW, FIN, 1).await;
}

async fn a_reset_request_ends_alone() {
    let ping = request("Status.Ping", &[0x80]);
    let sent = [open(1), data(1, &ping), head(WINDOW, RST, 1, 0)].concat();
    let mut peer = Peer::yamux(&sent).await;
    peer.is_served(3).await;
}

async fn a_negative_length_is_an_error() {
    // e3 is -29; masked like a fixstr it would be a length of 3.
    let text = answer("KVS.Get", b"\x81\xa3Key\xe3").await;
    assert!(text.starts_with("codec.decoder: "), "{text}");
}

/// Requests that store a value of so many bytes, and read it.
fn set_and_get(size: usize) -> (Vec<u8>, Vec<u8>) {
    let set = KVSRequest {
        op: "set".into(),
        dir_ent: DirEntry {
            key: "long".into(),
            value: Some(vec![7; size].into()),
            ..DirEntry::default()
        },
        ..KVSRequest::default()
    };
    let get = KeyRequest {
        key: "long".into(),
        ..KeyRequest::default()
    };
    (
        request("KVS.Apply", &pack(&set)),
        request("KVS.Get", &pack(&get)),
    )
}

async fn long_replies_are_one_frame() {
    let (set, get) = set_and_get(20_000);
    let mut peer = Peer::yamux(&[open(1), data(1, &set)].concat()).await;
    peer.until(DATA, 0, 1).await;
    peer.send(&data(1, &get)).await;
    let (length, _) = peer.until(DATA, 0, 1).await;
    assert!(length > 20_000);
}

/// An agent with room for so many blocking queries.
fn room_for(queries: usize) -> Config {
    let mut config = Config::default();
    config.queries.max_blocking = queries;
    config
}

async fn blocking_queries_have_a_limit() {
    assert_eq!(Config::default().queries.max_blocking, 8192);
    let mut peer = Peer::of(room_for(0)).await;
    let asked = Instant::now();
    peer.send(&[&[0], endless().as_slice()].concat()).await;
    peer.far.shutdown().await.unwrap();
    assert_eq!(error_of(&peer.rest().await), "");
    assert_eq!(asked.elapsed(), Duration::ZERO);
}

async fn other_services_are_unknown() {
    let text = answer("Session.Apply", &[0x80]).await;
    assert_eq!(text, "rpc: can't find service Session.Apply");
}

async fn no_session_is_known() {
    let lock = KVSRequest {
        op: "lock".into(),
        dir_ent: DirEntry {
            key: "k".into(),
            session: "d5a8d9b4-0000-4000-8000-000000000001".into(),
            ..DirEntry::default()
        },
        ..KVSRequest::default()
    };
    let text = answer("KVS.Apply", &pack(&lock)).await;
    let id = "d5a8d9b4-0000-4000-8000-000000000001";
    assert_eq!(text, format!("raft apply failed: invalid session \"{id}\""));
}

/// A client of an agent's methods, in place.
async fn in_place() -> netrpc::Client<CallStack> {
    let config = Config {
        server_port: 0,
        ..Config::default()
    };
    let agent = Agent::bind(config).await.unwrap();
    netrpc::Client::new(agent.stack().clone())
}

async fn apply(client: &mut netrpc::Client<CallStack>, op: &str, key: &str) {
    let mut change = KVSRequest {
        op: op.into(),
        ..KVSRequest::default()
    };
    change.dir_ent.key = key.into();
    client.call::<_, bool>("KVS.Apply", &change).await.unwrap();
}

/// The index of a list, and how long a query for a higher one than `above` lasts.
async fn list(client: &mut netrpc::Client<CallStack>, prefix: &str, above: u64) -> (u64, Duration) {
    let mut query = KeyRequest {
        key: prefix.into(),
        ..KeyRequest::default()
    };
    query.query.min_query_index = above;
    query.query.max_query_time = Duration::from_secs(10).into();
    let asked = Instant::now();
    let reply: IndexedDirEntries = client.call("KVS.List", &query).await.unwrap();
    (reply.meta.index, asked.elapsed())
}

async fn an_old_tombstone_hides_no_deletion() {
    let mut client = in_place().await;
    apply(&mut client, "set", "a/b/c").await;
    apply(&mut client, "delete", "a/b/c").await;
    apply(&mut client, "set", "a/b/d").await;
    let (before, _) = list(&mut client, "a/b/", 0).await;
    let mut writer = client.clone();
    let (woken, ()) = tokio::join!(
        list(&mut client, "a/b/", before),
        apply(&mut writer, "delete-tree", "a/"),
    );
    assert_eq!(woken, (before + 1, Duration::ZERO));
}

async fn an_empty_list_sleeps_on() {
    let mut client = in_place().await;
    apply(&mut client, "set", "a").await;
    let (before, _) = list(&mut client, "none/", 0).await;
    let mut writer = client.clone();
    let ((_, lasted), ()) = tokio::join!(
        list(&mut client, "none/", before),
        apply(&mut writer, "set", "b"),
    );
    assert!(lasted >= Duration::from_secs(10), "{lasted:?}");
}

/// A query that waits for what does not come.
fn endless() -> Vec<u8> {
    let mut query = KeyRequest {
        key: "k".into(),
        ..KeyRequest::default()
    };
    query.query.min_query_index = 1_000_000;
    request("KVS.Get", &pack(&query))
}

async fn a_query_ends_with_its_caller() {
    let mut peer = Peer::plain(&endless()).await;
    let asked = Instant::now();
    peer.far.shutdown().await.unwrap();
    assert!(peer.rest().await.is_empty());
    assert_eq!(asked.elapsed(), Duration::ZERO);
}

async fn a_stranger_has_few_streams() {
    const FEW: u32 = 11;
    let opened = (0..100)
        .flat_map(|number| open(2 * number + 1))
        .collect::<Vec<_>>();
    let mut peer = Peer::yamux(&opened).await;
    for number in 0..FEW {
        peer.until(WINDOW, ACK, 2 * number + 1).await;
    }
    let second = Duration::from_secs(1);
    assert!(tokio::time::timeout(second, peer.frame()).await.is_err());
    peer.send(&data(1, &request("Status.Ping", &[0x80]))).await;
    for number in FEW..100 {
        peer.until(WINDOW, ACK, 2 * number + 1).await;
    }
}

async fn a_reset_call_is_dropped() {
    let mut peer = Peer::of(room_for(1)).await;
    let first = [&[4], open(1).as_slice(), &data(1, &endless())].concat();
    peer.send(&first).await;
    peer.until(WINDOW, ACK, 1).await;
    // Its place is the next one's, which therefore waits as long as it may.
    let asked = Instant::now();
    peer.send(&[head(WINDOW, RST, 1, 0), open(3), data(3, &endless())].concat())
        .await;
    peer.until(DATA, 0, 3).await;
    assert!(asked.elapsed() >= Duration::from_secs(300));
}

async fn credit_does_not_wrap() {
    let more = head(WINDOW, 0, 1, u32::MAX);
    let mut peer = Peer::yamux(&[open(1), more].concat()).await;
    assert!(peer.rest().await.ends_with(&head(GO_AWAY, 0, 0, 1)));
}

async fn a_fin_is_an_end() {
    let ping = request("Status.Ping", &[0x80]);
    let sent = [open(1), head(WINDOW, FIN, 1, 0), data(1, &ping)].concat();
    let mut peer = Peer::yamux(&sent).await;
    assert_eq!(peer.frame().await.1, ACK);
    let ended = peer.frame().await;
    assert_eq!((ended.0, ended.1, ended.2), (WINDOW, FIN, 1));
    peer.is_served(3).await;
}

async fn the_last_struct_counts() {
    let twice = b"\x83\xa6DirEnt\x81\xa3Key\xa1k\xa6DirEnt\x81\xa5Value\xa1v\xa2Op\xa3set";
    assert_eq!(answer("KVS.Apply", twice).await, "Must provide key");
}

async fn answers_have_to_be_taken() {
    let (set, get) = set_and_get(600_000);
    let begun = Instant::now();
    let mut peer = Peer::plain(&set).await;
    // Twice what the pipe holds.
    peer.send(&get.repeat(4)).await;
    assert!(peer.serving.join_next().await.unwrap().unwrap().is_err());
    assert_eq!(begun.elapsed().as_secs(), 31);
}

async fn a_body_is_read_when_it_is_whole() {
    // A list is no key, and its last value is to come.
    let cut = request("KVS.Get", b"\x81\xa3Key\x93\x01\x02");
    assert_eq!(lives(&[(0, &[&[0], cut.as_slice()].concat())]).await, 10);
    let text = answer("KVS.Get", b"\x81\xa3Key\x93\x01\x02").await;
    assert_eq!(text, "EOF");
}

async fn an_odd_operation_is_told_in_unicode() {
    let odd = b"\x82\xa6DirEnt\x81\xa3Key\xa1k\xa2Op\xa2s\xff";
    let text = answer("KVS.Apply", odd).await;
    assert_eq!(text, "raft apply failed: Invalid KVS operation 's\u{fffd}'");
}

async fn a_key_shorter_than_its_prefix_is_listed() {
    let mut client = in_place().await;
    apply(&mut client, "set", "p").await;
    let query = KeyListRequest {
        prefix: "p\0".into(),
        separator: "/".into(),
        ..KeyListRequest::default()
    };
    let listed: IndexedKeyList = client.call("KVS.ListKeys", &query).await.unwrap();
    assert_eq!(listed.keys, Some(vec!["p".into()]));
}

/// Only sockets tell a FIN from a RST, and their time is not the test's.
async fn an_answer_is_not_reset() {
    let ended = std::thread::spawn(|| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let config = Config {
            server_port: 0,
            ..Config::default()
        };
        let agent = runtime.block_on(Agent::bind(config)).unwrap();
        let mut peer = std::net::TcpStream::connect(agent.local_addr()).unwrap();
        let unknown = [&[0], request("KVS.Nope", &[0x80]).as_slice(), &[0; 6000]].concat();
        peer.write_all(&unknown).unwrap();
        runtime.spawn(agent.run(std::future::pending::<()>()));
        let mut reply = Vec::new();
        peer.read_to_end(&mut reply).map(|_| reply)
    });
    let reply = ended.join().unwrap().unwrap();
    assert_eq!(error_of(&reply), "rpc: can't find method KVS.Nope");
}
