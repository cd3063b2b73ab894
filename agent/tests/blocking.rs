//! Blocking queries on a paused clock.

mod common;

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use common::{delete, get, list, list_keys, server, set, with};
use oneport::proto::structs::{GoDuration, IndexedDirEntries, QueryOptions};
use oneport_agent::{Config, Server};
use tokio::time::{Instant, advance};

const SECOND: Duration = Duration::from_secs(1);

fn above(index: u64, wait: Duration) -> QueryOptions {
    QueryOptions {
        min_query_index: index,
        max_query_time: GoDuration::from(wait),
        ..QueryOptions::default()
    }
}

fn now() -> QueryOptions {
    QueryOptions::default()
}

async fn index(server: &Arc<Server>, key: &str) -> u64 {
    get(server, key, now()).await.meta.index
}

/// A query on its way, polled by hand.
type Query<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Whether the query still waits after everything that can happen without time passing.
async fn waits<T>(query: &mut Query<'_, T>) -> bool {
    tokio::select! {
        biased;
        _ = query => false,
        () = tokio::task::yield_now() => true,
    }
}

fn first_index(reply: &IndexedDirEntries) -> Option<u64> {
    Some(reply.entries.as_ref()?.first()?.raft.modify_index)
}

#[tokio::test(start_paused = true)]
async fn a_write_wakes_the_query() {
    let server = server();
    set(&server, "a", "1").await;
    let before = index(&server, "a").await;
    let mut query: Query<_> = Box::pin(get(&server, "a", above(before, 10 * SECOND)));
    assert!(waits(&mut query).await);
    set(&server, "a", "2").await;
    let start = Instant::now();
    let reply = query.await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(reply.meta.index, before + 1);
    assert_eq!(first_index(&reply), Some(before + 1));
}

#[tokio::test(start_paused = true)]
async fn an_old_index_is_answered_at_once() {
    let server = server();
    set(&server, "a", "1").await;
    let index = index(&server, "a").await;
    let start = Instant::now();
    get(&server, "a", above(index - 1, SECOND)).await;
    get(
        &server,
        "a",
        QueryOptions {
            min_query_index: 0,
            ..above(0, SECOND)
        },
    )
    .await;
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// How long a query lasts that nothing wakes.
async fn lasts(asked: Duration) -> Duration {
    let server = server();
    set(&server, "a", "1").await;
    let index = index(&server, "a").await;
    let start = Instant::now();
    let reply = get(&server, "a", above(index, asked)).await;
    assert_eq!(reply.meta.index, index);
    assert_eq!(first_index(&reply), Some(index));
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_timeout_answers_with_what_there_is() {
    // The clock of the runtime ticks in milliseconds.
    let tick = Duration::from_millis(1);
    for (asked, at_least) in [
        (2 * SECOND, 2 * SECOND),
        (Duration::ZERO, 300 * SECOND),
        (7200 * SECOND, 600 * SECOND),
    ] {
        let lasted = lasts(asked).await;
        assert!(lasted >= at_least, "{asked:?} lasted {lasted:?}");
        assert!(
            lasted <= at_least * 17 / 16 + tick,
            "{asked:?} lasted {lasted:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn equal_queries_do_not_end_together() {
    let mut lengths = Vec::new();
    for _ in 0..8 {
        lengths.push(lasts(600 * SECOND).await);
    }
    lengths.dedup();
    assert!(lengths.len() > 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_new_is_no_answer() {
    let server = server();
    set(&server, "a", "1").await;
    let index = index(&server, "a").await;
    let mut key: Query<_> = Box::pin(get(&server, "a", above(index, 10 * SECOND)));
    let mut prefix: Query<_> = Box::pin(list(&server, "a", above(index, 10 * SECOND)));
    assert!(waits(&mut key).await && waits(&mut prefix).await);
    set(&server, "b", "1").await;
    delete(&server, "delete", "b").await;
    set(&server, "a", "1").await;
    delete(&server, "delete", "a/none").await;
    assert!(waits(&mut key).await && waits(&mut prefix).await);
    set(&server, "a/below", "1").await;
    assert!(waits(&mut key).await);
    assert!(!waits(&mut prefix).await);
    assert_eq!(key.await.meta.index, index);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_waited_for() {
    let server = server();
    set(&server, "other", "1").await;
    let table = index(&server, "new").await;
    let mut query: Query<_> = Box::pin(get(&server, "new", above(table, 10 * SECOND)));
    assert!(waits(&mut query).await);
    set(&server, "news", "1").await;
    set(&server, "ne", "1").await;
    assert!(waits(&mut query).await, "the table moved, but not the key");
    set(&server, "new", "1").await;
    let reply = query.await;
    assert_eq!(first_index(&reply), Some(table + 3));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_comes_and_goes_unseen_is_still_waited_for() {
    let server = server();
    set(&server, "other", "1").await;
    let table = index(&server, "new").await;
    let mut query: Query<_> = Box::pin(get(&server, "new", above(table, 10 * SECOND)));
    assert!(waits(&mut query).await);
    set(&server, "new", "1").await;
    delete(&server, "delete", "new").await;
    assert!(waits(&mut query).await);
    let start = Instant::now();
    let reply = query.await;
    assert_eq!(reply.entries, None);
    assert_eq!(
        reply.meta.index,
        table + 2,
        "a time-out tells the present index"
    );
    assert!(start.elapsed() >= 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_wakes_key_and_prefix() {
    let server = server();
    for (op, name) in [
        ("delete", "t/a"),
        ("delete-tree", "t/"),
        ("delete-tree", ""),
    ] {
        set(&server, "t/a", "1").await;
        let index = index(&server, "t/a").await;
        let mut key: Query<_> = Box::pin(get(&server, "t/a", above(index, SECOND)));
        let mut prefix: Query<_> = Box::pin(list_keys(&server, "t/", "/", above(index, SECOND)));
        assert!(waits(&mut key).await && waits(&mut prefix).await);
        delete(&server, op, name).await;
        let start = Instant::now();
        let (key, prefix) = (key.await, prefix.await);
        assert_eq!(start.elapsed(), Duration::ZERO, "{op} {name:?}");
        assert_eq!((key.entries, key.meta.index), (None, index + 1));
        assert_eq!((prefix.keys, prefix.meta.index), (None, index + 1));
    }
}

#[tokio::test(start_paused = true)]
async fn an_index_from_the_future_waits_until_the_end() {
    let server = server();
    set(&server, "a", "1").await;
    let index = index(&server, "a").await;
    let mut query: Query<_> = Box::pin(get(&server, "a", above(index + 100, SECOND)));
    assert!(waits(&mut query).await);
    set(&server, "a", "2").await;
    assert!(waits(&mut query).await);
    let start = Instant::now();
    assert_eq!(query.await.meta.index, index + 1);
    assert!(start.elapsed() >= SECOND);
}

#[tokio::test(start_paused = true)]
async fn the_end_answers_everybody_at_once() {
    let server = server();
    set(&server, "a", "1").await;
    let index = index(&server, "a").await;
    let mut query: Query<_> = Box::pin(get(&server, "a", above(index, 600 * SECOND)));
    let mut absent: Query<_> = Box::pin(get(&server, "b", above(index, 600 * SECOND)));
    assert!(waits(&mut query).await && waits(&mut absent).await);
    server.queries().end();
    let start = Instant::now();
    assert_eq!(query.await.meta.index, index);
    assert_eq!(absent.await.meta.index, index);
    get(&server, "a", above(index, 600 * SECOND)).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_query_leaves_nothing_behind() {
    let server = server();
    set(&server, "a", "1").await;
    let index = index(&server, "a").await;
    let mut query: Query<_> = Box::pin(get(&server, "a", above(index, SECOND)));
    assert!(waits(&mut query).await);
    assert_eq!(
        (server.store().watches(), server.queries().blocking()),
        (1, 1)
    );
    drop(query);
    assert_eq!(
        (server.store().watches(), server.queries().blocking()),
        (0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn one_too_many_is_answered_at_once() {
    let mut config = Config::default();
    config.queries.max_blocking = 2;
    let server = with(config);
    set(&server, "a", "1").await;
    let index = index(&server, "a").await;
    let mut first: Query<_> = Box::pin(get(&server, "a", above(index, SECOND)));
    let mut second: Query<_> = Box::pin(get(&server, "a", above(index, SECOND)));
    assert!(waits(&mut first).await && waits(&mut second).await);
    let start = Instant::now();
    let third = get(&server, "a", above(index, SECOND)).await;
    assert_eq!((third.meta.index, start.elapsed()), (index, Duration::ZERO));
    drop(first);
    let mut fourth: Query<_> = Box::pin(get(&server, "a", above(index, SECOND)));
    assert!(waits(&mut fourth).await);
}

#[tokio::test(start_paused = true)]
async fn a_write_wakes_those_it_concerns_among_thousands() {
    let server = server();
    set(&server, "k/0", "1").await;
    let index = index(&server, "k/0").await;
    let names: Vec<_> = (0..4096).map(|n| format!("k/{n}")).collect();
    let mut tasks = tokio::task::JoinSet::new();
    for name in names {
        let server = Arc::clone(&server);
        tasks.spawn(async move {
            get(&server, &name, above(index, 60 * SECOND)).await;
            name
        });
    }
    while server.queries().blocking() < 4096 {
        tokio::task::yield_now().await;
    }
    set(&server, "k/7", "1").await;
    assert_eq!(tasks.join_next().await.unwrap().unwrap(), "k/7");
    advance(30 * SECOND).await;
    assert!(tasks.try_join_next().is_none());
    assert_eq!(server.queries().blocking(), 4095);
    tasks.shutdown().await;
    assert_eq!(
        (server.store().watches(), server.queries().blocking()),
        (0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn an_old_tombstone_hides_no_deletion() {
    let server = server();
    set(&server, "a/b/c", "1").await;
    delete(&server, "delete", "a/b/c").await;
    set(&server, "a/b/d", "1").await;
    let before = list(&server, "a/b/", now()).await.meta.index;
    let mut query: Query<_> = Box::pin(list(&server, "a/b/", above(before, SECOND)));
    assert!(waits(&mut query).await);
    delete(&server, "delete-tree", "a/").await;
    let reply = query.await;
    assert_eq!((reply.entries, reply.meta.index), (None, before + 1));
    // Read without waiting the index is Consul's: the old tombstone's.
    assert_eq!(list(&server, "a/b/", now()).await.meta.index, before - 1);
}
