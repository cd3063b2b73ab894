//! The other end that is written in Python.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;

/// A Python that has what `tests/interop/python/drpc/requirements.txt` asks for.
pub(crate) struct Python(OsString);

impl Python {
    /// `ONEPORT_PYTHON`, or `python3`. Says so and gives nothing where it or its package is missing.
    pub(crate) fn find() -> Option<Python> {
        let python = std::env::var_os("ONEPORT_PYTHON").unwrap_or_else(|| "python3".into());
        let args = ["-c", "import google.protobuf"];
        let missing = match Command::new(&python).args(args).output() {
            Ok(output) if output.status.success() => return Some(Python(python)),
            Ok(_) => "has no package protobuf",
            Err(_) => "cannot be started",
        };
        let text = format!("{} {missing}", python.to_string_lossy());
        assert!(
            std::env::var("ONEPORT_REQUIRE_PEERS").as_deref() != Ok("1"),
            "{text}, and ONEPORT_REQUIRE_PEERS=1 asks for it"
        );
        crate::tell::tell(&format!(
            "skipped: {text}, and the other end is written in it"
        ));
        None
    }

    /// The interpreter.
    pub(crate) fn program(&self) -> &OsStr {
        &self.0
    }
}

/// A program of `tests/interop/python`.
pub(crate) fn script(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/interop/python");
    let path = path.join(name).into_os_string();
    path.into_string().expect("the checkout's path is text")
}
