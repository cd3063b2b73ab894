//! See [`oneport_fuzz::msgpack::decode`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| oneport_fuzz::msgpack::decode(data));
