//! Spans of time on the command line.

use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(3600);

/// A span like `500ms`, `10s` or `5m`; a number alone is seconds.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let limit = || "it must be a number with ms, s or m behind it, 1ms to 60m".to_owned();
    let number: u64 = number.parse().map_err(|_| limit())?;
    let span = match unit {
        "ms" => Duration::from_millis(number),
        "" | "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.checked_mul(60).ok_or_else(limit)?),
        _ => return Err(limit()),
    };
    if (SHORTEST..=LONGEST).contains(&span) {
        Ok(span)
    } else {
        Err(limit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_understood() {
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse("10"), Ok(Duration::from_secs(10)));
        assert_eq!(parse("60m"), Ok(LONGEST));
    }

    #[test]
    fn nonsense_names_the_limit() {
        for bad in [
            "",
            "s",
            "0",
            "-1s",
            "61m",
            "1h",
            "1.5s",
            "99999999999999999999m",
        ] {
            let error = parse(bad).unwrap_err();
            assert!(error.ends_with("1ms to 60m"), "{bad}: {error}");
        }
    }
}
