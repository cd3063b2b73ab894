//! `oneport kv watch`.

use std::{collections::BTreeMap, time::Duration};

use clap::ArgGroup;
use oneport::proto::structs::{
    DirEntry, GoDuration, GoString, IndexedDirEntries, KeyRequest, QueryOptions,
};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::{Freshness, Scope, entry};
use crate::cli::{
    block_on, duration,
    exit::Failure,
    output::{self, Format},
    signals::Signals,
};

/// An answer without news that comes sooner than this was not waited for: we pause instead.
const SOON: Duration = Duration::from_secs(1);

/// Watch a key, or every key that begins with a prefix.
///
/// Prints what is there, then a line for each change: on a terminal "INDEX set KEY = VALUE" or
/// "INDEX deleted KEY", and everywhere else {"Index": …, "Key": …, "Entry": … or null}. Changes
/// that follow each other fast may be seen as one. SIGINT and SIGTERM end it with exit code 0.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("what").required(true).args(["key", "prefix"])))]
#[command(after_help = "\
Examples:
  oneport kv watch color/sky
  oneport kv watch --prefix color/
  oneport kv watch color/sky | jq --unbuffered -r .Entry.Value")]
pub(super) struct Args {
    /// The key.
    key: Option<String>,
    /// Watch every key that begins so.
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
    /// How long one query waits for a change, up to 10m; then the next one does.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration::parse)]
    wait: Duration,
    #[command(flatten)]
    freshness: Freshness,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    scope: Scope,
}

/// One change, as JSON shows it.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Change<'a> {
    index: u64,
    key: &'a GoString,
    entry: Option<&'a DirEntry>,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        block_on(async {
            let mut signals = Signals::install()?;
            tokio::select! {
                ended = self.watch() => ended,
                () = signals.next() => Ok(()),
            }
        })
    }

    /// Asks for ever, each time for what is newer than the last answer.
    async fn watch(&self) -> Result<(), Failure> {
        let mut connection = self.scope.remote.connect().await?;
        let mut known = BTreeMap::new();
        let mut index = 0;
        loop {
            let asked = Instant::now();
            let (method, request) = self.request(index);
            let reply: IndexedDirEntries =
                connection.call_waiting(method, &request, self.wait).await?;
            let found = by_key(reply.entries);
            self.print(reply.meta.index, &known, &found)?;
            known = found;
            let next = next_index(index, reply.meta.index);
            let news = std::mem::replace(&mut index, next) != next;
            if !news && asked.elapsed() < SOON.min(self.wait) {
                // A server that is full or on its way down does not let us wait.
                sleep(SOON).await;
            }
        }
    }

    fn request(&self, index: u64) -> (&'static str, KeyRequest) {
        let (method, key) = match (&self.prefix, &self.key) {
            (Some(prefix), _) => ("KVS.List", prefix.as_str()),
            (None, key) => ("KVS.Get", key.as_deref().unwrap_or_default()),
        };
        let request = KeyRequest {
            datacenter: self.scope.datacenter(),
            key: key.into(),
            query: QueryOptions {
                min_query_index: index,
                max_query_time: GoDuration::from(self.wait),
                ..self.freshness.apply(self.scope.read())
            },
        };
        (method, request)
    }

    fn print(&self, index: u64, known: &Entries, next: &Entries) -> Result<(), Failure> {
        let json = self.format.is_json();
        changes(index, known, next).try_for_each(|change| match json {
            true => output::json(&change),
            false => output::line(&shown(&change)),
        })
    }
}

type Entries = BTreeMap<GoString, DirEntry>;

fn by_key(entries: Option<Vec<DirEntry>>) -> Entries {
    let entries = entries.into_iter().flatten();
    entries.map(|entry| (entry.key.clone(), entry)).collect()
}

/// The index to ask for next. One that went back belongs to another past (a server that was
/// restored or replaced): then everything is asked for again.
fn next_index(asked: u64, got: u64) -> u64 {
    if got < asked { 0 } else { got.max(1) }
}

/// What is other in `next` than in `known`: first what is gone, then what is new or changed.
fn changes<'a>(
    index: u64,
    known: &'a Entries,
    next: &'a Entries,
) -> impl Iterator<Item = Change<'a>> {
    let gone = known.keys().filter(|key| !next.contains_key(*key));
    let gone = gone.map(move |key| Change {
        index,
        key,
        entry: None,
    });
    let set = next
        .iter()
        .filter(|(key, entry)| known.get(*key) != Some(entry));
    let set = set.map(|(key, entry)| Change {
        index: entry.raft.modify_index,
        key,
        entry: Some(entry),
    });
    gone.chain(set)
}

fn shown(change: &Change<'_>) -> String {
    let Change { index, key, entry } = change;
    match entry {
        Some(entry) => format!("{index} set {key} = {}", entry::value(entry)),
        None => format!("{index} deleted {key}"),
    }
}

#[cfg(test)]
mod tests {
    use oneport::proto::structs::RaftIndex;

    use super::*;

    fn entries(list: &[(&str, u64)]) -> Entries {
        let entry = |(key, index): &(&str, u64)| DirEntry {
            key: (*key).into(),
            value: Some("v".into()),
            raft: RaftIndex {
                create_index: 1,
                modify_index: *index,
            },
            ..DirEntry::default()
        };
        by_key(Some(list.iter().map(entry).collect()))
    }

    #[test]
    fn only_changes_are_shown() {
        let before = entries(&[("a", 5), ("b", 6), ("c", 7)]);
        let after = entries(&[("a", 5), ("b", 8), ("d", 9)]);
        let lines: Vec<_> = changes(9, &before, &after)
            .map(|change| shown(&change))
            .collect();
        assert_eq!(lines, ["9 deleted c", "8 set b = v", "9 set d = v"]);
        assert_eq!(changes(9, &after, &after).count(), 0);
    }

    #[test]
    fn json_has_an_entry_or_null() {
        let before = entries(&[("a", 5)]);
        let none = Entries::new();
        let gone = changes(6, &before, &none).next().unwrap();
        let json = serde_json::to_string(&gone).unwrap();
        assert_eq!(json, r#"{"Index":6,"Key":"a","Entry":null}"#);
    }

    #[test]
    fn an_index_that_went_back_starts_anew() {
        assert_eq!(next_index(0, 7), 7);
        assert_eq!(next_index(7, 7), 7);
        assert_eq!(next_index(7, 8), 8);
        assert_eq!(next_index(8, 7), 0);
        assert_eq!(next_index(0, 0), 1);
    }
}
