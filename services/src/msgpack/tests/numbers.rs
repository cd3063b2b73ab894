//! Integers and floats, at the edges of each form.

use serde::{Deserialize, Serialize};
use std::fmt::Debug;

use super::{decode, encoded, hex, refused};

fn both<T: Serialize + for<'de> Deserialize<'de> + PartialEq + Debug>(value: T, bytes: &str) {
    assert_eq!(encoded(&value), hex(bytes), "{value:?}");
    assert_eq!(decode(&hex(bytes)), Ok(value));
}

#[test]
fn integers_take_the_shortest_form() {
    for (value, bytes) in [
        (0, "00"),
        (0x7f, "7f"),
        (0x80, "cc80"),
        (0xff, "ccff"),
        (0x100, "cd0100"),
        (0xffff, "cdffff"),
        (0x1_0000, "ce00010000"),
        (0xffff_ffff, "ceffffffff"),
        (0x1_0000_0000, "cf0000000100000000"),
    ] {
        both::<i64>(value, bytes);
        both::<u64>(value.unsigned_abs(), bytes);
    }
    both(u64::MAX, "cfffffffffffffffff");
    both(i64::MAX, "cf7fffffffffffffff");
    for (value, bytes) in [
        (-1, "ff"),
        (-32, "e0"),
        (-33, "d0df"),
        (-128, "d080"),
        (-129, "d1ff7f"),
        (-32_768, "d18000"),
        (-32_769, "d2ffff7fff"),
        (-2_147_483_648, "d280000000"),
        (-2_147_483_649, "d3ffffffff7fffffff"),
        (i64::MIN, "d38000000000000000"),
    ] {
        both::<i64>(value, bytes);
    }
    both(-1_i8, "ff");
    both(200_u8, "cc c8");
    both(300_i16, "cd 012c");
    both(70_000_i32, "ce 00011170");
    both(u128::from(u64::MAX), "cfffffffffffffffff");
    both(-1_i128, "ff");
}

#[test]
fn integers_may_come_in_any_width() {
    for bytes in [
        "07",
        "cc07",
        "cd0007",
        "ce00000007",
        "cf0000000000000007",
        "d007",
        "d10007",
        "d200000007",
        "d30000000000000007",
    ] {
        assert_eq!(decode(&hex(bytes)), Ok(7_u8), "{bytes}");
        assert_eq!(decode(&hex(bytes)), Ok(7_i64), "{bytes}");
        assert_eq!(decode(&hex(bytes)), Ok(7.0_f64), "{bytes}");
    }
}

#[test]
fn what_does_not_fit_is_refused_as_go_does() {
    let negative = |value| {
        format!("codec.decoder: Assigning negative signed value: {value}, to unsigned type")
    };
    // The number behind a marker of its own, the marker where that is the number.
    for (bytes, value) in [
        ("d0ff", "-1"),
        ("d1ff7f", "-129"),
        ("d2ffffffff", "-1"),
        ("d38000000000000000", "-9223372036854775808"),
        ("e0", "224"),
    ] {
        assert_eq!(refused::<u64>(&hex(bytes)), negative(value), "{bytes}");
    }
    assert_eq!(
        refused::<u8>(&hex("cd0100")),
        "codec.decoder: Overflow uint value: 256"
    );
    assert_eq!(
        refused::<u32>(&hex("cf0000000100000000")),
        "codec.decoder: Overflow uint value: 4294967296"
    );
    assert_eq!(
        refused::<i8>(&hex("cc80")),
        "codec.decoder: Overflow int value: 128"
    );
    assert_eq!(
        refused::<i8>(&hex("d1ff7f")),
        "codec.decoder: Overflow int value: -129"
    );
    // Wrapped first, then looked at.
    assert_eq!(decode(&hex("cfffffffffffffffff")), Ok(-1_i8));
    assert_eq!(decode(&hex("cfffffffffffffffff")), Ok(-1_i64));
    let text = |marker| {
        format!(
            "codec.decoder: Unhandled single-byte unsigned integer value: Unrecognized descriptor byte: {marker}"
        )
    };
    for (bytes, marker) in [
        ("a3616263", "a3"),
        ("c3", "c3"),
        ("ca00000000", "ca"),
        ("90", "90"),
        ("80", "80"),
        ("c1", "c1"),
        ("c400", "c4"),
    ] {
        assert_eq!(refused::<u64>(&hex(bytes)), text(marker), "{bytes}");
        assert_eq!(refused::<i32>(&hex(bytes)), text(marker), "{bytes}");
    }
    assert_eq!(refused::<f64>(&hex("a0")), text("a0"));
    assert_eq!(
        refused::<bool>(&hex("a0")),
        "codec.decoder: Invalid single-byte value for bool: Unrecognized descriptor byte: a0"
    );
}

#[test]
fn floats_keep_their_width() {
    both(1.5_f32, "ca3fc00000");
    both(-0.1_f64, "cbbfb999999999999a");
    assert_eq!(decode(&hex("ca3fc00000")), Ok(1.5_f64));
    assert_eq!(decode(&hex("cb3ff8000000000000")), Ok(1.5_f32));
    assert_eq!(decode(&hex("cfffffffffffffffff")), Ok(-1.0_f64));
    assert_eq!(
        refused::<f32>(&encoded(&-1e39_f64)),
        "codec.decoder: Overflow float32 value: 1e+39"
    );
    assert_eq!(decode(&encoded(&f64::INFINITY)), Ok(f32::INFINITY));
    assert!(
        decode::<f32>(&encoded(&f64::NAN))
            .expect("a float")
            .is_nan()
    );
}

#[test]
fn bools_may_be_numbers() {
    both(true, "c3");
    both(false, "c2");
    assert_eq!(decode(&[1]), Ok(true));
    assert_eq!(decode(&[0]), Ok(false));
}
