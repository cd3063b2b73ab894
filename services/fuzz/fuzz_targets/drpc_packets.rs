//! See [`oneport_fuzz::drpc::packets`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| oneport_fuzz::drpc::packets(data));
