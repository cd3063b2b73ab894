//! What comes in: bytes to frames, frames to streams.

use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::time::Instant;

use super::{
    fault::{Fault, SessionError, StreamError},
    frame::{Flags, HEADER_LEN, Header, Kind},
    meter,
    probation::Parked,
    session::{Role, Session},
    table::{Key, Origin},
    window::INITIAL_WINDOW,
};

/// Where the bytes read so far end.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    /// A header that was cut.
    partial: [u8; HEADER_LEN],
    have: usize,
    /// A payload that was cut.
    body: Option<Body>,
}

#[derive(Clone, Copy, Debug)]
struct Body {
    left: u32,
    /// Whose it is; nobody's is thrown away.
    owner: Option<Key>,
    /// FIN takes effect behind the payload.
    fin: bool,
}

impl Parser {
    /// Whether the bytes read so far are whole frames.
    pub(crate) fn is_at_edge(&self) -> bool {
        self.have == 0 && self.body.is_none()
    }

    /// The next header of `chunk`, if it is whole.
    fn header(&mut self, chunk: &mut Bytes) -> Result<Option<Header>, Fault> {
        let take = (HEADER_LEN - self.have).min(chunk.len());
        chunk.copy_to_slice(&mut self.partial[self.have..self.have + take]);
        self.have += take;
        if self.have < HEADER_LEN {
            return Ok(None);
        }
        self.have = 0;
        Ok(Some(Header::decode(self.partial)?))
    }
}

/// What to do with a stream that the backlog has no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// Stop there: the protocol may take some first.
    Stop,
    /// Go on by one frame, and reset the stream if it opens one: the protocol was asked and takes
    /// none.
    Refuse,
}

impl Session {
    /// Takes frames out of `chunk` until it is empty or, if so asked, the backlog is full.
    pub(crate) fn receive(
        &mut self,
        chunk: &mut Bytes,
        mut room: Room,
        now: Instant,
    ) -> Result<(), SessionError> {
        self.first = None;
        while !chunk.is_empty() {
            if let Some(body) = self.parser.body {
                self.receive_body(body, chunk)?;
                continue;
            }
            if room == Room::Stop && self.is_full() {
                break;
            }
            let before = chunk.len();
            let header = self.parser.header(chunk)?;
            self.probation.received(before - chunk.len());
            if let Some(header) = header {
                self.receive_header(header, now)?;
                room = Room::Stop;
            }
        }
        if chunk.is_empty() {
            // An empty slice still holds on to its buffer.
            *chunk = Bytes::new();
        }
        Ok(())
    }

    /// Whether a stream that is opened now may have to be refused, so that those that wait are
    /// looked after first: they may make room, or prove the peer.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= self.config.accept_backlog
            || !self.probation.admits(self.table.open(), false)
    }

    fn receive_header(&mut self, header: Header, now: Instant) -> Result<(), SessionError> {
        match header.kind {
            Kind::Ping => Ok(self.receive_ping(header, now)?),
            Kind::GoAway if header.length == 0 => {
                self.told_to_leave = true;
                self.effects.nudge = true;
                Ok(())
            }
            Kind::GoAway => Err(SessionError::GoneAway(header.length)),
            Kind::Data | Kind::WindowUpdate => Ok(self.receive_frame(header, now)?),
        }
    }

    fn receive_ping(&mut self, header: Header, now: Instant) -> Result<(), Fault> {
        if header.flags.has(Flags::SYN) {
            if !self.floods.pings.take(now) {
                return Err(Fault::PingFlood);
            }
            // While the transport is blocked one answer is owed, to the last ping.
            if self.clogged {
                self.pongs.clear();
            }
            self.pongs.push_back(header.length);
        } else {
            self.keepalive.answered(header.length, now);
        }
        Ok(())
    }

    fn receive_frame(&mut self, header: Header, now: Instant) -> Result<(), Fault> {
        if header.stream == 0 {
            return Err(Fault::StreamZero);
        }
        let Some(key) = self.stream_of(header, now)? else {
            return self.receive_unknown(header, now);
        };
        if header.flags.has(Flags::ACK) {
            self.acked(key);
        }
        let fin = header.flags.has(Flags::FIN);
        if fin && self.stream(key).is_some_and(|stream| stream.finished) {
            return Err(Fault::DoubleFin);
        }
        if header.flags == Flags::NONE && header.length == 0 && !self.floods.empty.take(now) {
            return Err(Fault::EmptyFlood);
        }
        let owner = if header.flags.has(Flags::RST) {
            if !self.floods.resets.take(now) {
                return Err(Fault::ResetFlood);
            }
            meter::reset(self.role, meter::By::Peer);
            self.fail(key, StreamError::Reset);
            None
        } else {
            Some(key)
        };
        match header.kind {
            Kind::Data => self.announced(header, owner, fin)?,
            _ => self.granted(key, header.length)?,
        }
        if fin && self.parser.body.is_none() {
            self.finished(key);
        }
        Ok(())
    }

    /// The stream that a frame is for, opened by it if need be; `None` when there is none.
    fn stream_of(&mut self, header: Header, now: Instant) -> Result<Option<Key>, Fault> {
        let known = self.table.find(header.stream);
        let parked = known.is_none() && self.probation.holds(header.stream);
        if header.flags.has(Flags::SYN) {
            if known.is_some() || parked {
                return Err(Fault::DuplicateSyn);
            }
            return self.opened(header, now);
        }
        if parked {
            return self.spoke_up(header, now);
        }
        Ok(known)
    }

    /// A stream that the peer opens; `None` when it is refused, or put aside.
    fn opened(&mut self, header: Header, now: Instant) -> Result<Option<Key>, Fault> {
        let parked = self.probation.parked();
        let full = self.role == Role::Client
            || self.leaving
            || self.table.open() + parked >= self.config.max_streams
            || self.waiting.len() + parked >= self.config.accept_backlog;
        let opened = Parked {
            id: header.stream,
            since: now,
        };
        let speaks = header.length > 0 || header.flags != Flags::SYN;
        if !full && self.probation.admits(self.table.open(), speaks) {
            return Ok(Some(self.admit(opened)));
        }
        if !full && !speaks {
            self.park(opened);
            return Ok(None);
        }
        self.refused(header.stream, now)
    }

    /// A stream that was put aside is silent no more.
    fn spoke_up(&mut self, header: Header, now: Instant) -> Result<Option<Key>, Fault> {
        let admitted = self.probation.admits(self.table.open(), true);
        let parked = self.probation.take(header.stream);
        match parked.filter(|_| admitted) {
            Some(parked) => Ok(Some(self.admit(parked))),
            None => self.refused(header.stream, now),
        }
    }

    fn refused(&mut self, id: u32, now: Instant) -> Result<Option<Key>, Fault> {
        if !self.floods.resets.take(now) {
            return Err(Fault::ResetFlood);
        }
        self.turn_away(id);
        Ok(None)
    }

    /// A frame for a stream that is not there: its payload is drained.
    fn receive_unknown(&mut self, header: Header, now: Instant) -> Result<(), Fault> {
        let data = header.kind == Kind::Data;
        if data && header.length > self.config.max_stream_window.max(INITIAL_WINDOW) {
            return Err(Fault::WindowExceeded);
        }
        let length = if data { header.length } else { 0 };
        let refused = header.flags.has(Flags::SYN);
        let late = self.table.graves().allows(header.stream, length);
        if !late && !refused && !self.floods.unknown.take(now) {
            return Err(Fault::UnknownFlood);
        }
        if length > 0 {
            self.parser.body = Some(Body {
                left: length,
                owner: None,
                fin: false,
            });
        }
        Ok(())
    }

    fn acked(&mut self, key: Key) {
        if let Some(stream) = self.table.get_mut(key)
            && stream.permit.is_some()
        {
            self.effects.permits.extend(stream.permit.take());
            match stream.held {
                true => stream.deadline = None,
                // Dropped while it waited.
                false => self.let_go(key),
            }
        }
    }

    /// A data frame: the peer has to have credit for all of it, whoever reads it.
    fn announced(&mut self, header: Header, owner: Option<Key>, fin: bool) -> Result<(), Fault> {
        if header.length > self.config.max_stream_window.max(INITIAL_WINDOW) {
            return Err(Fault::WindowExceeded);
        }
        let mut body = Body {
            left: header.length,
            owner: None,
            fin,
        };
        if let Some(key) = owner
            && let Some(stream) = self.table.get_mut(key)
        {
            stream.recv.take(header.length)?;
            // What comes behind FIN is nobody's; but the frame's own FIN is behind its payload.
            if !stream.finished || fin {
                body.owner = owner;
            }
            if header.length > 0 {
                self.quiet(key);
            }
        }
        self.parser.body = (header.length > 0).then_some(body);
        Ok(())
    }

    fn receive_body(&mut self, mut body: Body, chunk: &mut Bytes) -> Result<(), Fault> {
        let room = usize::try_from(body.left).unwrap_or(usize::MAX);
        let piece = chunk.split_to(room.min(chunk.len()));
        // Not more than `left`, so it fits and does not underflow.
        body.left -= u32::try_from(piece.len()).unwrap_or(body.left);
        self.parser.body = (body.left > 0).then_some(body);
        if let Some(key) = body.owner {
            self.deliver(key, piece)?;
            if body.fin && body.left == 0 {
                self.finished(key);
            }
        }
        Ok(())
    }

    fn deliver(&mut self, key: Key, piece: Bytes) -> Result<(), Fault> {
        let Some(stream) = self.table.get_mut(key) else {
            return Ok(());
        };
        let nobody = !stream.held && stream.origin != Origin::Waiting;
        if nobody || stream.fate.is_some() {
            return Ok(());
        }
        self.unread += piece.len();
        self.probation.received(piece.len());
        if stream.inbox.is_empty() {
            self.touched.push(key);
        }
        stream.inbox.push(piece);
        self.effects.wake(&mut stream.reader);
        self.relieve()
    }

    /// Too much unread: the newest stream goes, then the session.
    fn relieve(&mut self) -> Result<(), Fault> {
        if self.unread > self.config.fatal_unread {
            return Err(Fault::UnreadExceeded);
        }
        while self.unread > self.config.max_unread
            && let Some(newest) = self.newest_unread()
        {
            self.reset(newest, StreamError::Reset);
        }
        Ok(())
    }

    fn newest_unread(&self) -> Option<Key> {
        self.table
            .keys()
            .into_iter()
            .filter(|key| {
                self.stream(*key)
                    .is_some_and(|stream| !stream.inbox.is_empty())
            })
            .max_by_key(|key| key.serial)
    }

    /// The peer has no more data for the stream.
    fn finished(&mut self, key: Key) {
        self.quiet(key);
        if let Some(stream) = self.table.get_mut(key) {
            stream.finished = true;
            self.effects.wake(&mut stream.reader);
            self.effects.permits.extend(stream.permit.take());
            if stream.held {
                stream.deadline = None;
            }
            let dropped = stream.origin == Origin::Ours && !stream.held;
            self.tidy(key);
            if dropped {
                self.let_go(key);
            }
        }
    }

    fn granted(&mut self, key: Key, more: u32) -> Result<(), Fault> {
        if more == 0 {
            return Ok(());
        }
        let Some(stream) = self.table.get_mut(key) else {
            return Ok(());
        };
        stream.send.grant(more)?;
        if !stream.pending.is_empty() || stream.writer.is_some() {
            self.queue_writer(key);
        }
        Ok(())
    }

    // ---- the application's side

    /// The next bytes of a stream, at most `max`; none at its end.
    pub(crate) fn read(
        &mut self,
        key: Key,
        max: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Bytes, StreamError>> {
        let gated = self.is_gated();
        let Some(stream) = self.table.get_mut(key) else {
            return Poll::Ready(Err(StreamError::SessionClosed));
        };
        if let Some(fate) = stream.fate
            && (fate != StreamError::SessionClosed || (stream.inbox.is_empty() && !stream.finished))
        {
            return Poll::Ready(Err(fate));
        }
        let gated = gated && stream.origin != Origin::Ours;
        if !gated && let Some(piece) = stream.inbox.pop(max) {
            self.consumed(key, piece.len());
            return Poll::Ready(Ok(piece));
        }
        if stream.inbox.is_empty() && stream.finished {
            return Poll::Ready(Ok(Bytes::new()));
        }
        remember(&mut stream.reader, cx);
        self.gated |= gated;
        Poll::Pending
    }

    /// The application has taken `n` bytes: that, and nothing else, makes credit.
    fn consumed(&mut self, key: Key, n: usize) {
        self.unread -= n;
        let Some(stream) = self.table.get_mut(key) else {
            return;
        };
        stream.recv.consume(u32::try_from(n).unwrap_or(u32::MAX));
        if stream.finished || !stream.recv.is_due() {
            // Nothing to grant.
        } else if self.unread > self.config.session_window {
            self.starved = true;
        } else {
            self.grant(key);
        }
        self.credit_the_starved();
    }

    pub(crate) fn credit_the_starved(&mut self) {
        if self.starved && self.unread <= self.config.session_window {
            self.starved = false;
            for key in self.table.keys() {
                self.grant(key);
            }
        }
    }

    /// Reports what was consumed, and lets the window grow if it is the bottleneck.
    fn grant(&mut self, key: Key) {
        let now = Instant::now();
        let spare = self.config.session_window.saturating_sub(self.grown);
        let spare = u32::try_from(spare).unwrap_or(u32::MAX);
        let (rtt, cap) = (self.keepalive.rtt(), self.config.max_stream_window);
        let Some(stream) = self.table.get_mut(key) else {
            return;
        };
        if stream.is_over() || stream.finished || !stream.recv.is_due() {
            return;
        }
        let grown = stream.recv.grow(now, rtt, cap, spare);
        let increment = stream.recv.report(grown);
        let id = stream.id;
        self.grown += usize::try_from(grown).unwrap_or(0);
        self.emit(Header::window(id, Flags::NONE, increment));
        if rtt.is_none() && std::mem::replace(&mut self.bulk, true) {
            self.ping(now);
        }
    }

    /// End of a turn: what was received and not taken lets go of its read buffer.
    pub(crate) fn compact(&mut self) {
        let mut touched = std::mem::take(&mut self.touched);
        for key in touched.drain(..) {
            if let Some(stream) = self.table.get_mut(key) {
                stream.inbox.compact();
            }
        }
        if touched.capacity() <= 64 {
            self.touched = touched;
        }
    }
}

/// Keeps the waker of `cx`, if it is not the one that is kept.
pub(crate) fn remember(slot: &mut Option<std::task::Waker>, cx: &mut Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}
