//! See [`oneport_fuzz::drpc::call`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| oneport_fuzz::drpc::call(data));
