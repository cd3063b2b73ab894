//! The frame machine without a socket: arbitrary bytes, arbitrary splits, and a model of credit.

use std::{
    collections::BTreeMap,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use tokio::{sync::Semaphore, time::Instant};

use super::{
    config::Config,
    fault::{OpenError, SessionError, StreamError},
    frame::{Flags, HEADER_LEN, Header, Kind},
    receive::Room,
    session::{Outcome, Role, Session},
    table::Key,
    window::INITIAL_WINDOW,
};

fn machine(role: Role, now: Instant) -> Session {
    Session::new(role, Arc::new(Config::default()), now)
}

/// Feeds `input` in pieces of the given sizes, over and over; says how it ended, what was sent
/// and what the streams received.
fn run(role: Role, input: &[u8], splits: &[usize], now: Instant) -> (String, Vec<u8>, String) {
    let mut session = machine(role, now);
    let mut splits = splits.iter().cycle();
    let mut rest = Bytes::copy_from_slice(input);
    let mut result = Ok(());
    while result.is_ok() && !rest.is_empty() {
        let n = splits
            .next()
            .copied()
            .unwrap_or(usize::MAX)
            .clamp(1, rest.len());
        let mut chunk = rest.split_to(n);
        while result.is_ok() && !chunk.is_empty() {
            result = session.receive(&mut chunk, Room::Refuse, now);
        }
    }
    let mut sent = BytesMut::new();
    session.take_output(&mut sent);
    let streams: Vec<String> = session
        .table
        .keys()
        .into_iter()
        .map(|key| {
            let stream = session.table.get_mut(key).unwrap();
            let mut got = Vec::new();
            while let Some(piece) = stream.inbox.pop(usize::MAX) {
                got.extend_from_slice(&piece);
            }
            let window = (stream.recv.left(), stream.send.left());
            format!("{} {} {window:?} {got:?}", stream.id, stream.finished)
        })
        .collect();
    let edge = session.parser.is_at_edge();
    (
        format!("{result:?} {edge}"),
        sent.to_vec(),
        streams.join("\n"),
    )
}

/// Bytes that are mostly frames of few streams.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let frame = (0_u8..5, 0_u16..16, 0_u32..5, 0_u32..40, 0_u8..30).prop_map(
        |(kind, flags, stream, length, odd)| {
            let mut bytes = vec![0, kind.min(3)];
            bytes.extend(flags.to_be_bytes());
            bytes.extend(stream.to_be_bytes());
            let length = match (kind, odd) {
                (3, 1..) => 0,
                (1, 0) => u32::MAX - length,
                _ => length,
            };
            bytes.extend(length.to_be_bytes());
            if kind == 0 {
                bytes.extend(vec![kind; usize::try_from(length).unwrap()]);
            }
            bytes
        },
    );
    prop::collection::vec(frame, 0..40).prop_map(|frames| frames.concat())
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(input: Vec<u8>, splits in prop::collection::vec(1_usize..50, 1..5)) {
        let now = Instant::now();
        for role in [Role::Server, Role::Client] {
            let whole = run(role, &input, &[usize::MAX], now);
            prop_assert_eq!(&run(role, &input, &splits, now), &whole);
        }
    }

    #[test]
    fn frames_mean_the_same_however_they_are_cut(input in frames(), splits in prop::collection::vec(1_usize..50, 1..5)) {
        let now = Instant::now();
        for role in [Role::Server, Role::Client] {
            let whole = run(role, &input, &[usize::MAX], now);
            prop_assert_eq!(&run(role, &input, &splits, now), &whole);
            prop_assert_eq!(&run(role, &input, &[1], now), &whole);
        }
    }

    /// Two machines and a wire between them, streams that do anything in any order: nothing sent
    /// exceeds what was granted, every byte arrives, and the books agree when all is quiet.
    #[test]
    fn credit_is_conserved_between_two_machines(
        steps in prop::collection::vec((0_u8..8, 0_usize..4, 0_usize..200_000), 1..150),
    ) {
        let mut wire = Wire::new();
        for (what, stream, n) in steps {
            wire.step(what, stream, n);
            wire.check();
        }
        wire.finish();
    }
}

/// A client and a server with four streams.
struct Wire {
    now: Instant,
    client: Session,
    server: Session,
    streams: Vec<(Key, Key)>,
    /// By direction and stream: bytes written and bytes read.
    books: BTreeMap<(bool, usize), (usize, usize)>,
}

impl Wire {
    fn new() -> Wire {
        let now = Instant::now();
        let syns = Arc::new(Semaphore::new(8));
        let mut wire = Wire {
            now,
            client: machine(Role::Client, now),
            server: machine(Role::Server, now),
            streams: Vec::new(),
            books: BTreeMap::new(),
        };
        for _ in 0..4 {
            let permit = Arc::clone(&syns).try_acquire_owned().unwrap();
            let ours = wire.client.open(permit, now).unwrap();
            wire.carry(true);
            let theirs = wire.server.accept().unwrap();
            wire.streams.push((ours, theirs));
        }
        wire
    }

    /// Moves what one side has to send to the other.
    fn carry(&mut self, up: bool) {
        let (from, to) = match up {
            true => (&mut self.client, &mut self.server),
            false => (&mut self.server, &mut self.client),
        };
        let mut sent = BytesMut::new();
        from.sent(0);
        from.take_output(&mut sent);
        let mut chunk = sent.freeze();
        to.receive(&mut chunk, Room::Refuse, self.now).unwrap();
        assert!(chunk.is_empty());
    }

    fn step(&mut self, what: u8, stream: usize, n: usize) {
        let up = what.is_multiple_of(2);
        let (ours, theirs) = self.streams[stream];
        let mut cx = Context::from_waker(Waker::noop());
        match what / 2 {
            0 => {
                let (session, key) = match up {
                    true => (&mut self.client, ours),
                    false => (&mut self.server, theirs),
                };
                // As a talker does: nothing more before the last is flushed.
                if session.flush(key, &mut cx).is_ready() {
                    session.put(key, &mut |out| out.resize(out.len() + n, 9));
                    self.books.entry((up, stream)).or_default().0 += n;
                }
            }
            1 => {
                let (session, key) = match up {
                    true => (&mut self.server, theirs),
                    false => (&mut self.client, ours),
                };
                if let Poll::Ready(got) = session.read(key, n, &mut cx) {
                    self.books.entry((up, stream)).or_default().1 += got.unwrap().len();
                }
            }
            _ => self.carry(up),
        }
    }

    fn check(&self) {
        for ours in [&self.client, &self.server] {
            let unread: usize = ours.table.streams().map(|s| s.inbox.len()).sum();
            assert_eq!(unread, ours.unread);
            let pending: usize = ours.table.streams().map(|s| s.pending.len()).sum();
            assert_eq!(pending, ours.pending);
        }
        for (ours, theirs) in &self.streams {
            let client = self.client.stream(*ours).unwrap();
            let server = self.server.stream(*theirs).unwrap();
            // What is under way makes the difference, and never more than a window.
            for (sender, receiver) in [(client, server), (server, client)] {
                let most = INITIAL_WINDOW + receiver.recv.grown();
                assert!(sender.send.left() <= most);
                assert!(receiver.recv.left() <= most);
            }
        }
    }

    /// Everything is carried and read: what was written has arrived.
    fn finish(&mut self) {
        for _ in 0..200 {
            for what in [2, 3, 4, 5] {
                for stream in 0..4 {
                    self.step(what, stream, usize::MAX);
                }
            }
            self.check();
        }
        for ((up, stream), (written, read)) in &self.books {
            assert_eq!(written, read, "up {up} stream {stream}");
        }
        for (ours, theirs) in &self.streams {
            let client = self.client.stream(*ours).unwrap();
            let server = self.server.stream(*theirs).unwrap();
            assert_eq!(client.send.left(), server.recv.left());
            assert_eq!(server.send.left(), client.recv.left());
        }
    }
}

#[test]
fn a_client_stops_at_the_last_id() {
    let now = Instant::now();
    let syns = Arc::new(Semaphore::new(8));
    let permit = || Arc::clone(&syns).try_acquire_owned().unwrap();
    let mut session = machine(Role::Client, now);
    session.set_next_id(u32::MAX - 4);
    for id in [u32::MAX - 4, u32::MAX - 2] {
        let key = session.open(permit(), now).unwrap();
        assert_eq!(session.stream(key).unwrap().id, id);
    }
    assert_eq!(
        session.open(permit(), now).unwrap_err(),
        OpenError::StreamsExhausted
    );
    assert_eq!(OpenError::StreamsExhausted.to_string(), "streams exhausted");
}

#[test]
fn a_writer_that_panics_leaves_whole_frames() {
    let mut wire = Wire::new();
    let (key, _) = wire.streams[0];
    wire.client
        .put(key, &mut |out| out.extend_from_slice(b"one"));
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wire.client.put(key, &mut |out| {
            out.extend_from_slice(b"half");
            panic!("as asked");
        });
    }));
    assert!(panic.is_err());
    wire.client
        .put(key, &mut |out| out.extend_from_slice(b"two"));
    wire.client.put(key, &mut |_| {});
    let mut sent = BytesMut::new();
    wire.client.take_output(&mut sent);
    let header = Header::data(1, 3).encode();
    assert_eq!(sent, [&header[..], b"one", &header[..], b"two"].concat());
}

#[test]
fn writes_after_fin_fail_and_reads_go_on() {
    let mut wire = Wire::new();
    let (ours, theirs) = wire.streams[0];
    let mut cx = Context::from_waker(Waker::noop());
    assert!(wire.client.shutdown(ours, &mut cx).is_ready());
    let refused = wire.client.write(ours, b"x", &mut cx);
    assert_eq!(refused, Poll::Ready(Err(StreamError::Closed)));
    wire.carry(true);
    assert_eq!(
        wire.server.read(theirs, 10, &mut cx),
        Poll::Ready(Ok(Bytes::new()))
    );
    wire.server
        .put(theirs, &mut |out| out.extend_from_slice(b"answer"));
    wire.server.dropped(theirs);
    wire.server.polled(theirs, Outcome::Done);
    assert_eq!(wire.server.table.open(), 3);
    wire.carry(false);
    let got = wire.client.read(ours, 10, &mut cx);
    assert_eq!(got, Poll::Ready(Ok(Bytes::from_static(b"answer"))));
    assert_eq!(
        wire.client.read(ours, 10, &mut cx),
        Poll::Ready(Ok(Bytes::new()))
    );
    assert_eq!(wire.client.table.open(), 3);
}

/// A session that is over still gives what it has received.
#[test]
fn what_was_received_can_be_read_after_the_end() {
    let mut wire = Wire::new();
    let (ours, theirs) = wire.streams[0];
    let mut cx = Context::from_waker(Waker::noop());
    wire.server
        .put(theirs, &mut |out| out.extend_from_slice(b"answer"));
    wire.carry(false);
    wire.client.end();
    let got = wire.client.read(ours, 10, &mut cx);
    assert_eq!(got, Poll::Ready(Ok(Bytes::from_static(b"answer"))));
    let got = wire.client.read(ours, 10, &mut cx);
    assert_eq!(got, Poll::Ready(Err(StreamError::SessionClosed)));
    wire.client.dropped(ours);
    assert!(wire.client.table.get(ours).is_none());
}

#[test]
fn a_go_away_with_a_code_is_an_end() {
    let now = Instant::now();
    for (code, ends) in [(0, false), (1, true), (2, true), (9, true)] {
        let header = Header {
            kind: Kind::GoAway,
            flags: Flags::NONE,
            stream: 0,
            length: code,
        };
        let mut session = machine(Role::Client, now);
        let mut chunk = Bytes::copy_from_slice(&header.encode());
        assert_eq!(chunk.len(), HEADER_LEN);
        let result = session.receive(&mut chunk, Room::Stop, now);
        assert_eq!(matches!(result, Err(SessionError::GoneAway(_))), ends);
        assert_eq!(session.refusal(), (!ends).then_some(OpenError::GoAway));
    }
}
