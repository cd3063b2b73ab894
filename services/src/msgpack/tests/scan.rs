//! Where values end, and where they are refused.

use super::{Limits, MAX_DEPTH, MAX_ELEMENTS, ScanError, Scanner, hex};

fn scan(limits: Limits, bytes: &[u8]) -> Result<Option<usize>, ScanError> {
    Scanner::new(limits).scan(bytes)
}

/// One value of every form.
fn values() -> Vec<Vec<u8>> {
    let mut values: Vec<Vec<u8>> = [
        "00",
        "7f",
        "e0",
        "ff",
        "c0",
        "c1",
        "c2",
        "c3",
        "cc80",
        "cd8000",
        "ce80000000",
        "cf8000000000000000",
        "d080",
        "d18000",
        "d280000000",
        "d38000000000000000",
        "ca00000000",
        "cb0000000000000000",
        "a0",
        "a3616263",
        "d903616263",
        "da0003616263",
        "db00000003616263",
        "c403616263",
        "c50003616263",
        "c600000003616263",
        "c70301616263",
        "c8000301616263",
        "c90000000301616263",
        "d40161",
        "d5016162",
        "d60161626364",
        "90",
        "80",
        "92 90 80",
        "82 a161 91c0 a162 82 c0c0 c0 9102",
        "dc0002 01 02",
        "dd00000002 01 02",
        "de0001 01 02",
        "df00000001 01 02",
        "91 91 91 91 80",
    ]
    .map(hex)
    .to_vec();
    values.push([hex("d701"), vec![0; 8]].concat());
    values.push([hex("d801"), vec![0; 16]].concat());
    values
}

#[test]
fn every_form_has_its_end_and_every_prefix_asks_for_more() {
    for value in values() {
        let mut followed = value.clone();
        followed.extend_from_slice(b"\xc1\xff\x93");
        let limits = Limits::new(value.len());
        assert_eq!(scan(limits, &followed), Ok(Some(value.len())), "{value:x?}");
        let mut slow = Scanner::new(limits);
        for end in 0..value.len() {
            assert_eq!(slow.scan(&value[..end]), Ok(None), "{end} of {value:x?}");
            assert_eq!(scan(limits, &value[..end]), Ok(None), "{end} of {value:x?}");
        }
        assert_eq!(slow.scan(&followed), Ok(Some(value.len())), "{value:x?}");
        assert_eq!(
            slow.scan(&followed),
            Ok(Some(value.len())),
            "it stays found"
        );
        slow.reset();
        assert_eq!(slow.scan(&followed), Ok(Some(value.len())), "{value:x?}");
    }
}

#[test]
fn a_value_of_exactly_the_size_passes_and_one_byte_more_does_not() {
    for value in values() {
        let size = value.len();
        for (limit, passes) in [(size - 1, false), (size, true), (size + 1, true)] {
            let found = scan(Limits::new(limit), &value);
            let expected = if passes {
                Ok(Some(size))
            } else {
                Err(ScanError::Size { seen: size, limit })
            };
            // A header is refused before all of its children were seen.
            match (found, expected) {
                (Err(ScanError::Size { seen, .. }), Err(_)) => assert!(seen > limit),
                (found, expected) => assert_eq!(found, expected, "{value:x?}"),
            }
        }
    }
    let limit = 0;
    assert_eq!(
        scan(Limits::new(0), b""),
        Err(ScanError::Size { seen: 1, limit })
    );
}

#[test]
fn a_claim_is_refused_from_the_header_alone() {
    let limit = 100;
    for (header, seen) in [
        ("d963", 101),
        ("da0062", 101),
        ("db00000060", 101),
        ("db ffffffff", 4_294_967_300),
        ("c6 ffffffff", 4_294_967_300),
        ("c9 ffffffff", 4_294_967_301),
        ("dc0062", 101),
        ("dd00000060", 101),
        ("de0031", 101),
        ("df00000030", 101),
        ("93 d960", 101),
    ] {
        let refused = scan(Limits::new(limit), &hex(header));
        let exact = scan(Limits::new(seen - 1), &hex(header));
        assert_eq!(refused, Err(ScanError::Size { seen, limit }), "{header}");
        if seen < 1000 {
            assert!(exact.is_err(), "{header}");
            assert_eq!(scan(Limits::new(seen), &hex(header)), Ok(None), "{header}");
        }
    }
}

#[test]
fn the_depth_has_a_limit() {
    let nested = |depth: usize| [vec![0x91; depth - 1], vec![0x80]].concat();
    for limit in [1, 2, MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, 100] {
        let limits = Limits {
            depth: limit,
            ..Limits::new(1000)
        };
        for depth in [limit - 1, limit].into_iter().filter(|depth| *depth > 0) {
            assert_eq!(scan(limits, &nested(depth)), Ok(Some(depth)));
        }
        let seen = limit + 1;
        assert_eq!(
            scan(limits, &nested(seen)),
            Err(ScanError::Depth { seen, limit })
        );
    }
    let flat = Limits {
        depth: 0,
        ..Limits::new(1000)
    };
    assert_eq!(scan(flat, b"\xa1x"), Ok(Some(2)));
    let refused = ScanError::Depth { seen: 1, limit: 0 };
    assert_eq!(scan(flat, b"\x90"), Err(refused));
}

#[test]
fn depth_is_given_back_where_a_container_ends() {
    let deep = [vec![0x92; 31], vec![0x90; 32]].concat();
    let wide = [hex("dc0400"), [0x91, 0x90].repeat(1024)].concat();
    for value in [deep, wide] {
        let limits = Limits::new(value.len());
        assert_eq!(scan(limits, &value), Ok(Some(value.len())));
    }
    let limits = Limits {
        depth: 200,
        ..Limits::new(1000)
    };
    let beyond = [vec![0x92; 150], vec![0x90; 151]].concat();
    assert_eq!(scan(limits, &beyond), Ok(Some(301)));
}

#[test]
fn the_elements_have_a_limit() {
    let limit = 10;
    let limits = Limits {
        elements: limit,
        ..Limits::new(1000)
    };
    for (header, seen) in [
        ("99", 9),
        ("9a", 10),
        ("9b", 11),
        ("84", 8),
        ("85", 10),
        ("86", 12),
    ] {
        let expected = if seen <= limit {
            Ok(None)
        } else {
            Err(ScanError::Elements { seen, limit })
        };
        assert_eq!(scan(limits, &hex(header)), expected, "{header}");
    }
    // All containers of a value count together.
    assert_eq!(
        scan(limits, &hex("92 94 01010101 94 01010101")),
        Ok(Some(11))
    );
    let refused = ScanError::Elements { seen: 11, limit };
    assert_eq!(scan(limits, &hex("92 94 01010101 95")), Err(refused));
}

#[test]
fn the_default_limits_are_the_named_ones() {
    let limits = Limits::new(usize::MAX);
    assert_eq!((limits.depth, limits.elements), (MAX_DEPTH, MAX_ELEMENTS));
    assert_eq!(scan(limits, &hex("dd 00100000")), Ok(None));
    let refused = ScanError::Elements {
        seen: MAX_ELEMENTS + 1,
        limit: MAX_ELEMENTS,
    };
    assert_eq!(scan(limits, &hex("dd 00100001")), Err(refused));
    let refused = ScanError::Elements {
        seen: 2 * u64::from(u32::MAX),
        limit: MAX_ELEMENTS,
    };
    assert_eq!(scan(limits, &hex("df ffffffff")), Err(refused));
}
