//! What can go wrong while a value is read or written.

use std::fmt;

use super::marker::ValueType;

/// Why a value could not be read.
///
/// The facts are in the variants, the text is Go's: a server that answers with it, answers with what a
/// Consul server would say to the same bytes, down to the prefix. Where Go has no such error (it knows
/// no depth limit, for example) the text is ours, in the same form.
///
/// ```
/// use oneport_services::msgpack::{DecodeError, decode};
///
/// let error = decode::<u64>(&[0xff]).expect_err("-1 is no u64");
/// assert_eq!(error, DecodeError::Negative { value: 255 });
/// assert_eq!(
///     error.to_string(),
///     "codec.decoder: Assigning negative signed value: 255, to unsigned type",
/// );
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum DecodeError {
    /// A struct was asked for and the value is neither map nor array.
    NotAStruct {
        /// What it is.
        value: ValueType,
    },
    /// A list or bytes were asked for and the value is neither map nor array (nor bytes).
    NotASlice {
        /// What it is.
        value: ValueType,
    },
    /// A string, a key or a map was asked for and another marker is there.
    Length {
        /// The marker.
        marker: u8,
    },
    /// An integer was asked for and another marker is there.
    Integer {
        /// The marker.
        marker: u8,
    },
    /// A bool was asked for and the marker is none of `c2`, `c3`, `00`, `01`.
    Bool {
        /// The marker.
        marker: u8,
    },
    /// A negative integer where only positive ones fit.
    Negative {
        /// What Go prints: the value, but the marker byte itself for -1 to -32.
        value: i64,
    },
    /// An integer that is too large or too small for a signed field.
    IntOverflow {
        /// The integer.
        value: i64,
    },
    /// An integer that is too large for an unsigned field.
    UintOverflow {
        /// The integer.
        value: u64,
    },
    /// A float that is too large for 32 bits.
    FloatOverflow {
        /// Its magnitude.
        value: f64,
    },
    /// A fixed array got more elements than it has.
    CannotExpand {
        /// The elements of the array.
        have: usize,
        /// The elements of the value.
        stream: usize,
    },
    /// A struct, a list or bytes were asked for and the marker opens no value at all.
    Undeciphered {
        /// The marker.
        marker: u8,
    },
    /// Any value would have done and the marker opens none.
    Naked {
        /// The marker.
        marker: u8,
    },
    /// Nothing is there.
    Empty,
    /// The value ends early.
    Short {
        /// The bytes that the value wants next.
        wanted: usize,
        /// The bytes that are left.
        available: usize,
    },
    /// The value is complete and more bytes follow.
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// Maps and arrays are nested too deep.
    Depth {
        /// The deepest nesting that is read.
        limit: usize,
    },
    /// The type that was asked for has an objection of its own.
    Message(
        /// Its text.
        Box<str>,
    ),
}

/// What every text of Go's decoder starts with.
const PREFIX: &str = "codec.decoder: ";
/// What Go calls a marker that does not fit.
const BAD: &str = "Unrecognized descriptor byte";

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Two texts that Go passes through as they are.
            Self::Message(text) => return f.write_str(text),
            Self::Empty => return f.write_str("EOF"),
            _ => f.write_str(PREFIX)?,
        }
        self.detail(f)
    }
}

impl DecodeError {
    /// The text behind the prefix.
    fn detail(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAStruct { value } => write!(
                f,
                "Only encoded map or array can be decoded into a struct. (valueType: {value:x})"
            ),
            Self::NotASlice { value } => write!(
                f,
                "Only encoded map or array can be decoded into a slice. (valueType: {value:x})"
            ),
            Self::Length { marker } => {
                write!(f, "readContainerLen: {BAD}: hex: {marker:x}, dec: {marker}")
            }
            Self::Integer { marker } => write!(
                f,
                "Unhandled single-byte unsigned integer value: {BAD}: {marker:x}"
            ),
            Self::Bool { marker } => {
                write!(f, "Invalid single-byte value for bool: {BAD}: {marker:x}")
            }
            Self::Negative { value } => write!(
                f,
                "Assigning negative signed value: {value}, to unsigned type"
            ),
            Self::IntOverflow { value } => write!(f, "Overflow int value: {value}"),
            Self::UintOverflow { value } => write!(f, "Overflow uint value: {value}"),
            Self::FloatOverflow { value } => write!(f, "Overflow float32 value: {}", Go(*value)),
            Self::CannotExpand { have, stream } => write!(
                f,
                "cannot expand go array from {have} to stream length: {stream}"
            ),
            Self::Undeciphered { marker } => write!(
                f,
                "currentEncodedType: Undeciphered descriptor: {BAD}: hex: {marker:x}, dec: {marker}"
            ),
            Self::Naked { marker } => write!(
                f,
                "Nil-Deciphered DecodeValue: {BAD}: hex: {marker:x}, dec: {marker}"
            ),
            Self::Short { wanted, available } => write!(
                f,
                "Trying to read {wanted} bytes. Only {available} available"
            ),
            Self::Trailing { bytes } => write!(f, "{bytes} bytes behind the value"),
            Self::Depth { limit } => write!(f, "Nesting deeper than {limit}"),
            Self::Message(_) | Self::Empty => Ok(()),
        }
    }
}

/// A large float as Go prints it: Rust leaves the sign of a positive exponent out.
struct Go(f64);

impl fmt::Display for Go {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{:e}", self.0).replacen('e', "e+", 1))
    }
}

impl std::error::Error for DecodeError {}

impl serde::de::Error for DecodeError {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::Message(text.to_string().into_boxed_str())
    }
}

/// Why a value could not be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// More bytes or elements than a length of four bytes can tell.
    #[error("msgpack cannot count to {length}")]
    TooLong {
        /// The bytes or elements.
        length: usize,
    },
    /// An integer that no 64 bits hold.
    #[error("msgpack has no integers of more than 64 bits")]
    TooLarge,
    /// The value itself has an objection.
    #[error("{0}")]
    Message(
        /// Its text.
        Box<str>,
    ),
}

impl serde::ser::Error for EncodeError {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::Message(text.to_string().into_boxed_str())
    }
}
