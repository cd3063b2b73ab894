//! The dRPC client against servers that are slow, wrong, gone or old.
#![cfg(all(feature = "drpc", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod drpc_support;

use std::{num::NonZeroUsize, path::Path, sync::atomic::Ordering, task::Poll, time::Duration};

use bytes::Bytes;
use drpc_support::*;
use futures_poll::poll_once;
use oneport_proto::{Family, Head, Method, Session};
use oneport_services::drpc::{
    Call, CallError, Client, FrameError, ModuleService, Reply, Request, Response, Sent, Status,
};
use prost::Message;
use rustix::net::{SocketAddrUnix, bind, connect, listen};
use tokio::time::Instant;
use tower::Service;

mod futures_poll {
    use std::{
        future::{Future, poll_fn},
        pin::Pin,
        task::Poll,
    };

    /// Polls once, with a real waker.
    pub(crate) async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
        poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
    }
}

/// A client and the server's end of its connection, which does what the test says.
async fn odd() -> (Directory, RawListener, Client, Raw) {
    let directory = Directory::new();
    let path = directory.join("odd.sock");
    let listener = RawListener::bind(&path);
    let client = Client::builder(&path).build();
    client.connect().await.unwrap();
    let server = listener.accept().await;
    (directory, listener, client, server)
}

/// What a call comes to that is answered with these packets.
async fn answered(packets: &[Vec<u8>]) -> (Result<Reply, CallError>, bool) {
    let (_directory, _listener, client, server) = odd().await;
    let answering = async {
        server.recv().await.unwrap();
        for packet in packets {
            server.send(packet).await;
        }
    };
    let (reply, ()) = tokio::join!(client.call_raw(TEST, ECHO, "x"), answering);
    (reply, client.is_connected())
}

fn response(sequence: i64, status: i32, body: &'static [u8]) -> Vec<u8> {
    let body = Bytes::from_static(body);
    let response = Response {
        sequence,
        status,
        body,
    };
    response.encode_to_vec()
}

#[tokio::test]
async fn odd_answers_that_are_fine() {
    let unknown_field = [&response(1, 2, b"a")[..], b"\x78\x05"].concat();
    let whole = response(1, 0, b"hello");
    let total = whole.len() as u64;
    let in_three = vec![
        packet(total, 1, 0, 3, &whole[..1]),
        packet(total, 2, 1, 3, &whole[1..3]),
        packet(total, total - 3, 2, 3, &whole[3..]),
    ];
    for (packets, status, body) in [
        (packets(&response(1, 42, b"")), 42, &b""[..]),
        (packets(&response(1, -3, b"")), -3, b""),
        (packets(&unknown_field), 2, b"a"),
        (in_three, 0, b"hello"),
        (packets(&Response::to_no_call().encode_to_vec()), 5, b""),
    ] {
        let (reply, connected) = answered(&packets).await;
        let reply = reply.unwrap();
        assert_eq!((reply.status, &reply.body[..]), (Status(status), body));
        assert!(connected);
    }
}

/// After each of them the connection is closed: the next call cannot take what is left of it.
#[tokio::test]
async fn odd_answers_that_are_not() {
    for (packets, text) in [
        (
            packets(&response(999, 0, b"")),
            "answer number 999 to call number 1",
        ),
        // Every field at its default. Go's client takes it.
        (packets(b""), "answer number 0 to call number 1"),
        (
            packets(&response(-1, 2, b"")),
            "answer number -1 to call number 1",
        ),
        (
            vec![packet(2, 2, 1, 2, b"\x08\x01")],
            "bad answer: chunk 1 where chunk 0 is next",
        ),
        (
            vec![b"x".to_vec()],
            "bad answer: packet of 1 bytes: a chunk header alone has 24",
        ),
        (
            vec![b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\x05".to_vec()],
            "bad answer: the peer speaks the dRPC of DAOS 2.6 or older, which has no chunk header: \
             only 2.8 and newer can be talked to",
        ),
        (vec![b"".to_vec()], "the connection was closed"),
    ] {
        let (reply, connected) = answered(&packets).await;
        assert_eq!(reply.unwrap_err().to_string(), text);
        assert!(!connected, "{text}");
    }
    let (reply, connected) = answered(&packets(b"\x0a\x05")).await;
    assert!(matches!(reply.unwrap_err(), CallError::NoResponse(_)));
    assert!(!connected);
}

#[tokio::test]
async fn an_old_server_has_not_carried_the_call_out() {
    let old = transcript::packets("32-new-client-legacy-server.txt");
    let answer = old.iter().find(|packet| !packet.from_client).unwrap();
    let (reply, _) = answered(std::slice::from_ref(&answer.bytes)).await;
    let error = reply.unwrap_err();
    assert!(matches!(error, CallError::Frame(FrameError::Legacy)));
    assert_eq!(error.sent(), Sent::No);
}

#[tokio::test]
async fn an_old_client_is_recognised() {
    let server = serve().await;
    for recorded in transcript::packets("31-legacy-client-new-server.txt") {
        let old = Raw::connect(&server.path);
        old.send(&recorded.bytes).await;
        assert_eq!(old.recv().await, None);
    }
}

/// Go's client takes the second answer for that of the next call.
#[tokio::test]
async fn a_second_answer_is_not_the_next_calls() {
    let (_directory, listener, client, server) = odd().await;
    let answering = async {
        server.recv().await.unwrap();
        for body in [b"1", b"2"] {
            server.send_message(&response(1, 0, body)).await;
        }
    };
    let (reply, ()) = tokio::join!(client.call_raw(TEST, ECHO, "x"), answering);
    assert_eq!(reply.unwrap().body, "1");
    assert!(!client.is_connected());
    let error = client.call_raw(TEST, ECHO, "x").await.unwrap_err();
    assert!(matches!(error, CallError::Closed { sent: Sent::No }));

    // The same object again, and again from 1.
    client.connect().await.unwrap();
    let server = listener.accept().await;
    let calling = client.call_raw(TEST, ECHO, "x");
    let answering = async {
        let call = server.recv_message().await.unwrap();
        assert_eq!(Call::decode(&call[..]).unwrap().sequence, 1);
        server.send_message(&response(1, 0, b"3")).await;
    };
    let (reply, ()) = tokio::join!(calling, answering);
    assert_eq!(reply.unwrap().body, "3");
}

#[tokio::test]
async fn a_server_that_closes_is_noticed() {
    // Instead of answering.
    let (_directory, _listener, client, server) = odd().await;
    let closing = async {
        server.recv().await.unwrap();
        drop(server);
    };
    let (reply, ()) = tokio::join!(client.call_raw(TEST, ECHO, "x"), closing);
    let error = reply.unwrap_err();
    assert!(
        matches!(error, CallError::Closed { sent: Sent::Yes }),
        "{error}"
    );
    assert!(!client.is_connected());
    let error = client.call_raw(TEST, ECHO, "x").await.unwrap_err();
    assert!(matches!(error, CallError::NotConnected), "{error}");

    // Between two calls.
    let (_directory, _listener, client, server) = odd().await;
    assert!(client.is_connected());
    drop(server);
    assert!(!client.is_connected());
    let error = client.call_raw(TEST, ECHO, "x").await.unwrap_err();
    assert!(
        matches!(error, CallError::Closed { sent: Sent::No }),
        "{error}"
    );
}

/// A server may say why before it has read all of a call.
#[tokio::test]
async fn an_early_answer_is_heard() {
    let (_directory, _listener, client, server) = odd().await;
    let refusing = async {
        server.recv().await.unwrap();
        server
            .send_message(&Response::to_no_call().encode_to_vec())
            .await;
        drop(server);
    };
    let calling = client.call_raw(TEST, ECHO, vec![0; 4 << 20]);
    let (reply, ()) = tokio::join!(calling, refusing);
    assert_eq!(reply.unwrap().status, Status::FAILED_UNMARSHAL_CALL);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_closes_the_connection() {
    for first_chunk in [false, true] {
        let (_directory, _listener, client, server) = odd().await;
        let client = client.timeout(Duration::from_millis(300));
        let stalling = async {
            server.recv().await.unwrap();
            if first_chunk {
                server.send(&packet(9, 1, 0, 2, b"\x08")).await;
            }
            server.recv().await
        };
        let started = Instant::now();
        let (reply, after) = tokio::join!(client.call_raw(TEST, ECHO, "x"), stalling);
        let error = reply.unwrap_err();
        assert!(matches!(error, CallError::TimedOut { sent: Sent::Yes }));
        assert!(started.elapsed() >= Duration::from_millis(300));
        assert_eq!(after, None);
        assert!(!client.is_connected());
        let error = client.call_raw(TEST, ECHO, "x").await.unwrap_err();
        assert!(matches!(error, CallError::NotConnected), "{error}");
    }
}

#[tokio::test]
async fn a_dropped_call_closes_the_connection() {
    let (_directory, _listener, client, server) = odd().await;
    let mut call = Box::pin(client.call_raw(TEST, ECHO, "x"));
    assert!(poll_once(&mut call).await.is_pending());
    assert!(client.is_connected());
    drop(call);
    assert!(!client.is_connected());
    server.recv().await.unwrap();
    assert_eq!(server.recv().await, None);
}

#[tokio::test]
async fn closing_ends_the_call_under_way() {
    let (_directory, listener, client, server) = odd().await;
    let mut call = Box::pin(client.call_raw(TEST, ECHO, "x"));
    assert!(poll_once(&mut call).await.is_pending());
    client.close();
    client.close();
    assert!(!client.is_connected());
    let error = call.await.unwrap_err();
    assert!(
        matches!(error, CallError::Closed { sent: Sent::Yes }),
        "{error}"
    );
    server.recv().await.unwrap();
    assert_eq!(server.recv().await, None);

    client.connect().await.unwrap();
    client.connect().await.unwrap();
    assert!(client.is_connected());
    let _server = listener.accept().await;
}

/// One call at a time: the next one is not sent before the first is answered.
#[tokio::test]
async fn calls_on_one_connection_queue() {
    let server = serve().await;
    let client = Client::builder(&server.path).build();
    client.connect().await.unwrap();
    let mut first = Box::pin(client.call_raw(TEST, WAIT, "first"));
    assert!(poll_once(&mut first).await.is_pending());
    let mut channel = client.get_ref().clone();
    let ready = std::future::poll_fn(|cx| Poll::Ready(channel.poll_ready(cx))).await;
    assert!(ready.is_pending());
    assert!(client.is_connected());
    let mut second = Box::pin(client.call_raw(TEST, ECHO, "second"));
    assert!(poll_once(&mut second).await.is_pending());
    tokio::select! {
        biased;
        () = server.lab.waiting.notified() => {}
        _ = &mut first => panic!("it was let go"),
    }
    server.lab.gate.notify_one();
    drop(channel);
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.unwrap().body, "first");
    assert_eq!(second.unwrap().body, "second");
}

#[tokio::test]
async fn a_channel_that_was_not_ready_says_so() {
    let client = Client::builder("/nowhere").build();
    let mut channel = client.get_ref().clone();
    let request = Request {
        head: Head::new(
            Method::Unknown(Family::Drpc),
            Session::in_process(),
            Instant::now(),
        ),
        module: 0,
        method: 0,
        sequence: 0,
        body: Bytes::new(),
    };
    let error = channel.call(request).await.unwrap_err();
    assert!(matches!(error.downcast_ref(), Some(CallError::NotReady)));
}

fn pool(path: &Path, size: usize) -> Client<oneport_services::drpc::Pool> {
    let size = NonZeroUsize::new(size).unwrap();
    Client::builder(path).size(size).pool()
}

#[tokio::test]
async fn a_pool_calls_in_parallel_up_to_its_size() {
    let server = serve().await;
    let pool = pool(&server.path, 3);
    let calls: Vec<_> = (0..5)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.call_raw(TEST, WAIT, "x").await })
        })
        .collect();
    for done in 0..5 {
        let begun = 5.min(done + 3);
        while server.lab.calls.load(Ordering::Relaxed) < begun {
            tokio::task::yield_now().await;
        }
        assert_eq!(server.lab.calls.load(Ordering::Relaxed), begun);
        assert_eq!(server.sessions.open(), 3);
        server.lab.gate.notify_one();
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(pool.get_ref().idle(), 3);
    for _ in 0..10 {
        pool.call_raw(TEST, ECHO, "x").await.unwrap();
        assert_eq!(pool.get_ref().idle(), 3);
    }
}

#[tokio::test]
async fn a_pool_replaces_what_its_server_closed() {
    let directory = Directory::new();
    let path = directory.join("odd.sock");
    let listener = RawListener::bind(&path);
    let pool = pool(&path, 2);
    for _ in 0..3 {
        let answering = async {
            let server = listener.accept().await;
            server.recv().await.unwrap();
            server.send_message(&response(1, 0, b"")).await;
        };
        let (reply, ()) = tokio::join!(pool.call_raw(TEST, ECHO, "x"), answering);
        reply.unwrap();
    }
    assert_eq!(pool.get_ref().idle(), 1);
    pool.get_ref().close_idle();
    assert_eq!(pool.get_ref().idle(), 0);
}

#[tokio::test]
async fn connecting_says_what_is_wrong() {
    let directory = Directory::new();
    let missing = directory.join("missing.sock");
    let stale = directory.join("stale.sock");
    bind(seqpacket(), &SocketAddrUnix::new(&stale).unwrap()).unwrap();
    let stream = directory.join("stream.sock");
    let _stream = std::os::unix::net::UnixListener::bind(&stream).unwrap();
    let long = directory.join(&"a".repeat(200));
    for (path, text) in [
        (&missing, "No such file or directory"),
        (&stale, "Connection refused"),
        (&stream, "Protocol wrong type for socket"),
        (&long, "too long"),
    ] {
        let client = Client::builder(path).build();
        let error = client.connect().await.unwrap_err();
        assert_eq!(error.sent(), Sent::No);
        let error = error.to_string();
        let start = format!("cannot connect to {}: ", path.display());
        assert!(error.starts_with(&start) && error.contains(text), "{error}");
        assert!(!client.is_connected());
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_tried_again_for_a_while() {
    let directory = Directory::new();
    let path = directory.join("full.sock");
    let address = SocketAddrUnix::new(&path).unwrap();
    let listener = seqpacket();
    bind(&listener, &address).unwrap();
    listen(&listener, 0).unwrap();
    let waiting = seqpacket();
    connect(&waiting, &address).unwrap();
    let client = Client::builder(&path)
        .connect_time(Duration::from_secs(2))
        .build();
    let started = Instant::now();
    let error = client.connect().await.unwrap_err();
    assert!(matches!(error, CallError::Busy { .. }), "{error}");
    assert!(started.elapsed() <= Duration::from_secs(2));
}

/// A name of the abstract namespace, as Go's clients write it.
#[tokio::test]
async fn an_abstract_name_is_connected_to() {
    let name = format!("oneport-drpc-test-{}", std::process::id());
    let listener = seqpacket();
    let address = SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap();
    bind(&listener, &address).unwrap();
    listen(&listener, 1).unwrap();
    let client = Client::builder(format!("@{name}")).build();
    client.connect().await.unwrap();
    assert!(client.is_connected());
}

#[tokio::test]
async fn typed_calls_tell_failures_and_bad_bodies() {
    let server = serve().await;
    let client = Client::builder(&server.path).build();
    client.connect().await.unwrap();
    let hello = Hello::default();
    let error = client.call::<_, HelloResponse>(9, 0, &hello).await;
    let CallError::Failed(failure) = error.unwrap_err() else {
        panic!("no failure");
    };
    assert_eq!(failure.status(), Status::UNKNOWN_MODULE);
    // A number where a text is wanted.
    let reply = client.call_raw(0, 0, &b"\x08\x01"[..]).await.unwrap();
    assert_eq!(reply.status, Status::FAILED_UNMARSHAL_PAYLOAD);
    let reply = client.call_raw(TEST, BODY_AND_STATUS, "why").await.unwrap();
    assert_eq!(
        (reply.status, &reply.body[..]),
        (Status::FAILURE, &b"why"[..])
    );
    let wrong = Hello {
        name: "\u{1}".into(),
    };
    // The echo of a field 1 of text, read as a call: its field 1 is a number.
    let error = client
        .call::<_, Call>(TEST, ECHO, &wrong)
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Body(_)), "{error}");
}

/// The same modules in this process: typed by a client on the router, and as bytes.
#[tokio::test]
async fn modules_answer_without_a_socket() {
    let router = router(&Lab::default());
    let client = Client::new(router.clone());
    let bob = Hello { name: "Bob".into() };
    let said: HelloResponse = client.call(0, 0, &bob).await.unwrap();
    assert_eq!(said.greeting, "Hello Bob");
    let error = client.call::<_, HelloResponse>(TEST, 99, &bob).await;
    assert!(
        matches!(error, Err(CallError::Failed(failure)) if failure.status() == Status::UNKNOWN_METHOD)
    );

    let mut service = ModuleService::router(router);
    let session = Session::in_process();
    let call = Call {
        module: 0,
        method: 0,
        sequence: 7,
        body: bob.encode_to_vec().into(),
    };
    let answer = service.process(&session, call.encode_to_vec().into()).await;
    let answer = Response::decode(answer).unwrap();
    assert_eq!((answer.sequence, answer.ended()), (7, Status::SUCCESS));
    let nonsense = service
        .process(&session, Bytes::from_static(b"\x22\x05"))
        .await;
    assert_eq!(
        &nonsense[..],
        b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\x05"
    );
}
