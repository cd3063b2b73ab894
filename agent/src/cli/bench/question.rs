//! One request, encoded once, and what its answer must be.

use std::{
    fmt::Write as _,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::{Bytes, BytesMut};
use oneport::{
    proto::structs::{DirEntry, GoString, IndexedDirEntries, IndexedKeyList},
    services::msgpack,
};
use serde::{Serialize, de::DeserializeOwned};

use super::method::Method;
use crate::cli::exit::{Exit, Failure};

/// msgpack's nil, false and true, and the empty map that Go writes for an empty struct.
const NIL: u8 = 0xc0;
const FALSE: u8 = 0xc2;
const TRUE: u8 = 0xc3;
const EMPTY_MAP: u8 = 0x80;

/// What the answer must be.
#[derive(Clone, Debug)]
pub(super) enum Expected {
    /// Nothing: an empty struct.
    Nothing,
    /// A text that is not empty.
    Text,
    /// Whether a condition held.
    Bool,
    /// These entries, in this order.
    Entries(Vec<DirEntry>),
    /// These keys, in this order.
    Keys(Vec<GoString>),
}

/// A request that can be sent as often as one likes.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) method: Method,
    pub(super) body: Bytes,
    expected: Expected,
    /// An answer that was looked at and was right: the next one is mostly the same, byte for byte.
    right: Mutex<Bytes>,
}

impl Question {
    pub(super) fn new(
        method: Method,
        request: &impl Serialize,
        expected: Expected,
    ) -> Result<Question, Failure> {
        let mut body = BytesMut::new();
        msgpack::encode(request, &mut body)
            .map_err(|error| Failure::caused(Exit::Usage, &error))?;
        Ok(Question {
            method,
            body: body.freeze(),
            expected,
            right: Mutex::default(),
        })
    }

    /// Whether there was a right answer.
    pub(super) fn was_answered(&self) -> bool {
        !self.right().is_empty()
    }

    fn right(&self) -> MutexGuard<'_, Bytes> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what is wrong with an answer.
    pub(super) fn check(&self, answer: &Bytes) -> Result<(), String> {
        let mut right = self.right();
        if *right == *answer {
            return Ok(());
        }
        self.expected.check(answer)?;
        // A copy: the answer is a slice of a larger buffer.
        *right = Bytes::copy_from_slice(answer);
        Ok(())
    }
}

impl Expected {
    fn check(&self, answer: &[u8]) -> Result<(), String> {
        match (self, answer) {
            (Expected::Nothing, [EMPTY_MAP | NIL]) | (Expected::Bool, [FALSE | TRUE]) => Ok(()),
            (Expected::Nothing, _) => Err(format!("{} is not empty", shown(answer))),
            (Expected::Bool, _) => Err(format!("{} is neither true nor false", shown(answer))),
            (Expected::Text, _) => text(answer),
            (Expected::Entries(expected), _) => {
                let reply: IndexedDirEntries = decode(answer)?;
                entries(expected, &reply.entries.unwrap_or_default())
            }
            (Expected::Keys(expected), _) => {
                let reply: IndexedKeyList = decode(answer)?;
                keys(expected, &reply.keys.unwrap_or_default())
            }
        }
    }
}

fn decode<T: DeserializeOwned>(answer: &[u8]) -> Result<T, String> {
    // Reading is lenient: nil, or an array, is a struct too. A right answer is a map.
    if !matches!(answer.first(), Some(0x80..=0x8f | 0xde | 0xdf)) {
        return Err(format!("{} is no map", shown(answer)));
    }
    msgpack::decode(answer).map_err(|error| format!("{}: {error}", shown(answer)))
}

fn text(answer: &[u8]) -> Result<(), String> {
    let marked = matches!(answer.first(), Some(0xa1..=0xbf | 0xd9..=0xdb));
    match msgpack::decode::<GoString>(answer) {
        Ok(text) if marked && !text.is_empty() => Ok(()),
        _ => Err(format!("{} is no text, or an empty one", shown(answer))),
    }
}

fn entries(expected: &[DirEntry], got: &[DirEntry]) -> Result<(), String> {
    count(expected.len(), got.len())?;
    let mut pairs = expected.iter().zip(got);
    pairs.try_for_each(|(expected, got)| same_entry(expected, got))
}

/// Says how an entry is another than was expected.
pub(super) fn same_entry(expected: &DirEntry, got: &DirEntry) -> Result<(), String> {
    if got.key != expected.key {
        return Err(format!("key {} instead of {}", got.key, expected.key));
    }
    value(bytes_of(expected), bytes_of(got)).map_err(|what| format!("{}: {what}", got.key))?;
    if got.flags != expected.flags {
        let (key, flags) = (&got.key, expected.flags);
        return Err(format!("{key}: flags {} instead of {flags}", got.flags));
    }
    Ok(())
}

fn keys(expected: &[GoString], got: &[GoString]) -> Result<(), String> {
    count(expected.len(), got.len())?;
    match expected.iter().zip(got).find(|(a, b)| a != b) {
        Some((expected, got)) => Err(format!("key {got} instead of {expected}")),
        None => Ok(()),
    }
}

fn count(expected: usize, got: usize) -> Result<(), String> {
    match got == expected {
        true => Ok(()),
        false => Err(format!("{got} keys instead of {expected}")),
    }
}

fn value(expected: &[u8], got: &[u8]) -> Result<(), String> {
    if got.len() != expected.len() {
        let (got, expected) = (got.len(), expected.len());
        return Err(format!("{got} bytes of value instead of {expected}"));
    }
    match expected.iter().zip(got).position(|(a, b)| a != b) {
        Some(at) => Err(format!(
            "byte {at} of the value is {:#04x} instead of {:#04x}",
            got[at], expected[at]
        )),
        None => Ok(()),
    }
}

/// Nil and empty are the same: Consul stores no empty value.
fn bytes_of(entry: &DirEntry) -> &[u8] {
    entry.value.as_ref().map_or(b"", |value| value.as_bytes())
}

/// The beginning of an answer, for people.
fn shown(answer: &[u8]) -> String {
    const FIRST: usize = 16;
    let mut text = String::from("the answer");
    for byte in answer.iter().take(FIRST) {
        // Writing to a string cannot fail.
        let _ = write!(text, " {byte:02x}");
    }
    if answer.len() > FIRST {
        text.push_str(" …");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, value: &str, flags: u64) -> DirEntry {
        DirEntry {
            key: key.into(),
            value: Some(value.into()),
            flags,
            ..DirEntry::default()
        }
    }

    fn answer(entries: Option<Vec<DirEntry>>) -> Bytes {
        let reply = IndexedDirEntries {
            entries,
            ..IndexedDirEntries::default()
        };
        let mut body = BytesMut::new();
        msgpack::encode(&reply, &mut body).unwrap();
        body.freeze()
    }

    fn question(expected: Expected) -> Question {
        Question::new(Method::Get, &(), expected).unwrap()
    }

    #[test]
    fn a_right_answer_is_right_again_and_a_wrong_one_after_it_is_not() {
        let question = question(Expected::Entries(vec![entry("a", "1", 7)]));
        let right = answer(Some(vec![entry("a", "1", 7)]));
        for _ in 0..3 {
            assert_eq!(question.check(&right), Ok(()));
            let wrong = answer(Some(vec![entry("a", "2", 7)]));
            let what = "a: byte 0 of the value is 0x32 instead of 0x31";
            assert_eq!(question.check(&wrong).unwrap_err(), what);
        }
    }

    #[test]
    fn every_kind_of_wrong_entry_is_described() {
        let question = question(Expected::Entries(vec![entry("a", "1", 7)]));
        let wrong = |entries| question.check(&answer(entries)).unwrap_err();
        assert_eq!(wrong(None), "0 keys instead of 1");
        assert_eq!(wrong(Some(vec![entry("b", "1", 7)])), "key b instead of a");
        assert_eq!(
            wrong(Some(vec![entry("a", "11", 7)])),
            "a: 2 bytes of value instead of 1"
        );
        assert_eq!(
            wrong(Some(vec![entry("a", "1", 0)])),
            "a: flags 0 instead of 7"
        );
        let nil = question.check(&Bytes::from_static(b"\xc0")).unwrap_err();
        assert_eq!(nil, "the answer c0 is no map");
    }

    #[test]
    fn small_answers_have_their_type() {
        let check = |expected, answer| question(expected).check(&Bytes::from_static(answer));
        assert_eq!(check(Expected::Nothing, b"\x80"), Ok(()));
        assert_eq!(check(Expected::Nothing, b"\xc0"), Ok(()));
        assert!(check(Expected::Nothing, b"\x81\xa1a\x01").is_err());
        assert_eq!(check(Expected::Bool, b"\xc2"), Ok(()));
        assert!(check(Expected::Bool, b"\x00").is_err());
        assert_eq!(check(Expected::Text, b"\xa1x"), Ok(()));
        assert!(check(Expected::Text, b"\xa0").is_err());
        assert!(check(Expected::Text, b"\xc0").is_err());
    }

    #[test]
    fn keys_have_an_order() {
        let expected = Expected::Keys(vec!["a".into(), "b".into()]);
        let reply = IndexedKeyList {
            keys: Some(vec!["b".into(), "a".into()]),
            ..IndexedKeyList::default()
        };
        let mut body = BytesMut::new();
        msgpack::encode(&reply, &mut body).unwrap();
        let wrong = question(expected).check(&body.freeze()).unwrap_err();
        assert_eq!(wrong, "key b instead of a");
    }
}
