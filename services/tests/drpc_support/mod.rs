//! What the dRPC tests share: modules like those of the recorded servers, raw packets, a directory.
#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod transcript;

use std::{
    convert::Infallible,
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use oneport_proto::{BoxError, Class};
use oneport_services::{
    Drainer,
    drpc::{
        Config, Failure, HEADER, Header, ListenLimits, Listener, Module, Reply, Request, Router,
        Served, Server, Sessions, Status, chunks,
    },
};
use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, bind,
        connect, listen, recv, send, socket_with,
    },
};
use tokio::{
    io::Interest,
    net::{UnixListener, UnixStream},
    sync::Notify,
    task::JoinHandle,
};
use tower::service_fn;

/// The recorded server's modules: 100 with its methods, 101 without any, and 0 with the hello of the
/// README.
pub(crate) const TEST: i32 = 100;
pub(crate) const ECHO: i32 = 1;
pub(crate) const NOTHING: i32 = 2;
pub(crate) const PLAIN_ERROR: i32 = 3;
pub(crate) const FAIL_AS_TOLD: i32 = 4;
pub(crate) const MESSAGE: i32 = 5;
pub(crate) const WRAPPED: i32 = 6;
pub(crate) const POINTER: i32 = 7;
pub(crate) const PANIC: i32 = 8;
/// Where the recorded server sleeps, ours does not.
pub(crate) const SLEEP: i32 = 9;
pub(crate) const BODY_AND_ERROR: i32 = 14;
pub(crate) const SUM: i32 = 15;
pub(crate) const NO_SUCCESS: i32 = 17;
pub(crate) const EMPTY: i32 = 20;
/// These two are ours.
pub(crate) const WAIT: i32 = 30;
pub(crate) const BODY_AND_STATUS: i32 = 31;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Hello {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HelloResponse {
    #[prost(string, tag = "1")]
    pub(crate) greeting: String,
}

/// What the handlers share with their test.
#[derive(Clone, Default)]
pub(crate) struct Lab {
    pub(crate) gate: Arc<Notify>,
    pub(crate) waiting: Arc<Notify>,
    pub(crate) calls: Arc<AtomicUsize>,
}

#[derive(Debug, thiserror::Error)]
#[error("wrapped")]
struct Wrapped(#[source] Failure);

pub(crate) fn router(lab: &Lab) -> Router {
    let body = |f: fn(Bytes) -> Result<Reply, BoxError>| {
        service_fn(move |request: Request| std::future::ready(f(request.body)))
    };
    let counted = lab.clone();
    let echo = service_fn(move |request: Request| {
        counted.calls.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok::<_, Infallible>(Reply::new(request.body)))
    });
    let gated = lab.clone();
    let wait = service_fn(move |request: Request| {
        let lab = gated.clone();
        async move {
            lab.calls.fetch_add(1, Ordering::Relaxed);
            lab.waiting.notify_one();
            lab.gate.notified().await;
            Ok::<_, Infallible>(Reply::new(request.body))
        }
    });
    let test = Module::builder(TEST, "test")
        .service(ECHO, "echo", Class::Read, echo.clone())
        .service(SLEEP, "sleep", Class::Read, echo)
        .service(EMPTY, "empty", Class::Read, body(|_| Ok(Reply::default())))
        .service(
            POINTER,
            "pointer",
            Class::Read,
            body(|_| Err("a pointer to a failure".into())),
        )
        .service(
            BODY_AND_ERROR,
            "body_and_error",
            Class::Read,
            body(|_| Err("with error".into())),
        )
        .service(SUM, "sum", Class::Read, body(|body| Ok(sum(&body))))
        .service(
            NOTHING,
            "nothing",
            Class::Read,
            body(|_| Ok(Reply::default())),
        )
        .service(
            PLAIN_ERROR,
            "plain_error",
            Class::Read,
            body(|_| Err("plain".into())),
        )
        .service(
            FAIL_AS_TOLD,
            "fail_as_told",
            Class::Read,
            body(|body| {
                let status = body.first().copied().unwrap_or_default();
                Err(Failure::new(Status(status.into())).into())
            }),
        )
        .service(
            MESSAGE,
            "message",
            Class::Read,
            body(|_| Err(Failure::with_message("boo").into())),
        )
        .service(
            WRAPPED,
            "wrapped",
            Class::Read,
            body(|_| Err(Wrapped(Failure::new(Status::FAILED_UNMARSHAL_PAYLOAD)).into())),
        )
        .service(WAIT, "wait", Class::Read, wait)
        .service(PANIC, "panic", Class::Read, body(|_| panic!("on purpose")))
        .service(
            BODY_AND_STATUS,
            "body_and_status",
            Class::Read,
            body(|body| {
                let status = Status::FAILURE;
                Ok(Reply { status, body })
            }),
        )
        .service(
            NO_SUCCESS,
            "no_success",
            Class::Read,
            body(|_| Err(Failure::new(Status::SUCCESS).into())),
        )
        .build()
        .unwrap();
    let empty = Module::builder(101, "empty").build().unwrap();
    let hello = Module::builder(0, "hello")
        .method(0, "greet", Class::Read, |_head, hello: Hello| async move {
            let greeting = format!("Hello {}", hello.name);
            Ok::<_, Failure>(HelloResponse { greeting })
        })
        .build()
        .unwrap();
    Router::builder()
        .module(test)
        .module(empty)
        .module(hello)
        .build()
        .unwrap()
}

/// What the recorded server answers to the alphabet over and over, of these lengths: the length and
/// the SHA-256 of the body.
fn sum(body: &[u8]) -> Reply {
    let alphabet = (b'a'..=b'z').cycle();
    assert!(body.iter().copied().eq(alphabet.take(body.len())));
    let recorded = transcript::packets("06-chunk-boundaries.txt");
    let length = format!("{}:", body.len());
    let answers = recorded.iter().filter(|packet| !packet.from_client);
    let answer = answers
        .filter_map(|packet| {
            let at = packet.bytes.windows(length.len());
            let at = at.clone().position(|window| window == length.as_bytes())?;
            Some(Bytes::copy_from_slice(&packet.bytes[at..]))
        })
        .next();
    Reply::new(answer.unwrap())
}

/// A directory of one test's own, removed with what is in it.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Directory {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("oneport-drpc-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Directory(path)
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

/// A server at work.
pub(crate) struct Serving {
    pub(crate) directory: Directory,
    pub(crate) path: PathBuf,
    pub(crate) drainer: Drainer,
    pub(crate) sessions: Sessions,
    pub(crate) lab: Lab,
    pub(crate) served: JoinHandle<Served>,
}

pub(crate) async fn serve() -> Serving {
    serve_with(Config::default(), ListenLimits::default()).await
}

pub(crate) async fn serve_with(config: Config, limits: ListenLimits) -> Serving {
    let directory = Directory::new();
    let path = directory.join("drpc.sock");
    let lab = Lab::default();
    let listener = Listener::builder(&path)
        .limits(limits)
        .bind()
        .await
        .unwrap();
    let sessions = listener.sessions();
    let drainer = Drainer::new();
    let server = Server::router(router(&lab)).config(config);
    let served = tokio::spawn(listener.serve(server, drainer.handle()));
    Serving {
        directory,
        path,
        drainer,
        sessions,
        lab,
        served,
    }
}

/// A peer that sends and receives packets as they are.
pub(crate) struct Raw(UnixStream);

impl Raw {
    pub(crate) fn connect(path: &Path) -> Raw {
        let socket = seqpacket();
        connect(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
        Raw::over(socket)
    }

    pub(crate) fn over(socket: OwnedFd) -> Raw {
        Raw(UnixStream::from_std(socket.into()).unwrap())
    }

    pub(crate) async fn send(&self, packet: &[u8]) {
        self.try_send(packet).await.unwrap();
    }

    pub(crate) async fn try_send(&self, packet: &[u8]) -> io::Result<()> {
        let sent = self.0.async_io(Interest::WRITABLE, || {
            Ok(send(&self.0, packet, SendFlags::NOSIGNAL)?)
        });
        sent.await.map(|_whole| ())
    }

    /// The next packet; none at the end.
    pub(crate) async fn recv(&self) -> Option<Vec<u8>> {
        let mut packet = vec![0; 1 << 18];
        let received = self.0.async_io(Interest::READABLE, || {
            match recv(&self.0, &mut packet[..], RecvFlags::empty()) {
                // The other end closed without reading everything.
                Err(Errno::CONNRESET) => Ok(recv(&self.0, &mut packet[..], RecvFlags::empty())?),
                received => Ok(received?),
            }
        });
        let (length, _) = received.await.unwrap();
        packet.truncate(length);
        (length > 0).then_some(packet)
    }

    /// Sends a message in chunks.
    pub(crate) async fn send_message(&self, message: &[u8]) {
        for packet in packets(message) {
            self.send(&packet).await;
        }
    }

    /// Receives a message, chunk by chunk, without looking at much.
    pub(crate) async fn recv_message(&self) -> Option<Vec<u8>> {
        let mut message = Vec::new();
        loop {
            let packet = self.recv().await?;
            let (header, data) = Header::split(&packet).unwrap();
            message.extend_from_slice(data);
            if header.index + 1 == header.chunks {
                return Some(message);
            }
        }
    }
}

pub(crate) fn seqpacket() -> OwnedFd {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap()
}

/// The packets of a message.
pub(crate) fn packets(message: &[u8]) -> Vec<Vec<u8>> {
    let chunks = chunks(message.len()).unwrap();
    chunks
        .map(|(header, range)| [&header.to_bytes(), &message[range]].concat())
        .collect()
}

/// A packet with any header.
pub(crate) fn packet(total: u64, data: u64, index: u32, chunks: u32, bytes: &[u8]) -> Vec<u8> {
    let header = Header {
        total,
        data,
        index,
        chunks,
    };
    let mut packet = Vec::with_capacity(HEADER + bytes.len());
    packet.extend(header.to_bytes());
    packet.extend(bytes);
    packet
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

/// A listener that does nothing by itself.
pub(crate) struct RawListener(UnixListener);

impl RawListener {
    pub(crate) fn bind(path: &Path) -> RawListener {
        let socket = seqpacket();
        bind(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
        listen(&socket, 16).unwrap();
        RawListener(UnixListener::from_std(socket.into()).unwrap())
    }

    pub(crate) async fn accept(&self) -> Raw {
        Raw(self.0.accept().await.unwrap().0)
    }
}
