//! The text form of trace context: the header `traceparent` of W3C Trace Context, version 00.

use std::{fmt, str::FromStr};

use crate::TraceContext;

/// The name of the header.
pub const TRACEPARENT: &str = "traceparent";

/// A text that is no `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no traceparent: it is 00-<32 hex digits>-<16 hex digits>-<2 hex digits>, ids not zero")]
pub struct BadTraceparent;

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = |f: &mut fmt::Formatter<'_>, bytes: &[u8]| {
            bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
        };
        f.write_str("00-")?;
        hex(f, &self.trace_id)?;
        f.write_str("-")?;
        hex(f, &self.parent_id)?;
        write!(f, "-{:02x}", self.flags)
    }
}

impl FromStr for TraceContext {
    type Err = BadTraceparent;

    /// Reads version 00, and of later versions what version 00 knows, as W3C asks for.
    fn from_str(text: &str) -> Result<TraceContext, BadTraceparent> {
        let mut parts = text.split('-');
        let [version] = hex(parts.next())?;
        let context = TraceContext {
            trace_id: hex(parts.next())?,
            parent_id: hex(parts.next())?,
            flags: hex::<1>(parts.next())?[0],
        };
        let more = parts.next().is_some();
        let known = version == 0 && !more || (1..0xff).contains(&version);
        if known && context.trace_id != [0; 16] && context.parent_id != [0; 8] {
            Ok(context)
        } else {
            Err(BadTraceparent)
        }
    }
}

/// Exactly `N` bytes in lower-case hex.
fn hex<const N: usize>(text: Option<&str>) -> Result<[u8; N], BadTraceparent> {
    let digits = text.unwrap_or_default().as_bytes();
    let (pairs, []) = digits.as_chunks::<2>() else {
        return Err(BadTraceparent);
    };
    let mut bytes = [0; N];
    if pairs.len() != N {
        return Err(BadTraceparent);
    }
    for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Ok(bytes)
}

fn digit(digit: u8) -> Result<u8, BadTraceparent> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(BadTraceparent),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_example_of_the_standard() {
        let context: TraceContext = GOOD.parse().unwrap();
        assert_eq!(context.flags, 1);
        assert_eq!(
            context.parent_id,
            [0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]
        );
        assert_eq!(context.to_string(), GOOD);
    }

    #[test]
    fn a_later_version_may_have_more_fields() {
        let later = GOOD.replacen("00", "cc", 1);
        assert!(later.parse::<TraceContext>().is_ok());
        assert!(format!("{later}-what").parse::<TraceContext>().is_ok());
    }

    #[test]
    fn what_the_standard_forbids_is_none() {
        let zero_trace = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let zero_parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01";
        let more = format!("{GOOD}-what");
        let version = GOOD.replacen("00", "ff", 1);
        let upper = GOOD.to_uppercase();
        for text in [
            "",
            "00",
            zero_trace,
            zero_parent,
            &more,
            &version,
            &upper,
            &GOOD[1..],
        ] {
            assert_eq!(text.parse::<TraceContext>(), Err(BadTraceparent), "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_reads_what_it_writes(
            trace_id in any::<[u8; 16]>(),
            parent_id in any::<[u8; 8]>(),
            flags in any::<u8>(),
        ) {
            prop_assume!(trace_id != [0; 16] && parent_id != [0; 8]);
            let context = TraceContext { trace_id, parent_id, flags };
            prop_assert_eq!(context.to_string().parse(), Ok(context));
        }

        #[test]
        fn any_text_is_read_without_panic(text in ".*") {
            _ = text.parse::<TraceContext>();
        }
    }
}
