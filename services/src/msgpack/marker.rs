//! The first byte of a value.
//!
//! Every msgpack value opens with one byte that says what follows. The names of the ranges and of the
//! single bytes are here; nothing else in this module knows a number.

use std::fmt;

/// The largest integer that is its own marker.
pub(super) const FIXINT_MAX: u8 = 0x7f;
/// A map of up to 15 entries: the low nibble counts them.
pub(super) const FIXMAP: u8 = 0x80;
/// An array of up to 15 elements: the low nibble counts them.
pub(super) const FIXARRAY: u8 = 0x90;
/// Up to 31 raw bytes: the low five bits count them.
pub(super) const FIXRAW: u8 = 0xa0;
/// The last marker of the [`FIXRAW`] range.
pub(super) const FIXRAW_MAX: u8 = 0xbf;
/// Nothing: Go's nil of any type.
pub(super) const NIL: u8 = 0xc0;
/// The one byte that msgpack never uses.
pub(super) const UNUSED: u8 = 0xc1;
/// No.
pub(super) const FALSE: u8 = 0xc2;
/// Yes.
pub(super) const TRUE: u8 = 0xc3;
/// Binary with a one byte length. Read, never written.
pub(super) const BIN8: u8 = 0xc4;
/// Binary with a two byte length. Read, never written.
pub(super) const BIN16: u8 = 0xc5;
/// Binary with a four byte length. Read, never written.
pub(super) const BIN32: u8 = 0xc6;
/// An extension with a one byte length. Skipped, never written.
pub(super) const EXT8: u8 = 0xc7;
/// An extension with a two byte length. Skipped, never written.
pub(super) const EXT16: u8 = 0xc8;
/// An extension with a four byte length. Skipped, never written.
pub(super) const EXT32: u8 = 0xc9;
/// A float of 32 bits.
pub(super) const F32: u8 = 0xca;
/// A float of 64 bits.
pub(super) const F64: u8 = 0xcb;
/// An unsigned integer of one byte.
pub(super) const U8: u8 = 0xcc;
/// An unsigned integer of two bytes.
pub(super) const U16: u8 = 0xcd;
/// An unsigned integer of four bytes.
pub(super) const U32: u8 = 0xce;
/// An unsigned integer of eight bytes.
pub(super) const U64: u8 = 0xcf;
/// A signed integer of one byte.
pub(super) const I8: u8 = 0xd0;
/// A signed integer of two bytes.
pub(super) const I16: u8 = 0xd1;
/// A signed integer of four bytes.
pub(super) const I32: u8 = 0xd2;
/// A signed integer of eight bytes.
pub(super) const I64: u8 = 0xd3;
/// The first of five extensions whose length is in the marker: 1, 2, 4, 8 or 16 bytes.
pub(super) const FIXEXT1: u8 = 0xd4;
/// The last of them.
pub(super) const FIXEXT16: u8 = 0xd8;
/// Raw bytes with a one byte length, of the newer msgpack. Read, never written.
pub(super) const RAW8: u8 = 0xd9;
/// Raw bytes with a two byte length.
pub(super) const RAW16: u8 = 0xda;
/// Raw bytes with a four byte length.
pub(super) const RAW32: u8 = 0xdb;
/// An array with a two byte count.
pub(super) const ARRAY16: u8 = 0xdc;
/// An array with a four byte count.
pub(super) const ARRAY32: u8 = 0xdd;
/// A map with a two byte count.
pub(super) const MAP16: u8 = 0xde;
/// A map with a four byte count.
pub(super) const MAP32: u8 = 0xdf;
/// The first marker that is a negative integer itself: -32.
pub(super) const NEGINT: u8 = 0xe0;

/// What Go calls the kind of a value that does not fit: the `valueType` of its error texts.
///
/// The number is the one that Go prints, in hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ValueType {
    /// `c0`.
    Nil = 1,
    /// A fixint of either sign, or an integer with a sign.
    Int = 2,
    /// An integer without a sign.
    Uint = 3,
    /// A float.
    Float = 4,
    /// A bool.
    Bool = 5,
    /// The raw family: strings and old byte strings.
    String = 6,
    /// The bin family.
    Bytes = 8,
    /// A map.
    Map = 9,
    /// An array.
    Array = 10,
    /// An extension.
    Ext = 12,
}

impl ValueType {
    /// The kind of value that a marker opens; `c1` opens none.
    pub(super) fn of(marker: u8) -> Option<Self> {
        Some(match marker {
            0..=FIXINT_MAX | NEGINT.. | I8..=I64 => Self::Int,
            FIXMAP..FIXARRAY | MAP16 | MAP32 => Self::Map,
            FIXARRAY..FIXRAW | ARRAY16 | ARRAY32 => Self::Array,
            FIXRAW..=FIXRAW_MAX | RAW8 | RAW16 | RAW32 => Self::String,
            NIL => Self::Nil,
            UNUSED => return None,
            FALSE | TRUE => Self::Bool,
            BIN8..=BIN32 => Self::Bytes,
            EXT8..=EXT32 | FIXEXT1..=FIXEXT16 => Self::Ext,
            F32 | F64 => Self::Float,
            U8..=U64 => Self::Uint,
        })
    }
}

impl fmt::LowerHex for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&(*self as u8), f)
    }
}
