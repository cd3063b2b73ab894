//! What go-msgpack takes and what it refuses, case by case, with its texts.

use std::collections::BTreeMap;

use oneport_proto::structs::{
    Blob, DCSpecificRequest, DirEntry, Empty, GoDuration, GoString, GoTime, KVSRequest, KeyRequest,
};

use super::{DecodeError, Decoder, MAX_DEPTH, decode, hex, refused};

/// A `KeyRequest` with one key and this value.
fn request(key: &str, value: &str) -> Vec<u8> {
    let length = u8::try_from(key.len()).expect("a short key");
    let mut bytes = vec![0x81, 0xa0 | length];
    bytes.extend_from_slice(key.as_bytes());
    bytes.extend(hex(value));
    bytes
}

/// The text for a `KeyRequest` with one key and this value.
fn complaint(key: &str, value: &str) -> String {
    refused::<KeyRequest>(&request(key, value))
}

/// A `KeyRequest` of one key and this value, read.
fn accepted(key: &str, value: &str) -> KeyRequest {
    let bytes = request(key, value);
    decode(&bytes).unwrap_or_else(|error| panic!("{key} {value}: {error}"))
}

const CONTAINER: &str = "codec.decoder: readContainerLen: Unrecognized descriptor byte: ";

#[test]
fn the_recorded_texts_come_out_byte_for_byte() {
    let integer = "codec.decoder: Unhandled single-byte unsigned integer value: Unrecognized descriptor byte: ";
    let cases = [
        ("Key", "07", format!("{CONTAINER}hex: 7, dec: 7")),
        ("Key", "01", format!("{CONTAINER}hex: 1, dec: 1")),
        ("Key", "c401 61", format!("{CONTAINER}hex: c4, dec: 196")),
        (
            "Key",
            "d6ff 00000000",
            format!("{CONTAINER}hex: d6, dec: 214"),
        ),
        (
            "MinQueryIndex",
            "cb 3ff0000000000000",
            format!("{integer}cb"),
        ),
        (
            "MinQueryIndex",
            "ff",
            "codec.decoder: Assigning negative signed value: 255, to unsigned type".into(),
        ),
        (
            "AllowStale",
            "02",
            "codec.decoder: Invalid single-byte value for bool: Unrecognized descriptor byte: 2"
                .into(),
        ),
    ];
    for (key, value, text) in cases {
        assert_eq!(complaint(key, value), text, "{key} {value}");
    }
}

#[test]
fn a_struct_must_be_a_map_or_an_array() {
    for (bytes, kind) in [
        ("a3 616263", "6"),
        ("07", "2"),
        ("ff", "2"),
        ("cc 80", "3"),
        ("ca 00000000", "4"),
        ("c3", "5"),
        ("c4 00", "8"),
        ("d4 01 00", "c"),
    ] {
        let text = format!(
            "codec.decoder: Only encoded map or array can be decoded into a struct. (valueType: {kind})"
        );
        assert_eq!(refused::<KeyRequest>(&hex(bytes)), text, "{bytes}");
        assert_eq!(refused::<Empty>(&hex(bytes)), text, "{bytes}");
        assert_eq!(refused::<()>(&hex(bytes)), text, "{bytes}");
    }
    assert_eq!(
        refused::<KeyRequest>(&[0xc1]),
        "codec.decoder: currentEncodedType: Undeciphered descriptor: Unrecognized descriptor byte: hex: c1, dec: 193"
    );
}

#[test]
fn a_list_must_be_a_list() {
    let text = |kind| {
        format!(
            "codec.decoder: Only encoded map or array can be decoded into a slice. (valueType: {kind})"
        )
    };
    assert_eq!(refused::<Vec<GoString>>(&hex("a1 61")), text("6"));
    assert_eq!(refused::<Vec<GoString>>(&hex("c4 00")), text("8"));
    assert_eq!(refused::<Vec<u64>>(&hex("07")), text("2"));
    assert_eq!(refused::<Blob>(&hex("07")), text("2"));
    assert_eq!(refused::<Blob>(&hex("d4 01 00")), text("c"));
    assert_eq!(refused::<Option<Blob>>(&hex("c2")), text("5"));
}

#[test]
fn a_list_can_come_as_a_map_and_bytes_as_a_list() {
    let flat: Vec<GoString> = decode(&hex("82 a161 a162 a163 c0")).expect("a list");
    assert_eq!(flat, ["a".into(), "b".into(), "c".into(), GoString::new()]);
    let blob: Blob = decode(&hex("93 01 02 ccff")).expect("bytes");
    assert_eq!(blob.as_bytes(), [1, 2, 255]);
    assert_eq!(
        refused::<Blob>(&hex("91 cd0100")),
        "codec.decoder: Overflow uint value: 256"
    );
}

#[test]
fn a_fixed_array_is_filled_up_but_not_widened() {
    assert_eq!(decode(&hex("92 01 02")), Ok([1_u64, 2, 0]));
    assert_eq!(decode(&hex("c0")), Ok([0_u64; 3]));
    assert_eq!(
        refused::<[u64; 3]>(&hex("a3 616263")),
        "codec.decoder: Only encoded map or array can be decoded into a slice. (valueType: 6)"
    );
    assert_eq!(
        refused::<[u64; 1]>(&hex("92 01 02")),
        "codec.decoder: cannot expand go array from 1 to stream length: 2"
    );
}

#[test]
fn nil_is_the_zero_value_of_everything() {
    let nil = [0xc0];
    assert_eq!(decode(&nil), Ok(0_u64));
    assert_eq!(decode(&nil), Ok(0_i8));
    assert_eq!(decode(&nil), Ok(0.0_f64));
    assert_eq!(decode(&nil), Ok(0.0_f32));
    assert_eq!(decode(&nil), Ok(false));
    assert_eq!(decode(&nil), Ok(String::new()));
    assert_eq!(decode::<&[u8]>(&nil), Ok(&b""[..]));
    assert_eq!(decode(&nil), Ok(Vec::<u64>::new()));
    assert_eq!(decode(&nil), Ok(BTreeMap::<String, u64>::new()));
    assert_eq!(decode(&nil), Ok(None::<Blob>));
    assert_eq!(decode(&nil), Ok(Blob::new()));
    assert_eq!(decode(&nil), Ok(GoString::new()));
    assert_eq!(decode(&nil), Ok(GoTime::ZERO));
    assert_eq!(decode(&nil), Ok(()));
    assert_eq!(decode(&nil), Ok(KVSRequest::default()));
    assert_eq!(decode(&nil), Ok(Empty {}));
    assert_eq!(accepted("Source", "c0"), KeyRequest::default());
}

#[test]
fn strings_come_in_every_raw_form() {
    for value in [
        "a3 666f6f",
        "d903 666f6f",
        "da0003 666f6f",
        "db00000003 666f6f",
    ] {
        assert_eq!(accepted("Key", value).key, "foo", "{value}");
    }
    for value in [
        "a3 666f6f",
        "d903 666f6f",
        "c403 666f6f",
        "c50003 666f6f",
        "c600000003 666f6f",
    ] {
        assert_eq!(decode(&hex(value)), Ok(Blob::from("foo")), "{value}");
    }
    assert_eq!(accepted("Key", "a2 ff00").key.as_bytes(), [0xff, 0]);
}

#[test]
fn where_go_loses_its_place_the_value_is_refused() {
    // Go reads -1 as a string of 95 bytes, and an array as a map of 16 more entries.
    assert_eq!(
        complaint("Key", "ff"),
        format!("{CONTAINER}hex: ff, dec: 255")
    );
    assert_eq!(
        refused::<BTreeMap<String, u64>>(&hex("91 01")),
        format!("{CONTAINER}hex: 91, dec: 145")
    );
    assert_eq!(
        refused::<BTreeMap<String, u64>>(&hex("07")),
        format!("{CONTAINER}hex: 7, dec: 7")
    );
}

#[test]
fn keys_may_be_unknown_nil_double_or_missing() {
    let late: KeyRequest =
        decode(b"\x84\xa3Key\xa1a\xaadatacenter\xa1x\xc0\x93\x01\x02\x03\xa3Key\xa1b")
            .expect("a request");
    assert_eq!(late.key, "b");
    assert_eq!(late.datacenter, "");
    for (bytes, text) in [
        ("81 01 02", "hex: 1, dec: 1"),
        ("81 10 02", "hex: 10, dec: 16"),
        // Also in a part that nobody asked for.
        ("81 a158 81 01 02", "hex: 1, dec: 1"),
    ] {
        let text = format!("{CONTAINER}{text}");
        assert_eq!(refused::<KeyRequest>(&hex(bytes)), text, "{bytes}");
    }
}

#[test]
fn an_unknown_part_may_be_anything_that_is_a_value() {
    for value in [
        "c0",
        "c2",
        "7f",
        "ff",
        "cc80",
        "d080",
        "ca00000000",
        "cb0000000000000000",
        "a161",
        "c40161",
        "d4 01 00",
        "d8 01 00000000000000000000000000000000",
        "c7 02 01 0000",
        "92 01 90",
        "81 c0 80",
        "82 a161 01 d90162 91 c0",
    ] {
        assert_eq!(accepted("Nobody", value), KeyRequest::default(), "{value}");
    }
    assert_eq!(
        complaint("Nobody", "c1"),
        "codec.decoder: Nil-Deciphered DecodeValue: Unrecognized descriptor byte: hex: c1, dec: 193"
    );
}

#[test]
fn a_struct_can_come_as_an_array_in_the_order_of_its_declaration() {
    let short: KeyRequest = decode(&hex("92 a3646331 a3666f6f")).expect("a request");
    assert_eq!((short.datacenter, short.key), ("dc1".into(), "foo".into()));
    // The token is the first field of what is embedded behind the key, the index is the second.
    let long: KeyRequest = decode(&hex("94 a0 a0 a174 07")).expect("a request");
    assert_eq!(
        (long.query.token, long.query.min_query_index),
        ("t".into(), 7)
    );
    let entry: DirEntry = decode(&hex("97 01 a16b 02 c0 a0 03 04")).expect("an entry");
    assert_eq!((entry.raft.create_index, entry.raft.modify_index), (3, 4));
    let more: DirEntry =
        decode(&hex("99 01 a16b 02 c0 a0 03 04 82a0c0a0c0 c1")).unwrap_or_default();
    assert_eq!(more, DirEntry::default(), "the unused marker is no value");
    let more: DirEntry = decode(&hex("99 01 a16b 02 c0 a0 03 04 82a0c0a0c0 c0")).expect("an entry");
    assert_eq!(more, entry);
    assert_eq!(decode(&hex("90")), Ok(KeyRequest::default()));
    assert_eq!(
        decode(&hex("dc0001 a3646331")),
        decode(&hex("91 a3646331")) as Result<KeyRequest, _>
    );
    assert_eq!(
        refused::<KeyRequest>(&hex("91 01")),
        format!("{CONTAINER}hex: 1, dec: 1")
    );
}

#[test]
fn nested_structs_are_maps_within_the_map() {
    let request: DCSpecificRequest =
        decode(b"\x82\xa6Source\x81\xa4Node\xa2n1\xafNodeMetaFilters\x81\xa4rack\xa1a")
            .expect("a request");
    assert_eq!(request.source.node, "n1");
    let filters = request.node_meta_filters.expect("filters");
    assert_eq!(filters.get(&GoString::from("rack")), Some(&"a".into()));
}

#[test]
fn empty_and_nil_values_stay_apart() {
    let entry = |value: &str| decode::<DirEntry>(&[b"\x81\xa5Value".to_vec(), hex(value)].concat());
    assert_eq!(entry("c0").expect("an entry").value, None);
    assert_eq!(entry("a0").expect("an entry").value, Some(Blob::new()));
    assert_eq!(entry("c4 00").expect("an entry").value, Some(Blob::new()));
}

#[test]
fn durations_wrap_and_times_are_blobs() {
    let wait = accepted("MaxQueryTime", "cf ffffffffffffffff")
        .query
        .max_query_time;
    assert_eq!(wait, GoDuration(-1));
    let zero = decode::<GoTime>(&hex("af 01 0000000000000000 00000000 ffff"));
    assert_eq!(zero, Ok(GoTime::ZERO));
    for (bytes, text) in [
        ("a0", "no data"),
        ("a1 01", "invalid length"),
        ("a1 03", "unsupported version"),
    ] {
        let text = format!("Time.UnmarshalBinary: {text}");
        assert_eq!(refused::<GoTime>(&hex(bytes)), text, "{bytes}");
    }
    assert_eq!(
        refused::<GoTime>(&hex("07")),
        format!("{CONTAINER}hex: 7, dec: 7")
    );
}

#[test]
fn nesting_has_an_end() {
    let nested = |depth: usize, marker: u8| [vec![marker; depth], vec![0xc0]].concat();
    let skipped = |depth| decode::<serde::de::IgnoredAny>(&nested(depth, 0x91)).map(drop);
    assert_eq!(skipped(MAX_DEPTH), Ok(()));
    let limit = MAX_DEPTH;
    assert_eq!(skipped(MAX_DEPTH + 1), Err(DecodeError::Depth { limit }));
    assert_eq!(skipped(1 << 20), Err(DecodeError::Depth { limit }));
    let any = |depth| decode::<serde_json::Value>(&nested(depth, 0x91)).map(drop);
    assert_eq!(any(MAX_DEPTH), Ok(()));
    assert_eq!(any(MAX_DEPTH + 1), Err(DecodeError::Depth { limit }));
    assert_eq!(any(1 << 20), Err(DecodeError::Depth { limit }));
    // The depth is that of the value, not the number of containers.
    let wide = [hex("dc03e8"), [0x91, 0xc0].repeat(1000)].concat();
    assert!(decode::<serde_json::Value>(&wide).is_ok());
}

#[test]
fn an_early_end_says_what_is_missing() {
    assert_eq!(refused::<u64>(&[]), "EOF");
    assert_eq!(refused::<u64>(&[0xcd]), "EOF");
    assert_eq!(
        refused::<u64>(&[0xcd, 1]),
        "codec.decoder: Trying to read 2 bytes. Only 1 available"
    );
    assert_eq!(
        decode::<u64>(&[1, 2]),
        Err(DecodeError::Trailing { bytes: 1 })
    );
    assert_eq!(refused::<Vec<u64>>(&hex("dd ffffffff 01")), "EOF");
    let mut decoder = Decoder::new(&[1, 2]);
    assert_eq!(decoder.decode(), Ok(1_u8));
    assert_eq!(decoder.rest(), [2]);
    assert_eq!(decoder.decode(), Ok(2_u8));
    assert_eq!(decoder.finish(), Ok(()));
}
