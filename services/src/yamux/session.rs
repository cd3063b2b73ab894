//! The state of a session, without its socket: frames go in, frames and wake-ups come out.
//!
//! What comes in is handled in [`receive`](super::receive), what goes out in
//! [`transmit`](super::transmit); here is what both share.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    task::Waker,
};

use bytes::BytesMut;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::{
    budget::Bucket,
    config::{Config, after},
    fault::{OpenError, SessionError, StreamError},
    frame::{Flags, GoAway, Header},
    keepalive::{Beat, Keepalive},
    meter,
    probation::{Parked, Probation},
    ready::ReadyList,
    receive::Parser,
    table::{Half, Key, LastWords, Origin, Stream, Table},
    window::INITIAL_WINDOW,
};

/// How many streams that were turned away are remembered of a peer on probation.
const STRANGERS_GRAVES: usize = 256;

/// Which end of the session we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Client,
    Server,
}

/// How a stream's future ended a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Pending,
    Done,
    Panicked,
}

/// What must not happen under the session's lock: it is done when the lock is released.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Mostly there is one to wake, which takes no allocation.
    first: Option<Waker>,
    wake: Vec<Waker>,
    pub(crate) permits: Vec<OwnedSemaphorePermit>,
    /// The task has to look at the session.
    pub(crate) nudge: bool,
    /// There is something to send, where there was nothing.
    pub(crate) output: bool,
}

impl Effects {
    fn is_none(&self) -> bool {
        !self.nudge && !self.output && self.first.is_none() && self.permits.is_empty()
    }

    pub(crate) fn wake(&mut self, waker: &mut Option<Waker>) {
        match &self.first {
            None => self.first = waker.take(),
            Some(_) => self.wake.extend(waker.take()),
        }
    }
}

/// The pings, resets and useless frames that the peer may still send.
#[derive(Debug)]
pub(crate) struct Floods {
    pub(crate) pings: Bucket,
    pub(crate) resets: Bucket,
    pub(crate) empty: Bucket,
    pub(crate) unknown: Bucket,
}

/// A session and whom to wake for it.
#[derive(Debug)]
pub(crate) struct Shared {
    session: Mutex<Session>,
    pub(crate) ready: Arc<ReadyList>,
    /// One permit for each stream of ours that the peer has not accepted yet.
    pub(crate) syns: Arc<Semaphore>,
    pub(crate) config: Arc<Config>,
}

impl Shared {
    pub(crate) fn new(role: Role, config: Arc<Config>, now: Instant) -> Arc<Shared> {
        Arc::new(Shared {
            session: Mutex::new(Session::new(role, Arc::clone(&config), now)),
            ready: Arc::default(),
            syns: Arc::new(Semaphore::new(
                config.max_unacked.min(Semaphore::MAX_PERMITS),
            )),
            config,
        })
    }

    /// Looks at the session or changes it; then wakes whom that concerns.
    ///
    /// The lock is never contended where streams are polled inside the session's task. A panic of
    /// an encoder in [`Session::put`] may poison it; that function leaves the session whole.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut Session) -> R) -> R {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut session);
        if session.effects.is_none() {
            return result;
        }
        let effects = std::mem::take(&mut session.effects);
        drop(session);
        self.bring_about(effects);
        result
    }

    fn bring_about(&self, effects: Effects) {
        drop(effects.permits);
        effects.first.into_iter().for_each(Waker::wake);
        effects.wake.into_iter().for_each(Waker::wake);
        if effects.nudge {
            self.ready.nudge();
        } else if effects.output {
            self.ready.output();
        }
    }
}

/// The frame machine.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) role: Role,
    pub(crate) config: Arc<Config>,
    pub(crate) table: Table,
    pub(crate) parser: Parser,
    pub(crate) floods: Floods,
    pub(crate) keepalive: Keepalive,
    pub(crate) probation: Probation,
    /// By when the first frame has to begin; `None` once it has, and for a client.
    pub(crate) first: Option<Instant>,
    pub(crate) effects: Effects,
    /// Opened by the peer, not yet taken by the protocol.
    pub(crate) waiting: VecDeque<Key>,
    /// How many streams that the protocol has taken have not carried a byte.
    pub(crate) silent: usize,
    /// Received and not read, over all streams.
    pub(crate) unread: usize,
    /// Written and not framed, over all streams.
    pub(crate) pending: usize,
    /// By how much the receive windows of all streams have grown.
    pub(crate) grown: usize,
    /// Streams that got data in this turn.
    pub(crate) touched: Vec<Key>,
    /// Streams whose future is to be dropped: the peer, or a limit, reset them.
    pub(crate) cancelled: Vec<Key>,
    /// Some window update is withheld because too much is unread.
    pub(crate) starved: bool,
    /// Writers in the order in which they are served.
    pub(crate) writers: VecDeque<Key>,
    /// Some reader waits until less is to be sent.
    pub(crate) gated: bool,
    /// Whole frames, ready to go.
    pub(crate) out: BytesMut,
    /// Bytes that the task has taken from `out` and not sent yet.
    pub(crate) in_flight: usize,
    /// The transport took no more when last asked.
    pub(crate) clogged: bool,
    /// Pings to be answered.
    pub(crate) pongs: VecDeque<u32>,
    /// We sent a go-away.
    pub(crate) leaving: bool,
    /// The peer sent one.
    pub(crate) told_to_leave: bool,
    pub(crate) ended: bool,
    /// The owner of the client wants the end of everything.
    pub(crate) abandoned: bool,
    /// Nobody can open streams any more.
    pub(crate) orphaned: bool,
    /// Credit was reported once: the next time it is worth a ping to learn the round trip.
    pub(crate) bulk: bool,
    next_id: u32,
    /// The earliest deadline of any stream, or before it.
    sweep: Option<Instant>,
}

impl Session {
    pub(crate) fn new(role: Role, config: Arc<Config>, now: Instant) -> Session {
        Session {
            role,
            table: Table::default(),
            parser: Parser::default(),
            floods: Floods {
                pings: Bucket::new(config.pings, now),
                resets: Bucket::new(config.resets, now),
                empty: Bucket::new(config.empty_frames, now),
                unknown: Bucket::new(config.unknown_frames, now),
            },
            keepalive: Keepalive::new(&config, now),
            probation: Probation::new(config.probation),
            first: (role == Role::Server).then(|| after(now, config.first_frame)),
            config,
            effects: Effects::default(),
            waiting: VecDeque::new(),
            silent: 0,
            unread: 0,
            pending: 0,
            grown: 0,
            touched: Vec::new(),
            cancelled: Vec::new(),
            starved: false,
            writers: VecDeque::new(),
            gated: false,
            out: BytesMut::new(),
            in_flight: 0,
            clogged: false,
            pongs: VecDeque::new(),
            leaving: false,
            told_to_leave: false,
            ended: false,
            abandoned: false,
            orphaned: false,
            bulk: false,
            next_id: match role {
                Role::Client => 1,
                Role::Server => 2,
            },
            sweep: None,
        }
    }

    // ---- beginnings

    /// Opens a stream towards the peer. Refused ids are those from 2^32-2, as in Go's library.
    pub(crate) fn open(
        &mut self,
        permit: OwnedSemaphorePermit,
        now: Instant,
    ) -> Result<Key, OpenError> {
        let refusal = self.refusal();
        if let Some(refusal) = refusal {
            self.effects.permits.push(permit);
            return Err(refusal);
        }
        let id = self.next_id;
        self.next_id = id.saturating_add(2);
        let (key, stream) = self.table.insert(id, Origin::Ours);
        stream.held = true;
        stream.permit = Some(permit);
        self.emit(Header::window(id, Flags::SYN, 0));
        self.arm(key, after(now, self.config.open_timeout));
        meter::stream_opened(self.role);
        Ok(key)
    }

    /// Why no stream can be opened now.
    pub(crate) fn refusal(&self) -> Option<OpenError> {
        const LAST_ID: u32 = u32::MAX - 1;
        if self.ended || self.leaving || self.abandoned {
            Some(OpenError::SessionClosed)
        } else if self.told_to_leave {
            Some(OpenError::GoAway)
        } else if self.next_id >= LAST_ID {
            Some(OpenError::StreamsExhausted)
        } else if self.table.open() >= self.config.max_streams {
            Some(OpenError::TooManyStreams)
        } else {
            None
        }
    }

    /// Whether a waiting stream may be given to the protocol: nothing new is begun while much is to
    /// be sent, and silent streams are only begun up to their limit.
    pub(crate) fn can_accept(&self) -> bool {
        self.next_waiting().is_some()
    }

    /// The place of the stream that is begun next. Those beyond the limit of silent streams wait
    /// without an ACK, which holds a well-behaved peer back; one that speaks passes them by.
    fn next_waiting(&self) -> Option<usize> {
        if self.outgoing() >= self.config.max_outgoing {
            return None;
        }
        if self.silent < self.config.max_silent {
            return (!self.waiting.is_empty()).then_some(0);
        }
        self.waiting
            .iter()
            .position(|key| self.stream(*key).is_some_and(|stream| !stream.is_silent()))
    }

    /// The protocol takes a waiting stream: it is acknowledged now.
    pub(crate) fn accept(&mut self) -> Option<Key> {
        let key = self.waiting.remove(self.next_waiting()?)?;
        let stream = self.table.get_mut(key)?;
        stream.origin = Origin::Accepted;
        stream.held = true;
        stream.last_words = LastWords::Undecided;
        let id = stream.id;
        self.silent += usize::from(stream.is_silent());
        self.emit(Header::window(id, Flags::ACK, 0));
        meter::stream_opened(self.role);
        Some(key)
    }

    /// The peer has sent a whole request, or was answered: what it opened before is begun.
    pub(crate) fn prove(&mut self) {
        if self.probation.is_over() {
            return;
        }
        self.probation.end();
        for parked in self.probation.take_all() {
            self.admit(parked);
        }
    }

    /// Gives a stream of the peer a place; it waits for the protocol.
    pub(crate) fn admit(&mut self, opened: Parked) -> Key {
        let (key, _) = self.table.insert(opened.id, Origin::Waiting);
        self.waiting.push_back(key);
        self.arm(key, after(opened.since, self.config.silent_timeout));
        self.effects.nudge = true;
        key
    }

    // ---- ends

    /// The application has dropped its end.
    pub(crate) fn dropped(&mut self, key: Key) {
        let Some(stream) = self.table.get_mut(key) else {
            return;
        };
        stream.held = false;
        stream.reader = None;
        stream.writer = None;
        match stream.last_words {
            // Whoever polls the protocol calls `polled` next.
            LastWords::Undecided if !stream.is_over() => {}
            LastWords::Undecided | LastWords::Reset => self.let_go(key),
            LastWords::Fin => self.finish(key),
        }
    }

    /// The protocol was polled.
    pub(crate) fn polled(&mut self, key: Key, outcome: Outcome) {
        let Some(stream) = self.table.get_mut(key) else {
            return;
        };
        match outcome {
            Outcome::Panicked => {
                stream.last_words = LastWords::Reset;
                stream.held = false;
                self.reset(key, StreamError::Reset);
            }
            Outcome::Done if stream.held => stream.last_words = LastWords::Fin,
            Outcome::Done => self.finish(key),
            Outcome::Pending if stream.held => {}
            Outcome::Pending => {
                stream.last_words = LastWords::Reset;
                self.let_go(key);
            }
        }
    }

    /// The stream of an application that is gone without having come to its end.
    pub(crate) fn let_go(&mut self, key: Key) {
        let Some(stream) = self.table.get_mut(key) else {
            return;
        };
        if stream.is_over() {
            self.tidy(key);
        } else if stream.permit.is_some() {
            // The peer has it in its backlog still, where a reset would not make room: the reset
            // follows the ACK, or the time for that.
            self.discard_inbox(key);
        } else if stream.local == Half::Open || !stream.inbox.is_empty() {
            self.reset(key, StreamError::Reset);
        } else {
            self.linger(key);
        }
    }

    /// The stream of an application that has come to its end: FIN behind all it wrote.
    fn finish(&mut self, key: Key) {
        self.close_write(key);
        self.discard_inbox(key);
        self.linger(key);
    }

    /// Waits, with a deadline, for what is still to be sent and for the peer's FIN.
    fn linger(&mut self, key: Key) {
        let deadline = after(Instant::now(), self.config.close_timeout);
        self.tidy(key);
        self.quiet(key);
        self.arm(key, deadline);
    }

    /// Ends a stream with RST.
    pub(crate) fn reset(&mut self, key: Key, why: StreamError) {
        let Some(stream) = self.table.get(key) else {
            return;
        };
        let (id, over, left) = (stream.id, stream.is_over(), stream.recv.left());
        if !over {
            self.emit(Header::window(id, Flags::RST, 0));
            meter::reset(self.role, meter::By::Us);
            self.table.graves().bury(id, left);
        }
        self.fail(key, why);
    }

    /// Ends a stream without a frame: the peer has reset it, or the session is over.
    pub(crate) fn fail(&mut self, key: Key, why: StreamError) {
        self.quiet(key);
        if why != StreamError::SessionClosed {
            self.discard_inbox(key);
        }
        let Some(stream) = self.table.get_mut(key) else {
            return;
        };
        stream.fate.get_or_insert(why);
        self.pending -= stream.pending.len();
        stream.pending = BytesMut::new();
        self.effects.wake(&mut stream.reader);
        self.effects.wake(&mut stream.writer);
        if stream.origin == Origin::Waiting {
            self.waiting.retain(|other| *other != key);
        } else if stream.origin == Origin::Accepted {
            self.cancelled.push(key);
            self.effects.nudge = true;
        }
        self.tidy(key);
    }

    /// Takes a stream that is over off the wire, and forgets it when nobody holds it.
    pub(crate) fn tidy(&mut self, key: Key) {
        let Some(stream) = self.table.get_mut(key) else {
            return;
        };
        if !stream.is_over() {
            return;
        }
        self.effects.permits.extend(stream.permit.take());
        stream.deadline = None;
        self.grown -= usize::try_from(stream.recv.grown()).unwrap_or(0);
        stream.recv = super::window::RecvWindow::new();
        let held = stream.held;
        if held {
            self.table.unlist(key);
        } else {
            self.discard_inbox(key);
            self.table.remove(key);
            // The last stream of a drain, or of a client without opener, ends the session.
            self.effects.nudge = true;
        }
    }

    /// What was received is not going to be read.
    fn discard_inbox(&mut self, key: Key) {
        if let Some(stream) = self.table.get_mut(key) {
            self.unread -= stream.inbox.clear();
            self.credit_the_starved();
        }
    }

    /// The stream no longer counts as one that has nothing to say.
    pub(crate) fn quiet(&mut self, key: Key) {
        if let Some(stream) = self.table.get_mut(key)
            && stream.is_silent()
        {
            stream.heard = true;
            stream.deadline = None;
            self.silent -= usize::from(stream.origin == Origin::Accepted);
        }
    }

    /// The end of everything.
    pub(crate) fn end(&mut self) {
        self.ended = true;
        for key in self.table.keys() {
            self.fail(key, StreamError::SessionClosed);
        }
        self.waiting.clear();
        self.probation.take_all();
        self.effects.nudge = true;
    }

    /// No new streams from now on; those that wait are sent elsewhere.
    pub(crate) fn go_away(&mut self) {
        if std::mem::replace(&mut self.leaving, true) || self.ended {
            return;
        }
        self.emit(Header::go_away(GoAway::Normal));
        for key in std::mem::take(&mut self.waiting) {
            self.reset(key, StreamError::Reset);
        }
        for parked in self.probation.take_all() {
            self.turn_away(parked.id);
        }
    }

    /// Resets a stream of the peer that has no place.
    pub(crate) fn turn_away(&mut self, id: u32) {
        self.emit(Header::window(id, Flags::RST, 0));
        meter::reset(self.role, meter::By::Us);
        // A stranger's late frames are borne for fewer streams: each costs us more than its SYN.
        if self.probation.is_over() || self.table.graves().len() < STRANGERS_GRAVES {
            self.table.graves().bury(id, INITIAL_WINDOW);
        }
    }

    /// Whether nothing is left to do: everybody was sent away, or nobody can come.
    pub(crate) fn is_finished(&self) -> bool {
        self.abandoned || ((self.leaving || self.orphaned) && !self.is_busy())
    }

    /// Whether any stream is held by somebody or has something to send.
    fn is_busy(&self) -> bool {
        self.table
            .streams()
            .any(|stream| stream.held || !stream.pending.is_empty())
            || !self.waiting.is_empty()
    }

    // ---- time

    pub(crate) fn arm(&mut self, key: Key, deadline: Instant) {
        if let Some(stream) = self.table.get_mut(key)
            && !stream.is_over()
        {
            stream.deadline = Some(deadline);
            self.sweep_at(deadline);
        }
    }

    fn sweep_at(&mut self, deadline: Instant) {
        if self.sweep.is_none_or(|sweep| deadline < sweep) {
            self.sweep = Some(deadline);
            self.effects.nudge = true;
        }
    }

    /// Puts a silent stream aside until the peer has proven itself.
    pub(crate) fn park(&mut self, opened: Parked) {
        self.probation.park(opened);
        self.sweep_at(after(opened.since, self.config.silent_timeout));
    }

    /// When [`tick`](Session::tick) has something to do.
    pub(crate) fn deadline(&self) -> Instant {
        let beat = self.keepalive.deadline();
        let others = self.sweep.into_iter().chain(self.first);
        others.fold(beat, Instant::min)
    }

    /// Does what is due: pings, and the end of streams whose time is over.
    pub(crate) fn tick(&mut self, now: Instant) -> Result<(), SessionError> {
        if self.first.is_some_and(|first| first <= now) {
            return Err(SessionError::Silent);
        }
        match self.keepalive.beat(now) {
            Beat::Nothing => {}
            Beat::Ping(value) => self.emit(Header::ping(Flags::SYN, value)),
            Beat::Dead => return Err(SessionError::KeepaliveFailed),
        }
        if self.sweep.is_some_and(|sweep| sweep <= now) {
            self.sweep_streams(now);
        }
        Ok(())
    }

    fn sweep_streams(&mut self, now: Instant) {
        self.sweep = None;
        let timeout = self.config.silent_timeout;
        for parked in self.probation.take_silent(now, timeout) {
            self.turn_away(parked.id);
        }
        if let Some(oldest) = self.probation.oldest() {
            self.sweep_at(after(oldest, timeout));
        }
        for key in self.table.keys() {
            match self.table.get(key).and_then(|stream| stream.deadline) {
                Some(deadline) if deadline <= now => self.reset(key, StreamError::TimedOut),
                Some(deadline) => self.sweep_at(deadline),
                None => {}
            }
        }
    }

    // ---- small things

    /// Bytes framed and not yet sent.
    pub(crate) fn outgoing(&self) -> usize {
        self.out.len() + self.in_flight
    }

    /// Appends a frame without payload.
    pub(crate) fn emit(&mut self, header: Header) {
        self.effects.output |= self.out.is_empty();
        self.out.extend_from_slice(&header.encode());
    }

    pub(crate) fn stream(&self, key: Key) -> Option<&Stream> {
        self.table.get(key)
    }

    #[cfg(test)]
    pub(crate) fn set_next_id(&mut self, id: u32) {
        self.next_id = id;
    }
}
