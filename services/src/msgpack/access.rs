//! What is within a list, a map or a variant, handed out one by one.

use serde::de::{self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, Visitor};

use super::error::DecodeError;
use super::marker;
use super::read::Decoder;

/// The elements that a list is told to make room for at most, whatever it claims to hold.
///
/// With elements of up to 256 bytes that is 64 KiB ahead of the bytes that were read.
const ROOM: usize = 256;

/// The elements of a list.
pub(super) struct Elements<'a, 'de> {
    /// What is read from.
    pub(super) decoder: &'a mut Decoder<'de>,
    /// How many there still are.
    pub(super) left: usize,
    /// The zero values that follow.
    pub(super) zeros: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = DecodeError;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            return seed.deserialize(&mut *self.decoder).map(Some);
        }
        if let Some(zeros) = self.zeros.checked_sub(1) {
            self.zeros = zeros;
            return seed
                .deserialize(&mut Decoder::new(&[marker::NIL]))
                .map(Some);
        }
        Ok(None)
    }

    // An element has one byte at least, so a claim beyond the bytes is a lie.
    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(self.decoder.rest().len()).min(ROOM) + self.zeros)
    }
}

/// The entries of a map.
pub(super) struct Entries<'a, 'de> {
    /// What is read from.
    pub(super) decoder: &'a mut Decoder<'de>,
    /// How many there still are.
    pub(super) left: usize,
}

impl<'de> MapAccess<'de> for Entries<'_, 'de> {
    type Error = DecodeError;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        seed.deserialize(&mut *self.decoder).map(Some)
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        seed.deserialize(&mut *self.decoder)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(self.decoder.rest().len()).min(ROOM))
    }
}

/// The content of an enum's variant.
pub(super) struct Variant<'a, 'de> {
    /// What is read from.
    pub(super) decoder: &'a mut Decoder<'de>,
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self), DecodeError> {
        let name = seed.deserialize(&mut *self.decoder)?;
        Ok((name, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, 'de> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        self.decoder.skip()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, DecodeError> {
        seed.deserialize(self.decoder)
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.decoder.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.decoder.deserialize_struct("", fields, visitor)
    }
}
