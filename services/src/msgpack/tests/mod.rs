//! Tests of the dialect as a whole. Each file has one concern.

use bytes::BytesMut;

use super::*;

mod golden;
mod leniency;
mod numbers;
mod random;
mod scan;
mod types;

/// Bytes from hexadecimal digits; blanks are for the reader.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    digits
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).expect("digits");
            u8::from_str_radix(pair, 16).expect("digits")
        })
        .collect()
}

/// The bytes of a value.
fn encoded<T: serde::Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode(value, &mut out).expect("a value that can be written");
    out.to_vec()
}

/// The text of the error that decoding ends in.
fn refused<'de, T: serde::Deserialize<'de> + std::fmt::Debug>(bytes: &'de [u8]) -> String {
    decode::<T>(bytes)
        .expect_err("a value that does not fit")
        .to_string()
}
