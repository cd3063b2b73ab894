//! Go's `string` and `[]byte`: bytes of any content.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::base64;

/// The key that marks bytes which JSON cannot hold as a string.
const BASE64: &str = "$raw_base64";

/// What both types share: everything but how they ask a deserializer.
///
/// A string is asked for as if it were the name of a field: a decoder that knows Go looks at neither for
/// UTF-8, while one that is asked for a `str` has to.
macro_rules! bytes_type {
    ($(#[$doc:meta])* $name:ident, $ask:ident) => {
        $(#[$doc])*
        #[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Bytes);

        impl $name {
            /// An empty one.
            #[must_use]
            pub const fn new() -> Self {
                Self(Bytes::new())
            }

            /// One that needs no memory.
            #[must_use]
            pub const fn from_static(text: &'static str) -> Self {
                Self(Bytes::from_static(text.as_bytes()))
            }

            /// The bytes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }

            /// The bytes as text, if they are UTF-8.
            #[must_use]
            pub fn as_str(&self) -> Option<&str> {
                std::str::from_utf8(&self.0).ok()
            }

            /// The bytes as text; what is not UTF-8 is replaced.
            #[must_use]
            pub fn to_str_lossy(&self) -> Cow<'_, str> {
                String::from_utf8_lossy(&self.0)
            }

            /// The shared bytes.
            #[must_use]
            pub fn into_bytes(self) -> Bytes {
                self.0
            }

            /// How many bytes there are.
            #[must_use]
            pub fn len(&self) -> usize {
                self.0.len()
            }

            /// Whether there are none.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        /// Shows the text; what is not UTF-8 is replaced.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.to_str_lossy())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "\"{}\"", self.0.escape_ascii())
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(Bytes::copy_from_slice(text.as_bytes()))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl From<&[u8]> for $name {
            fn from(bytes: &[u8]) -> Self {
                Self(Bytes::copy_from_slice(bytes))
            }
        }

        impl From<Vec<u8>> for $name {
            fn from(bytes: Vec<u8>) -> Self {
                Self(bytes.into())
            }
        }

        impl From<Bytes> for $name {
            fn from(bytes: Bytes) -> Self {
                Self(bytes)
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other.as_bytes()
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == other.as_bytes()
            }
        }

        impl PartialEq<[u8]> for $name {
            fn eq(&self, other: &[u8]) -> bool {
                self.0 == other
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serialize(&self.0, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    return deserializer.deserialize_any(Content).map(Self);
                }
                deserializer.$ask(Content).map(Self)
            }
        }
    };
}

bytes_type! {
    /// A Go string: bytes, which are UTF-8 out of habit and not by rule.
    ///
    /// Keys with any content have been seen in Consul's store, so nothing checks or replaces anything.
    /// Clones share the bytes.
    ///
    /// In JSON it is a string; if it is not UTF-8, the map `{"$raw_base64": "…"}`. Both are read, and
    /// null as the empty string. (The keys of a JSON map must be text: a map with others has no JSON.)
    ///
    /// ```
    /// use oneport_proto::structs::GoString;
    ///
    /// let key = GoString::from(&b"caf\xe9"[..]);
    /// assert_eq!(key.as_str(), None);
    /// assert_eq!(key.to_string(), "caf\u{fffd}");
    /// assert_eq!(serde_json::to_string(&key).expect("JSON"), r#"{"$raw_base64":"Y2Fm6Q=="}"#);
    /// ```
    GoString, deserialize_identifier
}

bytes_type! {
    /// A Go byte slice, for values.
    ///
    /// A byte slice can be nil; `Option<Blob>` keeps that apart from an empty one, as the wire does. (Go
    /// itself reads an empty one as nil.) Clones share the bytes.
    ///
    /// It differs from [`GoString`] in what may stand for it on the wire: the newer `bin` values and lists
    /// of small integers are bytes, but no string. In JSON the two look the same.
    Blob, deserialize_bytes
}

/// Writes bytes: as they are, or for people as text.
fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    if !serializer.is_human_readable() {
        return serializer.serialize_bytes(bytes);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return serializer.serialize_str(text);
    }
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(BASE64, &base64::encode(bytes))?;
    map.end()
}

/// Takes bytes in every form.
struct Content;

impl<'de> Visitor<'de> for Content {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or bytes")
    }

    #[inline]
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
        self.visit_bytes(text.as_bytes())
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Bytes, E> {
        Ok(text.into())
    }

    #[inline]
    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
        if bytes.is_empty() {
            return Ok(Bytes::new());
        }
        Ok(Bytes::copy_from_slice(bytes))
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
        Ok(bytes.into())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Bytes, E> {
        Ok(Bytes::new())
    }

    fn visit_none<E: de::Error>(self) -> Result<Bytes, E> {
        Ok(Bytes::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Bytes, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = seq.next_element::<u8>()? {
            bytes.push(byte);
        }
        Ok(bytes.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Bytes, A::Error> {
        let mut bytes = None;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key != BASE64 {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let text = map.next_value::<Cow<'de, str>>()?;
            bytes = base64::decode(&text);
            if bytes.is_none() {
                return Err(de::Error::custom("not base64"));
            }
        }
        match bytes {
            Some(bytes) => Ok(bytes.into()),
            None => Err(de::Error::missing_field(BASE64)),
        }
    }
}
