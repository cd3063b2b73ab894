//! What a connection is made of: bytes in and out, without a copy in between.

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// The first read of a connection that was idle takes a buffer of this size.
pub const FIRST_READ: usize = 1024;
/// A read never asks for more than this, however busy the connection is.
pub const LARGEST_READ: usize = 64 * 1024;
/// Nor for more than this before the peer has [proven](Io::prove) itself. With it a stranger's
/// connection stays below 64 KiB beyond what it sent.
pub const LARGEST_STRANGERS_READ: usize = 32 * 1024;

/// The inside of a [`Conn`](crate::Conn).
///
/// It is a byte stream for strangers ([`AsyncRead`], [`AsyncWrite`]), and for our own talkers it
/// hands over the bytes it has read as slices of its buffer and takes answers straight into its
/// output buffer.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {
    /// The next bytes read; an empty slice at the end of the stream.
    ///
    /// # Errors
    /// What the transport says.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>>;

    /// Appends to the output buffer. Nothing is sent before `poll_flush`, which is also the
    /// back-pressure: whoever puts again before it was ready makes the buffer grow.
    fn put(&mut self, write: &mut dyn FnMut(&mut BytesMut));

    /// How many bytes wait in the output buffer, where the transport can tell: a flush that takes
    /// long makes progress as long as they get fewer.
    fn queued(&self) -> usize {
        0
    }

    /// Tells the transport that the peer has sent a whole request: it is no stranger any more.
    /// A carrier may trust its peer with more memory then; elsewhere this does nothing.
    fn prove(&mut self) {}

    /// Arranges that dropping the connection resets it (TCP: RST instead of FIN), where the
    /// transport knows such a thing; elsewhere this does nothing.
    fn abort(&mut self) {}
}

/// [`Io`] over any byte stream.
///
/// The read buffer starts small, doubles while reads fill it and is given back when the stream has
/// nothing to say; a TCP stream is asked for readiness first, so that an idle one holds none.
pub struct StreamIo<T> {
    stream: T,
    readable: fn(&T, &mut Context<'_>) -> Poll<io::Result<()>>,
    abort: fn(&T),
    input: BytesMut,
    read_size: usize,
    largest_read: usize,
    output: BytesMut,
}

impl StreamIo<TcpStream> {
    /// A TCP connection.
    pub fn tcp(stream: TcpStream) -> StreamIo<TcpStream> {
        // A socket that will not linger differently is closed all the same.
        let abort = |stream: &TcpStream| drop(stream.set_zero_linger());
        StreamIo::with(stream, TcpStream::poll_read_ready, abort)
    }
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> StreamIo<T> {
    /// Any byte stream.
    pub fn new(stream: T) -> StreamIo<T> {
        StreamIo::with(stream, |_, _| Poll::Ready(Ok(())), |_| ())
    }

    fn with(
        stream: T,
        readable: fn(&T, &mut Context<'_>) -> Poll<io::Result<()>>,
        abort: fn(&T),
    ) -> StreamIo<T> {
        StreamIo {
            stream,
            readable,
            abort,
            input: BytesMut::new(),
            read_size: FIRST_READ,
            largest_read: LARGEST_STRANGERS_READ,
            output: BytesMut::new(),
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.output))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.output.advance(sent);
        }
        Poll::Ready(Ok(()))
    }

    /// The next read is larger after a full buffer and smaller after a mostly empty one.
    fn resize(&mut self, got: usize) {
        if got >= self.read_size {
            self.read_size = (self.read_size * 2).min(self.largest_read);
        } else if got < self.read_size / 4 {
            self.read_size = (self.read_size / 2).max(FIRST_READ);
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for StreamIo<T> {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        if (self.readable)(&self.stream, cx)?.is_pending() {
            self.release();
            return Poll::Pending;
        }
        if !self.input.try_reclaim(self.read_size) {
            // Not reserve: that doubles, and gives twice what was asked for.
            self.input = BytesMut::with_capacity(self.read_size);
        }
        let read = pin!(self.stream.read_buf(&mut self.input)).poll(cx);
        match read {
            Poll::Pending => {
                self.release();
                Poll::Pending
            }
            Poll::Ready(got) => {
                self.resize(got?);
                Poll::Ready(Ok(self.input.split().freeze()))
            }
        }
    }

    fn put(&mut self, write: &mut dyn FnMut(&mut BytesMut)) {
        write(&mut self.output);
    }

    fn queued(&self) -> usize {
        self.output.len()
    }

    fn prove(&mut self) {
        self.largest_read = LARGEST_READ;
    }

    fn abort(&mut self) {
        (self.abort)(&self.stream);
    }
}

impl<T> StreamIo<T> {
    /// Gives the buffers of an idle stream back.
    fn release(&mut self) {
        self.input = BytesMut::new();
        self.read_size = FIRST_READ;
        if self.output.is_empty() {
            self.output = BytesMut::new();
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> AsyncRead for StreamIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> AsyncWrite for StreamIo<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn chunks_are_what_was_read_and_empty_at_the_end() {
        let (near, mut far) = duplex(256);
        let mut io = StreamIo::new(near);
        far.write_all(b"abc").await.unwrap();
        let chunk = poll_fn(|cx| io.poll_chunk(cx)).await.unwrap();
        assert_eq!(&chunk[..], b"abc");
        drop(far);
        assert!(poll_fn(|cx| io.poll_chunk(cx)).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_is_put_goes_out_before_what_is_written() {
        let (near, mut far) = duplex(256);
        let mut io = StreamIo::new(near);
        io.put(&mut |out| out.extend_from_slice(b"one "));
        io.write_all(b"two").await.unwrap();
        io.flush().await.unwrap();
        let mut got = [0; 7];
        far.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"one two");
    }

    #[tokio::test]
    async fn reads_grow_with_use_and_shrink_again() {
        let (near, _far) = duplex(256);
        let mut io = StreamIo::new(near);
        for _ in 0..20 {
            io.resize(io.read_size);
        }
        assert_eq!(io.read_size, LARGEST_STRANGERS_READ);
        io.prove();
        for _ in 0..20 {
            io.resize(io.read_size);
        }
        assert_eq!(io.read_size, LARGEST_READ);
        for _ in 0..20 {
            io.resize(1);
        }
        assert_eq!(io.read_size, FIRST_READ);
    }
}
