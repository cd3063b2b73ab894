//! What the fuzz targets do with their bytes.
//!
//! A target in `fuzz_targets/` is one call into this crate; a twin in `tests/` makes the same call with
//! bytes from proptest, so that the checks run wherever the tests run. A check panics when it finds
//! something.
//!
//! ```text
//! cargo +nightly fuzz run --fuzz-dir services/fuzz msgpack_scan
//! cargo test --manifest-path services/fuzz/Cargo.toml
//! ```

pub mod drpc;
pub mod msgpack;
