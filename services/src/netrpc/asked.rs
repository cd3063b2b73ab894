//! What a caller asks for inside the body: net/rpc has no room for it anywhere else.

use std::time::Duration;

use oneport_proto::{MethodInfo, Token};

use crate::msgpack::{self, Limits, Scanner};

/// What a caller asks for inside the body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Its secret.
    pub token: Option<Token>,
    /// How long it wants its blocking query to wait; zero if it does not say how long. `None` for
    /// what does not wait. What comes of it is the server's matter:
    /// [`Config::longest_wait`](super::Config::longest_wait).
    pub wait: Option<Duration>,
}

/// Looks for Consul's top-level keys `Token`, `MinQueryIndex` and `MaxQueryTime`, and builds
/// nothing. A body that is no map asks for nothing.
///
/// A blocking query (`MinQueryIndex` above 0) wants to wait for `MaxQueryTime`; one that is not
/// positive says nothing.
pub fn asked(_method: &MethodInfo, body: &[u8]) -> Asked {
    let mut asked = Asked::default();
    let (mut index, mut time) = (0u64, 0i64);
    each_entry(body, |key, value| match key {
        b"Token" => asked.token = raw(value).and_then(Token::new),
        b"MinQueryIndex" => index = msgpack::decode(value).unwrap_or_default(),
        b"MaxQueryTime" => time = msgpack::decode(value).unwrap_or_default(),
        _ => {}
    });
    let time = u64::try_from(time).unwrap_or_default();
    asked.wait = (index > 0).then(|| Duration::from_nanos(time));
    asked
}

/// Calls `entry` with the raw key and value bytes of each entry of a map.
#[inline]
fn each_entry<'a>(body: &'a [u8], mut entry: impl FnMut(&'a [u8], &'a [u8])) {
    let Some((len, mut rest)) = map_len(body) else {
        return;
    };
    for _ in 0..len {
        let Some((key, after)) = split_key(rest) else {
            return;
        };
        let Some((value, after)) = split(after) else {
            return;
        };
        entry(key, value);
        rest = after;
    }
}

/// How many entries a map has, and what follows its header.
fn map_len(body: &[u8]) -> Option<(usize, &[u8])> {
    let (&marker, rest) = body.split_first()?;
    match marker {
        0x80..=0x8f => Some((usize::from(marker & 0x0f), rest)),
        0xde => {
            let (len, rest) = rest.split_first_chunk::<2>()?;
            Some((usize::from(u16::from_be_bytes(*len)), rest))
        }
        _ => None,
    }
}

/// The content of the string that comes first, and the rest. Another value has no content.
#[inline]
fn split_key(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&marker, rest) = bytes.split_first()?;
    if let 0xa0..=0xbf = marker {
        return rest.split_at_checked(usize::from(marker & 0x1f));
    }
    let (value, rest) = split(bytes)?;
    Some((raw(value).unwrap_or_default(), rest))
}

/// The first value of `bytes`, and the rest.
#[inline]
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    // Short strings and small integers are most of what there is.
    let len = match *bytes.first()? {
        0x00..=0x7f | 0xc0..=0xc3 | 0xe0..=0xff => 1,
        marker @ 0xa0..=0xbf => 1 + usize::from(marker & 0x1f),
        _ => scan(bytes)?,
    };
    bytes.split_at_checked(len)
}

/// The length of the first value of `bytes`.
#[inline(never)]
fn scan(bytes: &[u8]) -> Option<usize> {
    // The driver has measured the whole body by its own limits before.
    let limits = Limits {
        size: bytes.len(),
        depth: msgpack::MAX_DEPTH,
        elements: u64::MAX,
    };
    Scanner::new(limits).scan(bytes).ok()?
}

/// The bytes of a string value.
fn raw(value: &[u8]) -> Option<&[u8]> {
    match value.first()? {
        0xa0..=0xbf => value.get(1..),
        0xd9 => value.get(2..),
        0xda => value.get(3..),
        0xdb => value.get(5..),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use oneport_proto::{Class, Family, MethodInfo};
    use proptest::prelude::*;

    use super::*;

    fn of(body: &[u8]) -> Asked {
        asked(
            MethodInfo::intern(Family::NetRpc, "Test.Asked", Class::Read).unwrap(),
            body,
        )
    }

    #[test]
    fn a_blocking_query_with_a_token() {
        let body =
            b"\x84\xacMaxQueryTime\xcd\x03\xe8\xadMinQueryIndex\x07\xa5Token\xa3abc\xa1z\x91\x01";
        let got = of(body);
        assert_eq!(got.token.unwrap().secret(), b"abc");
        assert_eq!(got.wait, Some(Duration::from_micros(1)));
    }

    #[test]
    fn a_query_that_waits_need_not_say_how_long() {
        let of_time = |time: &[u8]| {
            of(&[
                b"\x82\xadMinQueryIndex\x01\xacMaxQueryTime".as_slice(),
                time,
            ]
            .concat())
            .wait
        };
        assert_eq!(of_time(b"\x00"), Some(Duration::ZERO));
        assert_eq!(of_time(b"\xff"), Some(Duration::ZERO));
        assert_eq!(of_time(b"\x07"), Some(Duration::from_nanos(7)));
        assert_eq!(of(b"\x81\xacMaxQueryTime\x07").wait, None);
    }

    proptest! {
        #[test]
        fn odd_bodies_ask_for_nothing_and_do_not_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            of(&body);
        }
    }
}
