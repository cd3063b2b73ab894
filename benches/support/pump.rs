//! A far end of fixed words, as cheap as a socket in this process can be.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Says what it has to say, hears so many bytes, and leaves. Bytes are copied once each way, as a
/// kernel does it.
pub(crate) struct Pump {
    /// Once, before the blocks.
    said: Bytes,
    block: Bytes,
    blocks: usize,
    /// Bytes to be heard yet.
    to_hear: usize,
    ear: Vec<u8>,
    reader: Option<Waker>,
}

impl Pump {
    pub(crate) fn new(first: Bytes, block: Bytes, blocks: usize, to_hear: usize) -> Pump {
        Pump {
            said: first,
            block,
            blocks,
            to_hear,
            ear: Vec::with_capacity(64 * 1024),
            reader: None,
        }
    }
}

impl AsyncRead for Pump {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.said.is_empty() && self.blocks == 0 && self.to_hear > 0 {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        while buf.remaining() > 0 {
            if self.said.is_empty() {
                if self.blocks == 0 {
                    break;
                }
                self.blocks -= 1;
                self.said = self.block.clone();
            }
            let n = self.said.len().min(buf.remaining());
            buf.put_slice(&self.said[..n]);
            self.said.advance(n);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pump {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let n = buf.len().min(self.ear.capacity());
        self.ear.clear();
        self.ear.extend_from_slice(&buf[..n]);
        self.to_hear = self.to_hear.saturating_sub(n);
        if self.to_hear == 0
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
