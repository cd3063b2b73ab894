//! What goes out: writes to frames, and whose turn it is.

use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::time::Instant;

use super::{
    fault::StreamError,
    frame::{Flags, HEADER_LEN, Header},
    keepalive::Beat,
    receive::remember,
    session::Session,
    table::{Half, Key},
};

/// The payload of one data frame never exceeds this, so that streams share the connection fairly.
pub(crate) const FRAME_MAX: u32 = 64 * 1024;
/// The same as a length.
const FRAME_MAX_LEN: usize = 64 * 1024;

impl Session {
    /// Lets `write` append to the stream: straight into the session's output behind a header that
    /// is completed afterwards, if credit allows, else to what is pending.
    pub(crate) fn put(&mut self, key: Key, write: &mut dyn FnMut(&mut BytesMut)) {
        self.prove();
        let Some(stream) = self.table.get_mut(key) else {
            return;
        };
        if stream.fate.is_some() || stream.local != Half::Open {
            // The failure is told by `flush`; what is written is thrown away.
            write(&mut BytesMut::new());
            return;
        }
        if !stream.pending.is_empty() {
            let before = stream.pending.len();
            write(&mut stream.pending);
            self.pending = (self.pending + stream.pending.len()).saturating_sub(before);
            return;
        }
        self.effects.output |= self.out.is_empty();
        let frame = Reserved::new(&mut self.out);
        write(frame.out);
        let length = frame.length();
        let whole =
            length <= FRAME_MAX_LEN && u32::try_from(length).is_ok_and(|n| n <= stream.send.left());
        if whole {
            let length = stream.send.take(length, FRAME_MAX);
            frame.complete(Header::data(stream.id, length));
        } else {
            stream.pending = frame.take_back();
            self.pending += stream.pending.len();
            self.pump(key);
        }
    }

    /// Writes as much of `buf` as one frame, credit and the limit of outgoing bytes allow.
    pub(crate) fn write(
        &mut self,
        key: Key,
        buf: &[u8],
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize, StreamError>> {
        self.prove();
        let room = self.config.max_outgoing.saturating_sub(self.outgoing());
        let Some(stream) = self.table.get_mut(key) else {
            return Poll::Ready(Err(StreamError::SessionClosed));
        };
        if let Some(refusal) = cannot_write(stream) {
            return Poll::Ready(Err(refusal));
        }
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if !stream.pending.is_empty() || room == 0 || stream.send.left() == 0 {
            return self.wait_to_write(key, cx);
        }
        let length = stream.send.take(buf.len().min(room), FRAME_MAX);
        let id = stream.id;
        let taken = usize::try_from(length).unwrap_or(0);
        self.emit(Header::data(id, length));
        self.out.extend_from_slice(&buf[..taken]);
        Poll::Ready(Ok(taken))
    }

    /// Ready when nothing of the stream is pending and there is room for more.
    pub(crate) fn flush(
        &mut self,
        key: Key,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), StreamError>> {
        self.pump(key);
        let full = self.outgoing() >= self.config.max_outgoing;
        let Some(stream) = self.table.get_mut(key) else {
            return Poll::Ready(Err(StreamError::SessionClosed));
        };
        if let Some(fate) = stream.fate {
            return Poll::Ready(Err(fate));
        }
        if stream.pending.is_empty() && !full {
            return Poll::Ready(Ok(()));
        }
        self.wait_to_write(key, cx)
    }

    /// Sends FIN behind what is pending; ready when it is on its way.
    pub(crate) fn shutdown(
        &mut self,
        key: Key,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), StreamError>> {
        self.close_write(key);
        let Some(stream) = self.table.get_mut(key) else {
            return Poll::Ready(Err(StreamError::SessionClosed));
        };
        match (stream.fate, stream.local) {
            (Some(fate), _) => Poll::Ready(Err(fate)),
            (None, Half::Closed) => Poll::Ready(Ok(())),
            (None, _) => self.wait_to_write(key, cx),
        }
    }

    /// The application writes no more.
    pub(crate) fn close_write(&mut self, key: Key) {
        if let Some(stream) = self.table.get_mut(key)
            && stream.fate.is_none()
            && stream.local == Half::Open
        {
            stream.local = Half::Closing;
        }
        self.pump(key);
    }

    fn wait_to_write<T>(&mut self, key: Key, cx: &mut Context<'_>) -> Poll<T> {
        if let Some(stream) = self.table.get_mut(key) {
            remember(&mut stream.writer, cx);
            if stream.send.left() > 0 {
                self.queue_writer(key);
            }
        }
        Poll::Pending
    }

    pub(crate) fn queue_writer(&mut self, key: Key) {
        if let Some(stream) = self.table.get_mut(key)
            && !std::mem::replace(&mut stream.queued, true)
        {
            self.writers.push_back(key);
            self.effects.nudge = true;
        }
    }

    /// Frames what is pending of one stream, as far as credit and the limit allow.
    fn pump(&mut self, key: Key) {
        while self.pump_one(key) {}
    }

    /// Frames one frame of what is pending, or the FIN behind it; `true` if there may be more.
    fn pump_one(&mut self, key: Key) -> bool {
        let full = self.outgoing() >= self.config.max_outgoing;
        let Some(stream) = self.table.get_mut(key) else {
            return false;
        };
        let id = stream.id;
        if !stream.pending.is_empty() {
            if full {
                self.queue_writer(key);
                return false;
            }
            let length = stream.send.take(stream.pending.len(), FRAME_MAX);
            if length == 0 {
                return false;
            }
            let taken = usize::try_from(length).unwrap_or(0);
            let piece = stream.pending.split_to(taken);
            if stream.pending.is_empty() {
                stream.pending = BytesMut::new();
            }
            self.pending -= taken;
            self.emit(Header::data(id, length));
            self.out.extend_from_slice(&piece);
            return true;
        }
        if stream.local == Half::Closing && stream.fate.is_none() {
            stream.local = Half::Closed;
            self.emit(Header::window(id, Flags::FIN, 0));
            self.tidy(key);
        }
        false
    }

    /// Serves the writers in turn, a frame each, as long as there is room. To be called whenever
    /// output went out or credit came in.
    pub(crate) fn serve_writers(&mut self) {
        let mut room = self.config.max_outgoing.saturating_sub(self.outgoing());
        while room > 0
            && let Some(key) = self.writers.pop_front()
        {
            let before = self.outgoing();
            let more = self.serve_writer(key);
            // Who is only woken is going to write a frame too. Once all is sent everybody who is
            // left here is served, so a wrong guess delays, but never forgets.
            let framed = self.outgoing() - before;
            room = room.saturating_sub(if framed > 0 { framed } else { FRAME_MAX_LEN });
            if more {
                self.queue_writer(key);
            }
        }
        self.open_gate();
    }

    /// `true` if the stream has more to send and credit for it.
    fn serve_writer(&mut self, key: Key) -> bool {
        match self.table.get_mut(key) {
            None => return false,
            Some(stream) => stream.queued = false,
        }
        let more = self.pump_one(key);
        let Some(stream) = self.table.get_mut(key) else {
            return false;
        };
        if more && !stream.pending.is_empty() {
            return stream.send.left() > 0;
        }
        if stream.pending.is_empty() {
            self.effects.wake(&mut stream.writer);
            // The FIN that waits behind it.
            self.pump_one(key);
        }
        false
    }

    /// Whether inbound streams get nothing to read because too much waits to be sent.
    pub(crate) fn is_gated(&self) -> bool {
        self.outgoing() >= self.config.max_outgoing || self.pending >= self.config.max_pending
    }

    fn open_gate(&mut self) {
        if !self.gated || self.is_gated() {
            return;
        }
        self.gated = false;
        for key in self.table.keys() {
            if let Some(stream) = self.table.get_mut(key) {
                self.effects.wake(&mut stream.reader);
            }
        }
    }

    /// Sends a ping, unless one is under way.
    pub(crate) fn ping(&mut self, now: Instant) {
        if let Beat::Ping(value) = self.keepalive.ping(now) {
            self.emit(Header::ping(Flags::SYN, value));
        }
    }

    /// The transport has taken all but `left` bytes of what it was given.
    pub(crate) fn sent(&mut self, left: usize) {
        self.in_flight = left;
        self.clogged = left > 0;
        self.serve_writers();
    }

    /// Moves what is to be sent next into `sending`, which has to be empty: answers to pings
    /// first, then all frames.
    pub(crate) fn take_output(&mut self, sending: &mut BytesMut) {
        self.clogged = false;
        if self.pongs.is_empty() {
            std::mem::swap(sending, &mut self.out);
        } else {
            for value in self.pongs.drain(..) {
                sending.extend_from_slice(&Header::ping(Flags::ACK, value).encode());
            }
            if self.out.len() <= FRAME_MAX_LEN {
                sending.extend_from_slice(&self.out);
                self.out.clear();
            }
        }
        self.in_flight = sending.len();
    }

    /// Lets go of the buffer of what is to be sent, if there is nothing in it.
    pub(crate) fn release_output(&mut self) {
        if self.out.is_empty() {
            self.out = BytesMut::new();
        }
    }
}

fn cannot_write(stream: &super::table::Stream) -> Option<StreamError> {
    match (stream.fate, stream.local) {
        (Some(fate), _) => Some(fate),
        (None, Half::Open) => None,
        (None, _) => Some(StreamError::Closed),
    }
}

/// Room for a header in the output. Whatever was appended is taken back when it is dropped without
/// being completed, so a panic of the writer leaves whole frames only.
struct Reserved<'a> {
    out: &'a mut BytesMut,
    start: usize,
    keep: bool,
}

impl Reserved<'_> {
    fn new(out: &mut BytesMut) -> Reserved<'_> {
        let start = out.len();
        out.extend_from_slice(&[0; HEADER_LEN]);
        Reserved {
            out,
            start,
            keep: false,
        }
    }

    fn length(&self) -> usize {
        self.out.len().saturating_sub(self.start + HEADER_LEN)
    }

    fn complete(mut self, header: Header) {
        if header.length > 0 {
            self.keep = true;
            self.out[self.start..self.start + HEADER_LEN].copy_from_slice(&header.encode());
        }
    }

    fn take_back(self) -> BytesMut {
        self.out.split_off(self.start + HEADER_LEN)
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        if !self.keep {
            self.out.truncate(self.start);
        }
    }
}
