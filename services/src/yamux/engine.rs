//! The one task of a session: it reads, feeds, polls, and writes once.

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::AsyncWrite,
    time::{Duration, Instant, Sleep, sleep_until},
};

use super::{
    config::{Config, after},
    fault::SessionError,
    frame::{GoAway, Header},
    meter,
    receive::Room,
    session::{Role, Shared},
};
use crate::Conn;

/// Reads in one turn of the session, before other tasks of the runtime get theirs.
const READS_PER_TURN: usize = 16;
/// With so much to send, it is sent before more is read.
const SEND_AT: usize = 32 * 1024;
/// Turns in which streams that were ready at the end of the connection may finish.
const LAST_TURNS: usize = 16;
/// How long a session that ends may take to say so and to see the peer hang up.
const LINGER: Duration = Duration::from_secs(1);
/// A session that has sent no more than this at once keeps its output buffers.
const KEEP_BUFFER: usize = 1024;
/// Larger output buffers are given back when a session has not used them for this long, at the most
/// twice. Giving them back at each pause of a bulk transfer costs more than the transfer's frames.
const HOLD_BUFFERS: Duration = Duration::from_millis(100);

/// What lives on the streams that the peer opens.
pub(crate) trait Tenants {
    /// Begins new streams and polls those that are ready, until none is or `polls` are used up.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        shared: &Arc<Shared>,
        polls: &mut usize,
    ) -> Result<(), SessionError>;

    /// Whether streams are written to by other tasks.
    fn are_elsewhere(&self) -> bool;

    /// Every stream gets a poll: the drain has begun.
    fn wake_all(&mut self);

    /// Whether nobody is left.
    fn is_empty(&self) -> bool;

    /// Ends all streams at once.
    fn clear(&mut self);
}

/// A session with its socket.
pub(crate) struct Engine<T: Tenants> {
    conn: Conn,
    shared: Arc<Shared>,
    tenants: T,
    /// Read and not fed yet.
    chunk: Bytes,
    /// Whole frames that are being written; none is begun before these are gone.
    sending: BytesMut,
    unflushed: bool,
    /// More than [`KEEP_BUFFER`] was sent at once since the buffers were last looked at.
    sent_much: bool,
    /// When large buffers are looked at, if there are any.
    release: Option<Instant>,
    /// One more turn of the runtime was waited, so that others could add their frames.
    gathered: bool,
    eof: bool,
    /// The transport was told that the peer is no stranger.
    trusted: bool,
    last_turns: usize,
    draining: bool,
    /// By when the transport has to take a byte.
    stall: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    closing: Option<Closing>,
}

// Nothing in it is pinned in place: the futures of the streams are boxed.
impl<T: Tenants> Unpin for Engine<T> {}

struct Closing {
    result: Result<(), SessionError>,
    until: Instant,
    shut: bool,
}

/// What may still be done in one turn.
struct Turn {
    now: Instant,
    polls: usize,
    reads: usize,
}

impl<T: Tenants> Engine<T> {
    pub(crate) fn new(role: Role, config: Arc<Config>, conn: Conn, tenants: T) -> Engine<T> {
        meter::session_begun(role);
        Engine {
            shared: Shared::new(role, config, Instant::now()),
            conn,
            tenants,
            chunk: Bytes::new(),
            sending: BytesMut::new(),
            unflushed: false,
            sent_much: false,
            release: None,
            gathered: false,
            eof: false,
            trusted: false,
            last_turns: LAST_TURNS,
            draining: false,
            stall: None,
            timer: None,
            closing: None,
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SessionError>> {
        let output = self.shared.ready.enter(cx.waker());
        if self.gather(output) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut turn = Turn {
            now: Instant::now(),
            polls: self.shared.config.polls_per_turn.max(1),
            reads: READS_PER_TURN,
        };
        self.tick(cx, turn.now)?;
        loop {
            let more = self.work(cx, &mut turn)?;
            self.send(cx, turn.now)?;
            if self.is_finished() {
                return Poll::Ready(Ok(()));
            }
            if turn.polls == 0 || turn.reads == 0 {
                return self.give_way(cx);
            }
            if !more && self.shared.ready.leave() {
                break;
            }
        }
        if self.eof {
            return self.poll_end(cx, &turn);
        }
        self.rest(turn.now);
        self.arm(cx);
        Poll::Pending
    }

    /// Whether to wait one turn of the runtime: the answers that woke one writer have woken others
    /// too, and whoever wakes us is made to run before them. One write then takes the frames of all.
    fn gather(&mut self, output: bool) -> bool {
        self.gathered = output && !self.gathered && self.tenants.are_elsewhere();
        self.gathered
    }

    /// Others have waited long enough; the rest is for the next turn.
    fn give_way(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SessionError>> {
        if self.eof {
            if self.last_turns == 0 {
                return Poll::Ready(self.at_end());
            }
            self.last_turns -= 1;
        }
        self.shared.ready.yielded();
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Drain and clock.
    fn tick(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<(), SessionError> {
        if !self.draining && self.conn.poll_draining(cx).is_ready() {
            self.draining = true;
            self.shared.with(|session| session.go_away());
            self.tenants.wake_all();
        }
        if self.stall.is_some_and(|until| until <= now) {
            return Err(SessionError::WriteStalled);
        }
        self.shared.with(|session| session.tick(now))
    }

    /// Nothing is read while a stream is ready; little is written before a read would block. True
    /// when there is more to do once that is sent.
    fn work(&mut self, cx: &mut Context<'_>, turn: &mut Turn) -> Result<bool, SessionError> {
        loop {
            self.tenants.poll(cx, &self.shared, &mut turn.polls)?;
            if turn.polls == 0 {
                return Ok(false);
            }
            if !self.chunk.is_empty() {
                self.feed(turn.now)?;
                continue;
            }
            if self.eof || turn.reads == 0 {
                return Ok(false);
            }
            if self.shared.with(|session| session.out.len()) >= SEND_AT && !self.is_clogged() {
                return Ok(true);
            }
            match self.conn.poll_chunk(cx)? {
                Poll::Pending => return Ok(false),
                Poll::Ready(chunk) => {
                    self.trust();
                    turn.reads -= 1;
                    self.eof = chunk.is_empty();
                    self.chunk = chunk;
                }
            }
        }
    }

    /// Whoever is off probation, or never was on it, is no stranger to the transport either.
    fn trust(&mut self) {
        if !self.trusted && self.shared.with(|session| session.probation.is_over()) {
            self.trusted = true;
            self.conn.prove();
        }
    }

    /// The transport takes nothing now.
    fn is_clogged(&self) -> bool {
        !self.sending.is_empty()
    }

    fn feed(&mut self, now: Instant) -> Result<(), SessionError> {
        let chunk = &mut self.chunk;
        self.shared.with(|session| {
            // The protocol was asked just before: what it left it does not want now.
            let room = match session.is_full() {
                true => Room::Refuse,
                false => Room::Stop,
            };
            session.receive(chunk, room, now)
        })
    }

    /// Writes until there is nothing left or the transport takes no more.
    fn send(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<(), SessionError> {
        let stall = after(now, self.shared.config.write_timeout);
        // Before the output is taken: what comes later is told anew.
        self.shared.ready.sending();
        loop {
            if self.sending.is_empty() {
                let sending = &mut self.sending;
                self.shared.with(|session| {
                    session.sent(0);
                    session.take_output(sending);
                });
                if self.sending.is_empty() {
                    break;
                }
                self.unflushed = true;
                self.sent_much |= self.sending.len() > KEEP_BUFFER;
            }
            match Pin::new(&mut self.conn).poll_write(cx, &self.sending)? {
                Poll::Ready(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                Poll::Ready(n) => {
                    self.sending.advance(n);
                    self.stall = None;
                }
                Poll::Pending => {
                    self.stall.get_or_insert(stall);
                    let left = self.sending.len();
                    self.shared.with(|session| session.sent(left));
                    return Ok(());
                }
            }
        }
        if self.unflushed {
            self.unflushed = Pin::new(&mut self.conn).poll_flush(cx)?.is_pending();
            self.stall = match self.unflushed {
                true => self.stall.or(Some(stall)),
                false => None,
            };
        }
        Ok(())
    }

    fn is_finished(&self) -> bool {
        self.shared.with(|session| session.is_finished()) && self.tenants.is_empty()
    }

    /// The peer has hung up. Streams that gave way once are ready again after the next turn of the
    /// runtime, and so are we, behind them.
    fn poll_end(&mut self, cx: &mut Context<'_>, turn: &Turn) -> Poll<Result<(), SessionError>> {
        let idle = turn.polls == self.shared.config.polls_per_turn.max(1);
        if idle || self.last_turns == 0 {
            return Poll::Ready(self.at_end());
        }
        self.last_turns -= 1;
        if pin!(tokio::task::yield_now()).poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// How the connection ended.
    fn at_end(&self) -> Result<(), SessionError> {
        match self.shared.with(|session| session.parser.is_at_edge()) {
            true => Ok(()),
            false => Err(SessionError::Truncated),
        }
    }

    /// Before the task sleeps: a session that is idle for a while holds no buffers.
    fn rest(&mut self, now: Instant) {
        self.shared.with(|session| session.compact());
        if self.release.is_some_and(|at| now < at) || self.is_clogged() {
            return;
        }
        if self.sent_much {
            self.sent_much = false;
            self.release = now.checked_add(HOLD_BUFFERS);
        } else if self.release.take().is_some() {
            // What was written off their front does not show in their capacity.
            self.sending = BytesMut::new();
            self.shared.with(|session| session.release_output());
        }
    }

    /// Sets the one timer to whatever is due first.
    fn arm(&mut self, cx: &mut Context<'_>) {
        let mut due = self.shared.with(|session| session.deadline());
        if let Some(stall) = self.stall {
            due = due.min(stall);
        }
        if let Some(release) = self.release {
            due = due.min(release);
        }
        self.arm_at(cx, due);
    }

    fn arm_at(&mut self, cx: &mut Context<'_>, due: Instant) {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        if timer.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }

    /// Ends all streams, and tells the peer if it is its fault.
    fn begin_closing(&mut self, result: Result<(), SessionError>) -> Closing {
        let code = match &result {
            Err(SessionError::Fault(fault)) => {
                self.shared
                    .with(|session| meter::fault(session.role, *fault));
                Some(GoAway::ProtocolError)
            }
            Err(SessionError::Protocol(_)) => Some(GoAway::InternalError),
            _ => None,
        };
        let deaf = matches!(
            result,
            Err(SessionError::KeepaliveFailed | SessionError::WriteStalled | SessionError::Io(_))
        );
        self.end();
        self.shared.with(|session| {
            if let Some(code) = code {
                session.emit(Header::go_away(code));
            }
        });
        let now = Instant::now();
        Closing {
            result,
            until: if deaf { now } else { after(now, LINGER) },
            shut: false,
        }
    }

    fn end(&mut self) {
        self.shared.with(|session| session.end());
        self.shared.syns.close();
        self.tenants.clear();
        self.shared.ready.yielded();
    }

    /// Sends what is left, and waits for the peer to hang up too, so that what it has still under
    /// way does not destroy what it has not read yet.
    fn poll_closing(&mut self, cx: &mut Context<'_>, closing: &mut Closing) -> Poll<()> {
        let now = Instant::now();
        if closing.until <= now || self.send(cx, now).is_err() {
            return Poll::Ready(());
        }
        self.arm_at(cx, closing.until);
        if !self.sending.is_empty() || self.unflushed {
            return Poll::Pending;
        }
        if !closing.shut {
            let shut = ready!(Pin::new(&mut self.conn).poll_shutdown(cx));
            closing.shut = true;
            self.eof |= shut.is_err();
        }
        for _ in 0..READS_PER_TURN {
            if self.eof {
                return Poll::Ready(());
            }
            let read = ready!(self.conn.poll_chunk(cx));
            self.eof = read.map_or(true, |chunk| chunk.is_empty());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<T: Tenants> Future for Engine<T> {
    type Output = Result<(), SessionError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut closing = match self.closing.take() {
            Some(closing) => closing,
            None => {
                let result = ready!(self.poll_turn(cx));
                self.begin_closing(result)
            }
        };
        if self.poll_closing(cx, &mut closing).is_pending() {
            self.closing = Some(closing);
            return Poll::Pending;
        }
        Poll::Ready(closing.result)
    }
}

impl<T: Tenants> Drop for Engine<T> {
    fn drop(&mut self) {
        self.end();
    }
}
