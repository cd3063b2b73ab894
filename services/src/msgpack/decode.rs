//! Bytes to values.

use serde::de::value::CowStrDeserializer;
use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::access::{Elements, Entries, Variant};
use super::error::DecodeError;
use super::marker::{self, ValueType};
use super::read::{Count, Decoder};

/// Reads the one value that `bytes` holds.
///
/// The value is read as go-msgpack 0.5.5 reads it: nil is the zero value of everything, integers come in
/// any width, structs come as maps or as arrays. The [module page](super) has the table. Bytes behind the
/// value are an error.
///
/// Strings and bytes can be borrowed. A type that asks for a string is given bytes if they are not UTF-8,
/// because Go does not look.
///
/// ```
/// use oneport_services::msgpack::decode;
///
/// assert_eq!(decode::<&str>(b"\xa7KVS.Get").expect("a string"), "KVS.Get");
/// assert_eq!(decode::<Vec<u64>>(b"\xc0").expect("nothing"), Vec::<u64>::new());
/// ```
pub fn decode<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, DecodeError> {
    let mut decoder = Decoder::new(bytes);
    let value = decoder.decode()?;
    decoder.finish()?;
    Ok(value)
}

impl<'de> Decoder<'de> {
    /// Reads the next value.
    pub fn decode<T: Deserialize<'de>>(&mut self) -> Result<T, DecodeError> {
        T::deserialize(self)
    }

    /// Shows the elements of a list to `visitor`; those that it does not want are passed over.
    #[inline]
    fn elements<V: Visitor<'de>>(
        &mut self,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.padded(count, 0, visitor)
    }

    /// Shows the elements of a list to `visitor`, and `zeros` zero values behind them.
    fn padded<V: Visitor<'de>>(
        &mut self,
        count: usize,
        zeros: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.enter()?;
        let mut elements = Elements {
            decoder: self,
            left: count,
            zeros,
        };
        let value = visitor.visit_seq(&mut elements)?;
        let left = elements.left;
        self.skip_elements(left)?;
        self.leave();
        Ok(value)
    }

    /// Shows the entries of a map to `visitor`; those that it does not want are passed over.
    #[inline]
    fn entries<V: Visitor<'de>>(
        &mut self,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.enter()?;
        let mut entries = Entries {
            decoder: self,
            left: count,
        };
        let value = visitor.visit_map(&mut entries)?;
        let left = entries.left;
        self.skip_entries(left)?;
        self.leave();
        Ok(value)
    }

    /// Shows a list to `visitor`. A map counts as the list of its keys and values.
    fn list<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.container()? {
            Some(Count::Elements(count)) => self.elements(count, visitor),
            Some(Count::Entries(count)) => self.elements(count.saturating_mul(2), visitor),
            None => Err(self.not_a_slice()),
        }
    }

    /// Shows a string to `visitor`.
    #[inline]
    fn text<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, DecodeError> {
        let raw = self.raw(false)?;
        match std::str::from_utf8(raw) {
            Ok(text) => visitor.visit_borrowed_str(text),
            Err(_) => visitor.visit_borrowed_bytes(raw),
        }
    }

    /// Passes over what stands for Go's `struct{}`.
    fn nothing<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, DecodeError> {
        match ValueType::of(self.peek()?) {
            Some(ValueType::Nil | ValueType::Map | ValueType::Array) => self.skip()?,
            _ => return Err(self.not_a_struct()),
        }
        visitor.visit_unit()
    }
}

/// Integers differ in their width only.
macro_rules! integers {
    ($($method:ident: $read:ident($bits:literal) => $visit:ident),+ $(,)?) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            visitor.$visit(self.$read($bits)?)
        }
    )+};
}

impl<'de> Deserializer<'de> for &mut Decoder<'de> {
    type Error = DecodeError;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let marker = self.peek()?;
        match ValueType::of(marker) {
            Some(ValueType::Nil) => {
                self.byte()?;
                visitor.visit_unit()
            }
            Some(ValueType::Bool) => visitor.visit_bool(self.bool()?),
            Some(ValueType::Uint) => visitor.visit_u64(self.uint(64)?),
            Some(ValueType::Int) if marker <= marker::FIXINT_MAX => {
                visitor.visit_u64(self.uint(64)?)
            }
            Some(ValueType::Int) => visitor.visit_i64(self.int(64)?),
            Some(ValueType::Float) => visitor.visit_f64(self.float()?),
            Some(ValueType::String) => self.text(visitor),
            Some(ValueType::Bytes) => visitor.visit_borrowed_bytes(self.raw(true)?),
            Some(ValueType::Ext) => visitor.visit_borrowed_bytes(self.extension()?),
            Some(ValueType::Array) => self.list(visitor),
            Some(ValueType::Map) => self.deserialize_map(visitor),
            None => Err(DecodeError::Naked { marker }),
        }
    }

    #[inline]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_bool(self.bool()?)
    }

    integers! {
        deserialize_i8: int(8) => visit_i64,
        deserialize_i16: int(16) => visit_i64,
        deserialize_i32: int(32) => visit_i64,
        deserialize_i64: int(64) => visit_i64,
        deserialize_i128: int(64) => visit_i64,
        deserialize_u8: uint(8) => visit_u64,
        deserialize_u16: uint(16) => visit_u64,
        deserialize_u32: uint(32) => visit_u64,
        deserialize_u64: uint(64) => visit_u64,
        deserialize_u128: uint(64) => visit_u64,
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let value = self.float()?;
        let size = value.abs();
        if size > f32::MAX.into() && size.is_finite() {
            return Err(DecodeError::FloatOverflow { value: size });
        }
        visitor.visit_f64(value)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_f64(self.float()?)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.text(visitor)
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.text(visitor)
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.text(visitor)
    }

    #[inline]
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match ValueType::of(self.peek()?) {
            Some(ValueType::String | ValueType::Bytes | ValueType::Nil) => {
                visitor.visit_borrowed_bytes(self.raw(true)?)
            }
            // Go's byte slice is a slice: a list of small integers does as well.
            _ => self.list(visitor),
        }
    }

    // What reads itself from bytes, like a time: Go hands it bytes and knows no list.
    #[inline]
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_borrowed_bytes(self.raw(true)?)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.nil()? {
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.nothing(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.nothing(visitor)
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.nil()? {
            return self.elements(0, visitor);
        }
        self.list(visitor)
    }

    // Go's fixed array: what is missing stays zero, what is too much does not fit.
    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        if self.nil()? {
            return self.padded(0, length, visitor);
        }
        let count = match self.container()? {
            Some(Count::Elements(count)) => count,
            Some(Count::Entries(count)) => count.saturating_mul(2),
            None => return Err(self.not_a_slice()),
        };
        match length.checked_sub(count) {
            Some(zeros) => self.padded(count, zeros, visitor),
            None => Err(DecodeError::CannotExpand {
                have: length,
                stream: count,
            }),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.nil()? {
            return self.entries(0, visitor);
        }
        let marker = self.peek()?;
        match self.container()? {
            Some(Count::Entries(count)) => self.entries(count, visitor),
            _ => Err(DecodeError::Length { marker }),
        }
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.container()? {
            Some(Count::Entries(count)) => self.entries(count, visitor),
            Some(Count::Elements(count)) => self.elements(count, visitor),
            None if self.nil()? => self.entries(0, visitor),
            None => Err(self.not_a_struct()),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.container()? {
            Some(Count::Entries(1)) => {
                self.enter()?;
                let value = visitor.visit_enum(Variant { decoder: self })?;
                self.leave();
                Ok(value)
            }
            Some(_) => Err(de::Error::custom(
                "a variant with content is a map of one entry",
            )),
            None => {
                let name = String::from_utf8_lossy(self.raw(false)?);
                visitor.visit_enum(CowStrDeserializer::new(name))
            }
        }
    }

    // The name of a field, or a string that says of itself that it need not be UTF-8. Nobody looks.
    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_borrowed_bytes(self.raw(false)?)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.skip()?;
        visitor.visit_unit()
    }
}
