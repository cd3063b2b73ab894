//! The promise: whatever packets come, a message is what was sent or the connection is closed, and
//! nobody else notices.
#![cfg(all(feature = "drpc", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod drpc_support;

use drpc_support::*;
use oneport_proto::BoxError;
use oneport_services::{
    Drainer,
    drpc::{
        Assembler, Call, Client, Config, FrameError, HEADER, ListenLimits, MAX_DATA, MAX_PACKET,
        Response, Server, Socket,
    },
};
use proptest::prelude::*;
use prost::Message;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use tower::Service;

/// A call of the echo without a body: 6 bytes.
const CALL: &[u8] = b"\x08\x64\x10\x01\x18\x01";
/// A body of one byte for it: 3 bytes.
const BODY: &[u8] = b"\x22\x01a";

/// Packets, and why the last of them is refused.
struct Bad(&'static str, Vec<Vec<u8>>, FrameError);

/// The bad frames of the recordings 13 (Go) and 23 (C), and those that both of them take.
fn bad_frames() -> Vec<Bad> {
    vec![
        Bad(
            "a) 23 bytes",
            vec![vec![0; 23]],
            FrameError::Short { length: 23 },
        ),
        Bad("b) 1 byte", vec![vec![8]], FrameError::Short { length: 1 }),
        Bad(
            "d) no chunks, no data",
            vec![packet(0, 0, 0, 0, b"")],
            FrameError::NoChunks,
        ),
        Bad(
            "e) no chunks, but data",
            vec![packet(6, 6, 0, 0, CALL)],
            FrameError::NoChunks,
        ),
        Bad(
            "f) the first chunk is 1",
            vec![packet(6, 6, 1, 2, CALL)],
            FrameError::Index {
                index: 1,
                expected: 0,
            },
        ),
        Bad(
            "g) from 0 to 2",
            vec![packet(9, 6, 0, 3, CALL), packet(9, 3, 2, 3, BODY)],
            FrameError::Index {
                index: 2,
                expected: 1,
            },
        ),
        Bad(
            "the same chunk twice",
            vec![packet(12, 6, 0, 2, CALL), packet(12, 6, 0, 2, CALL)],
            FrameError::Index {
                index: 0,
                expected: 1,
            },
        ),
        Bad(
            "h) the number of chunks changes",
            vec![packet(9, 6, 0, 2, CALL), packet(9, 3, 1, 3, BODY)],
            FrameError::ChunksChanged {
                index: 1,
                chunks: 3,
                first: 2,
            },
        ),
        Bad(
            "i) the total changes",
            vec![packet(9, 6, 0, 2, CALL), packet(10, 3, 1, 2, BODY)],
            FrameError::TotalChanged {
                index: 1,
                total: 10,
                first: 9,
            },
        ),
        Bad(
            "j) the second chunk is too much",
            vec![packet(9, 6, 0, 2, CALL), packet(9, 4, 1, 2, b"\x22\x01ab")],
            FrameError::Overflow {
                index: 1,
                got: 10,
                total: 9,
            },
        ),
        Bad(
            "k) too little in all chunks",
            vec![packet(12, 6, 0, 2, CALL), packet(12, 3, 1, 2, BODY)],
            FrameError::Incomplete { got: 9, total: 12 },
        ),
        Bad(
            "l) the only chunk is larger than the total",
            vec![packet(4, 6, 0, 1, CALL)],
            FrameError::Overflow {
                index: 0,
                got: 6,
                total: 4,
            },
        ),
        Bad(
            "m) the only chunk is smaller than the total",
            vec![packet(9, 6, 0, 1, CALL)],
            FrameError::Incomplete { got: 6, total: 9 },
        ),
        Bad(
            "n) bytes behind the chunk",
            vec![packet(6, 6, 0, 1, b"\x08\x64\x10\x01\x18\x01\xff\xff\xff")],
            FrameError::DataSize {
                index: 0,
                says: 6,
                holds: 9,
            },
        ),
        Bad(
            "o) the chunk is shorter than it says",
            vec![packet(9, 9, 0, 1, CALL)],
            FrameError::DataSize {
                index: 0,
                says: 9,
                holds: 6,
            },
        ),
        Bad(
            "a chunk that says it is huge",
            vec![packet(1 << 40, 1 << 40, 0, 1, CALL)],
            FrameError::DataSize {
                index: 0,
                says: 1 << 40,
                holds: 6,
            },
        ),
        Bad(
            "13b) a total that no memory holds",
            vec![packet(u64::MAX, 6, 0, 2, CALL)],
            FrameError::TooLarge {
                total: u64::MAX,
                limit: 32 * 1024 * 1024,
            },
        ),
        Bad(
            "a header in the other byte order",
            vec![packet(
                6_u64.swap_bytes(),
                6_u64.swap_bytes(),
                0,
                1_u32.swap_bytes(),
                CALL,
            )],
            FrameError::DataSize {
                index: 0,
                says: 6_u64.swap_bytes(),
                holds: 6,
            },
        ),
        Bad(
            "a packet of more than 128 KiB",
            vec![vec![0; MAX_PACKET + 1]],
            FrameError::Long {
                length: MAX_PACKET + 1,
            },
        ),
        Bad("t) 2.6, 6 bytes", vec![CALL.to_vec()], FrameError::Legacy),
        Bad(
            "t) 2.6, 32 bytes",
            vec![[CALL, b"\x22\x18", &[b'a'; 24]].concat()],
            FrameError::Legacy,
        ),
    ]
}

#[test]
fn bad_frames_have_names() {
    for Bad(name, packets, expected) in bad_frames() {
        let mut assembler = Assembler::new(32 * 1024 * 1024);
        let (last, before) = packets.split_last().unwrap();
        for packet in before {
            assert_eq!(assembler.push(packet), Ok(None), "{name}");
        }
        assert_eq!(assembler.push(last), Err(expected), "{name}");
    }
}

/// The session ends without an answer, its server goes on, and the error says why.
#[tokio::test]
async fn a_bad_frame_ends_its_session_and_no_other() {
    let server = serve().await;
    let good = Raw::connect(&server.path);
    for Bad(name, packets, _) in bad_frames() {
        let bad = Raw::connect(&server.path);
        for packet in packets {
            bad.send(&packet).await;
        }
        assert_eq!(bad.recv().await, None, "{name}");
        good.send_message(CALL).await;
        assert_eq!(good.recv_message().await, Some(vec![8, 1]), "{name}");
    }
}

/// What the driver's own future says of a bad frame.
#[tokio::test]
async fn the_driver_tells_why_a_session_ended() {
    for Bad(name, packets, expected) in bad_frames() {
        let drainer = Drainer::new();
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (near, far) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        let near = Socket::new(near, std::sync::Arc::default(), drainer.handle()).unwrap();
        let far = Raw::over(far);
        let mut server = Server::router(router(&Lab::default()));
        for packet in packets {
            far.send(&packet).await;
        }
        let ended: Result<(), BoxError> = server.call(near).await;
        let error = ended.unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&expected), "{name}");
    }
}

/// Frames that look odd and are fine: c, p, q and r of the recordings, and a zero-length packet,
/// which cannot be told from the end.
#[tokio::test]
async fn odd_frames_are_taken() {
    let server = serve().await;
    let one_by_one = |at: usize| packet(6, 1, u32::try_from(at).unwrap(), 6, &CALL[at..=at]);
    type Case = (&'static str, Vec<Vec<u8>>, &'static [u8]);
    let cases: [Case; 4] = [
        (
            "c) an empty message is a call of hello",
            vec![packet(0, 0, 0, 1, b"")],
            b"\x1a\x08\x0a\x06Hello ",
        ),
        (
            "p) six chunks of a byte",
            (0..6).map(one_by_one).collect(),
            b"\x08\x01",
        ),
        (
            "q) a chunk without data in the middle",
            vec![
                packet(6, 3, 0, 3, &CALL[..3]),
                packet(6, 0, 1, 3, b""),
                packet(6, 3, 2, 3, &CALL[3..]),
            ],
            b"\x08\x01",
        ),
        (
            "r) all data in the first chunk of two",
            vec![packet(6, 6, 0, 2, CALL), packet(6, 0, 1, 2, b"")],
            b"\x08\x01",
        ),
    ];
    for (name, packets, answer) in cases {
        let peer = Raw::connect(&server.path);
        for packet in packets {
            peer.send(&packet).await;
        }
        let got = peer.recv_message().await;
        assert_eq!(got.as_deref(), Some(answer), "{name}");
    }
    let peer = Raw::connect(&server.path);
    peer.send(b"").await;
    assert_eq!(peer.recv().await, None);
}

/// A message of exactly the limit is taken, one byte more is not.
#[tokio::test]
async fn the_message_limit_is_exact() {
    let config = Config {
        message_limit: 300_000,
        ..Config::default()
    };
    let server = serve_with(config, ListenLimits::default()).await;
    let client = Client::builder(&server.path).build();
    client.connect().await.unwrap();
    // 6 bytes of numbers, tag and length of the body.
    let most = 300_000 - 6 - 4;
    let reply = client.call_raw(TEST, ECHO, vec![1; most]).await.unwrap();
    assert_eq!(reply.body.len(), most);
    let over = client.call_raw(TEST, ECHO, vec![1; most + 1]).await;
    over.unwrap_err();
    assert!(!client.is_connected());

    let small = Client::builder(&server.path).message_limit(100).build();
    small.connect().await.unwrap();
    let error = small.call_raw(TEST, ECHO, vec![1; 200]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "bad answer: message of 205 bytes exceeds 100"
    );
}

fn lengths() -> impl Strategy<Value = usize> {
    let near = (0_usize..4, 0_usize..40)
        .prop_map(|(chunks, off)| (chunks * MAX_DATA + off).saturating_sub(20));
    prop_oneof![0_usize..2000, near]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a message's length is, its packets are full but the last, and make the message again.
    #[test]
    fn packets_of_a_message_make_it_again(length in lengths(), seed: u8) {
        let message: Vec<u8> = (0..length).map(|at| seed.wrapping_add(at.to_le_bytes()[0])).collect();
        let packets = packets(&message);
        let (last, full) = packets.split_last().unwrap();
        prop_assert!(full.iter().all(|packet| packet.len() == MAX_PACKET));
        prop_assert!(last.len() <= MAX_PACKET && last.len() >= HEADER);
        let mut assembler = Assembler::new(length);
        for packet in full {
            prop_assert_eq!(assembler.push(packet), Ok(None));
        }
        let whole = assembler.push(last).unwrap().unwrap();
        prop_assert!(whole == message);
        prop_assert_eq!(assembler.under_way(), None);
    }

    /// However a peer cuts a message, it arrives.
    #[test]
    fn any_cut_makes_the_message_again(
        message in proptest::collection::vec(any::<u8>(), 0..600),
        mut cuts in proptest::collection::vec(0_usize..600, 0..12),
    ) {
        cuts.retain(|cut| *cut <= message.len());
        cuts.extend([0, message.len()]);
        cuts.sort_unstable();
        let total = message.len() as u64;
        let count = u32::try_from(cuts.len() - 1).unwrap();
        let mut assembler = Assembler::new(600);
        let mut whole = None;
        for (index, cut) in cuts.windows(2).enumerate() {
            prop_assert_eq!(&whole, &None);
            let part = &message[cut[0]..cut[1]];
            let index = u32::try_from(index).unwrap();
            let packet = packet(total, part.len() as u64, index, count, part);
            whole = assembler.push(&packet).unwrap();
        }
        prop_assert_eq!(whole.unwrap(), message);
    }

    /// No packets at all make it panic or take more than the limit.
    #[test]
    fn arbitrary_packets_are_messages_or_errors(
        packets in proptest::collection::vec(
            (0_u64..40, 0_u64..40, 0_u32..4, 0_u32..4, proptest::collection::vec(any::<u8>(), 0..40)),
            0..6,
        ),
    ) {
        let mut assembler = Assembler::new(30);
        for (total, data, index, chunks, bytes) in packets {
            match assembler.push(&packet(total, data, index, chunks, &bytes)) {
                Ok(Some(message)) => prop_assert!(message.len() <= 30),
                Ok(None) => {}
                Err(_) => break,
            }
        }
    }

    /// Messages are what prost makes of them, and survive the way there and back.
    #[test]
    fn messages_survive(
        (module, method, status) in any::<(i32, i32, i32)>(),
        sequence: i64,
        body in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let body = bytes::Bytes::from(body);
        let call = Call { module, method, sequence, body: body.clone() };
        prop_assert_eq!(Call::decode(&call.encode_to_vec()[..]).unwrap(), call);
        let response = Response { sequence, status, body };
        prop_assert_eq!(Response::decode(&response.encode_to_vec()[..]).unwrap(), response);
    }
}
