//! A client made of bytes: everything that it says is there before it begins.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::{Buf, Bytes, BytesMut};
use oneport::services::yamux::frame::{Flags, Header};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    calls::Exchange,
    way::{Way, ids},
};

/// A connection whose far end says one thing, waits for something to come back, says the next, and
/// leaves when it has said everything. It costs next to nothing, so what is measured is the server.
pub(crate) struct Feed<I> {
    turns: I,
    saying: Bytes,
    answered: bool,
    reader: Option<Waker>,
}

impl<I: Iterator<Item = Bytes> + Send + Unpin> Feed<I> {
    pub(crate) fn new(turns: impl IntoIterator<IntoIter = I>) -> Feed<I> {
        Feed {
            turns: turns.into_iter(),
            saying: Bytes::new(),
            answered: true,
            reader: None,
        }
    }
}

impl<I: Iterator<Item = Bytes> + Send + Unpin> AsyncRead for Feed<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.saying.is_empty() {
            if !self.answered {
                self.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            match self.turns.next() {
                Some(turn) => self.saying = turn,
                None => return Poll::Ready(Ok(())),
            }
            self.answered = false;
        }
        let n = self.saying.len().min(buf.remaining());
        buf.put_slice(&self.saying[..n]);
        self.saying.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl<I: Iterator<Item = Bytes> + Send + Unpin> AsyncWrite for Feed<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.answered = true;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The turns of a client that makes calls: first it opens its streams, then it makes as many calls
/// at once as its way allows, and it gives credit for what it has read as the reference does, when
/// half of a window is used.
pub(crate) fn client(
    way: Way,
    exchange: &Exchange,
    rounds: u64,
) -> impl Iterator<Item = Bytes> + use<> {
    const HALF_A_WINDOW: usize = 128 * 1024;
    let request = way.once_each(&exchange.request);
    let opening: Bytes = [opening(way), request.clone()].concat().into();
    let every = HALF_A_WINDOW.div_ceil(exchange.answer.len());
    let credit = credit(way, u32::try_from(every * exchange.answer.len()).unwrap());
    let with_credit: Bytes = [credit, request.clone()].concat().into();
    let every = u64::try_from(every).unwrap();
    (0..rounds).map(move |round| match round {
        0 => opening.clone(),
        round if round % every == 0 => with_credit.clone(),
        _ => request.clone(),
    })
}

/// What a client sends before its first call, the type byte included.
fn opening(way: Way) -> Bytes {
    let mut out = BytesMut::from(&[way.tag()][..]);
    if let Way::Yamux(streams) = way {
        for id in ids(streams) {
            out.extend_from_slice(&Header::window(id, Flags::SYN, 0).encode());
        }
    }
    out.freeze()
}

/// What a client sends that has read so many bytes of each stream.
fn credit(way: Way, bytes: u32) -> Bytes {
    let Way::Yamux(streams) = way else {
        return Bytes::new();
    };
    ids(streams)
        .flat_map(|id| Header::window(id, Flags::NONE, bytes).encode())
        .collect()
}
