//! What a client does: the steps of a program.

use std::fmt;

use super::item::{Item, Known};
use super::talk::Transport;
use crate::matrix::{
    Case,
    ask::{ACK, DATA, FIN, GO_AWAY, PING, RST, SYN, WINDOW, data, flagged, head, map, open, text},
    msgpack::Value,
};

/// A query that waits no longer than this is waited for.
pub(crate) const SHORT_WAIT: u64 = 100_000_000;

/// One thing that a client does to both.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Calls(Calls),
    Odd(Odd),
    Waits(Waits),
    /// A first byte, and what is behind it.
    Port(Vec<u8>),
    /// Frames of a yamux session of its own, in one write.
    Frames(Vec<Move>),
    /// A case of the recorded matrices.
    Case(Named),
}

/// Requests over the session that is kept, one behind the other in one write.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Calls {
    pub(crate) on: Transport,
    /// Whether a stream is opened for them.
    pub(crate) fresh: bool,
    pub(crate) requests: Vec<Request>,
    /// Where they are cut: what is behind goes in a write or a frame of its own.
    pub(crate) cuts: Vec<usize>,
}

/// Requests over a connection of their own, which may be damaged.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Odd {
    pub(crate) on: Transport,
    pub(crate) requests: Vec<Request>,
    pub(crate) damage: Damage,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Damage {
    None,
    /// The byte there (modulo the length) becomes this one.
    Flip(usize, u8),
    /// Everything from there on is left out.
    Cut(usize, Then),
}

/// What follows a cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Then {
    Silence,
    /// The end of the stream, or of this side of the connection.
    Finish,
    Reset,
    HangUp,
}

/// Queries that wait, and then a write.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Waits {
    pub(crate) queries: Vec<(Transport, Request)>,
    pub(crate) write: Option<Request>,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) seq: u64,
    pub(crate) header: Header,
    pub(crate) method: Vec<u8>,
    pub(crate) body: Item,
}

/// The forms of a header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Header {
    Usual,
    Swapped,
    Positional,
    Extra,
    NoSeq,
    NoMethod,
    NilMethod,
}

/// A frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Move {
    Open(u32),
    Data(u32, Vec<u8>),
    /// Data that opens its stream.
    First(u32, Vec<u8>),
    Fin(u32),
    Rst(u32),
    Credit(u32, u32),
    Ping(u32),
    Pong(u32),
    GoAway(u32),
    /// A head of this version and type.
    Broken(u8, u8),
}

/// A case by its name.
#[derive(Clone)]
pub(crate) struct Named(pub(crate) Case);

impl PartialEq for Named {
    fn eq(&self, other: &Named) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for Named {}

impl Request {
    pub(crate) fn new(seq: u64, method: &str, body: Item) -> Request {
        Request {
            seq,
            header: Header::Usual,
            method: method.as_bytes().to_vec(),
            body,
        }
    }

    pub(crate) fn header(&self) -> Vec<u8> {
        let (seq, method) = (Value::UInt(self.seq), Value::Raw(self.method.clone()));
        let header = match self.header {
            Header::Usual => map([("Seq", seq), ("ServiceMethod", method)]),
            Header::Swapped => map([("ServiceMethod", method), ("Seq", seq)]),
            Header::Positional => Value::Array(vec![method, seq]),
            Header::Extra => map([
                ("Extra", text("x")),
                ("Seq", seq),
                ("ServiceMethod", method),
                ("Zeta", Value::Array(vec![Value::Nil])),
            ]),
            Header::NoSeq => map([("ServiceMethod", method)]),
            Header::NoMethod => map([("Seq", seq)]),
            Header::NilMethod => map([("Seq", seq), ("ServiceMethod", Value::Nil)]),
        };
        header.encode()
    }

    pub(crate) fn encode(&self, known: &Known) -> Vec<u8> {
        [self.header(), self.body.encode(known)].concat()
    }

    /// Whether it would end the real process, as these do (a panic in a method is not caught there).
    pub(crate) fn is_deadly(&self) -> bool {
        const DEADLY: [&[u8]; 3] = [
            b"Coordinate.Update",
            b"Intention.Match",
            b"Internal.KeyringOperation",
        ];
        let cut_behind_nul = match self.body.field("Prefix") {
            // A key may be shorter than such a prefix, and is cut behind it (D34).
            Some(Item::Own(tail)) => tail.ends_with(b"\0"),
            Some(Item::Value(Value::Raw(prefix))) => prefix.ends_with(b"\0"),
            _ => false,
        };
        DEADLY.contains(&self.method.as_slice())
            || cut_behind_nul && self.body.field("Seperator").is_some()
    }

    /// How long it asks to wait, if it waits.
    pub(crate) fn waits(&self) -> Option<u64> {
        self.body.field("MinQueryIndex")?;
        match self.body.field("MaxQueryTime") {
            Some(Item::Value(Value::UInt(time))) => Some(*time),
            _ => None,
        }
    }
}

impl Move {
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Move::Open(stream) => open(*stream),
            Move::Data(stream, bytes) => data(*stream, bytes),
            Move::First(stream, bytes) => flagged(SYN, *stream, bytes),
            Move::Fin(stream) => head(WINDOW, FIN, *stream, 0),
            Move::Rst(stream) => head(WINDOW, RST, *stream, 0),
            Move::Credit(stream, more) => head(WINDOW, 0, *stream, *more),
            Move::Ping(value) => head(PING, SYN, 0, *value),
            Move::Pong(value) => head(PING, ACK, 0, *value),
            Move::GoAway(code) => head(GO_AWAY, 0, 0, *code),
            Move::Broken(version, kind) => {
                let mut bytes = head(DATA, 0, 1, 0);
                (bytes[0], bytes[1]) = (*version, *kind);
                bytes
            }
        }
    }
}

impl Step {
    /// How many calls it makes, or attempts.
    pub(crate) fn calls(&self) -> usize {
        match self {
            Step::Calls(calls) => calls.requests.len(),
            Step::Odd(odd) => odd.requests.len(),
            Step::Waits(waits) => waits.queries.len() + usize::from(waits.write.is_some()),
            Step::Port(_) | Step::Frames(_) | Step::Case(_) => 1,
        }
    }

    pub(crate) fn requests(&self) -> Vec<&Request> {
        match self {
            Step::Calls(calls) => calls.requests.iter().collect(),
            Step::Odd(odd) => odd.requests.iter().collect(),
            Step::Waits(waits) => {
                let queries = waits.queries.iter().map(|(_, request)| request);
                queries.chain(&waits.write).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = Value::Raw(self.method.clone());
        write!(f, "{method:?} #{}", self.seq)?;
        if self.header != Header::Usual {
            write!(f, " ({:?} header)", self.header)?;
        }
        write!(f, " {:?}", self.body)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Calls(calls) => {
                let stream = if calls.fresh { ", a new stream" } else { "" };
                write!(f, "calls ({:?}{stream}", calls.on)?;
                if !calls.cuts.is_empty() {
                    write!(f, ", cut at {:?}", calls.cuts)?;
                }
                f.write_str(")")?;
            }
            Step::Odd(odd) => write!(f, "odd ({:?}, {:?})", odd.on, odd.damage)?,
            Step::Waits(waits) => {
                f.write_str("waits")?;
                for (on, query) in &waits.queries {
                    write!(f, "\n      waiting ({on:?}) {query}")?;
                }
                return match &waits.write {
                    Some(write) => write!(f, "\n      then {write}"),
                    None => Ok(()),
                };
            }
            Step::Port(bytes) => {
                f.write_str("port ")?;
                return bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"));
            }
            Step::Frames(moves) => {
                f.write_str("frames")?;
                return moves
                    .iter()
                    .try_for_each(|one| write!(f, "\n      {one:?}"));
            }
            Step::Case(Named(case)) => return write!(f, "case {:?}", case.name),
        }
        self.requests()
            .iter()
            .try_for_each(|request| write!(f, "\n      {request}"))
    }
}
