//! The keys of a run: written before it, deleted after it.

use std::{
    collections::HashMap,
    process,
    sync::atomic::{AtomicBool, Ordering},
    time::SystemTime,
};

use oneport::proto::structs::{
    DirEntry, Empty, GoString, IndexedDirEntries, KVSRequest, KeyListRequest, KeyRequest,
    QueryOptions, WriteRequest, kv::op,
};

use super::{
    load::Load,
    method::Method,
    question::{Expected, Question, same_entry},
    tally::{Kind, Tally},
};
use crate::cli::{exit::Failure, remote::Connection};

/// What the keys of a run are called, and what is in them.
#[derive(Debug)]
pub(super) struct Stock {
    prefix: String,
    token: GoString,
    value_size: usize,
    keys: usize,
    list_size: usize,
    mix: Vec<Method>,
    touched: AtomicBool,
}

impl Stock {
    /// The keys that this load needs. Nothing is written yet.
    pub(super) fn new(load: &Load) -> Stock {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let nanos = since.map_or(0, |time| time.as_nanos());
        Stock {
            prefix: format!("{}{}-{nanos:x}/", load.prefix, process::id()),
            token: load.token.secret().into(),
            value_size: load.value_size(),
            keys: load.keys(),
            list_size: load.list_size(),
            mix: load.mix().weights().iter().map(|(m, _)| *m).collect(),
            touched: AtomicBool::new(false),
        }
    }

    /// Whether the server may hold keys of ours.
    pub(super) fn is_touched(&self) -> bool {
        self.touched.load(Ordering::Relaxed)
    }

    /// Writes what will be read. From then on there may be keys to delete.
    pub(super) async fn write(&self, connection: &mut Connection) -> Result<(), Failure> {
        let has = |method| self.mix.contains(&method);
        let harmless = |method| matches!(method, &Method::Ping | &Method::Leader);
        let touched = !self.mix.iter().all(harmless);
        self.touched.store(touched, Ordering::Relaxed);
        let read = has(Method::Get).then(|| self.entries("get", self.keys));
        let listed = has(Method::List) || has(Method::ListKeys);
        let listed = listed.then(|| self.entries("list", self.list_size));
        for entry in read.into_iter().chain(listed).flatten() {
            let request = self.change(op::SET, entry);
            connection.call::<_, bool>("KVS.Apply", &request).await?;
        }
        Ok(())
    }

    /// The questions of each method of the mix.
    pub(super) fn questions(&self) -> Result<Vec<Vec<Question>>, Failure> {
        self.mix.iter().map(|method| self.ask(*method)).collect()
    }

    fn ask(&self, method: Method) -> Result<Vec<Question>, Failure> {
        match method {
            Method::Ping => one(method, &Empty::default(), Expected::Nothing),
            Method::Leader => one(method, &Empty::default(), Expected::Text),
            Method::Get => {
                let entries = self.entries("get", self.keys);
                let asked = entries.map(|entry| {
                    let request = self.read(entry.key.clone());
                    Question::new(method, &request, Expected::Entries(vec![entry]))
                });
                asked.collect()
            }
            Method::Apply => {
                let entries = self.entries("put", self.keys);
                let asked = entries.map(|entry| {
                    Question::new(method, &self.change(op::SET, entry), Expected::Bool)
                });
                asked.collect()
            }
            Method::List => {
                let entries = self.entries("list", self.list_size).collect();
                let request = self.read(self.key("list", None));
                one(method, &request, Expected::Entries(entries))
            }
            Method::ListKeys => {
                let keys = self.entries("list", self.list_size).map(|entry| entry.key);
                let request = KeyListRequest {
                    prefix: self.key("list", None),
                    query: self.query(),
                    ..KeyListRequest::default()
                };
                one(method, &request, Expected::Keys(keys.collect()))
            }
        }
    }

    /// Reads back what the load has written: every key whose write was answered, as it was
    /// written.
    pub(super) async fn read_back(
        &self,
        connection: &mut Connection,
        questions: &[Vec<Question>],
        tally: &Tally,
    ) -> Result<(), Failure> {
        let request = self.read(self.key("put", None));
        let reply: IndexedDirEntries = connection.call("KVS.List", &request).await?;
        let found = reply.entries.unwrap_or_default();
        let found: HashMap<_, _> = found.iter().map(|entry| (&entry.key, entry)).collect();
        let asked = questions.iter().flatten();
        let asked = asked.filter(|question| question.method == Method::Apply);
        for (question, written) in asked.zip(self.entries("put", self.keys)) {
            let wrong = match found.get(&written.key) {
                Some(found) => same_entry(&written, found).err(),
                None if question.was_answered() => Some("is not there".into()),
                None => None,
            };
            if let Some(what) = wrong {
                let what = format!("KVS.Apply: {} was written: {what}", written.key);
                tally.error(Kind::Wrong, what);
            }
        }
        Ok(())
    }

    /// Deletes every key of the run.
    pub(super) async fn delete(&self, connection: &mut Connection) -> Result<(), Failure> {
        let all = DirEntry {
            key: self.prefix.as_str().into(),
            ..DirEntry::default()
        };
        let request = self.change(op::DELETE_TREE, all);
        connection.call::<_, bool>("KVS.Apply", &request).await?;
        Ok(())
    }

    /// What all keys of the run begin with.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    fn entries(&self, kind: &'static str, count: usize) -> impl Iterator<Item = DirEntry> {
        (0..count).map(move |n| {
            let key = self.key(kind, Some(n));
            let value = filled(&key, self.value_size);
            DirEntry {
                key,
                value: Some(value.into()),
                // Not 0, which is what a server that forgets them would say.
                flags: n as u64 + 1,
                ..DirEntry::default()
            }
        })
    }

    /// Keys sort as their numbers do.
    fn key(&self, kind: &str, number: Option<usize>) -> GoString {
        let prefix = &self.prefix;
        match number {
            Some(n) => format!("{prefix}{kind}/{n:05}").as_str().into(),
            None => format!("{prefix}{kind}/").as_str().into(),
        }
    }

    fn query(&self) -> QueryOptions {
        QueryOptions {
            token: self.token.clone(),
            ..QueryOptions::default()
        }
    }

    fn read(&self, key: GoString) -> KeyRequest {
        KeyRequest {
            key,
            query: self.query(),
            ..KeyRequest::default()
        }
    }

    fn change(&self, op: &str, dir_ent: DirEntry) -> KVSRequest {
        KVSRequest {
            op: op.into(),
            dir_ent,
            write: WriteRequest {
                token: self.token.clone(),
            },
            ..KVSRequest::default()
        }
    }
}

fn one(
    method: Method,
    request: &impl serde::Serialize,
    expected: Expected,
) -> Result<Vec<Question>, Failure> {
    Ok(vec![Question::new(method, request, expected)?])
}

/// A value that belongs to its key and to no other: the key's end first, then all of it over and
/// over.
fn filled(key: &GoString, size: usize) -> Vec<u8> {
    let backwards = key.as_bytes().iter().rev();
    backwards.copied().cycle().take(size).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_belongs_to_its_key() {
        assert_eq!(filled(&"a/01".into(), 6), b"10/a10");
        assert_eq!(filled(&"a/01".into(), 0), b"");
        assert_ne!(filled(&"a/01".into(), 1), filled(&"a/02".into(), 1));
    }
}
