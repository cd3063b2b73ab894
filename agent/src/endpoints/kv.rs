//! `KVS.*`: keys and values.

use std::{cell::Cell, sync::Arc};

use oneport::proto::{
    Access, Head, Resource,
    structs::{
        DirEntry, GoString, IndexedDirEntries, IndexedKeyList, KVSRequest, KeyListRequest,
        KeyRequest, QueryMeta, QueryOptions, RaftIndex,
    },
};
use tonic::Status;

use crate::{
    queries::Answer,
    server::Server,
    state::{ApplyError, Command, Entry, KvOp, Target},
};

/// `KVS.Apply`: changes a key, or all keys below one. The reply is what a conditional operation
/// decided, and false for the others.
///
/// # Errors
/// The datacenter is not this one, there is no key, the caller may not write it, or what applying
/// the operation says.
pub async fn apply(server: Arc<Server>, head: Head, request: KVSRequest) -> Result<bool, Status> {
    server.check_datacenter(&request.datacenter)?;
    let op = KvOp::named(request.op.as_bytes());
    if request.dir_ent.key.is_empty() && op != KvOp::DeleteTree {
        return Err(Status::invalid_argument("Must provide key"));
    }
    let resource = match op {
        KvOp::DeleteTree => Resource::KeyTree,
        _ => Resource::Key,
    };
    head.may(Access::Write, resource, request.dir_ent.key.as_bytes())?;
    let command = Command::Kv(op, entry(request.dir_ent));
    server.log().propose(command).await.map_err(refuse)
}

/// `KVS.Get`: one key. No entry is no error; the query keeps waiting for it.
///
/// # Errors
/// The datacenter is not this one, the key is empty, or the caller may not read it.
pub async fn get(
    server: Arc<Server>,
    head: Head,
    request: KeyRequest,
) -> Result<IndexedDirEntries, Status> {
    server.check_datacenter(&request.datacenter)?;
    let key = request.key.into_bytes();
    if key.is_empty() {
        return Err(Status::invalid_argument(
            "failed kvs lookup: index error: object is missing a value for this index",
        ));
    }
    head.may(Access::Read, Resource::Key, &key)?;
    let watched = || Target::Key(key.clone());
    let queries = server.queries();
    let answer = queries
        .run(server.store(), &request.query, watched, |snapshot| {
            let entry = snapshot.kv().get(&key).map(Arc::clone);
            let modified = entry.as_ref().map(|entry| entry.modify_index);
            Answer {
                index: modified.unwrap_or_else(|| snapshot.kv().index()),
                found: entry.is_some(),
                value: entry,
            }
        })
        .await;
    Ok(IndexedDirEntries {
        entries: answer.value.map(|entry| vec![dir_entry(&entry)]),
        meta: server.meta(answer.index),
    })
}

/// `KVS.List`: all keys that begin with the given one and that the caller may read, and their values.
///
/// # Errors
/// The datacenter is not this one.
pub async fn list(
    server: Arc<Server>,
    head: Head,
    request: KeyRequest,
) -> Result<IndexedDirEntries, Status> {
    server.check_datacenter(&request.datacenter)?;
    let (prefix, options) = (request.key, request.query);
    let listed = listed(&server, &head, &options, &prefix, |entry| dir_entry(entry)).await;
    Ok(IndexedDirEntries {
        entries: (!listed.entries.is_empty()).then_some(listed.entries),
        meta: QueryMeta {
            results_filtered_by_acls: listed.filtered,
            ..server.meta(listed.index)
        },
    })
}

/// `KVS.ListKeys`: all keys that begin with a prefix and that the caller may read, each cut behind
/// the first separator that follows the prefix.
///
/// # Errors
/// The datacenter is not this one.
pub async fn list_keys(
    server: Arc<Server>,
    head: Head,
    request: KeyListRequest,
) -> Result<IndexedKeyList, Status> {
    server.check_datacenter(&request.datacenter)?;
    let prefix = request.prefix;
    let separator = request.separator.as_bytes();
    let cut_key = |entry: &Arc<Entry>| {
        let end = cut(&entry.key, prefix.len(), separator);
        GoString::from(entry.key.slice(..end))
    };
    let listed = listed(&server, &head, &request.query, &prefix, cut_key).await;
    let mut keys = listed.entries;
    // The keys are in order, so what is cut alike is side by side.
    keys.dedup();
    Ok(IndexedKeyList {
        keys: (!keys.is_empty()).then_some(keys),
        meta: QueryMeta {
            results_filtered_by_acls: listed.filtered,
            ..server.meta(listed.index)
        },
    })
}

/// The part of a list that its caller may see.
struct Seen<T> {
    index: u64,
    entries: Vec<T>,
    /// Whether something was left out. Told to callers with a token only, as Consul does: the
    /// others would learn what there is.
    filtered: bool,
}

/// What `make` makes of the entries below a prefix that the caller may read. A list that is empty
/// counts as found: its index moves only with what it lists or listed.
async fn listed<T>(
    server: &Server,
    head: &Head,
    options: &QueryOptions,
    prefix: &GoString,
    make: impl Fn(&Arc<Entry>) -> T,
) -> Seen<T> {
    let watched = || Target::Prefix(prefix.clone().into_bytes());
    let may_read = |entry: &Arc<Entry>| head.may(Access::Read, Resource::Key, &entry.key).is_ok();
    let queries = server.queries();
    let answer = queries
        .run(server.store(), options, watched, |snapshot| {
            let left_out = Cell::new(false);
            let listed = snapshot.kv().list_as(prefix.as_bytes(), |entry| {
                let readable = may_read(entry);
                left_out.set(left_out.get() || !readable);
                readable.then(|| make(entry))
            });
            Answer {
                index: listed.index,
                found: true,
                value: (listed.entries, left_out.get()),
            }
        })
        .await;
    let (entries, left_out) = answer.value;
    Seen {
        index: answer.index,
        entries,
        filtered: left_out && head.token.is_some(),
    }
}

/// Where a key is cut: behind the first separator after the prefix, if there is one.
fn cut(key: &[u8], prefix: usize, separator: &[u8]) -> usize {
    if separator.is_empty() {
        return key.len();
    }
    let after = key.get(prefix..).unwrap_or_default();
    match after
        .windows(separator.len())
        .position(|at| at == separator)
    {
        Some(at) => prefix + at + separator.len(),
        None => key.len(),
    }
}

fn refuse(error: ApplyError) -> Status {
    Status::failed_precondition(format!("raft apply failed: {error}"))
}

/// An entry as it came. Go reads an empty value as none, so none is what is stored.
fn entry(wire: DirEntry) -> Entry {
    Entry {
        key: wire.key.into_bytes(),
        value: wire
            .value
            .filter(|value| !value.is_empty())
            .map(|value| value.into_bytes()),
        flags: wire.flags,
        lock_index: wire.lock_index,
        session: wire.session.into_bytes(),
        create_index: wire.raft.create_index,
        modify_index: wire.raft.modify_index,
    }
}

/// An entry as it goes; the bytes are shared.
fn dir_entry(entry: &Entry) -> DirEntry {
    DirEntry {
        lock_index: entry.lock_index,
        key: entry.key.clone().into(),
        flags: entry.flags,
        value: entry.value.clone().map(Into::into),
        session: entry.session.clone().into(),
        raft: RaftIndex {
            create_index: entry.create_index,
            modify_index: entry.modify_index,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_cut_behind_the_separator() {
        let shown = |key: &'static str, prefix: &str, separator: &str| {
            &key[..cut(key.as_bytes(), prefix.len(), separator.as_bytes())]
        };
        assert_eq!(shown("foo/a/b", "foo/", "/"), "foo/a/");
        assert_eq!(shown("foo/a/b", "foo", "/"), "foo/");
        assert_eq!(shown("foo/bar", "foo/", "/"), "foo/bar");
        assert_eq!(shown("foo/a/b", "foo/", ""), "foo/a/b");
        assert_eq!(shown("a--b--c", "a", "--"), "a--");
        assert_eq!(shown("a", "a", "/"), "a");
    }
}
