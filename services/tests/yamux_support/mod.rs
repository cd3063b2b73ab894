//! A peer that speaks raw frames, and the protocols under test.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(
    clippy::unwrap_used,
    reason = "a failure of the helper is a failure of the test"
)]

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use oneport_proto::{BoxError, Session};
use oneport_services::{
    BoxProtocol, Conn, Drainer,
    yamux::{
        Config, Yamux,
        frame::{Flags, HEADER_LEN, Header, Kind},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    task::JoinHandle,
    time::timeout,
};
use tower::{Service, service_fn};

/// What came from the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) header: Header,
    pub(crate) body: Bytes,
}

pub(crate) fn data(id: u32, body: &[u8]) -> Frame {
    Frame {
        header: Header::data(id, u32::try_from(body.len()).unwrap()),
        body: Bytes::copy_from_slice(body),
    }
}

pub(crate) fn window(id: u32, flags: Flags, increment: u32) -> Frame {
    Frame {
        header: Header::window(id, flags, increment),
        body: Bytes::new(),
    }
}

pub(crate) fn ack(id: u32) -> Frame {
    window(id, Flags::ACK, 0)
}

pub(crate) fn fin(id: u32) -> Frame {
    window(id, Flags::FIN, 0)
}

pub(crate) fn rst(id: u32) -> Frame {
    window(id, Flags::RST, 0)
}

pub(crate) fn syn(id: u32) -> Frame {
    window(id, Flags::SYN, 0)
}

pub(crate) fn ping(flags: Flags, value: u32) -> Frame {
    Frame {
        header: Header::ping(flags, value),
        body: Bytes::new(),
    }
}

pub(crate) fn go_away(code: u32) -> Frame {
    let header = Header {
        kind: Kind::GoAway,
        flags: Flags::NONE,
        stream: 0,
        length: code,
    };
    Frame {
        header,
        body: Bytes::new(),
    }
}

/// The far end of a session, by hand.
pub(crate) struct Peer {
    pub(crate) io: DuplexStream,
    pub(crate) session: JoinHandle<Result<(), BoxError>>,
    pub(crate) drainer: Drainer,
}

impl Peer {
    /// A server of `protocol` to talk to.
    pub(crate) fn new(protocol: BoxProtocol, config: Config) -> Peer {
        Peer::with_buffer(protocol, config, 4 << 20)
    }

    /// The same with a transport that takes `buffer` bytes before it blocks.
    pub(crate) fn with_buffer(protocol: BoxProtocol, config: Config, buffer: usize) -> Peer {
        Peer::serve(Yamux::new(protocol).config(config), buffer)
    }

    pub(crate) fn serve(mut server: Yamux<BoxProtocol>, buffer: usize) -> Peer {
        let drainer = Drainer::new();
        let (near, io) = duplex(buffer);
        let conn = Conn::stream(Session::in_process(), drainer.handle(), near);
        let session = tokio::spawn(server.call(conn));
        Peer {
            io,
            session,
            drainer,
        }
    }

    pub(crate) async fn send(&mut self, frames: &[Frame]) {
        let mut bytes = Vec::new();
        for frame in frames {
            bytes.extend_from_slice(&frame.header.encode());
            bytes.extend_from_slice(&frame.body);
        }
        self.send_bytes(&bytes).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.unwrap();
    }

    /// The next frame; `None` at the end of the connection.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        let mut header = [0; HEADER_LEN];
        match self.io.read_exact(&mut header).await {
            Ok(_) => {}
            Err(_) => return None,
        }
        let header = Header::decode(header).unwrap();
        let length = match header.kind {
            Kind::Data => usize::try_from(header.length).unwrap(),
            _ => 0,
        };
        let mut body = vec![0; length];
        self.io.read_exact(&mut body).await.unwrap();
        Some(Frame {
            header,
            body: body.into(),
        })
    }

    /// The next frames have to be these.
    pub(crate) async fn expect(&mut self, frames: &[Frame]) {
        for (i, frame) in frames.iter().enumerate() {
            let got = self.next().await;
            assert_eq!(got.as_ref(), Some(frame), "frame {i}");
        }
    }

    /// Nothing comes as long as nothing is sent. Needs a paused clock, which moves when all sleep.
    pub(crate) async fn expect_quiet(&mut self) {
        let got = timeout(Duration::from_millis(10), self.next()).await;
        assert!(got.is_err(), "unexpected {got:?}");
    }

    /// The session tells the peer off and ends; returns why.
    pub(crate) async fn expect_fault(self) -> String {
        self.expect_end(Some(go_away(1))).await
    }

    /// The session ends, with `last` as the last frame.
    pub(crate) async fn expect_end(mut self, last: Option<Frame>) -> String {
        let mut seen = None;
        while let Some(frame) = self.next().await {
            seen = Some(frame);
        }
        if last.is_some() {
            assert_eq!(seen, last);
        }
        drop(self.io);
        match self.session.await.unwrap() {
            Ok(()) => String::new(),
            Err(err) => err.to_string(),
        }
    }

    /// A call on a new stream works: the session lives.
    pub(crate) async fn expect_alive(&mut self, id: u32) {
        self.send(&[syn(id), data(id, b"alive?")]).await;
        loop {
            match self.next().await {
                Some(frame) if frame == data(id, b"alive?") => return,
                Some(frame) if frame.header.stream != id || frame == ack(id) => {}
                other => panic!("the session is not well: {other:?}"),
            }
        }
    }
}

/// Says back what it hears, chunk by chunk, until the peer has finished.
pub(crate) fn echo() -> BoxProtocol {
    BoxProtocol::new(service_fn(|conn: Conn| serve_echo(conn)))
}

pub(crate) async fn serve_echo(mut conn: Conn) -> Result<(), BoxError> {
    loop {
        let chunk = conn.chunk().await?;
        if chunk.is_empty() {
            return Ok(());
        }
        conn.put(&mut |out| out.extend_from_slice(&chunk));
        conn.flush().await?;
    }
}

/// Reads nothing and answers nothing, for ever.
pub(crate) fn deaf() -> BoxProtocol {
    BoxProtocol::new(service_fn(|conn: Conn| async move {
        std::future::pending::<()>().await;
        drop(conn);
        Ok(())
    }))
}

/// Reads all there is and then completes.
pub(crate) fn sink() -> BoxProtocol {
    BoxProtocol::new(service_fn(|mut conn: Conn| async move {
        while !conn.chunk().await?.is_empty() {}
        Ok(())
    }))
}

/// Writes `length` bytes as soon as it hears something.
pub(crate) fn fountain(length: usize) -> BoxProtocol {
    BoxProtocol::new(service_fn(move |mut conn: Conn| async move {
        conn.chunk().await?;
        conn.put(&mut |out| out.resize(out.len() + length, 7));
        conn.flush().await?;
        Ok(())
    }))
}

/// Counts the futures that live.
#[derive(Clone, Default)]
pub(crate) struct Alive(Arc<AtomicUsize>);

pub(crate) struct Guard(Arc<AtomicUsize>);

impl Alive {
    pub(crate) fn enter(&self) -> Guard {
        self.0.fetch_add(1, Ordering::SeqCst);
        Guard(Arc::clone(&self.0))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Lets all other tasks run until they wait.
pub(crate) async fn settle() {
    let mut turns = 0;
    poll_fn(|cx| {
        turns += 1;
        if turns > 200 {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}
