//! The fuzz targets, fed by proptest.

use oneport_fuzz::{drpc, msgpack};
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

/// Packets behind their lengths, many of them with a header that makes sense.
fn packets() -> impl Strategy<Value = Vec<u8>> {
    let packet = (
        0..40_u64,
        0..40_u64,
        0..4_u32,
        0..4_u32,
        vec(any::<u8>(), 0..40),
    );
    let packet = packet.prop_map(|(total, data, index, count, bytes)| {
        let data = if data < 30 { bytes.len() as u64 } else { data };
        let header = [&total.to_ne_bytes()[..], &data.to_ne_bytes()];
        let numbers = [index.to_ne_bytes(), count.to_ne_bytes()];
        [header.concat(), numbers.concat(), bytes].concat()
    });
    let packet = prop_oneof![packet, vec(any::<u8>(), 0..60)];
    vec(packet, 0..8).prop_map(|packets| {
        let framed = packets.into_iter().flat_map(|packet| {
            let length = u16::try_from(packet.len()).expect("it is short");
            [length.to_le_bytes().to_vec(), packet].concat()
        });
        framed.collect()
    })
}

proptest! {
    #[test]
    fn drpc_packets(data in packets()) {
        drpc::packets(&data);
    }

    #[test]
    fn drpc_call(data in soup()) {
        drpc::call(&data);
    }

    #[test]
    fn msgpack_scan(data in soup()) {
        msgpack::scan(&data);
    }

    #[test]
    fn msgpack_decode(data in soup()) {
        msgpack::decode(&data);
    }
}
