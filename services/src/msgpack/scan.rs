//! Where a value ends, before it is read.

use super::marker;
use super::read::MAX_DEPTH;

/// The values within one value that are let pass by default.
pub const MAX_ELEMENTS: u64 = 1 << 20;

/// What a value may be at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes, all told. There is no default: it depends on who asks.
    pub size: usize,
    /// Maps and arrays within each other; [`MAX_DEPTH`] by default, which is also what
    /// [`decode`](super::decode) can read.
    pub depth: usize,
    /// Elements of all arrays, keys and values of all maps, together; [`MAX_ELEMENTS`] by default.
    pub elements: u64,
}

impl Limits {
    /// The default limits with this size.
    #[must_use]
    pub const fn new(size: usize) -> Self {
        Self {
            size,
            depth: MAX_DEPTH,
            elements: MAX_ELEMENTS,
        }
    }
}

/// A value that is more than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// It is too long, or claims to become so.
    #[error("a value of at least {seen} bytes, {limit} are allowed")]
    Size {
        /// The bytes that it needs, as far as its headers tell.
        seen: usize,
        /// The bytes that it may have.
        limit: usize,
    },
    /// It is nested too deep.
    #[error("a value nested {seen} deep, {limit} is allowed")]
    Depth {
        /// The depth that was seen.
        seen: usize,
        /// The depth that is allowed.
        limit: usize,
    },
    /// It holds too much, or claims to.
    #[error("a value of at least {seen} elements, {limit} are allowed")]
    Elements {
        /// The elements that it declares so far.
        seen: u64,
        /// The elements that it may have.
        limit: u64,
    },
}

/// Finds the end of a value in a buffer that grows.
///
/// net/rpc puts values on the wire one behind the other, without a length. A scanner walks over the
/// headers of one value as they arrive and keeps its place, so that no byte is looked at twice and no
/// payload at all. It is also where a value is refused that is too much: a header that declares more than
/// the limits allow is enough, the bytes need not come.
///
/// ```
/// use oneport_services::msgpack::{Limits, ScanError, Scanner};
///
/// let mut scanner = Scanner::new(Limits::new(1024));
/// assert_eq!(scanner.scan(b"\x92\x07"), Ok(None));
/// assert_eq!(scanner.scan(b"\x92\x07\xa5he"), Ok(None));
/// assert_eq!(scanner.scan(b"\x92\x07\xa5hello and more"), Ok(Some(8)));
///
/// scanner.reset();
/// assert_eq!(
///     scanner.scan(b"\xdb\xff\xff\xff\xff"),
///     Err(ScanError::Size { seen: 4_294_967_300, limit: 1024 }),
/// );
/// ```
#[derive(Clone, Debug)]
pub struct Scanner {
    limits: Limits,
    /// Where the next value within the value begins; beyond the buffer while a payload is awaited.
    at: usize,
    /// The values that have been announced and not been met.
    owed: u64,
    /// All values that have been announced within the value.
    elements: u64,
    /// The maps and arrays that are open.
    open: Nest,
}

impl Scanner {
    /// A scanner for the first value.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            at: 0,
            owed: 1,
            elements: 0,
            open: Nest::new(),
        }
    }

    /// Forgets the value, for the next one.
    pub fn reset(&mut self) {
        self.at = 0;
        self.owed = 1;
        self.elements = 0;
        self.open.clear();
    }

    /// The limits.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// Looks for the end of the value that starts at the first byte of `value`.
    ///
    /// Every call until the end is found passes the same bytes, and more. The end is the length of the
    /// value; bytes behind it belong to somebody else. `None` asks for more bytes. Extensions are values
    /// like all others and so is the unused marker: what they mean is for the decoder to say.
    ///
    /// An error is final.
    pub fn scan(&mut self, value: &[u8]) -> Result<Option<usize>, ScanError> {
        self.check_size()?;
        loop {
            self.pass_short(value)?;
            if self.owed == 0 {
                return Ok((self.at <= value.len()).then_some(self.at));
            }
            let Some(&first) = value.get(self.at) else {
                return Ok(None);
            };
            match Header::read(first, &value[self.at + 1..]) {
                Some(header) => self.pass(header)?,
                None => return Ok(None),
            }
        }
    }

    /// Moves behind values that tell all by their marker, up to the end of what holds them. They are
    /// most of all values, so this is the loop that has to be tight.
    #[inline]
    fn pass_short(&mut self, value: &[u8]) -> Result<(), ScanError> {
        let (mut at, mut owed) = (self.at, self.owed);
        while owed > 0
            && let Some(&first) = value.get(at)
        {
            at += match first {
                marker::FIXRAW..=marker::FIXRAW_MAX => usize::from(first - marker::FIXRAW) + 1,
                0..=marker::FIXINT_MAX | marker::NEGINT.. | marker::NIL..=marker::TRUE => 1,
                _ => break,
            };
            owed -= 1;
            (self.at, self.owed) = (at, owed);
            self.check_size()?;
            if self.open.floor == owed {
                self.open.ascend(owed);
            }
        }
        Ok(())
    }

    /// Moves behind a header, and behind its payload if it has one.
    fn pass(&mut self, header: Header) -> Result<(), ScanError> {
        match header {
            Header::Leaf(length) => self.leaf(length),
            Header::Container(length, children) => {
                self.descend(children)?;
                self.leaf(length)
            }
        }
    }

    /// Moves behind a value, or behind the header of a container that has been opened.
    #[inline]
    fn leaf(&mut self, length: usize) -> Result<(), ScanError> {
        self.at = self.at.saturating_add(length);
        self.owed -= 1;
        self.check_size()?;
        if self.open.floor == self.owed {
            self.open.ascend(self.owed);
        }
        Ok(())
    }

    /// Opens a map or an array of so many values.
    fn descend(&mut self, children: u64) -> Result<(), ScanError> {
        let seen = self.open.depth + 1;
        if seen > self.limits.depth {
            let limit = self.limits.depth;
            return Err(ScanError::Depth { seen, limit });
        }
        self.elements = self.elements.saturating_add(children);
        if self.elements > self.limits.elements {
            return Err(ScanError::Elements {
                seen: self.elements,
                limit: self.limits.elements,
            });
        }
        // The container itself is owed until its header is passed, and is not part of what remains.
        self.open.descend(self.owed - 1);
        self.owed += children;
        Ok(())
    }

    /// Refuses a value that is too long already, or must become so: whatever is owed has one byte at least.
    #[inline]
    fn check_size(&self) -> Result<(), ScanError> {
        let owed = usize::try_from(self.owed).unwrap_or(usize::MAX);
        let seen = self.at.saturating_add(owed);
        if seen > self.limits.size {
            let limit = self.limits.size;
            return Err(ScanError::Size { seen, limit });
        }
        Ok(())
    }
}

/// Whether a value that breaks off here does so between two reads of Go's decoder, which reads a marker,
/// a length and a payload each by itself: between them it finds the end, and within one of them an
/// unexpected end.
pub(crate) fn breaks_between_reads(value: &[u8]) -> bool {
    let mut at = 0;
    while let Some(&first) = value.get(at) {
        let Some(header) = Header::read(first, &value[at + 1..]) else {
            return at + 1 == value.len();
        };
        let length = match header {
            Header::Leaf(length) | Header::Container(length, _) => length,
        };
        if value.len() - at < length {
            return at + header_size(first) == value.len();
        }
        at += length;
    }
    true
}

/// The bytes of a marker and of the length behind it, if there is one.
fn header_size(first: u8) -> usize {
    match first {
        marker::BIN8 | marker::EXT8 | marker::RAW8 => 2,
        marker::BIN16 | marker::EXT16 | marker::RAW16 => 3,
        marker::BIN32 | marker::EXT32 | marker::RAW32 => 5,
        _ => 1,
    }
}

/// What the front of a value tells about it.
enum Header {
    /// A value of so many bytes.
    Leaf(usize),
    /// A map or an array: the bytes of its header and the values within it.
    Container(usize, u64),
}

impl Header {
    /// Reads what follows a marker; `None` if not all of it is there.
    fn read(first: u8, rest: &[u8]) -> Option<Self> {
        Some(match first {
            marker::FIXMAP..marker::FIXARRAY => {
                Self::Container(1, 2 * u64::from(first - marker::FIXMAP))
            }
            marker::FIXARRAY..marker::FIXRAW => {
                Self::Container(1, u64::from(first - marker::FIXARRAY))
            }
            marker::RAW8 | marker::BIN8 => Self::payload(2, one(rest)?),
            marker::RAW16 | marker::BIN16 => Self::payload(3, two(rest)?),
            marker::RAW32 | marker::BIN32 => Self::payload(5, four(rest)?),
            marker::EXT8 => Self::payload(3, one(rest)?),
            marker::EXT16 => Self::payload(4, two(rest)?),
            marker::EXT32 => Self::payload(6, four(rest)?),
            marker::ARRAY16 => Self::Container(3, two(rest)?.into()),
            marker::ARRAY32 => Self::Container(5, four(rest)?.into()),
            marker::MAP16 => Self::Container(3, 2 * u64::from(two(rest)?)),
            marker::MAP32 => Self::Container(5, 2 * u64::from(four(rest)?)),
            0..=marker::FIXINT_MAX | marker::NEGINT.. | marker::NIL..=marker::TRUE => Self::Leaf(1),
            marker::FIXRAW..=marker::FIXRAW_MAX => {
                Self::Leaf(usize::from(first - marker::FIXRAW) + 1)
            }
            marker::U8 | marker::I8 => Self::Leaf(2),
            marker::U16 | marker::I16 => Self::Leaf(3),
            marker::U32 | marker::I32 | marker::F32 => Self::Leaf(5),
            marker::U64 | marker::I64 | marker::F64 => Self::Leaf(9),
            marker::FIXEXT1..=marker::FIXEXT16 => Self::Leaf(2 + (1 << (first - marker::FIXEXT1))),
        })
    }

    fn payload(header: usize, payload: u32) -> Self {
        let payload = usize::try_from(payload).unwrap_or(usize::MAX);
        Self::Leaf(header.saturating_add(payload))
    }
}

/// A number of one byte.
fn one(bytes: &[u8]) -> Option<u32> {
    bytes.first().copied().map(u32::from)
}

/// A number of two bytes.
fn two(bytes: &[u8]) -> Option<u32> {
    let number = bytes.first_chunk().copied()?;
    Some(u16::from_be_bytes(number).into())
}

/// A number of four bytes.
fn four(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().copied().map(u32::from_be_bytes)
}

/// How many open maps and arrays have a place in the scanner itself. Consul's requests need three;
/// every idle session holds a scanner, so it is small.
const NEAR: usize = 4;

/// The open maps and arrays: for each what will be owed when it is complete.
///
/// The first [`NEAR`] need no memory from elsewhere.
#[derive(Clone, Debug)]
struct Nest {
    depth: usize,
    /// What will be owed when the innermost is complete; more than can ever be owed if none is open.
    floor: u64,
    near: [u64; NEAR],
    far: Vec<u64>,
}

impl Nest {
    const fn new() -> Self {
        Self {
            depth: 0,
            floor: u64::MAX,
            near: [0; NEAR],
            far: Vec::new(),
        }
    }

    fn clear(&mut self) {
        self.depth = 0;
        self.floor = u64::MAX;
        self.far.clear();
    }

    /// Opens one more, and puts the floor of the one around it away.
    fn descend(&mut self, floor: u64) {
        match self.near.get_mut(self.depth) {
            Some(place) => *place = self.floor,
            None => self.far.push(self.floor),
        }
        self.floor = floor;
        self.depth += 1;
    }

    /// Closes all that are complete when so much is owed.
    fn ascend(&mut self, owed: u64) {
        while self.floor == owed {
            self.depth -= 1;
            let around = match self.near.get(self.depth) {
                Some(floor) => Some(*floor),
                None => self.far.pop(),
            };
            self.floor = around.unwrap_or(u64::MAX);
        }
    }
}
