//! `oneport kv delete`.

use oneport::proto::structs::{DirEntry, kv::op};

use super::{Scope, put::report};
use crate::cli::{exit::Failure, output::Format};

/// Delete a key, or every key that begins with one.
///
/// What is not there is deleted well. With --cas a key is deleted only if it was not changed since:
/// a condition that does not hold is exit code 4.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  oneport kv delete color/sky
  oneport kv delete color/ --recurse
  oneport kv delete '' --recurse             everything
  oneport kv delete color/sky --cas 42       only if its ModifyIndex is 42")]
pub(super) struct Args {
    /// The key.
    key: String,
    /// Delete every key that begins with KEY.
    #[arg(long, conflicts_with = "cas")]
    recurse: bool,
    /// Delete only if the key's ModifyIndex is this one.
    #[arg(long, value_name = "INDEX")]
    cas: Option<u64>,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    scope: Scope,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let op = match (self.recurse, self.cas) {
            (true, _) => op::DELETE_TREE,
            (false, Some(_)) => op::DELETE_CAS,
            (false, None) => op::DELETE,
        };
        let entry = DirEntry {
            key: self.key.as_str().into(),
            ..DirEntry::default()
        };
        let decided = self.scope.change(op, self.cas, entry)?;
        report(&self.key, "deleted", self.cas, decided, self.format)
    }
}
