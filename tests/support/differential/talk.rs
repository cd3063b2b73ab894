//! A client's connection in one of the two transports, frame by frame.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::scan::Replies;
use super::sight::{Line, Sight};
use super::wire::Wire;
use super::yamux::Head;
use crate::matrix::answer::End;
use crate::matrix::ask::{
    ACK, DATA, FIN, GO_AWAY, PING, RST, SYN, WINDOW, flagged, head as frame_head,
};
use crate::matrix::msgpack::Bad;

/// How the calls travel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Transport {
    /// Byte 0, and the requests.
    Plain,
    /// Byte 4, and yamux frames.
    Yamux,
}

/// What a yamux receiver grants at first.
const WINDOW_SIZE: u32 = 256 << 10;
/// What this client grants beyond that, and again when half of it is used.
const GRANT: u32 = 64 << 20;
/// Go's yamux gives credit for at least so much.
const LEAST_CREDIT: u32 = WINDOW_SIZE / 2;

pub(crate) struct Talk {
    wire: Wire,
    kind: Transport,
    /// What is known of each line; of a plain connection the number is 0.
    lines: BTreeMap<u32, State>,
    session: Vec<String>,
    next: u32,
    /// How much of what came was read as frames.
    parsed: usize,
    /// Whether keep-alives are answered, as a library does.
    answers: bool,
}

struct State {
    line: Line,
    replies: Replies,
    /// What may still be sent.
    credit: u32,
    /// What was granted and not yet used, on a line that this client opened itself.
    granted: Option<u32>,
}

impl State {
    fn new() -> State {
        State {
            line: Line::new(),
            replies: Replies::default(),
            credit: WINDOW_SIZE,
            granted: None,
        }
    }
}

impl Talk {
    /// A connection that has said which transport it is.
    pub(crate) async fn open(addr: SocketAddr, kind: Transport) -> std::io::Result<Talk> {
        let mut talk = Talk::raw(addr, kind).await?;
        let first = match kind {
            Transport::Plain => 0,
            Transport::Yamux => 4,
        };
        talk.write(&[first]).await;
        Ok(talk)
    }

    /// A connection that has said nothing; what comes is read in this way.
    pub(crate) async fn raw(addr: SocketAddr, kind: Transport) -> std::io::Result<Talk> {
        let mut lines = BTreeMap::new();
        if kind == Transport::Plain {
            lines.insert(0, State::new());
        }
        Ok(Talk {
            wire: Wire::connect(addr).await?,
            kind,
            lines,
            session: Vec::new(),
            next: 1,
            parsed: 0,
            answers: true,
        })
    }

    /// Answers no ping of the server.
    pub(crate) fn mute(mut self) -> Talk {
        self.answers = false;
        self
    }

    /// Opens a line for calls; of a plain connection there is one.
    pub(crate) async fn line(&mut self) -> u32 {
        if self.kind == Transport::Plain {
            return 0;
        }
        let line = self.next;
        self.next += 2;
        let mut state = State::new();
        state.granted = Some(WINDOW_SIZE + GRANT);
        self.lines.insert(line, state);
        self.write(&frame_head(WINDOW, SYN, line, GRANT)).await;
        line
    }

    /// Sends over a line, as far as its window allows. In yamux, each call is a frame or more.
    pub(crate) async fn send(&mut self, line: u32, mut bytes: &[u8]) {
        if self.kind == Transport::Plain {
            return self.write(bytes).await;
        }
        while !bytes.is_empty() && self.end(line) == End::Open {
            let credit = self.lines.get(&line).map_or(0, |state| state.credit);
            let room = usize::try_from(credit).expect("a window");
            if room == 0 {
                self.more().await;
                continue;
            }
            let (now, later) = bytes.split_at(bytes.len().min(room));
            if let Some(state) = self.lines.get_mut(&line) {
                state.credit -= u32::try_from(now.len()).expect("less than the credit");
            }
            self.write(&flagged(0, line, now)).await;
            bytes = later;
        }
    }

    /// Sends bytes as they are.
    pub(crate) async fn say(&mut self, bytes: &[u8]) {
        self.write(bytes).await;
    }

    /// Ends this side of a line.
    pub(crate) async fn finish(&mut self, line: u32) {
        match self.kind {
            Transport::Plain => self.wire.finish().await,
            Transport::Yamux => self.write(&frame_head(WINDOW, FIN, line, 0)).await,
        }
    }

    /// Ends this side of the connection.
    pub(crate) async fn hang_up(&mut self) {
        self.wire.finish().await;
    }

    /// Gives a line up.
    pub(crate) async fn reset(&mut self, line: u32) {
        if self.kind == Transport::Yamux {
            self.write(&frame_head(WINDOW, RST, line, 0)).await;
        }
    }

    /// Waits until more has come; for ever behind the end.
    pub(crate) async fn more(&mut self) {
        self.wire.more().await;
        self.sort();
    }

    /// Sends, and sorts what came meanwhile.
    async fn write(&mut self, bytes: &[u8]) {
        self.wire.send(bytes).await;
        self.sort();
    }

    /// Puts what came where it belongs.
    fn sort(&mut self) {
        match self.kind {
            Transport::Plain => {
                let state = self.lines.entry(0).or_insert_with(State::new);
                state.line.data.append(&mut self.wire.got);
            }
            Transport::Yamux => self.frames(),
        }
    }

    fn frames(&mut self) {
        while self.parsed < self.wire.got.len() {
            let (head, data, rest) = match Head::split(&self.wire.got[self.parsed..]) {
                Ok((head, data, rest)) => (head, data.to_vec(), rest.len()),
                Err(Bad::Short) => break,
                Err(Bad::Marker(byte)) => {
                    self.session.push(format!("no frame: {byte:#x}"));
                    self.parsed = self.wire.got.len();
                    return;
                }
            };
            self.parsed = self.wire.got.len() - rest;
            self.frame(head, &data);
        }
        if self.parsed == self.wire.got.len() {
            self.wire.got.clear();
            self.parsed = 0;
        }
    }

    fn frame(&mut self, head: Head, data: &[u8]) {
        match head.kind {
            PING if head.flags == SYN => {
                // When a keep-alive comes is time, and is not compared.
                if self.answers {
                    self.wire.send_now(&frame_head(PING, ACK, 0, head.length));
                }
            }
            PING => self
                .session
                .push(format!("ping {:#x} {:#x}", head.flags, head.length)),
            GO_AWAY => self.session.push(format!("go-away {}", head.length)),
            _ => self.stream(head, data),
        }
    }

    fn stream(&mut self, head: Head, data: &[u8]) {
        let state = self.lines.entry(head.stream).or_insert_with(State::new);
        let line = &mut state.line;
        if line.end != End::Open {
            line.odd.push(format!("type {} behind its end", head.kind));
        }
        if head.flags & ACK != 0 {
            if line.acked {
                line.odd.push("acknowledged twice".to_owned());
            }
            line.acked = true;
        }
        if head.kind == DATA && !data.is_empty() {
            line.data.extend_from_slice(data);
            line.sizes.push(head.length);
            state.granted = state.granted.map(|left| left.saturating_sub(head.length));
        }
        if head.kind == WINDOW {
            let is_small = head.length > 0 && head.length < LEAST_CREDIT;
            if is_small && head.flags & ACK == 0 {
                line.odd.push(format!("credit of only {}", head.length));
            }
            state.credit = state.credit.saturating_add(head.length);
        }
        if head.flags & FIN != 0 {
            line.end = End::Fin;
        }
        if head.flags & RST != 0 {
            line.end = End::Rst;
        }
        if let Some(granted) = state.granted.as_mut().filter(|left| **left < GRANT / 2) {
            *granted += GRANT;
            self.wire
                .send_now(&frame_head(WINDOW, 0, head.stream, GRANT));
        }
    }

    /// How many whole replies a line has brought.
    pub(crate) fn replies(&mut self, line: u32) -> usize {
        let Some(state) = self.lines.get_mut(&line) else {
            return 0;
        };
        state.replies.count(&state.line.data)
    }

    pub(crate) fn is_acked(&self, line: u32) -> bool {
        let state = self.lines.get(&line);
        self.kind == Transport::Plain || state.is_some_and(|state| state.line.acked)
    }

    /// Whether a line ended, or all of the connection.
    pub(crate) fn end(&self, line: u32) -> End {
        let own = self
            .lines
            .get(&line)
            .map_or(End::Open, |state| state.line.end);
        match (self.wire.end, own) {
            (End::Open, own) => own,
            (end, _) => end,
        }
    }

    pub(crate) fn ended(&self) -> bool {
        self.wire.end != End::Open
    }

    /// What one line has brought since its last call began.
    pub(crate) fn line_sight(&self, line: u32) -> Sight {
        let state = self.lines.get(&line);
        let line = (
            line,
            state.map_or_else(Line::new, |state| state.line.clone()),
        );
        Sight {
            lines: BTreeMap::from([line]),
            session: self.session.clone(),
            end: self.wire.end,
        }
    }

    /// All that came.
    pub(crate) fn sight(&self) -> Sight {
        let lines = self.lines.iter();
        Sight {
            lines: lines
                .map(|(number, state)| (*number, state.line.clone()))
                .collect(),
            session: self.session.clone(),
            end: self.wire.end,
        }
    }

    /// Another call begins on a line: what came before was looked at.
    pub(crate) fn begin(&mut self, line: u32) {
        if let Some(state) = self.lines.get_mut(&line) {
            state.replies = Replies::default();
            state.line.data.clear();
            state.line.sizes.clear();
        }
    }

    /// A line of which nothing more is wanted.
    pub(crate) fn forget(&mut self, line: u32) {
        self.lines.remove(&line);
    }
}
