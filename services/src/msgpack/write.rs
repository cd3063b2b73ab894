//! Single values and headers, written in their shortest form.

use bytes::{BufMut, BytesMut};

use super::error::EncodeError;
use super::marker;

/// Writes an integer without a sign.
#[inline]
pub(crate) fn uint(out: &mut BytesMut, value: u64) {
    match u8::try_from(value) {
        Ok(small) if small <= marker::FIXINT_MAX => out.put_u8(small),
        _ => long_uint(out, value),
    }
}

#[inline(never)]
fn long_uint(out: &mut BytesMut, value: u64) {
    if let Ok(small) = u8::try_from(value) {
        marked(out, marker::U8, [small]);
    } else if let Ok(value) = u16::try_from(value) {
        marked(out, marker::U16, value.to_be_bytes());
    } else if let Ok(value) = u32::try_from(value) {
        marked(out, marker::U32, value.to_be_bytes());
    } else {
        marked(out, marker::U64, value.to_be_bytes());
    }
}

/// Writes an integer; one that is not negative is written as if it had no sign.
pub(crate) fn int(out: &mut BytesMut, value: i64) {
    if let Ok(value) = u64::try_from(value) {
        return uint(out, value);
    }
    if let Ok(small) = i8::try_from(value) {
        let byte = small.cast_unsigned();
        if byte < marker::NEGINT {
            out.put_u8(marker::I8);
        }
        out.put_u8(byte);
    } else if let Ok(value) = i16::try_from(value) {
        marked(out, marker::I16, value.to_be_bytes());
    } else if let Ok(value) = i32::try_from(value) {
        marked(out, marker::I32, value.to_be_bytes());
    } else {
        marked(out, marker::I64, value.to_be_bytes());
    }
}

/// The longest string whose length is in its marker.
const SHORT: usize = (marker::FIXRAW_MAX - marker::FIXRAW) as usize;

/// Writes a string or bytes, which are the same here.
#[inline]
pub(crate) fn raw(out: &mut BytesMut, bytes: &[u8]) -> Result<(), EncodeError> {
    match u8::try_from(bytes.len()) {
        Ok(short) if bytes.len() <= SHORT => {
            out.put_u8(marker::FIXRAW | short);
            out.extend_from_slice(bytes);
            Ok(())
        }
        _ => long_raw(out, bytes),
    }
}

/// Writes the name of a field. It is a constant where this is inlined: marker and name become one
/// copy of a length that is known, which is no call.
#[inline(always)]
pub(crate) fn name(out: &mut BytesMut, name: &'static str) -> Result<(), EncodeError> {
    let length = name.len();
    match u8::try_from(length) {
        Ok(short) if length <= SHORT => {
            let mut marked = [0; 1 + SHORT];
            marked[0] = marker::FIXRAW | short;
            marked[1..=length].copy_from_slice(name.as_bytes());
            out.extend_from_slice(&marked[..=length]);
            Ok(())
        }
        _ => long_raw(out, name.as_bytes()),
    }
}

#[inline(never)]
fn long_raw(out: &mut BytesMut, bytes: &[u8]) -> Result<(), EncodeError> {
    out.reserve(5 + bytes.len());
    header(out, marker::RAW16, marker::RAW32, bytes.len())?;
    out.extend_from_slice(bytes);
    Ok(())
}

/// What has a count in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    /// Elements.
    Array,
    /// Keys with their values.
    Map,
}

impl Container {
    /// Writes the count.
    pub(crate) fn open(self, out: &mut BytesMut, count: usize) -> Result<(), EncodeError> {
        let (fix, two, four) = match self {
            Self::Array => (marker::FIXARRAY, marker::ARRAY16, marker::ARRAY32),
            Self::Map => (marker::FIXMAP, marker::MAP16, marker::MAP32),
        };
        match u8::try_from(count) {
            Ok(small) if small < 16 => out.put_u8(fix | small),
            _ => header(out, two, four, count)?,
        }
        Ok(())
    }

    /// Corrects the count that was written at `start` and is `width` bytes long.
    pub(crate) fn patch(
        self,
        out: &mut BytesMut,
        start: usize,
        width: usize,
        count: usize,
    ) -> Result<(), EncodeError> {
        let mut open = BytesMut::with_capacity(5);
        self.open(&mut open, count)?;
        let end = out.len();
        let body = start + width..end;
        if open.len() > width {
            out.resize(end + open.len() - width, 0);
        }
        out.copy_within(body, start + open.len());
        out.truncate(end + open.len() - width);
        out[start..start + open.len()].copy_from_slice(&open);
        Ok(())
    }
}

/// Writes a marker and a big-endian number behind it, in one piece.
fn marked<const N: usize>(out: &mut BytesMut, marker: u8, number: [u8; N]) {
    out.reserve(N + 1);
    out.put_u8(marker);
    out.extend_from_slice(&number);
}

/// Writes a length of two or of four bytes.
fn header(out: &mut BytesMut, two: u8, four: u8, length: usize) -> Result<(), EncodeError> {
    if let Ok(length) = u16::try_from(length) {
        marked(out, two, length.to_be_bytes());
    } else if let Ok(length) = u32::try_from(length) {
        marked(out, four, length.to_be_bytes());
    } else {
        return Err(EncodeError::TooLong { length });
    }
    Ok(())
}

/// Writes a float of 32 bits.
pub(crate) fn f32(out: &mut BytesMut, value: f32) {
    marked(out, marker::F32, value.to_be_bytes());
}

/// Writes a float of 64 bits.
pub(crate) fn f64(out: &mut BytesMut, value: f64) {
    marked(out, marker::F64, value.to_be_bytes());
}

/// Writes a bool.
pub(crate) fn bool(out: &mut BytesMut, value: bool) {
    out.put_u8(if value { marker::TRUE } else { marker::FALSE });
}

/// Writes nothing: one byte.
pub(crate) fn nil(out: &mut BytesMut) {
    out.put_u8(marker::NIL);
}
