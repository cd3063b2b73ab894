//! Finding requests and replies in what arrives.

use bytes::Bytes;

use super::{config::Config, fault::BodyRefused, header::Header, inbox::Inbox};
use crate::msgpack::{self, Scanner};

/// One whole message: a header that was read and a body that was only measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) name: Bytes,
    pub(crate) seq: u64,
    pub(crate) error: Bytes,
    pub(crate) body: Bytes,
}

/// What the parser found.
#[derive(Debug, PartialEq)]
pub(crate) enum Found {
    /// A whole message.
    Frame(Frame),
    /// A message whose body is not taken. If it is a request it is answered with that, then the
    /// session ends.
    Refused(Frame, BodyRefused),
}

/// A header that is none: the session ends without an answer, as Go's does.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum BadHeader {
    /// It is too long, too deep or too rich.
    #[error("header: {0}")]
    Limit(#[from] msgpack::ScanError),
    /// It does not decode.
    #[error("header: {0}")]
    Decode(#[from] msgpack::DecodeError),
    /// The method's name is too long.
    #[error("method name of {size} bytes exceeds {limit}")]
    Method {
        /// Its length in bytes.
        size: usize,
        /// The most that is taken.
        limit: usize,
    },
}

/// Cuts a byte stream into messages. It remembers how far it has looked, so that a message that
/// comes byte by byte is still scanned only once.
#[derive(Debug)]
pub(crate) struct Parser {
    inbox: Inbox,
    scanner: Scanner,
    header_limits: msgpack::Limits,
    method_limit: usize,
    body_limits: msgpack::Limits,
    /// The header of the message whose body is awaited. Boxed: idle sessions await none.
    open: Option<Box<Frame>>,
}

/// What a parser is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaits {
    /// Nothing has arrived of the next message.
    Start,
    /// A header has begun.
    Header,
    /// The header is there, the body is not.
    Body,
}

impl Parser {
    /// A parser for what peers send to a server.
    pub(crate) fn new(config: &Config) -> Parser {
        let (header, body) = (config.header_limits(), config.body_limits());
        Parser::with_limits(header, config.method_limit, body)
    }

    /// A parser with limits of its own.
    pub(crate) fn with_limits(
        header: msgpack::Limits,
        method_limit: usize,
        body: msgpack::Limits,
    ) -> Parser {
        Parser {
            inbox: Inbox::default(),
            scanner: Scanner::new(header),
            header_limits: header,
            method_limit,
            body_limits: body,
            open: None,
        }
    }

    /// Appends what arrived.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        self.inbox.push(chunk);
    }

    /// What the next bytes belong to.
    pub(crate) fn awaits(&self) -> Awaits {
        match self.open {
            Some(_) => Awaits::Body,
            None if self.inbox.is_empty() => Awaits::Start,
            None => Awaits::Header,
        }
    }

    /// Bytes that arrived and belong to no complete message yet.
    pub(crate) fn unparsed(&self) -> usize {
        self.inbox.bytes().len()
    }

    /// What the peer left unfinished: a message with the part of its body that came. `None` if there
    /// is no header to answer.
    pub(crate) fn broken_off(&mut self) -> Option<Frame> {
        let mut frame = *self.open.take()?;
        let size = self.inbox.bytes().len();
        frame.body = self.inbox.take(size);
        Some(frame)
    }

    /// The next message; `None` if more bytes are needed.
    pub(crate) fn next(&mut self) -> Result<Option<Found>, BadHeader> {
        let frame = match self.open.take() {
            Some(frame) => *frame,
            None => match self.header()? {
                Some(frame) => frame,
                None => return Ok(None),
            },
        };
        Ok(self.body(frame))
    }

    fn header(&mut self) -> Result<Option<Frame>, BadHeader> {
        if self.inbox.is_empty() {
            return Ok(None);
        }
        let Some(len) = self.scanner.scan(self.inbox.bytes())? else {
            return Ok(None);
        };
        let bytes = self.inbox.take(len);
        let header: Header<'_> = msgpack::decode(&bytes)?;
        let (size, limit) = (header.method.len(), self.method_limit);
        if size > limit {
            return Err(BadHeader::Method { size, limit });
        }
        self.scanner = Scanner::new(self.body_limits);
        Ok(Some(Frame {
            name: bytes.slice_ref(header.method),
            seq: header.seq,
            error: header
                .error
                .map_or_else(Bytes::new, |error| bytes.slice_ref(error)),
            body: Bytes::new(),
        }))
    }

    fn body(&mut self, mut frame: Frame) -> Option<Found> {
        match self.scanner.scan(self.inbox.bytes()) {
            Ok(None) => {
                self.open = Some(Box::new(frame));
                None
            }
            Ok(Some(len)) => {
                frame.body = self.inbox.take(len);
                self.scanner = Scanner::new(self.header_limits);
                Some(Found::Frame(frame))
            }
            Err(error) => Some(Found::Refused(frame, BodyRefused::from(error))),
        }
    }
}
