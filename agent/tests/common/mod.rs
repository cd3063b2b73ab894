//! A server without a port, called in place.

#![allow(
    dead_code,
    reason = "every test file is a crate of its own and uses a part"
)]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;

use oneport::proto::{
    Class, Everything, Family, Head, Identity, Method, MethodInfo, Session,
    structs::{
        DirEntry, IndexedDirEntries, IndexedKeyList, KVSRequest, KeyListRequest, KeyRequest,
        QueryOptions, RaftIndex,
    },
};
use oneport_agent::{Config, Server, endpoints::kv};
use tonic::Status;

pub(crate) fn server() -> Arc<Server> {
    with(Config::default())
}

pub(crate) fn with(config: Config) -> Arc<Server> {
    Arc::new(Server::new(&config, "127.0.0.1:8300".parse().unwrap()))
}

/// A caller who may do everything.
pub(crate) fn head() -> Head {
    let mut head = unknown();
    let everybody = Identity::with_grants("test", Arc::new(Everything));
    head.identity.set(everybody).unwrap();
    head
}

/// A caller of whom nobody said who it is.
pub(crate) fn unknown() -> Head {
    let method = MethodInfo::intern(Family::NetRpc, "Test.Call", Class::Read).unwrap();
    let now = tokio::time::Instant::now();
    Head::new(Method::Known(method), Session::in_process(), now)
}

pub(crate) fn request(op: &str, key: &str) -> KVSRequest {
    KVSRequest {
        op: op.into(),
        dir_ent: DirEntry {
            key: key.into(),
            ..DirEntry::default()
        },
        ..KVSRequest::default()
    }
}

pub(crate) async fn apply(server: &Arc<Server>, request: KVSRequest) -> Result<bool, Status> {
    kv::apply(Arc::clone(server), head(), request).await
}

pub(crate) async fn set(server: &Arc<Server>, key: &str, value: &str) {
    let mut request = request("set", key);
    request.dir_ent.value = Some(value.into());
    assert!(!apply(server, request).await.unwrap());
}

pub(crate) async fn cas(
    server: &Arc<Server>,
    op: &str,
    key: &str,
    value: &str,
    index: u64,
) -> bool {
    let mut request = request(op, key);
    request.dir_ent.value = Some(value.into());
    request.dir_ent.raft = RaftIndex {
        modify_index: index,
        ..RaftIndex::default()
    };
    apply(server, request).await.unwrap()
}

pub(crate) async fn delete(server: &Arc<Server>, op: &str, key: &str) {
    assert!(!apply(server, request(op, key)).await.unwrap());
}

pub(crate) fn key(key: &str, query: QueryOptions) -> KeyRequest {
    KeyRequest {
        key: key.into(),
        query,
        ..KeyRequest::default()
    }
}

pub(crate) async fn get(
    server: &Arc<Server>,
    name: &str,
    query: QueryOptions,
) -> IndexedDirEntries {
    let request = key(name, query);
    kv::get(Arc::clone(server), head(), request).await.unwrap()
}

pub(crate) async fn list(
    server: &Arc<Server>,
    prefix: &str,
    query: QueryOptions,
) -> IndexedDirEntries {
    let request = key(prefix, query);
    kv::list(Arc::clone(server), head(), request).await.unwrap()
}

pub(crate) async fn list_keys(
    server: &Arc<Server>,
    prefix: &str,
    separator: &str,
    query: QueryOptions,
) -> IndexedKeyList {
    let request = KeyListRequest {
        prefix: prefix.into(),
        separator: separator.into(),
        query,
        ..KeyListRequest::default()
    };
    let reply = kv::list_keys(Arc::clone(server), head(), request).await;
    reply.unwrap()
}
