//! The checks of `oneport_services::msgpack`.

use std::fmt::Debug;

use oneport_proto::structs::{DCSpecificRequest, KVSRequest, KeyListRequest};
use oneport_services::msgpack::{
    DecodeError, Decoder, Limits, ScanError, Scanner, ValueType, decode as read, encode,
};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

/// Small limits: a fuzzer finds their edges only if it can reach them.
const LIMITS: Limits = Limits {
    size: 4096,
    depth: 8,
    elements: 256,
};

/// The first byte says how the rest is cut in pieces; the pieces change nothing, and what was found is a
/// value.
pub fn scan(data: &[u8]) {
    let Some((&step, value)) = data.split_first() else {
        return;
    };
    let at_once = Scanner::new(LIMITS).scan(value);
    assert_eq!(in_pieces(value, usize::from(step) + 1), at_once);
    match at_once {
        Ok(Some(end)) => agrees(value, end),
        Ok(None) => assert!(value.len() < LIMITS.size),
        Err(error) => exceeds(error),
    }
}

/// The value comes `step` bytes at a time.
fn in_pieces(value: &[u8], step: usize) -> Result<Option<usize>, ScanError> {
    let mut scanner = Scanner::new(LIMITS);
    let mut have = 0;
    loop {
        let found = scanner.scan(&value[..have]);
        if have == value.len() || found != Ok(None) {
            return found;
        }
        have = (have + step).min(value.len());
    }
}

/// The decoder stops where the scanner did, unless it objects to the content.
fn agrees(value: &[u8], end: usize) {
    assert!((1..=LIMITS.size).contains(&end) && end <= value.len());
    for part in [1, end / 2, end - 1] {
        assert_eq!(
            Scanner::new(LIMITS).scan(&value[..part.min(end - 1)]),
            Ok(None)
        );
    }
    let mut decoder = Decoder::new(value);
    match decoder.decode::<IgnoredAny>() {
        Ok(_) => assert_eq!(decoder.rest(), &value[end..]),
        Err(DecodeError::Naked { .. } | DecodeError::Length { .. }) => {}
        Err(error) => panic!("a complete value is not read: {error}"),
    }
}

/// An error names an amount above its limit.
fn exceeds(error: ScanError) {
    match error {
        ScanError::Size { seen, limit } => assert!(seen > limit),
        ScanError::Depth { seen, limit } => assert!(seen > limit),
        ScanError::Elements { seen, limit } => assert!(seen > limit),
        other => panic!("an unknown error: {other}"),
    }
}

/// The bytes are read as three kinds of request, or refused.
pub fn decode(data: &[u8]) {
    request::<KVSRequest>(data);
    request::<KeyListRequest>(data);
    request::<DCSpecificRequest>(data);
}

/// What was read can be written, and means the same then.
fn request<T: DeserializeOwned + Serialize + PartialEq + Debug>(data: &[u8]) {
    match read::<T>(data) {
        Ok(value) => {
            let mut wire = Default::default();
            encode(&value, &mut wire).expect("what was read fits");
            assert_eq!(read::<T>(&wire).expect("what was written is read"), value);
        }
        Err(DecodeError::NotAStruct { value }) => {
            assert!(!matches!(value, ValueType::Map | ValueType::Array));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
