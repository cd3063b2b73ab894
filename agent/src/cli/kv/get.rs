//! `oneport kv get`.

use oneport::proto::structs::{DirEntry, IndexedDirEntries, KeyRequest};

use super::{Freshness, Scope, entry};
use crate::cli::{
    block_on,
    exit::{Exit, Failure},
    output::{self, Format},
};

/// Read a key.
///
/// Prints the value on a terminal, and everywhere else a JSON object with all that the server
/// knows of the key. A key that is not there is exit code 4.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  oneport kv get color/sky
  oneport kv get color/sky --detailed
  oneport kv get logo.png --raw > logo.png
  oneport kv get color/sky | jq .ModifyIndex")]
pub(super) struct Args {
    /// The key.
    key: String,
    /// Show people everything that the server knows of the key.
    #[arg(long)]
    detailed: bool,
    /// Print the bytes of the value and nothing else.
    #[arg(long, conflicts_with_all = ["detailed", "json"])]
    raw: bool,
    #[command(flatten)]
    freshness: Freshness,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    scope: Scope,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let reply = block_on(self.call())?;
        let Some(found) = reply.entries.unwrap_or_default().into_iter().next() else {
            let message = format!("no key {:?}", self.key);
            return Err(Failure::new(Exit::Missed, message));
        };
        self.print(&found)
    }

    async fn call(&self) -> Result<IndexedDirEntries, Failure> {
        let request = KeyRequest {
            datacenter: self.scope.datacenter(),
            key: self.key.as_str().into(),
            query: self.freshness.apply(self.scope.read()),
        };
        let mut connection = self.scope.remote.connect().await?;
        connection.call("KVS.Get", &request).await
    }

    fn print(&self, found: &DirEntry) -> Result<(), Failure> {
        if self.raw {
            output::bytes(found.value.as_ref().map_or(b"", |value| value.as_bytes()))
        } else if self.format.is_json() {
            output::json(found)
        } else if self.detailed {
            output::line(&entry::detailed(found))
        } else {
            output::line(&entry::value(found))
        }
    }
}
