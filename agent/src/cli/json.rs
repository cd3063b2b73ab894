//! Between JSON and msgpack.
//!
//! JSON has no bytes: what is not UTF-8 is `{"$raw_base64": "…"}`, in both directions.

use std::fmt;

use bytes::{Bytes, BytesMut};
use oneport::{proto::structs::GoString, services::msgpack};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, SeqAccess, Visitor},
    ser::{self, SerializeMap, SerializeSeq},
};
use serde_json::{Map, Number, Value};

use super::exit::{Exit, Failure};

const RAW: &str = "$raw_base64";

/// JSON text as a value. `what` is the argument's name, for errors.
pub(super) fn parse(text: &[u8], what: &str) -> Result<Value, Failure> {
    serde_json::from_slice(text).map_err(|error| refuse(what, &error))
}

/// A JSON value as the msgpack that Go would write. `what` is the argument's name, for errors.
pub(super) fn to_msgpack(value: &Value, what: &str) -> Result<Bytes, Failure> {
    let mut body = BytesMut::new();
    msgpack::encode(&Outgoing(value), &mut body).map_err(|error| refuse(what, &error))?;
    Ok(body.freeze())
}

fn refuse(what: &str, error: &dyn fmt::Display) -> Failure {
    Failure::new(Exit::Usage, format!("{what}: {error}"))
}

/// A msgpack value as JSON.
pub(super) fn from_msgpack(body: &[u8]) -> Result<Value, msgpack::DecodeError> {
    msgpack::decode::<Incoming>(body).map(|Incoming(value)| value)
}

/// A JSON value on its way to msgpack.
struct Outgoing<'a>(&'a Value);

impl Serialize for Outgoing<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Number(number) => number.serialize(serializer),
            Value::String(text) => serializer.serialize_str(text),
            Value::Array(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                items
                    .iter()
                    .try_for_each(|item| seq.serialize_element(&Outgoing(item)))?;
                seq.end()
            }
            Value::Object(map) if map.len() == 1 && map.contains_key(RAW) => {
                let raw: GoString = serde_json::from_value(self.0.clone())
                    .map_err(|error| ser::Error::custom(format_args!("{RAW}: {error}")))?;
                serializer.serialize_bytes(raw.as_bytes())
            }
            Value::Object(map) => {
                let mut entries = serializer.serialize_map(Some(map.len()))?;
                map.iter()
                    .try_for_each(|(key, item)| entries.serialize_entry(key, &Outgoing(item)))?;
                entries.end()
            }
        }
    }
}

/// A msgpack value on its way to JSON.
struct Incoming(Value);

impl<'de> Deserialize<'de> for Incoming {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Anything).map(Incoming)
    }
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        // JSON has no number for what is not finite.
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Value, E> {
        serde_json::to_value(GoString::from(bytes)).map_err(de::Error::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Incoming(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Map::new();
        while let Some(Incoming(key)) = map.next_key()? {
            let Incoming(value) = map.next_value()?;
            entries.insert(name(key), value);
        }
        Ok(Value::Object(entries))
    }
}

/// JSON's keys are strings; a key that is none is shown as its JSON.
fn name(key: Value) -> String {
    match key {
        Value::String(name) => name,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes_of(json: &str) -> Result<Bytes, Failure> {
        to_msgpack(&parse(json.as_bytes(), "--body")?, "--body")
    }

    fn there(json: &str) -> Vec<u8> {
        bytes_of(json).unwrap().to_vec()
    }

    fn back(body: &[u8]) -> String {
        from_msgpack(body).unwrap().to_string()
    }

    #[test]
    fn values_are_written_as_go_does() {
        assert_eq!(there("{}"), b"\x80");
        assert_eq!(
            there(r#"{"b":1,"a":[null,true,-1]}"#),
            b"\x82\xa1a\x93\xc0\xc3\xff\xa1b\x01"
        );
        assert_eq!(
            there("18446744073709551615"),
            b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff"
        );
        let long = "x".repeat(40);
        let mut raw16 = b"\xda\x00\x28".to_vec();
        raw16.extend_from_slice(long.as_bytes());
        assert_eq!(there(&format!("{long:?}")), raw16);
        assert_eq!(there(r#"{"$raw_base64":"//4="}"#), b"\xa2\xff\xfe");
    }

    #[test]
    fn replies_are_shown() {
        assert_eq!(back(b"\xa5hello"), r#""hello""#);
        assert_eq!(back(b"\xa2\xff\xfe"), r#"{"$raw_base64":"//4="}"#);
        assert_eq!(back(b"\x82\xa1a\xc0\xa1b\xc2"), r#"{"a":null,"b":false}"#);
        assert_eq!(back(b"\x81\x07\xa1x"), r#"{"7":"x"}"#);
    }

    #[test]
    fn bad_json_names_the_argument() {
        let refused = |text: &str| {
            let failure = bytes_of(text).unwrap_err();
            assert_eq!(failure.exit(), Exit::Usage);
            failure.message().to_owned()
        };
        assert!(refused("{").starts_with("--body: EOF while parsing"));
        assert!(refused(r#"{"$raw_base64":"!"}"#).contains("$raw_base64: not base64"));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            ".{0,40}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map("[a-z]{0,8}", inner, 0..6)
                    .prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn json_comes_back(value in any_json()) {
            let body = there(&value.to_string());
            prop_assert_eq!(from_msgpack(&body).unwrap(), value);
        }

        #[test]
        fn any_bytes_come_back(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut body = BytesMut::new();
            msgpack::encode(&GoString::from(bytes), &mut body).unwrap();
            let shown = from_msgpack(&body).unwrap();
            prop_assert_eq!(there(&shown.to_string()), body.to_vec());
        }
    }
}
