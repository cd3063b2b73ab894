//! One connection, whatever it runs over.

use std::{
    cell::OnceCell,
    fmt,
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use oneport_proto::{Call, Head, Method, MethodInfo, Session};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Instant,
};

use crate::{
    drain::{Drain, DrainSignal},
    io::{Io, StreamIo},
};

/// One connection: a TCP socket, a TLS session inside one, a yamux stream, an in-memory pipe.
///
/// It is a concrete type, so no protocol above it carries an io parameter. Strangers (hyper,
/// rustls) use it as [`AsyncRead`] and [`AsyncWrite`]; our own talkers take bytes by
/// [`poll_chunk`](Conn::poll_chunk) and write answers by [`put`](Conn::put). It is also a [`Call`]
/// whose method is `accept`, so that the layers that guard calls can guard accepting.
pub struct Conn {
    session: Arc<Session>,
    at: Instant,
    /// What the layers that guard accepting ask for. Made when one does: the streams of a session
    /// have none, and are many.
    head: OnceCell<Box<Head>>,
    drain: DrainSignal,
    unread: Bytes,
    io: Box<dyn Io>,
}

impl Conn {
    /// A connection over `io`, with the facts that `session` knows of it.
    pub fn new(session: Arc<Session>, drain: Drain, io: impl Io + 'static) -> Conn {
        Conn {
            session,
            at: Instant::now(),
            head: OnceCell::new(),
            drain: DrainSignal::new(drain),
            unread: Bytes::new(),
            io: Box::new(io),
        }
    }

    /// A TCP connection.
    pub fn tcp(session: Arc<Session>, drain: Drain, stream: TcpStream) -> Conn {
        Conn::new(session, drain, StreamIo::tcp(stream))
    }

    /// A connection over any byte stream.
    pub fn stream<T>(session: Arc<Session>, drain: Drain, stream: T) -> Conn
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Conn::new(session, drain, StreamIo::new(stream))
    }

    /// The facts of the connection.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    fn accepted(&self) -> &Head {
        self.head.get_or_init(|| {
            let method = Method::Known(MethodInfo::accept());
            Box::new(Head::new(method, Arc::clone(&self.session), self.at))
        })
    }

    /// When it was made of its transport.
    pub fn opened_at(&self) -> Instant {
        self.at
    }

    /// The drain that the connection takes part in.
    pub fn drain(&self) -> &Drain {
        self.drain.get()
    }

    /// Ready once the drain has begun.
    pub fn poll_draining(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.drain.poll(cx)
    }

    /// The next bytes read; an empty slice at the end of the stream.
    ///
    /// # Errors
    /// What the transport says.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        if self.unread.is_empty() {
            return self.io.poll_chunk(cx);
        }
        Poll::Ready(Ok(std::mem::take(&mut self.unread)))
    }

    /// [`poll_chunk`](Conn::poll_chunk) as a future. Dropping it loses nothing.
    ///
    /// # Errors
    /// What the transport says.
    pub async fn chunk(&mut self) -> io::Result<Bytes> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// Puts bytes back in front of what comes next. They are the first to be read again.
    pub fn unread(&mut self, bytes: Bytes) {
        if self.unread.is_empty() {
            self.unread = bytes;
        } else if !bytes.is_empty() {
            let mut both = BytesMut::with_capacity(bytes.len() + self.unread.len());
            both.extend_from_slice(&bytes);
            both.extend_from_slice(&self.unread);
            self.unread = both.freeze();
        }
    }

    /// Looks at the first unread byte and leaves it where it is; `None` at the end of the stream.
    ///
    /// # Errors
    /// What the transport says.
    pub fn poll_peek(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<u8>>> {
        if self.unread.is_empty() {
            self.unread = ready!(self.io.poll_chunk(cx))?;
        }
        Poll::Ready(Ok(self.unread.first().copied()))
    }

    /// Takes the byte that [`poll_peek`](Conn::poll_peek) saw.
    pub fn eat(&mut self) -> Option<u8> {
        (!self.unread.is_empty()).then(|| self.unread.get_u8())
    }

    /// Appends to the connection's output buffer; `poll_flush` sends it.
    pub fn put(&mut self, write: &mut dyn FnMut(&mut BytesMut)) {
        self.io.put(write);
    }

    /// How many bytes wait in the output buffer, where the transport can tell.
    pub fn queued(&self) -> usize {
        self.io.queued()
    }

    /// Tells whatever carries the connection that the peer has sent a whole request: it is no
    /// stranger any more. It costs little and may be said again.
    pub fn prove(&mut self) {
        self.io.prove();
    }

    /// Closes the connection at once and without a byte.
    ///
    /// A kernel that is told to close a TCP socket sends FIN, or RST if the socket holds bytes that
    /// nobody read. Bytes that were read ahead and put back count as unread here too, so that the
    /// peer sees the same whoever holds them.
    pub fn close(mut self) {
        if !self.unread.is_empty() {
            self.io.abort();
        }
    }
}

impl Call for Conn {
    fn head(&self) -> Option<&Head> {
        Some(self.accepted())
    }

    fn head_mut(&mut self) -> Option<&mut Head> {
        self.accepted();
        self.head.get_mut().map(|head| &mut **head)
    }
}

impl AsyncRead for Conn {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unread.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let n = self.unread.len().min(buf.remaining());
        buf.put_slice(&self.unread.split_to(n));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Conn {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conn")
            .field("session", &self.session.id)
            .field("peer", &self.session.peer)
            .field("unread", &self.unread.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use oneport_proto::{Local, Peer};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, duplex},
        net::TcpListener,
    };

    use super::*;
    use crate::drain::Drainer;

    fn conn() -> (Conn, tokio::io::DuplexStream) {
        let (near, far) = duplex(64);
        let drain = Drainer::new().handle();
        (Conn::stream(Session::in_process(), drain, near), far)
    }

    #[tokio::test]
    async fn a_peeked_byte_is_still_there() {
        let (mut conn, mut far) = conn();
        far.write_all(b"\x04rest").await.unwrap();
        assert_eq!(poll_fn(|cx| conn.poll_peek(cx)).await.unwrap(), Some(4));
        assert_eq!(poll_fn(|cx| conn.poll_peek(cx)).await.unwrap(), Some(4));
        assert_eq!(conn.eat(), Some(4));
        let mut two = [0; 2];
        conn.read_exact(&mut two).await.unwrap();
        assert_eq!(&two, b"re");
        assert_eq!(&conn.chunk().await.unwrap()[..], b"st");
    }

    #[tokio::test]
    async fn bytes_put_back_come_first() {
        let (mut conn, mut far) = conn();
        far.write_all(b"c").await.unwrap();
        conn.unread(Bytes::from_static(b"b"));
        conn.unread(Bytes::from_static(b"a"));
        assert_eq!(&conn.chunk().await.unwrap()[..], b"ab");
        assert_eq!(&conn.chunk().await.unwrap()[..], b"c");
    }

    #[tokio::test]
    async fn the_end_has_no_byte_to_peek() {
        let (mut conn, far) = conn();
        drop(far);
        assert_eq!(poll_fn(|cx| conn.poll_peek(cx)).await.unwrap(), None);
        assert_eq!(conn.eat(), None);
    }

    /// What a TCP client sees of a connection that was closed after its first byte was eaten.
    async fn seen_by_a_client_that_sent(bytes: &[u8]) -> io::Result<usize> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        client.write_all(bytes).await.unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        let local = Local::Tcp(stream.local_addr().unwrap());
        let session = Session::new(Peer::Tcp(peer), local);
        let mut conn = Conn::tcp(session, Drainer::new().handle(), stream);
        poll_fn(|cx| conn.poll_peek(cx)).await.unwrap();
        conn.eat();
        conn.close();
        client.read(&mut [0]).await
    }

    #[tokio::test]
    async fn closing_is_fin_or_reset_if_bytes_are_left() {
        assert_eq!(seen_by_a_client_that_sent(b"\x06").await.unwrap(), 0);
        let error = seen_by_a_client_that_sent(b"\x06ping").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}
