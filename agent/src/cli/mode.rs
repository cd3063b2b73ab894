//! Modes of sockets on the command line.

use crate::config::field::mode;

/// Octal digits, as chmod takes them.
pub(super) fn parse(text: &str) -> Result<u32, String> {
    mode(text).ok_or_else(|| "it must be octal digits like 0660, 0001 to 0777".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_octal_and_opens_something() {
        assert_eq!(parse("0660"), Ok(0o660));
        assert_eq!(parse("1"), Ok(0o001));
        assert_eq!(parse("777"), Ok(0o777));
        for bad in ["", "0", "1000", "8", "-1", "+660", "0o660", "rw"] {
            assert!(parse(bad).unwrap_err().contains("0001 to 0777"), "{bad}");
        }
    }
}
