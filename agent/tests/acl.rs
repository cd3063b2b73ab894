//! What the endpoints of keys do for callers who may not do everything.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::sync::Arc;

use common::{delete, request, server, set};
use oneport::{
    layers::auth::{Level, Rules},
    proto::{
        Head, Identity, Token,
        structs::{KeyListRequest, QueryOptions},
    },
};
use oneport_agent::{Server, endpoints::kv};

/// A caller who may write below `mine/` but not `mine/secret`, and read below `ours/`.
fn head(token: bool) -> Head {
    let mut head = common::unknown();
    let rules = Rules::default()
        .key_prefix("mine/", Level::Write)
        .key("mine/secret", Level::Deny)
        .key_prefix("ours/", Level::Read);
    let identity = Identity::with_grants("ann", rules.grants(Level::Deny));
    head.identity.set(identity).unwrap();
    head.token = token.then(|| Token::new(b"12345678").unwrap());
    head
}

async fn filled() -> Arc<Server> {
    let server = server();
    for key in ["mine/a", "mine/secret", "ours/b", "theirs/c"] {
        set(&server, key, "x").await;
    }
    server
}

#[tokio::test]
async fn a_key_is_read_and_written_by_who_may() {
    let server = filled().await;
    let get = async |key| {
        let request = common::key(key, QueryOptions::default());
        kv::get(Arc::clone(&server), head(true), request).await
    };
    assert!(get("ours/b").await.unwrap().entries.is_some());
    let denied = get("theirs/c").await.unwrap_err();
    let text = "Permission denied: provided token lacks permission 'key:read' on \"theirs/c\"";
    assert_eq!(denied.message(), text);
    // Whether there is such a key is not told.
    assert!(
        get("theirs/none")
            .await
            .unwrap_err()
            .message()
            .starts_with("Permission denied")
    );

    let apply = async |op, key| kv::apply(Arc::clone(&server), head(true), request(op, key)).await;
    assert!(apply("set", "mine/new").await.is_ok());
    let denied = apply("delete", "ours/b").await.unwrap_err();
    assert!(
        denied.message().contains("'key:write' on \"ours/b\""),
        "{}",
        denied.message()
    );
    // A tree with one key that may not be written is not deleted, and neither is a part of it.
    assert!(apply("delete-tree", "mine/").await.is_err());
    assert!(apply("delete-tree", "mine/n").await.is_ok());
    assert!(get("mine/a").await.unwrap().entries.is_some());
}

#[tokio::test]
async fn lists_leave_out_what_may_not_be_read() {
    let server = filled().await;
    for token in [true, false] {
        let request = common::key("", QueryOptions::default());
        let listed = kv::list(Arc::clone(&server), head(token), request)
            .await
            .unwrap();
        let keys: Vec<_> = listed
            .entries
            .unwrap()
            .into_iter()
            .map(|entry| entry.key)
            .collect();
        assert_eq!(keys, ["mine/a", "ours/b"]);
        // That something was left out is told to who showed a token.
        assert_eq!(listed.meta.results_filtered_by_acls, token);

        let request = KeyListRequest {
            separator: "/".into(),
            ..KeyListRequest::default()
        };
        let listed = kv::list_keys(Arc::clone(&server), head(token), request)
            .await
            .unwrap();
        assert_eq!(listed.keys.unwrap(), ["mine/", "ours/"]);
        assert_eq!(listed.meta.results_filtered_by_acls, token);
    }
}

#[tokio::test]
async fn who_is_nobody_may_nothing() {
    let server = filled().await;
    delete(&server, "delete", "mine/a").await;
    let request = common::key("ours/b", QueryOptions::default());
    let denied = kv::get(server, common::unknown(), request)
        .await
        .unwrap_err();
    assert_eq!(denied.message(), "Permission denied");
}
