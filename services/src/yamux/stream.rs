//! One stream as a connection.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    session::{Session, Shared},
    table::Key,
};
use crate::io::Io;

/// The inside of a stream's [`Conn`](crate::Conn): a key to the session, no buffer of its own.
#[derive(Debug)]
pub(crate) struct YamuxStream {
    shared: Arc<Shared>,
    key: Key,
}

impl YamuxStream {
    pub(crate) fn new(shared: Arc<Shared>, key: Key) -> YamuxStream {
        YamuxStream { shared, key }
    }

    fn poll_take(&self, max: usize, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        self.shared
            .with(|session| session.read(self.key, max, cx))
            .map_err(io::Error::from)
    }
}

impl Io for YamuxStream {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        self.poll_take(usize::MAX, cx)
    }

    fn put(&mut self, write: &mut dyn FnMut(&mut BytesMut)) {
        self.shared.with(|session| session.put(self.key, write));
    }

    fn prove(&mut self) {
        self.shared.with(Session::prove);
    }
}

impl AsyncRead for YamuxStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        self.poll_take(buf.remaining(), cx)
            .map_ok(|bytes| buf.put_slice(&bytes))
    }
}

impl AsyncWrite for YamuxStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.shared
            .with(|session| session.write(self.key, buf, cx))
            .map_err(io::Error::from)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared
            .with(|session| session.flush(self.key, cx))
            .map_err(io::Error::from)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared
            .with(|session| session.shutdown(self.key, cx))
            .map_err(io::Error::from)
    }
}

impl Drop for YamuxStream {
    fn drop(&mut self) {
        self.shared.with(|session| session.dropped(self.key));
    }
}
