//! The headers of requests and replies.

use std::fmt;

use bytes::BytesMut;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
    ser::SerializeStruct,
};

use crate::msgpack;

/// What stands in front of every request and reply. A request has no `Error`; it is written in
/// Go's sorted order and read in any, or by position in Go's order of declaration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header<'a> {
    pub(crate) method: &'a [u8],
    pub(crate) seq: u64,
    pub(crate) error: Option<&'a [u8]>,
}

/// A Go string that is written as it is and read without a copy.
#[derive(Clone, Copy, Default)]
struct Raw<'a>(&'a [u8]);

impl Header<'_> {
    /// Appends the header.
    pub(crate) fn put(&self, out: &mut BytesMut) -> Result<(), msgpack::EncodeError> {
        msgpack::encode(self, out)
    }
}

impl Serialize for Header<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let len = if self.error.is_some() { 3 } else { 2 };
        let mut map = serializer.serialize_struct("Header", len)?;
        if let Some(error) = self.error {
            map.serialize_field("Error", &Raw(error))?;
        }
        map.serialize_field("Seq", &self.seq)?;
        map.serialize_field("ServiceMethod", &Raw(self.method))?;
        map.end()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Header<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const KEYS: &[&str] = &["ServiceMethod", "Seq", "Error"];
        deserializer.deserialize_struct("Header", KEYS, HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a net/rpc header")
    }

    fn visit_unit<E>(self) -> Result<Header<'de>, E> {
        Ok(Header::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header<'de>, A::Error> {
        let mut header = Header::default();
        while let Some(Raw(key)) = map.next_key()? {
            match key {
                b"ServiceMethod" => header.method = map.next_value::<Raw<'_>>()?.0,
                b"Seq" => header.seq = map.next_value()?,
                b"Error" => header.error = Some(map.next_value::<Raw<'_>>()?.0),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(header)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Header<'de>, A::Error> {
        let mut header = Header::default();
        if let Some(Raw(method)) = seq.next_element()? {
            header.method = method;
        }
        if let Some(number) = seq.next_element()? {
            header.seq = number;
        }
        header.error = seq.next_element::<Raw<'_>>()?.map(|Raw(error)| error);
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(header)
    }
}

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As the name of a field: nobody looks for UTF-8 in it.
        deserializer.deserialize_identifier(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_unit<E>(self) -> Result<Raw<'de>, E> {
        Ok(Raw(b""))
    }

    fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Raw<'de>, E> {
        Ok(Raw(v.as_bytes()))
    }

    fn visit_borrowed_bytes<E>(self, v: &'de [u8]) -> Result<Raw<'de>, E> {
        Ok(Raw(v))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(header: Header<'_>) -> Vec<u8> {
        let mut out = BytesMut::new();
        header.put(&mut out).unwrap();
        out.to_vec()
    }

    const PING: Header<'_> = Header {
        method: b"Status.Ping",
        seq: 1,
        error: None,
    };

    #[test]
    fn a_request_header_is_gos() {
        let bytes = b"\x82\xa3Seq\x01\xadServiceMethod\xabStatus.Ping";
        assert_eq!(written(PING), bytes);
        assert_eq!(msgpack::decode::<Header<'_>>(bytes).unwrap(), PING);
    }

    #[test]
    fn a_reply_header_is_gos() {
        let reply = Header {
            error: Some(b""),
            ..PING
        };
        let bytes = b"\x83\xa5Error\xa0\xa3Seq\x01\xadServiceMethod\xabStatus.Ping";
        assert_eq!(written(reply), bytes);
        assert_eq!(msgpack::decode::<Header<'_>>(bytes).unwrap(), reply);
    }

    #[test]
    fn any_order_and_position_and_nil_are_read() {
        let reversed = b"\x83\xadServiceMethod\xabStatus.Ping\xa1x\x90\xa3Seq\xcc\x01";
        assert_eq!(msgpack::decode::<Header<'_>>(reversed).unwrap(), PING);
        let positional = b"\x92\xabStatus.Ping\x01";
        assert_eq!(msgpack::decode::<Header<'_>>(positional).unwrap(), PING);
        assert_eq!(
            msgpack::decode::<Header<'_>>(b"\xc0").unwrap(),
            Header::default()
        );
        let nil_method = b"\x82\xa3Seq\x00\xadServiceMethod\xc0";
        assert_eq!(
            msgpack::decode::<Header<'_>>(nil_method).unwrap(),
            Header::default()
        );
    }

    #[test]
    fn what_is_no_header_is_an_error() {
        assert!(msgpack::decode::<Header<'_>>(b"\xa3abc").is_err());
        assert!(msgpack::decode::<Header<'_>>(b"\x81\xa3Seq\xff").is_err());
    }
}
