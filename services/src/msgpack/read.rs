//! Single values and headers, read as leniently as Go reads them.

use super::error::DecodeError;
use super::marker::{self, ValueType};

/// The deepest nesting of maps and arrays that is read, and that a [`Scanner`](super::Scanner) lets pass
/// by default. Consul's own structs need eight.
pub const MAX_DEPTH: usize = 32;

/// Reads values, one behind the other.
///
/// [`decode`](super::decode) is enough for one value. A reader is for bytes that hold several: Go writes
/// some types as a string of msgpack values within one raw value.
///
/// ```
/// use oneport_services::msgpack::Decoder;
///
/// let mut decoder = Decoder::new(b"\x01\xa3two");
/// assert_eq!(decoder.decode::<u64>().expect("a number"), 1);
/// assert_eq!(decoder.decode::<&str>().expect("a string"), "two");
/// assert_eq!(decoder.rest(), b"");
/// ```
#[derive(Clone, Debug)]
pub struct Decoder<'de> {
    /// What was not read yet.
    rest: &'de [u8],
    /// How many more maps and arrays may be opened within each other.
    depth: usize,
}

impl<'de> Decoder<'de> {
    /// Reads from the front of `bytes`.
    #[must_use]
    pub fn new(bytes: &'de [u8]) -> Self {
        Self {
            rest: bytes,
            depth: MAX_DEPTH,
        }
    }

    /// What was not read yet.
    #[must_use]
    pub fn rest(&self) -> &'de [u8] {
        self.rest
    }

    /// Refuses bytes behind the last value.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            bytes => Err(DecodeError::Trailing { bytes }),
        }
    }

    /// The marker of the next value, left where it is.
    #[inline]
    pub(super) fn peek(&self) -> Result<u8, DecodeError> {
        self.rest.first().copied().ok_or(DecodeError::Empty)
    }

    /// The next byte.
    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8, DecodeError> {
        let (first, rest) = self.rest.split_first().ok_or(DecodeError::Empty)?;
        self.rest = rest;
        Ok(*first)
    }

    /// Takes the marker of the next value if it is nil.
    #[inline]
    pub(super) fn nil(&mut self) -> Result<bool, DecodeError> {
        let nil = self.peek()? == marker::NIL;
        if nil {
            self.rest = &self.rest[1..];
        }
        Ok(nil)
    }

    /// The next `length` bytes.
    #[inline]
    pub(super) fn take(&mut self, length: usize) -> Result<&'de [u8], DecodeError> {
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            return Err(self.short(length));
        };
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes: a big-endian number.
    #[inline]
    pub(super) fn number<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some((number, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.short(N));
        };
        self.rest = rest;
        Ok(*number)
    }

    #[cold]
    fn short(&self, wanted: usize) -> DecodeError {
        match self.rest.len() {
            0 => DecodeError::Empty,
            available => DecodeError::Short { wanted, available },
        }
    }

    /// Goes one map or array deeper.
    #[inline]
    pub(super) fn enter(&mut self) -> Result<(), DecodeError> {
        match self.depth.checked_sub(1) {
            Some(left) => self.depth = left,
            None => return Err(DecodeError::Depth { limit: MAX_DEPTH }),
        }
        Ok(())
    }

    /// Comes back from one.
    #[inline]
    pub(super) fn leave(&mut self) {
        self.depth += 1;
    }

    /// A length of one, two or four bytes.
    #[inline]
    pub(super) fn length(&mut self, width: Width) -> Result<usize, DecodeError> {
        Ok(match width {
            Width::One => u8::from_be_bytes(self.number()?).into(),
            Width::Two => u16::from_be_bytes(self.number()?).into(),
            // A machine with short addresses cannot hold such a value: any length is too long for it.
            Width::Four => {
                usize::try_from(u32::from_be_bytes(self.number()?)).unwrap_or(usize::MAX)
            }
        })
    }

    /// The content of a raw value, or of one of the bin family if `bin`. Nil is empty.
    #[inline]
    pub(super) fn raw(&mut self, bin: bool) -> Result<&'de [u8], DecodeError> {
        // Nearly every string is a short one.
        if let Some((&first, rest)) = self.rest.split_first()
            && let marker::FIXRAW..=marker::FIXRAW_MAX = first
            && let Some((short, rest)) = rest.split_at_checked((first - marker::FIXRAW).into())
        {
            self.rest = rest;
            return Ok(short);
        }
        self.long_raw(bin)
    }

    #[inline(never)]
    fn long_raw(&mut self, bin: bool) -> Result<&'de [u8], DecodeError> {
        let marker = self.byte()?;
        let length = match marker {
            marker::FIXRAW..=marker::FIXRAW_MAX => usize::from(marker - marker::FIXRAW),
            marker::NIL => 0,
            marker::RAW8 => self.length(Width::One)?,
            marker::RAW16 => self.length(Width::Two)?,
            marker::RAW32 => self.length(Width::Four)?,
            marker::BIN8 if bin => self.length(Width::One)?,
            marker::BIN16 if bin => self.length(Width::Two)?,
            marker::BIN32 if bin => self.length(Width::Four)?,
            _ => return Err(DecodeError::Length { marker }),
        };
        self.take(length)
    }

    /// A fixint that is not negative, if that is what comes next.
    #[inline]
    pub(super) fn fixint(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        if first > marker::FIXINT_MAX {
            return None;
        }
        self.rest = rest;
        Some(first)
    }

    /// The count of an array or of a map; nothing is read if the next value is neither.
    #[inline]
    pub(super) fn container(&mut self) -> Result<Option<Count>, DecodeError> {
        let marker = self.peek()?;
        let (map, fixed, width) = match marker {
            marker::FIXMAP..marker::FIXARRAY => (true, marker - marker::FIXMAP, None),
            marker::FIXARRAY..marker::FIXRAW => (false, marker - marker::FIXARRAY, None),
            marker::ARRAY16 => (false, 0, Some(Width::Two)),
            marker::ARRAY32 => (false, 0, Some(Width::Four)),
            marker::MAP16 => (true, 0, Some(Width::Two)),
            marker::MAP32 => (true, 0, Some(Width::Four)),
            _ => return Ok(None),
        };
        self.rest = &self.rest[1..];
        let count = match width {
            None => fixed.into(),
            Some(width) => self.length(width)?,
        };
        Ok(Some(if map {
            Count::Entries(count)
        } else {
            Count::Elements(count)
        }))
    }

    /// The error of a value that was to be a list: what it is instead.
    #[cold]
    pub(super) fn not_a_slice(&self) -> DecodeError {
        self.instead(|value| DecodeError::NotASlice { value })
    }

    /// The error of a value that was to be a struct: what it is instead.
    #[cold]
    pub(super) fn not_a_struct(&self) -> DecodeError {
        self.instead(|value| DecodeError::NotAStruct { value })
    }

    fn instead(&self, error: impl FnOnce(ValueType) -> DecodeError) -> DecodeError {
        match self.peek() {
            Ok(marker) => match ValueType::of(marker) {
                Some(value) => error(value),
                None => DecodeError::Undeciphered { marker },
            },
            Err(empty) => empty,
        }
    }

    /// The content of an extension, without its type.
    pub(super) fn extension(&mut self) -> Result<&'de [u8], DecodeError> {
        let marker = self.byte()?;
        let length = match marker {
            marker::FIXEXT1..=marker::FIXEXT16 => 1 << (marker - marker::FIXEXT1),
            marker::EXT8 => self.length(Width::One)?,
            marker::EXT16 => self.length(Width::Two)?,
            marker::EXT32 => self.length(Width::Four)?,
            _ => return Err(DecodeError::Naked { marker }),
        };
        self.byte()?;
        self.take(length)
    }

    /// Passes over one value of any kind.
    ///
    /// Go does this by reading it into a map of strings, so a key within it that is no string is an error.
    pub(super) fn skip(&mut self) -> Result<(), DecodeError> {
        if let Some(count) = self.container()? {
            self.enter()?;
            match count {
                Count::Elements(count) => self.skip_elements(count)?,
                Count::Entries(count) => self.skip_entries(count)?,
            }
            self.leave();
            return Ok(());
        }
        let marker = self.peek()?;
        match ValueType::of(marker) {
            Some(ValueType::String | ValueType::Bytes | ValueType::Nil) => self.raw(true).map(drop),
            Some(ValueType::Bool) => self.bool().map(drop),
            Some(ValueType::Ext) => self.extension().map(drop),
            Some(ValueType::Float) => self.float().map(drop),
            Some(_) => self.int(64).map(drop),
            None => Err(DecodeError::Naked { marker }),
        }
    }

    /// Passes over `count` elements.
    pub(super) fn skip_elements(&mut self, count: usize) -> Result<(), DecodeError> {
        (0..count).try_for_each(|_| self.skip())
    }

    /// Passes over `count` keys with their values.
    pub(super) fn skip_entries(&mut self, count: usize) -> Result<(), DecodeError> {
        (0..count).try_for_each(|_| {
            self.raw(false)?;
            self.skip()
        })
    }
}

/// The bytes of a length.
#[derive(Clone, Copy, Debug)]
pub(super) enum Width {
    /// One byte.
    One,
    /// Two bytes.
    Two,
    /// Four bytes.
    Four,
}

/// What a container says about its content.
#[derive(Clone, Copy, Debug)]
pub(super) enum Count {
    /// An array of so many elements.
    Elements(usize),
    /// A map of so many entries.
    Entries(usize),
}
