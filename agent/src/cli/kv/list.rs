//! `oneport kv list`.

use oneport::proto::structs::{
    DirEntry, GoString, IndexedDirEntries, IndexedKeyList, KeyListRequest, KeyRequest,
};

use super::{Freshness, Scope, entry};
use crate::cli::{
    block_on,
    exit::Failure,
    output::{self, Format},
};

/// List keys and their values.
///
/// Prints a line a key on a terminal, and a JSON array everywhere else. No key at all is an empty
/// list and no error.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  oneport kv list color/
  oneport kv list --keys                     every key
  oneport kv list color/ --separator /       the next level below color/ alone")]
pub(super) struct Args {
    /// What the keys begin with; nothing is every key.
    #[arg(default_value = "", hide_default_value = true)]
    prefix: String,
    /// List keys without their values.
    #[arg(long)]
    keys: bool,
    /// Cut keys behind the first S that follows the prefix; lists keys without values.
    #[arg(long, value_name = "S")]
    separator: Option<String>,
    #[command(flatten)]
    freshness: Freshness,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    scope: Scope,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        if self.keys || self.separator.is_some() {
            let keys = block_on(self.keys())?;
            return self.print(&keys, GoString::to_string);
        }
        let entries = block_on(self.entries())?;
        self.print(&entries, |found| {
            format!("{}\t{}", found.key, entry::value(found))
        })
    }

    async fn keys(&self) -> Result<Vec<GoString>, Failure> {
        let request = KeyListRequest {
            datacenter: self.scope.datacenter(),
            prefix: self.prefix.as_str().into(),
            separator: self.separator.as_deref().unwrap_or_default().into(),
            query: self.freshness.apply(self.scope.read()),
        };
        let mut connection = self.scope.remote.connect().await?;
        let reply: IndexedKeyList = connection.call("KVS.ListKeys", &request).await?;
        Ok(reply.keys.unwrap_or_default())
    }

    async fn entries(&self) -> Result<Vec<DirEntry>, Failure> {
        let request = KeyRequest {
            datacenter: self.scope.datacenter(),
            key: self.prefix.as_str().into(),
            query: self.freshness.apply(self.scope.read()),
        };
        let mut connection = self.scope.remote.connect().await?;
        let reply: IndexedDirEntries = connection.call("KVS.List", &request).await?;
        Ok(reply.entries.unwrap_or_default())
    }

    fn print<T: serde::Serialize>(
        &self,
        items: &[T],
        shown: impl Fn(&T) -> String,
    ) -> Result<(), Failure> {
        if self.format.is_json() {
            return output::json(&items);
        }
        items.iter().try_for_each(|item| output::line(&shown(item)))
    }
}
