//! Spans of time as Go writes them: `10s`, `1m30s`, `1.5h`.

use std::{fmt, time::Duration};

/// Go's units, the longest name of each letter first.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3600 * SECOND),
];
const SECOND: u64 = 1_000_000_000;

/// A span like `10s`, `1m30s` or `1.5h`; `0` needs no unit. `None` for anything else, for what is
/// below zero, and for what Go's own type has no room for (some 292 years).
pub fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut nanos = 0u64;
    while !rest.is_empty() {
        let (part, after) = term(rest)?;
        nanos = nanos.checked_add(part)?;
        rest = after;
    }
    let some = !text.is_empty() && text != "+" && i64::try_from(nanos).is_ok();
    some.then(|| Duration::from_nanos(nanos))
}

/// One number with its unit, in nanoseconds, and what comes after it.
fn term(text: &str) -> Option<(u64, &str)> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let end = rest.find(|c: char| c == '.' || c.is_ascii_digit());
    let (name, rest) = rest.split_at(end.unwrap_or(rest.len()));
    let (_, unit) = UNITS.iter().find(|(known, _)| *known == name)?;
    let whole = if whole.is_empty() { "0" } else { whole };
    let nanos = whole.parse::<u64>().ok()?.checked_mul(*unit)?;
    Some((nanos.checked_add(part(fraction, *unit))?, rest))
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

/// The decimal places of a number of `unit`s; what is below a nanosecond is cut off, as in Go.
fn part(fraction: &str, unit: u64) -> u64 {
    let mut scale = unit;
    let mut nanos = 0;
    for digit in fraction.bytes() {
        scale /= 10;
        nanos += u64::from(digit - b'0') * scale;
    }
    nanos
}

/// Shows a span as Go does: `1m30s`, `1.5ms`, `0s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Span(span) = self;
        if *span < Duration::from_secs(1) && !span.is_zero() {
            return write!(f, "{span:?}");
        }
        let (hours, minutes) = (span.as_secs() / 3600, span.as_secs() / 60 % 60);
        let rest = *span - Duration::from_secs(span.as_secs() / 60 * 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        write!(f, "{}s", rest.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_gos() {
        let millis = |text| parse(text).map(|span| span.as_millis());
        assert_eq!(millis("10s"), Some(10_000));
        assert_eq!(millis("1m30s"), Some(90_000));
        assert_eq!(millis("1.5h"), Some(5_400_000));
        assert_eq!(millis("1h0m.5s"), Some(3_600_500));
        assert_eq!(millis("+250ms"), Some(250));
        assert_eq!(millis("0"), Some(0));
        assert_eq!(parse("1µs"), Some(Duration::from_micros(1)));
        assert_eq!(parse("1.0000000019s"), Some(Duration::new(1, 1)));
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for bad in [
            "", "+", "1", "s", "-1s", "1 s", "1d", "1.s.", ".s", "1s2", "3000000h", "1m-1s",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_span_is_shown_as_go_shows_it_and_read_back() {
        for text in [
            "0s", "10s", "1m30s", "1h0m0s", "1.5s", "500ms", "1.5ms", "24h0m0s",
        ] {
            assert_eq!(Span(parse(text).unwrap()).to_string(), text);
        }
    }
}
