//! Values to bytes.

use bytes::BytesMut;
use serde::ser::{self, Serialize};

use super::error::EncodeError;
use super::write::{self, Container};

/// Appends `value` to `out`.
///
/// The bytes are those of go-msgpack 0.5.5 with its newer types off. The [module page](super) has the
/// table. Nothing is allocated but room in `out`; after an error `out` is as it was.
///
/// A list or map that does not know its length costs one move of its bytes when it has more than 15
/// elements, because the count in front of it has to grow.
///
/// ```
/// use bytes::BytesMut;
/// use oneport_services::msgpack::encode;
///
/// let mut out = BytesMut::new();
/// encode(&("KVS.Get", 7_i64, Option::<()>::None), &mut out).expect("fits");
/// assert_eq!(out[..], *b"\x93\xa7KVS.Get\x07\xc0");
/// ```
pub fn encode<T: Serialize + ?Sized>(value: &T, out: &mut BytesMut) -> Result<(), EncodeError> {
    let start = out.len();
    let result = value.serialize(&mut Encoder { out });
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// Writes what it is told.
struct Encoder<'a> {
    out: &'a mut BytesMut,
}

impl<'a> Encoder<'a> {
    /// Opens a list or a map; `None` is a length that will be known at the end.
    fn open<'e>(
        &'e mut self,
        kind: Container,
        length: Option<usize>,
    ) -> Result<Open<'e, 'a>, EncodeError> {
        let start = self.out.len();
        let declared = length.unwrap_or(0);
        kind.open(self.out, declared)?;
        let width = self.out.len() - start;
        Ok(Open {
            encoder: self,
            kind,
            start,
            width,
            declared,
            count: 0,
        })
    }

    /// Opens the map of one entry that an enum variant with content is.
    fn variant(&mut self, variant: &'static str) -> Result<(), EncodeError> {
        Container::Map.open(self.out, 1)?;
        write::raw(self.out, variant.as_bytes())
    }
}

/// A list or map that is being written.
struct Open<'e, 'a> {
    encoder: &'e mut Encoder<'a>,
    kind: Container,
    /// Where its header is.
    start: usize,
    /// How long its header is.
    width: usize,
    /// The count that the header tells.
    declared: usize,
    /// The count that came.
    count: usize,
}

impl Open<'_, '_> {
    #[inline]
    fn part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.count += 1;
        value.serialize(&mut *self.encoder)
    }

    #[inline(always)]
    fn field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        write::name(self.encoder.out, key)?;
        self.part(value)
    }

    fn close(self) -> Result<(), EncodeError> {
        if self.count == self.declared {
            return Ok(());
        }
        self.kind
            .patch(self.encoder.out, self.start, self.width, self.count)
    }
}

impl<'e, 'a> ser::Serializer for &'e mut Encoder<'a> {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = Open<'e, 'a>;
    type SerializeTuple = Open<'e, 'a>;
    type SerializeTupleStruct = Open<'e, 'a>;
    type SerializeTupleVariant = Open<'e, 'a>;
    type SerializeMap = Open<'e, 'a>;
    type SerializeStruct = Open<'e, 'a>;
    type SerializeStructVariant = Open<'e, 'a>;

    fn is_human_readable(&self) -> bool {
        false
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), EncodeError> {
        write::bool(self.out, value);
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result<(), EncodeError> {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<(), EncodeError> {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<(), EncodeError> {
        self.serialize_i64(value.into())
    }

    #[inline]
    fn serialize_i64(self, value: i64) -> Result<(), EncodeError> {
        write::int(self.out, value);
        Ok(())
    }

    fn serialize_i128(self, value: i128) -> Result<(), EncodeError> {
        match i64::try_from(value) {
            Ok(value) => self.serialize_i64(value),
            Err(_) => self.serialize_u64(u64::try_from(value).map_err(|_| EncodeError::TooLarge)?),
        }
    }

    fn serialize_u8(self, value: u8) -> Result<(), EncodeError> {
        self.serialize_u64(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<(), EncodeError> {
        self.serialize_u64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<(), EncodeError> {
        self.serialize_u64(value.into())
    }

    #[inline]
    fn serialize_u64(self, value: u64) -> Result<(), EncodeError> {
        write::uint(self.out, value);
        Ok(())
    }

    fn serialize_u128(self, value: u128) -> Result<(), EncodeError> {
        self.serialize_u64(u64::try_from(value).map_err(|_| EncodeError::TooLarge)?)
    }

    fn serialize_f32(self, value: f32) -> Result<(), EncodeError> {
        write::f32(self.out, value);
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Result<(), EncodeError> {
        write::f64(self.out, value);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), EncodeError> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), EncodeError> {
        write::raw(self.out, value.as_bytes())
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Result<(), EncodeError> {
        write::raw(self.out, value)
    }

    fn serialize_none(self) -> Result<(), EncodeError> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), EncodeError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), EncodeError> {
        write::nil(self.out);
        Ok(())
    }

    // Go's `struct{}` has no fields, but it is a struct.
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), EncodeError> {
        Container::Map.open(self.out, 0)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), EncodeError> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        self.variant(variant)?;
        value.serialize(self)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Open<'e, 'a>, EncodeError> {
        self.open(Container::Array, length)
    }

    fn serialize_tuple(self, length: usize) -> Result<Open<'e, 'a>, EncodeError> {
        self.open(Container::Array, Some(length))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        length: usize,
    ) -> Result<Open<'e, 'a>, EncodeError> {
        self.open(Container::Array, Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Open<'e, 'a>, EncodeError> {
        self.variant(variant)?;
        self.open(Container::Array, Some(length))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Open<'e, 'a>, EncodeError> {
        self.open(Container::Map, length)
    }

    fn serialize_struct(self, _: &'static str, length: usize) -> Result<Open<'e, 'a>, EncodeError> {
        self.open(Container::Map, Some(length))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Open<'e, 'a>, EncodeError> {
        self.variant(variant)?;
        self.open(Container::Map, Some(length))
    }
}

/// The four kinds of list differ in the name of their one method.
macro_rules! list {
    ($($kind:ident :: $method:ident),+) => {$(
        impl ser::$kind for Open<'_, '_> {
            type Ok = ();
            type Error = EncodeError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
                self.part(value)
            }

            fn end(self) -> Result<(), EncodeError> {
                self.close()
            }
        }
    )+};
}

list!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

/// The two kinds of struct are alike.
macro_rules! fields {
    ($($kind:ident),+) => {$(
        impl ser::$kind for Open<'_, '_> {
            type Ok = ();
            type Error = EncodeError;

            #[inline(always)]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), EncodeError> {
                self.field(key, value)
            }

            fn end(self) -> Result<(), EncodeError> {
                self.close()
            }
        }
    )+};
}

fields!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Open<'_, '_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), EncodeError> {
        key.serialize(&mut *self.encoder)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.part(value)
    }

    fn end(self) -> Result<(), EncodeError> {
        self.close()
    }
}
