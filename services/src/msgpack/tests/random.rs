//! Arbitrary values and arbitrary bytes.

use oneport_proto::structs::{
    Blob, DCSpecificRequest, DirEntry, GoDuration, GoString, GoTime, IndexedDirEntries,
    IndexedKeyList, KVSRequest, KeyListRequest, KeyRequest, QueryMeta, QueryOptions, QuerySource,
    RaftIndex, RaftStats, WriteRequest,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::{DecodeError, Decoder, Limits, Scanner, decode, encoded};

fn text() -> impl Strategy<Value = GoString> {
    prop_oneof![
        "[a-z/]{0,40}".prop_map(GoString::from),
        vec(any::<u8>(), 0..300).prop_map(GoString::from),
    ]
}

fn blob() -> impl Strategy<Value = Option<Blob>> {
    option::of(vec(any::<u8>(), 0..300).prop_map(Blob::from))
}

fn span() -> impl Strategy<Value = GoDuration> {
    any::<i64>().prop_map(GoDuration)
}

prop_compose! {
    fn query()(
        texts in [text(), text()],
        spans in [span(), span(), span(), span()],
        flags in any::<[bool; 5]>(),
        min_query_index in any::<u64>(),
    ) -> QueryOptions {
        let [token, filter] = texts;
        let [max_query_time, max_stale_duration, max_age, stale_if_error] = spans;
        let [allow_stale, require_consistent, use_cache, must_revalidate, allow_not_modified_response] = flags;
        QueryOptions {
            token, min_query_index, max_query_time, allow_stale, require_consistent, use_cache,
            max_stale_duration, max_age, must_revalidate, stale_if_error, filter,
            allow_not_modified_response,
        }
    }
}

prop_compose! {
    fn meta()(
        index in any::<u64>(), last_contact in span(), flags in any::<[bool; 3]>(),
        consistency_level in text(), backend in any::<i64>(),
    ) -> QueryMeta {
        let [known_leader, not_modified, results_filtered_by_acls] = flags;
        QueryMeta {
            index, last_contact, known_leader, consistency_level, not_modified, backend,
            results_filtered_by_acls,
        }
    }
}

prop_compose! {
    fn entry()(numbers in any::<[u64; 4]>(), key in text(), session in text(), value in blob()) -> DirEntry {
        let [lock_index, flags, create_index, modify_index] = numbers;
        DirEntry { lock_index, key, flags, value, session, raft: RaftIndex { create_index, modify_index } }
    }
}

prop_compose! {
    fn apply()(datacenter in text(), op in text(), dir_ent in entry(), token in text()) -> KVSRequest {
        KVSRequest { datacenter, op, dir_ent, write: WriteRequest { token } }
    }
}

prop_compose! {
    fn specific()(
        texts in [text(), text(), text(), text(), text(), text(), text()],
        // JSON has no keys that are not text.
        node_meta_filters in option::of(btree_map(".{0,20}".prop_map(GoString::from), text(), 0..20)),
        query in query(),
    ) -> DCSpecificRequest {
        let [datacenter, peer_name, center, segment, node, node_partition, ip] = texts;
        let source = QuerySource { datacenter: center, segment, node, node_partition, ip };
        DCSpecificRequest { datacenter, node_meta_filters, source, peer_name, query }
    }
}

/// Written and read it is the same; so is its JSON; another crate can read it; the scanner agrees.
fn survives<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    value: &T,
) -> Result<(), TestCaseError> {
    let bytes = encoded(value);
    prop_assert_eq!(&decode::<T>(&bytes).map_err(fail)?, value);
    let oracle: T = rmp_serde::from_slice(&bytes).map_err(fail)?;
    prop_assert_eq!(&oracle, value);
    let json = serde_json::to_string(value).map_err(fail)?;
    prop_assert_eq!(&serde_json::from_str::<T>(&json).map_err(fail)?, value);
    let mut scanner = Scanner::new(Limits::new(bytes.len()));
    prop_assert_eq!(scanner.scan(&bytes), Ok(Some(bytes.len())));
    Ok(())
}

fn fail(error: impl std::fmt::Display) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

proptest! {
    #[test]
    fn structs_survive_the_wire(
        apply in apply(),
        specific in specific(),
        meta in meta(),
        query in query(),
        texts in [text(), text(), text()],
        entries in option::of(vec(entry(), 0..4)),
        keys in option::of(vec(text(), 0..20)),
        seconds in any::<i64>(),
        nanos in 0..1_000_000_000_u32,
        zone in any::<i16>(),
    ) {
        survives(&apply)?;
        survives(&specific)?;
        let [datacenter, key, separator] = texts;
        survives(&KeyListRequest {
            datacenter: datacenter.clone(), prefix: key.clone(), separator: separator.clone(), query: query.clone(),
        })?;
        survives(&KeyRequest { datacenter, key, query })?;
        survives(&IndexedDirEntries { entries, meta: meta.clone() })?;
        survives(&RaftStats { last_contact: separator, last_term: meta.index, last_index: 7 })?;
        survives(&IndexedKeyList { keys, meta })?;
        survives(&GoTime { seconds, nanos, zone })?;
    }

    #[test]
    fn plain_values_survive_the_wire(
        numbers in vec(any::<i64>(), 0..40),
        wide in vec(any::<u64>(), 0..40),
        floats in vec(any::<f64>().prop_filter("comparable", |f| f.is_finite()), 0..40),
        map in btree_map(".{0,40}", option::of(any::<bool>()), 0..40),
    ) {
        let value = (numbers, wide, floats, map);
        let bytes = encoded(&value);
        prop_assert_eq!(decode(&bytes), Ok(value.clone()));
        prop_assert_eq!(rmp_serde::from_slice::<(Vec<i64>, Vec<u64>, Vec<f64>, std::collections::BTreeMap<String, Option<bool>>)>(&bytes).map_err(fail)?, value);
    }

    #[test]
    fn a_value_may_come_in_any_pieces(value in specific(), cuts in vec(any::<prop::sample::Index>(), 0..8)) {
        let bytes = encoded(&value);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.sort_unstable();
        let mut scanner = Scanner::new(Limits::new(bytes.len()));
        for cut in cuts {
            prop_assert_eq!(scanner.scan(&bytes[..cut]), Ok(None));
        }
        prop_assert_eq!(scanner.scan(&bytes), Ok(Some(bytes.len())));
    }

    #[test]
    fn any_bytes_have_one_answer(bytes in soup(), cut in any::<prop::sample::Index>()) {
        let limits = Limits::new(512);
        let at_once = Scanner::new(limits).scan(&bytes);
        let mut scanner = Scanner::new(limits);
        let cut = cut.index(bytes.len() + 1);
        match scanner.scan(&bytes[..cut]) {
            Ok(None) => prop_assert_eq!(scanner.scan(&bytes), at_once),
            early => prop_assert_eq!(early, at_once),
        }
        // What the scanner found is what the decoder takes, unless it objects to the content.
        let mut decoder = Decoder::new(&bytes);
        match (at_once, decoder.decode::<IgnoredAny>()) {
            (Ok(Some(end)), Ok(_)) => prop_assert_eq!(decoder.rest(), &bytes[end..]),
            (Ok(Some(_)), Err(error)) => prop_assert!(
                matches!(error, DecodeError::Naked { .. } | DecodeError::Length { .. }),
                "{}", error
            ),
            (Ok(None), decoded) => prop_assert!(decoded.is_err()),
            (Err(_), _) => {}
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in soup()) {
        reads::<KVSRequest>(&bytes)?;
        reads::<KeyRequest>(&bytes)?;
        reads::<KeyListRequest>(&bytes)?;
        reads::<DCSpecificRequest>(&bytes)?;
        reads::<IndexedDirEntries>(&bytes)?;
        reads::<Vec<GoTime>>(&bytes)?;
        let _ = decode::<serde_json::Value>(&bytes);
    }
}

/// Whatever was read can be written, and is then read as the same.
fn reads<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    bytes: &[u8],
) -> Result<(), TestCaseError> {
    if let Ok(value) = decode::<T>(bytes) {
        prop_assert_eq!(decode::<T>(&encoded(&value)), Ok(value));
    }
    Ok(())
}

/// Bytes without sense, bytes that are nearly values, and values with a wound.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let marker = prop_oneof![
        any::<u8>(),
        0x80..=0x93_u8,
        0xa0..=0xa4_u8,
        0xc0..=0xdf_u8,
        0x00..=0x04_u8,
    ];
    let wounded =
        (apply(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(value, at, byte)| {
            let mut bytes = encoded(&value);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes
        });
    prop_oneof![vec(any::<u8>(), 0..200), vec(marker, 0..60), wounded]
}
