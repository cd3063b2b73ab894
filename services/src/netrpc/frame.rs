//! Finding requests and replies in what arrives.

use bytes::Bytes;

use super::{fault::BodyRefused, header::Header, inbox::Inbox};
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

/// What a message may be at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) header: msgpack::Limits,
    /// Longest method name, in bytes.
    pub(crate) method: usize,
    pub(crate) body: msgpack::Limits,
}

/// Cuts a byte stream into messages. It remembers how far it has looked, so that a message that
/// comes byte by byte is still scanned only once.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    inbox: Inbox,
    /// Boxed: a session that awaits nothing is small, and few messages are cut.
    cut: Option<Box<Cut>>,
}

/// A message whose end has not come yet.
#[derive(Debug)]
enum Cut {
    Header(Scanner),
    Body(Frame, Scanner),
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
    /// Appends what arrived.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        self.inbox.push(chunk);
    }

    /// What the next bytes belong to.
    pub(crate) fn awaits(&self) -> Awaits {
        match self.cut.as_deref() {
            Some(Cut::Body(..)) => Awaits::Body,
            _ if self.inbox.is_empty() => Awaits::Start,
            _ => Awaits::Header,
        }
    }

    /// Bytes that arrived and belong to no complete message yet.
    pub(crate) fn unparsed(&self) -> usize {
        self.inbox.bytes().len()
    }

    /// What the peer left unfinished: a message with the part of its body that came. `None` if there
    /// is no header to answer.
    pub(crate) fn broken_off(&mut self) -> Option<Frame> {
        let Some(Cut::Body(mut frame, _)) = self.cut.take().map(|cut| *cut) else {
            return None;
        };
        let size = self.inbox.bytes().len();
        frame.body = self.inbox.take(size);
        Some(frame)
    }

    /// The next message; `None` if more bytes are needed. The bounds are the same in every call.
    pub(crate) fn next(&mut self, bounds: &Bounds) -> Result<Option<Found>, BadHeader> {
        let (frame, scanner) = match self.cut.take().map(|cut| *cut) {
            Some(Cut::Body(frame, scanner)) => (frame, scanner),
            None if self.inbox.is_empty() => return Ok(None),
            begun => {
                let scanner = match begun {
                    Some(Cut::Header(scanner)) => scanner,
                    _ => Scanner::new(bounds.header),
                };
                match self.header(scanner, bounds)? {
                    Some(frame) => (frame, Scanner::new(bounds.body)),
                    None => return Ok(None),
                }
            }
        };
        Ok(self.body(frame, scanner))
    }

    fn header(
        &mut self,
        mut scanner: Scanner,
        bounds: &Bounds,
    ) -> Result<Option<Frame>, BadHeader> {
        let Some(len) = scanner.scan(self.inbox.bytes())? else {
            self.cut = Some(Box::new(Cut::Header(scanner)));
            return Ok(None);
        };
        let bytes = self.inbox.take(len);
        let header: Header<'_> = msgpack::decode(&bytes)?;
        let (size, limit) = (header.method.len(), bounds.method);
        if size > limit {
            return Err(BadHeader::Method { size, limit });
        }
        Ok(Some(Frame {
            name: bytes.slice_ref(header.method),
            seq: header.seq,
            error: header
                .error
                .map_or_else(Bytes::new, |error| bytes.slice_ref(error)),
            body: Bytes::new(),
        }))
    }

    fn body(&mut self, mut frame: Frame, mut scanner: Scanner) -> Option<Found> {
        match scanner.scan(self.inbox.bytes()) {
            Ok(None) => {
                self.cut = Some(Box::new(Cut::Body(frame, scanner)));
                None
            }
            Ok(Some(len)) => {
                frame.body = self.inbox.take(len);
                Some(Found::Frame(frame))
            }
            Err(error) => Some(Found::Refused(frame, BodyRefused::from(error))),
        }
    }
}
