//! The promise: on the wire we are what the recordings show, as a server and as a client.
//!
//! `tests/golden/drpc` holds what passed between DAOS' own clients and servers, in Go and in C. Here
//! one side is played from the recording and the other is ours.
#![cfg(all(feature = "drpc", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod drpc_support;

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};
use drpc_support::{
    transcript::{Recorded, packets, text},
    *,
};
use oneport_services::drpc::{
    Assembler, Call, Client, DEFAULT_MESSAGE_LIMIT, Header, Response, Status,
};
use prost::Message;

/// Where our answer is another one on purpose: the recording, the number of the client's message in
/// it, from 1, and what we answer.
fn on_purpose() -> HashMap<(&'static str, usize), Response> {
    let answer = |sequence, status: Status| Response {
        sequence,
        status: status.0,
        body: Bytes::new(),
    };
    HashMap::from([
        // A known field of a wrong type: Go takes it for an unknown one, DAOS' C code and we refuse.
        (("09-invalid-protobuf.txt", 4), Response::to_no_call()),
        // A Failure among the sources of an error counts; Go looks at the outermost only.
        (
            ("10-handler-failures.txt", 12),
            answer(1, Status::FAILED_UNMARSHAL_PAYLOAD),
        ),
    ])
}

/// Plays the client of a recording against our server.
async fn replay_to_server(name: &'static str) {
    let server = serve().await;
    let on_purpose = on_purpose();
    let mut peers: HashMap<u32, Raw> = HashMap::new();
    let mut asked = 0;
    for recorded in packets(name) {
        let Recorded {
            connection,
            from_client,
            bytes,
        } = recorded;
        let peer = peers
            .entry(connection)
            .or_insert_with(|| Raw::connect(&server.path));
        if from_client {
            let first = Header::split(&bytes).is_none_or(|(header, _)| header.index == 0);
            asked += usize::from(first);
            peer.send(&bytes).await;
            continue;
        }
        let expected = match on_purpose.get(&(name, asked)) {
            Some(ours) => drpc_support::packets(&ours.encode_to_vec()).remove(0),
            None => bytes,
        };
        let got = peer.recv().await;
        assert!(
            got.as_deref() == Some(&expected[..]),
            "{name}, message {asked}: {:?} instead of {:?}",
            got.map(|got| got.escape_ascii().to_string()),
            expected.escape_ascii().to_string()
        );
    }
}

/// A test for each recording, which is played to one side.
macro_rules! replays {
    ($side:ident by $replay:ident; $($test:ident: $name:literal,)*) => {
        mod $side {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$replay($name).await;
                }
            )*
        }
    };
}

replays! {
    server by replay_to_server;
    normal_call: "01-normal-call.txt",
    empty_body: "02-empty-body.txt",
    hello: "03-hello.txt",
    body_of_20_000: "04-body-20000.txt",
    body_of_1_mib: "05-body-1MiB.txt",
    chunk_boundaries: "06-chunk-boundaries.txt",
    unknown_module: "07-unknown-module.txt",
    unknown_method: "08-unknown-method.txt",
    invalid_protobuf: "09-invalid-protobuf.txt",
    handler_failures: "10-handler-failures.txt",
    several_calls: "11-several-calls.txt",
    concurrent_connections: "12a-concurrent-connections.txt",
    shared_client: "12b-shared-client.txt",
}

/// All calls are sent before any answer is read: answers come in their order.
#[tokio::test]
async fn pipelined_calls_are_answered_in_order() {
    let server = serve().await;
    let peer = Raw::connect(&server.path);
    let recorded = packets("15-pipelined.txt");
    for packet in recorded.iter().filter(|packet| packet.from_client) {
        peer.send(&packet.bytes).await;
    }
    for packet in recorded.iter().filter(|packet| !packet.from_client) {
        assert_eq!(peer.recv().await.as_ref(), Some(&packet.bytes));
    }
}

/// The C client counts from 0, so its first call and the answer may lack the number; its last call
/// here wants no answer and leaves at once.
#[tokio::test]
async fn the_c_client_is_served() {
    let server = serve().await;
    let mut peer = None;
    for Recorded {
        connection,
        from_client,
        bytes,
    } in packets("21-c-client-go-server.txt")
    {
        let (at, raw) = peer.take().unwrap_or_else(|| {
            let raw = Raw::connect(&server.path);
            (connection, raw)
        });
        let raw = if at == connection {
            raw
        } else {
            Raw::connect(&server.path)
        };
        if from_client {
            raw.send(&bytes).await;
        } else {
            assert_eq!(raw.recv().await, Some(bytes));
        }
        peer = Some((connection, raw));
    }
}

/// A handler that panics ends Go's server with all its sessions. Here that one call fails.
#[tokio::test]
async fn a_panic_is_a_failure_and_the_session_goes_on() {
    let server = serve().await;
    let peer = Raw::connect(&server.path);
    let recorded = packets("18-handler-panic.txt");
    for _ in 0..2 {
        peer.send(&recorded[0].bytes).await;
        let answer = peer.recv_message().await.unwrap();
        let answer = Response::decode(&answer[..]).unwrap();
        assert_eq!((answer.sequence, answer.ended()), (1, Status::FAILURE));
    }
}

/// The recorded messages of one connection: calls with the packets of both sides.
struct Exchange {
    call: Call,
    sent: Vec<Vec<u8>>,
    answered: Vec<Vec<u8>>,
}

fn exchanges(name: &str) -> Vec<Vec<Exchange>> {
    let mut connections: HashMap<u32, Vec<Exchange>> = HashMap::new();
    for recorded in packets(name) {
        let exchanges = connections.entry(recorded.connection).or_default();
        let (header, _) = Header::split(&recorded.bytes).unwrap();
        if recorded.from_client && header.index == 0 {
            exchanges.push(Exchange {
                call: Call::default(),
                sent: Vec::new(),
                answered: Vec::new(),
            });
        }
        let exchange = exchanges.last_mut().unwrap();
        if recorded.from_client {
            exchange.sent.push(recorded.bytes);
        } else {
            exchange.answered.push(recorded.bytes);
        }
    }
    let mut connections: Vec<_> = connections.into_iter().collect();
    connections.sort_by_key(|(connection, _)| *connection);
    let whole = connections.into_iter().map(|(_, mut exchanges)| {
        for exchange in &mut exchanges {
            exchange.call = Call::decode(joined(&exchange.sent)).unwrap();
        }
        exchanges
    });
    whole.collect()
}

/// The message in these packets.
fn joined(packets: &[Vec<u8>]) -> BytesMut {
    let mut assembler = Assembler::new(DEFAULT_MESSAGE_LIMIT);
    let mut message = None;
    for packet in packets {
        assert_eq!(message, None);
        message = assembler.push(packet).unwrap();
    }
    message.unwrap().into()
}

/// Plays the server of a recording to our client.
async fn replay_to_client(name: &'static str) {
    let directory = Directory::new();
    let path = directory.join("recorded.sock");
    let listener = RawListener::bind(&path);
    for exchanges in exchanges(name) {
        let client = Client::builder(&path).build();
        client.connect().await.unwrap();
        let server = listener.accept().await;
        for Exchange {
            call,
            sent,
            answered,
        } in exchanges
        {
            let calling = client.call_raw(call.module, call.method, call.body);
            let answering = async {
                for packet in sent {
                    assert!(server.recv().await == Some(packet), "{name}");
                }
                for packet in &answered {
                    server.send(packet).await;
                }
            };
            let (reply, ()) = tokio::join!(calling, answering);
            let recorded = Response::decode(joined(&answered)).unwrap();
            let reply = reply.unwrap();
            assert_eq!(reply.status, recorded.ended(), "{name}");
            assert!(reply.body == recorded.body, "{name}");
        }
    }
}

replays! {
    client by replay_to_client;
    normal_call: "01-normal-call.txt",
    empty_body: "02-empty-body.txt",
    hello: "03-hello.txt",
    body_of_20_000: "04-body-20000.txt",
    body_of_1_mib: "05-body-1MiB.txt",
    chunk_boundaries: "06-chunk-boundaries.txt",
    unknown_module: "07-unknown-module.txt",
    unknown_method: "08-unknown-method.txt",
    handler_failures: "10-handler-failures.txt",
    several_calls: "11-several-calls.txt",
    concurrent_connections: "12a-concurrent-connections.txt",
    shared_client: "12b-shared-client.txt",
    the_c_listener: "22-go-client-c-server.txt",
}

/// Each line of bytes in `vectors.txt` is a packet that our codec reads and writes.
#[test]
fn vectors_are_ours_byte_for_byte() {
    let text = text("vectors.txt");
    let mut name = "";
    let mut seen = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let trimmed = line.trim();
        if let Some(split) = trimmed.strip_prefix("body ") {
            seen += 1;
            assert_split(split);
        } else if !line.starts_with(' ') {
            name = trimmed;
        } else if !trimmed.starts_with('#') {
            seen += 1;
            assert_vector(name, &hex(trimmed));
        }
    }
    assert_eq!(seen, 25);
}

fn assert_vector(name: &str, packet: &[u8]) {
    let mut assembler = Assembler::new(DEFAULT_MESSAGE_LIMIT);
    let message = assembler.push(packet).unwrap().unwrap();
    let written = if name.starts_with("call") {
        Call::decode(message).unwrap().encode_to_vec()
    } else {
        Response::decode(message).unwrap().encode_to_vec()
    };
    assert_eq!(drpc_support::packets(&written), [packet], "{name}");
}

/// `131037  message 131047  chunks [131047]`
fn assert_split(line: &str) {
    let (numbers, chunks) = line.split_once("chunks").unwrap();
    let message = numbers.split_whitespace().last().unwrap();
    let length = message.parse().unwrap();
    let sizes: Vec<_> = oneport_services::drpc::chunks(length)
        .unwrap()
        .map(|(header, range)| {
            assert_eq!(usize::try_from(header.data), Ok(range.len()));
            header.data
        })
        .collect();
    assert_eq!(format!("{sizes:?}"), chunks.trim());
}
