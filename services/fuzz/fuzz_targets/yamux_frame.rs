//! Any twelve bytes are a header that encodes back to itself, or one of two errors.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oneport_services::yamux::frame::{HEADER_LEN, Header};

fuzz_target!(|bytes: [u8; HEADER_LEN]| {
    match Header::decode(bytes) {
        Ok(header) => assert_eq!(header.encode(), bytes),
        Err(_) => assert!(bytes[0] != 0 || bytes[1] > 3),
    }
});
