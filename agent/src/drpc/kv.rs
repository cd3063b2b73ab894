//! Module 17: the methods of `KVS.*`.

use std::{sync::Arc, time::Duration};

use oneport::proto::{
    Head, Status,
    structs::{
        Blob, DirEntry, KVSRequest, KeyListRequest as KeyList, KeyRequest as Keys, QueryMeta,
        QueryOptions, RaftIndex,
    },
};

use super::messages::{
    ApplyRequest, ApplyResponse, Entry, KeyListRequest, KeyListResponse, KeyRequest, KeyResponse,
    Meta,
};
use crate::{endpoints::kv, server::Server};

pub(super) async fn apply(
    server: Arc<Server>,
    head: Head,
    request: ApplyRequest,
) -> Result<ApplyResponse, Status> {
    let request = KVSRequest {
        datacenter: request.datacenter.into(),
        op: request.op.into(),
        dir_ent: dir_entry(request.entry.unwrap_or_default()),
        ..KVSRequest::default()
    };
    let decided = kv::apply(server, head, request).await?;
    Ok(ApplyResponse { decided })
}

pub(super) async fn get(
    server: Arc<Server>,
    head: Head,
    request: KeyRequest,
) -> Result<KeyResponse, Status> {
    let found = kv::get(server, head, keys(request)).await?;
    Ok(entries(found.entries, &found.meta))
}

pub(super) async fn list(
    server: Arc<Server>,
    head: Head,
    request: KeyRequest,
) -> Result<KeyResponse, Status> {
    let found = kv::list(server, head, keys(request)).await?;
    Ok(entries(found.entries, &found.meta))
}

pub(super) async fn list_keys(
    server: Arc<Server>,
    head: Head,
    request: KeyListRequest,
) -> Result<KeyListResponse, Status> {
    let request = KeyList {
        query: query(request.min_query_index, request.max_query_time_ms),
        datacenter: request.datacenter.into(),
        prefix: request.prefix.into(),
        separator: request.separator.into(),
    };
    let found = kv::list_keys(server, head, request).await?;
    let keys = found.keys.unwrap_or_default().into_iter();
    Ok(KeyListResponse {
        meta: Some(meta(&found.meta)),
        keys: keys.map(|key| key.into_bytes()).collect(),
    })
}

fn keys(request: KeyRequest) -> Keys {
    Keys {
        query: query(request.min_query_index, request.max_query_time_ms),
        datacenter: request.datacenter.into(),
        key: request.key.into(),
    }
}

fn query(min_query_index: u64, max_query_time_ms: u64) -> QueryOptions {
    QueryOptions {
        min_query_index,
        max_query_time: Duration::from_millis(max_query_time_ms).into(),
        ..QueryOptions::default()
    }
}

fn entries(found: Option<Vec<DirEntry>>, about: &QueryMeta) -> KeyResponse {
    KeyResponse {
        meta: Some(meta(about)),
        entries: found.unwrap_or_default().into_iter().map(entry).collect(),
    }
}

fn meta(meta: &QueryMeta) -> Meta {
    Meta {
        index: meta.index,
        known_leader: meta.known_leader,
        filtered: meta.results_filtered_by_acls,
    }
}

fn entry(found: DirEntry) -> Entry {
    Entry {
        key: found.key.into_bytes(),
        value: found.value.map(Blob::into_bytes).unwrap_or_default(),
        flags: found.flags,
        lock_index: found.lock_index,
        session: found.session.into_bytes(),
        create_index: found.raft.create_index,
        modify_index: found.raft.modify_index,
    }
}

fn dir_entry(entry: Entry) -> DirEntry {
    DirEntry {
        lock_index: entry.lock_index,
        key: entry.key.into(),
        flags: entry.flags,
        value: (!entry.value.is_empty()).then(|| entry.value.into()),
        session: entry.session.into(),
        raft: RaftIndex {
            create_index: entry.create_index,
            modify_index: entry.modify_index,
        },
    }
}
