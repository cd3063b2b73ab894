//! The other types of serde, and those of unknown length.

use std::collections::BTreeMap;

use bytes::BytesMut;
use serde::ser::{Error as _, SerializeMap, SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{EncodeError, decode, encode, encoded, hex};

#[test]
fn strings_and_bytes_are_the_same_raw_family() {
    for (length, header) in [
        (0, "a0"),
        (31, "bf"),
        (32, "da0020"),
        (255, "da00ff"),
        (65_535, "daffff"),
        (65_536, "db00010000"),
    ] {
        let bytes = [hex(header), vec![b'x'; length]].concat();
        let text = "x".repeat(length);
        assert_eq!(encoded(text.as_str()), bytes, "{length}");
        assert_eq!(decode::<&str>(&bytes), Ok(text.as_str()), "{length}");
        assert_eq!(decode::<&[u8]>(&bytes), Ok(text.as_bytes()), "{length}");
    }
}

#[test]
fn lists_and_maps_grow_their_headers() {
    for (length, array, map) in [
        (0, "90", "80"),
        (15, "9f", "8f"),
        (16, "dc0010", "de0010"),
        (65_535, "dcffff", "deffff"),
        (65_536, "dd00010000", "df00010000"),
    ] {
        let list = vec![7_u8; length];
        assert_eq!(encoded(&list), [hex(array), list.clone()].concat());
        let entries: BTreeMap<usize, u8> = (0..length).map(|key| (key, 7)).collect();
        let bytes = encoded(&entries);
        assert!(bytes.starts_with(&hex(map)), "{length}");
        assert_eq!(decode(&bytes), Ok(entries));
    }
}

/// A list that does not know its length, or lies about it.
struct Stream(u32, Option<usize>);

impl Serialize for Stream {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(self.1)?;
        for number in 0..self.0 {
            seq.serialize_element(&number)?;
        }
        seq.end()
    }
}

/// The same as a map.
struct Pairs(u32, Option<usize>);

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(self.1)?;
        for number in 0..self.0 {
            map.serialize_entry(&number, &number)?;
        }
        map.end()
    }
}

#[test]
fn a_length_that_is_unknown_or_wrong_is_put_right() {
    for count in [0, 1, 15, 16, 17, 65_535, 65_536] {
        let list: Vec<u32> = (0..count).collect();
        let map: BTreeMap<u32, u32> = (0..count).map(|number| (number, number)).collect();
        for length in [None, Some(0), Some(1), Some(16), Some(65_536)] {
            assert_eq!(
                encoded(&Stream(count, length)),
                encoded(&list),
                "{count} {length:?}"
            );
            assert_eq!(
                encoded(&Pairs(count, length)),
                encoded(&map),
                "{count} {length:?}"
            );
        }
    }
}

/// Fails behind its first element.
struct Broken;

impl Serialize for Broken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(2))?;
        seq.serialize_element("some")?;
        Err(S::Error::custom("broken"))
    }
}

#[test]
fn after_an_error_the_buffer_is_as_it_was() {
    let mut out = BytesMut::from(&b"before"[..]);
    let error = encode(&Broken, &mut out).expect_err("it fails");
    assert_eq!(error.to_string(), "broken");
    assert_eq!(out, "before");
    assert_eq!(encode(&u128::MAX, &mut out), Err(EncodeError::TooLarge));
    assert_eq!(encode(&i128::MIN, &mut out), Err(EncodeError::TooLarge));
    assert_eq!(out, "before");
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Choice {
    Plain,
    One(u64),
    Two(u64, u64),
    Named { left: bool },
}

#[test]
fn enums_are_their_names() {
    for (choice, bytes) in [
        (Choice::Plain, &b"\xa5Plain"[..]),
        (Choice::One(1), b"\x81\xa3One\x01"),
        (Choice::Two(1, 2), b"\x81\xa3Two\x92\x01\x02"),
        (
            Choice::Named { left: true },
            b"\x81\xa5Named\x81\xa4left\xc3",
        ),
    ] {
        assert_eq!(encoded(&choice), bytes);
        assert_eq!(decode(bytes), Ok(choice));
    }
    assert!(decode::<Choice>(b"\xa4None").is_err());
    assert!(decode::<Choice>(b"\x80").is_err());
    assert!(decode::<Choice>(b"\xc0").is_err());
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Wrapped(u64);

#[test]
fn small_types_are_what_one_would_think() {
    assert_eq!(encoded(&()), [0xc0]);
    assert_eq!(encoded(&Unit), [0x80]);
    for bytes in ["80", "c0", "90", "81 a161 01"] {
        assert_eq!(decode(&hex(bytes)), Ok(Unit), "{bytes}");
    }
    assert_eq!(encoded(&Wrapped(7)), [7]);
    assert_eq!(decode(&[7]), Ok(Wrapped(7)));
    assert_eq!(encoded(&'é'), [0xa2, 0xc3, 0xa9]);
    assert_eq!(decode(&[0xa2, 0xc3, 0xa9]), Ok('é'));
    assert_eq!(encoded(&Some(1)), [1]);
    assert_eq!(encoded(&None::<u8>), [0xc0]);
    assert_eq!(decode(&[0xc0]), Ok(None::<u64>));
    assert_eq!(decode(&[1]), Ok(Some(1)));
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Derived<'a> {
    name: &'a str,
    list: Vec<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    more: Option<u64>,
}

#[test]
fn derived_structs_work_and_borrow() {
    let value = Derived {
        name: "x",
        list: vec![1, 2],
        more: None,
    };
    let bytes = b"\x82\xa4name\xa1x\xa4list\x92\x01\x02";
    assert_eq!(encoded(&value), bytes);
    assert_eq!(decode(bytes), Ok(value));
    assert_eq!(decode(b"\xc0"), Ok(Derived::default()));
    assert_eq!(
        decode(b"\x91\xa1x"),
        Ok(Derived {
            name: "x",
            ..Derived::default()
        })
    );
}

#[test]
fn a_value_of_any_kind_can_be_shown() {
    let bytes = hex(
        "87 a161 c0 a162 92c3ff a163 cb3ff8000000000000 a164 a0 a165 81a17801 a166 c0 a167 cfffffffffffffffff",
    );
    let value: serde_json::Value = decode(&bytes).expect("a value");
    let expected = json!({
        "a": null, "b": [true, -1], "c": 1.5, "d": "", "e": {"x": 1}, "f": null, "g": u64::MAX,
    });
    assert_eq!(value, expected);
}

/// The room that a list is told to make.
#[derive(Debug, PartialEq)]
struct Room(Option<usize>);

impl<'de> Deserialize<'de> for Room {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ask;
        impl<'de> serde::de::Visitor<'de> for Ask {
            type Value = Room;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, seq: A) -> Result<Room, A::Error> {
                Ok(Room(seq.size_hint()))
            }
        }
        deserializer.deserialize_seq(Ask)
    }
}

#[test]
fn no_claim_makes_room_ahead_of_the_bytes() {
    let list = |header: &str, length| [hex(header), vec![0xc0; length]].concat();
    assert_eq!(decode(&list("9f", 15)), Ok(Room(Some(15))));
    assert_eq!(decode(&list("dc0400", 1024)), Ok(Room(Some(256))));
    assert_eq!(decode(&list("dd00010000", 65_536)), Ok(Room(Some(256))));
    assert!(decode::<Room>(&list("ddffffffff", 3)).is_err());
    assert!(decode::<Vec<[u64; 32]>>(&list("ddffffffff", 3)).is_err());
}
