//! The life of a dRPC socket: how it comes to its path, who is let in, how it ends.
#![cfg(all(feature = "drpc", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod drpc_support;

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt, symlink},
        net::{UnixDatagram, UnixListener},
    },
    path::Path,
    sync::atomic::Ordering,
    time::Duration,
};

use drpc_support::*;
use oneport_proto::{Class, Head, Peer};
use oneport_services::{
    Drainer,
    drpc::{
        BindError, Call, Client, Config, Failure, ListenLimits, Listener, MAX_PATH, Module, Router,
        Server, Status,
    },
};
use prost::Message;
use rustix::{
    fs::Mode,
    net::{SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with},
    process::{getegid, geteuid, umask},
};

async fn bound(path: &Path) -> Result<Listener, BindError> {
    Listener::builder(path).bind().await
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

/// A socket whose owner is gone.
fn stale(path: &Path, kind: SocketType) {
    let family = rustix::net::AddressFamily::UNIX;
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None).unwrap();
    bind(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
    if kind != SocketType::DGRAM {
        listen(&socket, 1).unwrap();
    }
}

#[tokio::test]
async fn a_free_path_is_bound_and_free_again_at_the_end() {
    let directory = Directory::new();
    let path = directory.join("x.sock");
    let listener = bound(&path).await.unwrap();
    assert_eq!(listener.path(), path);
    assert_eq!(mode(&path), 0o660);
    drop(listener);
    assert!(!path.exists());
}

#[tokio::test]
async fn the_mode_is_exact_whatever_the_umask_is() {
    let directory = Directory::new();
    for mask in [0o000, 0o022, 0o777] {
        for wanted in [0o600, 0o660, 0o666, 0o777, 0o001] {
            let path = directory.join("x.sock");
            let before = umask(Mode::from_raw_mode(mask));
            let listener = Listener::builder(&path).mode(wanted).bind().await;
            umask(before);
            let _listener = listener.unwrap();
            assert_eq!(mode(&path), wanted, "{mask:o}");
        }
    }
}

#[tokio::test]
async fn a_stale_socket_is_replaced() {
    let directory = Directory::new();
    for kind in [SocketType::SEQPACKET, SocketType::STREAM] {
        let path = directory.join("x.sock");
        stale(&path, kind);
        let listener = bound(&path).await.unwrap();
        let drainer = Drainer::new();
        let server = Server::router(router(&Lab::default()));
        let served = tokio::spawn(listener.serve(server, drainer.handle()));
        let client = Client::builder(&path).build();
        client.connect().await.unwrap();
        client.call_raw(TEST, ECHO, "x").await.unwrap();
        drainer.drain();
        served.await.unwrap();
        assert!(!path.exists());
    }
}

#[tokio::test]
async fn a_live_socket_of_any_type_is_in_use() {
    let directory = Directory::new();
    let ours = directory.join("ours.sock");
    let stream = directory.join("stream.sock");
    let packets = directory.join("datagram.sock");
    let _first = bound(&ours).await.unwrap();
    let _stream = UnixListener::bind(&stream).unwrap();
    let _datagram = UnixDatagram::bind(&packets).unwrap();
    for path in [&ours, &stream, &packets] {
        let error = bound(path).await.unwrap_err();
        assert!(matches!(error, BindError::InUse { .. }), "{error}");
        assert_eq!(
            error.to_string(),
            format!("{} is in use: another server listens on it", path.display())
        );
        assert!(path.exists());
    }
}

#[tokio::test]
async fn what_is_no_socket_is_left_alone() {
    let directory = Directory::new();
    let file = directory.join("file");
    let folder = directory.join("folder");
    let link = directory.join("link");
    let dangling = directory.join("dangling");
    fs::write(&file, "precious").unwrap();
    fs::create_dir(&folder).unwrap();
    symlink(&file, &link).unwrap();
    symlink(directory.join("nothing"), &dangling).unwrap();
    for (path, kind) in [
        (&file, "a regular file"),
        (&folder, "a directory"),
        (&link, "a symbolic link"),
        (&dangling, "a symbolic link"),
    ] {
        let error = bound(path).await.unwrap_err().to_string();
        let expected = format!(
            "{} is {kind} and no socket: it is left alone",
            path.display()
        );
        assert_eq!(error, expected);
        assert!(fs::symlink_metadata(path).is_ok());
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
}

#[tokio::test]
async fn what_cannot_be_bound_says_why() {
    let directory = Directory::new();
    let missing = directory.join("no/such.sock");
    let error = bound(&missing).await.unwrap_err();
    assert!(matches!(error, BindError::Io { .. }), "{error}");
    assert!(error.to_string().contains("No such file"), "{error}");

    let mut long = directory.join("").into_os_string().into_string().unwrap();
    long.extend(std::iter::repeat_n('a', MAX_PATH - long.len()));
    drop(bound(Path::new(&long)).await.unwrap());
    long.push('a');
    let error = bound(Path::new(&long)).await.unwrap_err().to_string();
    assert!(
        error.ends_with("has 108 bytes, and the path of a socket has at most 107"),
        "{error}"
    );

    let error = bound(Path::new("")).await.unwrap_err();
    assert!(matches!(error, BindError::NoPath), "{error}");
    let error = bound(Path::new("@name")).await.unwrap_err();
    assert!(matches!(error, BindError::Abstract { .. }), "{error}");
    for mode in [0, 0o1000] {
        let path = directory.join("x.sock");
        let listener = Listener::builder(&path).mode(mode).bind().await;
        assert!(matches!(listener, Err(BindError::Mode { .. })));
        assert!(!path.exists());
    }
}

#[tokio::test]
async fn of_many_starters_one_wins() {
    let directory = Directory::new();
    let path = directory.join("x.sock");
    stale(&path, SocketType::SEQPACKET);
    let starters: Vec<_> = (0..8)
        .map(|_| {
            let path = path.clone();
            tokio::spawn(async move { bound(&path).await })
        })
        .collect();
    let mut won = Vec::new();
    for starter in starters {
        match starter.await.unwrap() {
            Ok(listener) => won.push(listener),
            Err(error) => assert!(matches!(error, BindError::InUse { .. }), "{error}"),
        }
    }
    assert_eq!(won.len(), 1);
}

/// Only our own file is removed: not one that somebody has put in its place.
#[tokio::test]
async fn anothers_socket_is_not_removed() {
    let directory = Directory::new();
    let path = directory.join("x.sock");
    let first = bound(&path).await.unwrap();
    fs::remove_file(&path).unwrap();
    let _second = bound(&path).await.unwrap();
    drop(first);
    assert!(path.exists());
}

#[tokio::test]
async fn an_inherited_listener_is_served_and_its_file_stays() {
    let directory = Directory::new();
    let path = directory.join("x.sock");
    let socket = seqpacket();
    bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    let limits = ListenLimits::default();
    let unready = Listener::inherited(socket.try_clone().unwrap(), limits);
    assert_eq!(
        unready.unwrap_err().to_string(),
        "the inherited socket does not listen"
    );
    listen(&socket, 1).unwrap();
    let listener = Listener::inherited(socket, limits).unwrap();
    assert_eq!(listener.path(), path);
    let drainer = Drainer::new();
    let server = Server::router(router(&Lab::default()));
    let served = tokio::spawn(listener.serve(server, drainer.handle()));
    let client = Client::builder(&path).build();
    client.connect().await.unwrap();
    client.call_raw(TEST, ECHO, "x").await.unwrap();
    drainer.drain();
    assert_eq!(served.await.unwrap().accepted, 1);
    assert!(path.exists());

    let stream = UnixListener::bind(directory.join("stream.sock")).unwrap();
    let error = Listener::inherited(stream.into(), limits).unwrap_err();
    assert!(error.to_string().contains("SOCK_SEQPACKET"), "{error}");
}

#[tokio::test]
async fn handlers_see_who_calls() {
    async fn who(head: Head, _: Hello) -> Result<HelloResponse, Failure> {
        let Peer::Unix(peer) = &head.session.peer else {
            return Err(Failure::with_message("no user"));
        };
        let greeting = format!("{:?} {} {}", peer.pid, peer.uid, peer.gid);
        assert_eq!(head.method.name(), "who.am_i");
        Ok(HelloResponse { greeting })
    }
    let directory = Directory::new();
    let path = directory.join("x.sock");
    let module = Module::builder(-7, "who").method(i32::MAX, "am_i", Class::Read, who);
    let router = Router::builder().module(module.build().unwrap());
    let server = Server::router(router.build().unwrap());
    let drainer = Drainer::new();
    let serving = bound(&path).await.unwrap().serve(server, drainer.handle());
    let serving = tokio::spawn(serving);
    let client = Client::builder(&path).build();
    let said: HelloResponse = client
        .connect_call_close(-7, i32::MAX, &Hello::default())
        .await
        .unwrap();
    let pid = i32::try_from(std::process::id()).unwrap();
    let expected = format!("{:?} {} {}", Some(pid), geteuid(), getegid());
    assert_eq!(said.greeting, expected);
    serving.abort();
}

#[tokio::test]
async fn sessions_are_counted_and_bounded() {
    for (limits, most) in [
        (
            ListenLimits {
                max_sessions: 2,
                ..ListenLimits::default()
            },
            2,
        ),
        (
            ListenLimits {
                max_sessions_per_user: 3,
                ..ListenLimits::default()
            },
            3,
        ),
    ] {
        let server = serve_with(Config::default(), limits).await;
        let mut open = Vec::new();
        for count in 1..=most {
            let client = Client::builder(&server.path).build();
            client.connect().await.unwrap();
            client.call_raw(TEST, ECHO, "x").await.unwrap();
            assert_eq!(server.sessions.open(), count);
            open.push(client);
        }
        let over = Raw::connect(&server.path);
        assert_eq!(over.recv().await, None);
        // A place that was given back is taken again.
        open.pop();
        while server.sessions.open() == most {
            tokio::task::yield_now().await;
        }
        let client = Client::builder(&server.path).build();
        client.connect().await.unwrap();
        client.call_raw(TEST, ECHO, "x").await.unwrap();
        server.drainer.drain();
        let served = server.served.await.unwrap();
        let accepted = u64::try_from(most).unwrap() + 2;
        assert_eq!((served.accepted, served.refused), (accepted, 1));
        assert_eq!(server.sessions.open(), 0);
    }
}

#[tokio::test]
async fn a_drain_ends_idle_sessions_and_finishes_calls() {
    let server = serve().await;
    let idle = Raw::connect(&server.path);
    idle.send_message(b"\x08\x64\x10\x01\x18\x01").await;
    idle.recv_message().await.unwrap();
    let client = Client::builder(&server.path).build();
    client.connect().await.unwrap();
    let calling = tokio::spawn({
        let client = client.clone();
        async move { client.call_raw(TEST, WAIT, "x").await }
    });
    server.lab.waiting.notified().await;

    server.drainer.drain();
    assert_eq!(idle.recv().await, None);
    assert!(!server.path.exists());
    assert!(!server.served.is_finished());
    server.lab.gate.notify_one();
    let reply = calling.await.unwrap().unwrap();
    assert_eq!(reply.status, Status::SUCCESS);
    let served = server.served.await.unwrap();
    assert_eq!((served.accepted, served.cut), (2, 0));
    assert!(!client.is_connected());
}

#[tokio::test(start_paused = true)]
async fn what_does_not_end_is_cut_after_the_grace_time() {
    let server = serve().await;
    let client = Client::builder(&server.path).build();
    client.connect().await.unwrap();
    let calling = tokio::spawn(async move { client.call_raw(TEST, WAIT, "x").await });
    server.lab.waiting.notified().await;
    server.drainer.drain();
    assert_eq!(server.served.await.unwrap().cut, 1);
    calling.await.unwrap().unwrap_err();
}

/// The call of a client that wants no answer and hangs up is carried out.
#[tokio::test]
async fn a_call_is_carried_out_though_its_caller_left() {
    let server = serve().await;
    let peer = Raw::connect(&server.path);
    let call = Call {
        module: TEST,
        method: WAIT,
        ..Call::default()
    };
    peer.send_message(&call.encode_to_vec()).await;
    drop(peer);
    server.lab.waiting.notified().await;
    assert_eq!(server.lab.calls.load(Ordering::Relaxed), 1);
    server.lab.gate.notify_one();
    while server.sessions.open() > 0 {
        tokio::task::yield_now().await;
    }
}

/// Who stops in the middle of a message, or takes no answers, holds up nobody and is closed in time.
#[tokio::test(start_paused = true)]
async fn a_stalled_client_holds_up_nobody() {
    let server = serve().await;
    let half = Raw::connect(&server.path);
    half.send(&packet(9, 6, 0, 2, b"\x08\x64\x10\x01\x18\x01"))
        .await;
    let deaf = Raw::connect(&server.path);
    let call = Call {
        module: TEST,
        method: ECHO,
        sequence: 1,
        body: vec![0; 4 << 20].into(),
    };
    deaf.send_message(&call.encode_to_vec()).await;

    let client = Client::builder(&server.path).build();
    client.connect().await.unwrap();
    for _ in 0..100 {
        client.call_raw(TEST, ECHO, vec![1; 1000]).await.unwrap();
    }
    assert_eq!(server.sessions.open(), 3);
    // Both are closed; the one that is deaf finds the packets that had room.
    assert_eq!(half.recv().await, None);
    while server.sessions.open() > 1 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    while let Some(packet) = deaf.recv().await {
        assert_eq!(packet.len(), 1 << 17);
    }
    client.call_raw(TEST, ECHO, "x").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_ends_if_it_is_to() {
    let config = Config {
        idle: Some(Duration::from_secs(5)),
        ..Config::default()
    };
    let server = serve_with(config, ListenLimits::default()).await;
    let peer = Raw::connect(&server.path);
    assert_eq!(peer.recv().await, None);
}

/// Large messages wait for their share of the memory; small ones do not.
#[tokio::test]
async fn memory_is_shared_by_large_messages() {
    let config = Config {
        memory: 1 << 20,
        ..Config::default()
    };
    let server = serve_with(config, ListenLimits::default()).await;
    let holder = Client::builder(&server.path).build();
    holder.connect().await.unwrap();
    let mut holding = Box::pin(holder.call_raw(TEST, WAIT, vec![3; 1 << 20]));
    tokio::select! {
        biased;
        () = server.lab.waiting.notified() => {}
        _ = &mut holding => panic!("it was let go"),
    }
    let waiting = Client::builder(&server.path).build();
    waiting.connect().await.unwrap();
    let mut large = Box::pin(waiting.call_raw(TEST, ECHO, vec![4; 1 << 20]));
    let small = Client::builder(&server.path).build();
    small.connect().await.unwrap();
    for _ in 0..100 {
        tokio::select! {
            biased;
            _ = &mut large => panic!("there was no memory for it"),
            reply = small.call_raw(TEST, ECHO, "small") => assert!(reply.is_ok()),
        }
    }
    server.lab.gate.notify_one();
    let (held, reply) = tokio::join!(holding, large);
    assert_eq!(held.unwrap().body.len(), 1 << 20);
    assert_eq!(reply.unwrap().body.len(), 1 << 20);
}
