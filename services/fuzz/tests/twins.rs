//! The fuzz targets, fed by proptest.

use oneport_fuzz::msgpack;
use proptest::collection::vec;
use proptest::prelude::*;

/// Bytes among which markers of containers and strings are frequent.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let marker = prop_oneof![
        any::<u8>(),
        0x80..=0x93_u8,
        0xa0..=0xa4_u8,
        0xc0..=0xdf_u8,
        0x00..=0x04_u8,
    ];
    prop_oneof![vec(any::<u8>(), 0..400), vec(marker, 0..100)]
}

proptest! {
    #[test]
    fn msgpack_scan(data in soup()) {
        msgpack::scan(&data);
    }

    #[test]
    fn msgpack_decode(data in soup()) {
        msgpack::decode(&data);
    }
}
