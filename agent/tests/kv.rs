//! Status and KVS as a client sees them: replies, indexes and every error text.

mod common;

use std::sync::Arc;

use bytes::BytesMut;
use common::{apply, cas, delete, get, head, key, list, list_keys, request, server, set};
use oneport::{
    proto::structs::{DCSpecificRequest, Empty, GoString, IndexedKeyList, QueryOptions},
    services::msgpack,
};
use oneport_agent::endpoints::{kv, status};

fn now() -> QueryOptions {
    QueryOptions::default()
}

fn names(reply: &IndexedKeyList) -> Vec<String> {
    let keys = reply.keys.iter().flatten();
    keys.map(GoString::to_string).collect()
}

#[tokio::test]
async fn a_key_is_written_read_and_deleted() {
    let server = server();
    let none = get(&server, "foo/bar", now()).await;
    assert_eq!((none.entries, none.meta.index), (None, 1));

    let mut set = request("set", "foo/bar");
    set.dir_ent.value = Some("hello".into());
    set.dir_ent.flags = u64::MAX;
    set.dir_ent.lock_index = 9;
    set.dir_ent.session = "nobody".into();
    set.dir_ent.raft.create_index = 999;
    set.dir_ent.raft.modify_index = 998;
    assert!(!apply(&server, set).await.unwrap());

    let reply = get(&server, "foo/bar", now()).await;
    let entry = &reply.entries.as_ref().unwrap()[0];
    let index = server.store().snapshot().last_index();
    assert_eq!(entry.value.as_ref().unwrap(), &"hello");
    assert_eq!((entry.flags, entry.lock_index), (u64::MAX, 9));
    assert_eq!(entry.session, "", "a set stores no session");
    assert_eq!(
        (entry.raft.create_index, entry.raft.modify_index),
        (index, index)
    );
    assert_eq!(reply.meta.index, index);
    assert!(reply.meta.known_leader);

    delete(&server, "delete", "foo/bar").await;
    let gone = get(&server, "foo/bar", now()).await;
    assert_eq!((gone.entries, gone.meta.index), (None, index + 1));
}

#[tokio::test]
async fn the_bytes_of_a_miss_are_consuls() {
    let reply = get(&server(), "nope", now()).await;
    let mut wire = BytesMut::new();
    msgpack::encode(&reply, &mut wire).unwrap();
    let golden = b"\x88\xa7Backend\x00\xb0ConsistencyLevel\xa0\xa7Entries\xc0\xa5Index\x01\
        \xabKnownLeader\xc3\xabLastContact\x00\xabNotModified\xc2\xb5ResultsFilteredByACLs\xc2";
    assert_eq!(&wire[..], &golden[..]);
}

#[tokio::test]
async fn an_empty_value_is_none() {
    let server = server();
    set(&server, "k", "").await;
    let reply = get(&server, "k", now()).await;
    assert_eq!(reply.entries.unwrap()[0].value, None);
}

#[tokio::test]
async fn an_equal_set_moves_no_index() {
    let server = server();
    set(&server, "k", "v").await;
    let before = list(&server, "", now()).await;
    set(&server, "k", "v").await;
    assert_eq!(list(&server, "", now()).await, before);
}

#[tokio::test]
async fn conditions_are_decided_by_the_modify_index() {
    let server = server();
    assert!(
        !cas(&server, "cas", "k", "1", 5).await,
        "an index, but no key"
    );
    assert!(cas(&server, "cas", "k", "1", 0).await, "0 creates");
    assert!(
        !cas(&server, "cas", "k", "2", 0).await,
        "0 does not replace"
    );
    let index = get(&server, "k", now()).await.meta.index;
    assert!(!cas(&server, "cas", "k", "2", index - 1).await);
    assert!(cas(&server, "cas", "k", "2", index).await);
    assert!(!cas(&server, "delete-cas", "k", "", index).await);
    assert!(!cas(&server, "delete-cas", "k", "", 0).await);
    let index = get(&server, "k", now()).await.meta.index;
    assert!(cas(&server, "delete-cas", "k", "", index).await);
    assert!(
        cas(&server, "delete-cas", "k", "", 7).await,
        "what is gone is gone"
    );
}

#[tokio::test]
async fn lists_are_in_bytewise_order_and_keys_are_cut() {
    let server = server();
    for name in ["foo/a/b", "foo/bar", "foo/a/c", "foo", "foo/é", "fop"] {
        set(&server, name, "v").await;
    }
    let all = list_keys(&server, "foo/", "", now()).await;
    assert_eq!(names(&all), ["foo/a/b", "foo/a/c", "foo/bar", "foo/é"]);
    let cut = list_keys(&server, "foo/", "/", now()).await;
    assert_eq!(names(&cut), ["foo/a/", "foo/bar", "foo/é"]);
    let outside = list_keys(&server, "foo", "/", now()).await;
    assert_eq!(names(&outside), ["foo", "foo/"]);
    let none = list_keys(&server, "zzz/", "/", now()).await;
    assert_eq!(none.keys, None);
    let entries = list(&server, "foo/a/", now()).await.entries.unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!(list(&server, "zzz/", now()).await.entries, None);
}

/// Consul's tables end keys with a NUL, and prefixes are looked for in that.
#[tokio::test]
async fn the_end_of_a_key_is_below_a_prefix_too() {
    let server = server();
    for name in ["p", "p\0", "p\0x", "p0", "q"] {
        set(&server, name, "v").await;
    }
    let below = |prefix: &'static str| {
        let server = Arc::clone(&server);
        async move { names(&list_keys(&server, prefix, "", now()).await) }
    };
    assert_eq!(below("p\0").await, ["p", "p\0", "p\0x"]);
    assert_eq!(below("p\0\0").await, ["p\0"]);
    delete(&server, "delete-tree", "p\0").await;
    assert_eq!(below("p").await, ["p0"]);
    // Tombstones are looked for without the NUL: p0's is below this prefix too.
    let index = |prefix: &'static str| {
        let server = Arc::clone(&server);
        async move { list(&server, prefix, now()).await.meta.index }
    };
    delete(&server, "delete", "p0").await;
    let buried = index("p0").await;
    set(&server, "q", "w").await;
    assert_eq!(index("p\0\0").await, buried);
    assert_eq!(index("r\0").await, buried + 1, "the table's");
}

#[tokio::test]
async fn list_indexes_remember_deletions() {
    let server = server();
    set(&server, "a/1", "v").await;
    set(&server, "a/2", "v").await;
    set(&server, "b", "v").await;
    let index = |prefix: &'static str| {
        let server = Arc::clone(&server);
        async move { list(&server, prefix, now()).await.meta.index }
    };
    let (a, b) = (index("a/").await, index("b").await);
    assert_eq!(b, a + 1);
    assert_eq!(index("none").await, b, "nothing below: the table's index");
    delete(&server, "delete", "a/2").await;
    assert_eq!(index("a/").await, b + 1, "the tombstone's, not a/1's");
    assert_eq!(index("b").await, b);
    delete(&server, "delete-tree", "a/").await;
    assert_eq!(index("a/").await, b + 2);
    delete(&server, "delete-tree", "none").await;
    assert_eq!(index("").await, b + 2, "nothing was deleted");
    delete(&server, "delete-tree", "").await;
    assert_eq!(index("").await, b + 4);
    assert_eq!(list(&server, "", now()).await.entries, None);
}

#[tokio::test]
async fn every_refusal_has_consuls_text() {
    let server = server();
    set(&server, "k", "v").await;
    let with_session = |op: &str, session: &str| {
        let mut request = request(op, "k");
        request.dir_ent.session = session.into();
        request
    };
    let mut elsewhere = request("set", "k");
    elsewhere.datacenter = "DC1".into();
    let cases = [
        (request("set", ""), "Must provide key"),
        (request("bogus", ""), "Must provide key"),
        (
            request("bogus", "k"),
            "raft apply failed: Invalid KVS operation 'bogus'",
        ),
        (
            request("", "k"),
            "raft apply failed: Invalid KVS operation ''",
        ),
        (
            request("SET", "k"),
            "raft apply failed: Invalid KVS operation 'SET'",
        ),
        (
            with_session("lock", "nope"),
            "raft apply failed: invalid session \"nope\"",
        ),
        (
            with_session("lock", ""),
            "raft apply failed: missing session",
        ),
        (
            with_session("unlock", ""),
            "raft apply failed: missing session",
        ),
        (elsewhere, "No path to datacenter"),
    ];
    for (request, text) in cases {
        let error = apply(&server, request).await.unwrap_err();
        assert_eq!(error.message(), text);
    }
    assert!(
        !apply(&server, with_session("unlock", "nope"))
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn reads_are_refused_with_consuls_text() {
    let server = server();
    let error = kv::get(Arc::clone(&server), head(), key("", now()))
        .await
        .unwrap_err();
    let empty = "failed kvs lookup: index error: object is missing a value for this index";
    assert_eq!(error.message(), empty);

    let mut elsewhere = key("", now());
    elsewhere.datacenter = "dc9".into();
    let reads = [
        kv::get(Arc::clone(&server), head(), elsewhere.clone()).await,
        kv::list(Arc::clone(&server), head(), elsewhere).await,
    ];
    for read in reads {
        assert_eq!(read.unwrap_err().message(), "No path to datacenter");
    }
}

#[tokio::test]
async fn status_tells_who_leads() {
    let server = server();
    let asked = |datacenter: &str| DCSpecificRequest {
        datacenter: datacenter.into(),
        ..DCSpecificRequest::default()
    };
    for datacenter in ["", "dc1"] {
        let leader = status::leader(Arc::clone(&server), head(), asked(datacenter)).await;
        assert_eq!(leader.unwrap(), "127.0.0.1:8300");
        let peers = status::peers(Arc::clone(&server), head(), asked(datacenter)).await;
        assert_eq!(peers.unwrap(), ["127.0.0.1:8300"]);
    }
    let leader = status::leader(Arc::clone(&server), head(), asked("DC1")).await;
    assert_eq!(leader.unwrap_err().message(), "No path to datacenter");
    let peers = status::peers(Arc::clone(&server), head(), asked("nodc")).await;
    assert_eq!(peers.unwrap_err().message(), "No path to datacenter");

    let stats = status::raft_stats(server, head(), Empty::default())
        .await
        .unwrap();
    assert_eq!((stats.last_contact, stats.last_term), ("0".into(), 2));
    assert!(stats.last_index > 1);
}
