//! `oneport kv put`.

use oneport::proto::structs::{DirEntry, kv::op};
use serde_json::json;

use super::Scope;
use crate::cli::{
    exit::{Exit, Failure},
    output::{self, Format},
    value::Value,
};

/// Write a key.
///
/// With --cas it is written only if it was not changed since: a condition that does not hold is
/// exit code 4. JSON says {"Key": …, "Applied": true or false}.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  oneport kv put color/sky blue
  oneport kv put logo.png @logo.png
  date | oneport kv put seen -
  oneport kv put leader me --cas 0           only if it is not there
  oneport kv put color/sky grey --cas 42     only if its ModifyIndex is 42")]
pub(super) struct Args {
    /// The key.
    key: String,
    /// The value: text, @FILE, or - for stdin.
    #[arg(allow_hyphen_values = true)]
    value: String,
    /// A number to keep with the key; it means nothing to the server.
    #[arg(long, value_name = "N", default_value_t = 0)]
    flags: u64,
    /// Write only if the key's ModifyIndex is this one; 0 is "only if it is not there".
    #[arg(long, value_name = "INDEX")]
    cas: Option<u64>,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    scope: Scope,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let value = Value::from(self.value.clone()).read("VALUE")?;
        let entry = DirEntry {
            key: self.key.as_str().into(),
            value: Some(value.into()),
            flags: self.flags,
            ..DirEntry::default()
        };
        let op = if self.cas.is_some() { op::CAS } else { op::SET };
        let decided = self.scope.change(op, self.cas, entry)?;
        report(&self.key, "put", self.cas, decided, self.format)
    }
}

/// Tells whether a write was applied. Only a conditional one has an answer that says so.
pub(super) fn report(
    key: &str,
    did: &str,
    cas: Option<u64>,
    decided: bool,
    format: Format,
) -> Result<(), Failure> {
    let applied = decided || cas.is_none();
    if format.is_json() {
        output::json(&json!({"Key": key, "Applied": applied}))?;
    } else if applied {
        output::line(&format!("{did} {key}"))?;
    }
    match cas {
        Some(index) if !applied => {
            let message = format!("the ModifyIndex of {key:?} is not {index}");
            Err(Failure::new(Exit::Missed, message))
        }
        _ => Ok(()),
    }
}
