//! A server that is compared with others.

use crate::cli::remote::address;

/// The longest name of a server, in bytes.
const MAX_NAME: usize = 32;

/// A server with a name: `NAME=HOST:PORT` or `NAME=HOST:PORT@PID`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) addr: String,
    /// Its process on this machine.
    pub(super) pid: Option<u32>,
}

/// Reads one.
pub(super) fn parse(text: &str) -> Result<Target, String> {
    let form = "it must be NAME=HOST:PORT or NAME=HOST:PORT@PID, as in ours=127.0.0.1:8300@4711";
    let (name, place) = text.split_once('=').ok_or(form)?;
    if !(1..=MAX_NAME).contains(&name.len()) {
        return Err(format!("its name must be 1 to {MAX_NAME} bytes long"));
    }
    let (addr, pid) = match place.rsplit_once('@') {
        Some((addr, pid)) => match pid.parse() {
            Ok(pid @ 1..) => (addr, Some(pid)),
            _ => return Err(format!("{pid:?} is no process id")),
        },
        None => (place, None),
    };
    Ok(Target {
        name: name.to_owned(),
        addr: address(addr)?,
        pid,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_a_name_and_an_address_and_perhaps_a_process() {
        let target = |pid| Target {
            name: "ours".into(),
            addr: "127.0.0.1:8300".into(),
            pid,
        };
        assert_eq!(parse("ours=127.0.0.1:8300"), Ok(target(None)));
        assert_eq!(parse("ours=127.0.0.1:8300@4711"), Ok(target(Some(4711))));
    }

    #[test]
    fn nonsense_names_the_form() {
        let refused = |text: &str| parse(text).unwrap_err();
        assert!(refused("127.0.0.1:8300").contains("NAME=HOST:PORT"));
        assert!(refused("ours=nowhere").contains("HOST:PORT"));
        assert!(refused("=a:1").contains("1 to 32"));
        assert!(refused(&format!("{}=a:1", "x".repeat(33))).contains("1 to 32"));
        for pid in ["", "0", "x", "-1"] {
            let text = format!("ours=a:1@{pid}");
            assert!(refused(&text).contains("no process id"), "{text}");
        }
    }
}
