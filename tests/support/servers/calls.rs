//! Checks of one connection or stream.

use std::time::Duration;

use oneport::{
    proto::{
        structs::{
            DCSpecificRequest, Empty, IndexedDirEntries, IndexedKeyList, KVSRequest, KeyListRequest,
        },
        wire::byte,
    },
    services::{
        Conn,
        netrpc::{CallError, Channel},
    },
};
use tokio::time::Instant;

use super::{
    Far, PATIENCE, Steps,
    caller::{Caller, entry, noise, query},
    polls::{Waiting, sent},
};

/// How calls travel.
#[derive(Clone, Copy)]
enum Over {
    Plain,
    Yamux,
}

pub(crate) async fn over_plain(steps: &mut Steps, far: &Far) {
    all(steps, far, Over::Plain).await;
}

pub(crate) async fn over_yamux(steps: &mut Steps, far: &Far) {
    all(steps, far, Over::Yamux).await;
}

impl Over {
    async fn open(self, far: &Far) -> Caller {
        match self {
            Over::Plain => far.plain().await,
            Over::Yamux => {
                let mux = far.mux().await;
                Caller::on(&mux).await.with(mux)
            }
        }
    }

    /// A caller that takes answers of so many bytes.
    async fn open_with_limit(self, far: &Far, limit: usize) -> Caller {
        let channel = |conn: Conn| Caller::over(Channel::with_reply_limit(conn, limit));
        match self {
            Over::Plain => channel(far.dial(byte::RPC_SINGLE).await),
            Over::Yamux => {
                let mux = far.mux().await;
                channel(mux.open().await.unwrap()).with(mux)
            }
        }
    }

    fn key(self, name: &str) -> String {
        match self {
            Over::Plain => format!("plain/{name}"),
            Over::Yamux => format!("yamux/{name}"),
        }
    }
}

async fn all(steps: &mut Steps, far: &Far, over: Over) {
    let name = |name| over.key(name);
    steps.run(far, &name("calls"), calls(far, over)).await;
    steps.run(far, &name("cas"), cas(far, over)).await;
    steps
        .run(far, &name("error texts"), error_texts(far, over))
        .await;
    steps
        .run(far, &name("unknown methods"), unknown(far, over))
        .await;
    steps
        .run(far, &name("thousand calls"), thousand(far, over))
        .await;
    steps.run(far, &name("values"), values(far, over)).await;
    steps
        .run(far, &name("too large"), too_large(far, over))
        .await;
    steps.run(far, &name("waits"), waits(far, over)).await;
    steps
        .run(far, &name("times out"), times_out(far, over))
        .await;
    steps.run(far, &name("given up"), given_up(far, over)).await;
}

async fn calls(far: &Far, over: Over) {
    let mut caller = over.open(far).await;
    caller.ping().await.unwrap();
    let leader: String = caller
        .call("Status.Leader", &DCSpecificRequest::default())
        .await
        .unwrap();
    assert_eq!(leader, far.addr);

    let at = over.key("calls/");
    let absent = caller.get(&at).await.unwrap();
    assert!(absent.entries.is_none() && absent.meta.index > 0 && absent.meta.known_leader);
    let keys = ["a", "b/1", "b/2"].map(|key| format!("{at}{key}"));
    for key in &keys {
        let mut entry = entry(key, key.as_bytes());
        entry.flags = u64::MAX;
        assert!(!caller.apply("set", entry).await.unwrap());
        let got = caller.entry(key).await;
        assert_eq!(got.flags, u64::MAX);
        assert_eq!(got.value.unwrap().as_bytes(), key.as_bytes());
        assert!(got.raft.create_index > 0 && got.raft.create_index == got.raft.modify_index);
    }
    let listed: IndexedDirEntries = caller
        .call("KVS.List", &query(&at, 0, Duration::ZERO))
        .await
        .unwrap();
    let entries = listed.entries.unwrap().into_iter();
    let listed: Vec<String> = entries.map(|entry| entry.key.to_string()).collect();
    assert_eq!(listed, keys);
    let request = KeyListRequest {
        prefix: at.as_str().into(),
        separator: "/".into(),
        ..KeyListRequest::default()
    };
    let listed: IndexedKeyList = caller.call("KVS.ListKeys", &request).await.unwrap();
    let listed = listed.keys.unwrap().into_iter();
    let listed: Vec<String> = listed.map(|key| key.to_string()).collect();
    assert_eq!(listed, [format!("{at}a"), format!("{at}b/")]);
    caller.apply("delete", entry(&keys[0], b"")).await.unwrap();
    assert!(caller.get(&keys[0]).await.unwrap().entries.is_none());
}

async fn cas(far: &Far, over: Over) {
    let mut caller = over.open(far).await;
    let key = over.key("cas");
    let mut decide = async |op: &str, value: &str, index| {
        let mut entry = entry(&key, value.as_bytes());
        entry.raft.modify_index = index;
        let ok = caller.apply(op, entry).await.unwrap();
        let there = caller.get(&key).await.unwrap().entries.unwrap_or_default();
        (ok, there.first().map_or(0, |entry| entry.raft.modify_index))
    };
    let (ok, index) = decide("cas", "first", 0).await;
    assert!(ok && index > 0);
    assert_eq!(decide("cas", "zero again", 0).await, (false, index));
    assert_eq!(decide("cas", "wrong", index + 1).await, (false, index));
    let (ok, next) = decide("cas", "second", index).await;
    assert!(ok && next > index);
    assert_eq!(decide("delete-cas", "", index).await, (false, next));
    assert_eq!(decide("delete-cas", "", next).await, (true, 0));
}

/// Those after which the connection goes on.
async fn error_texts(far: &Far, over: Over) {
    let mut caller = over.open(far).await;
    let set = caller.apply("set", entry("", b"")).await;
    remote(set, "Must provide key");
    let bogus = KVSRequest {
        op: "Set".into(),
        dir_ent: entry("key", b""),
        ..KVSRequest::default()
    };
    let bogus = caller.call::<_, bool>("KVS.Apply", &bogus).await;
    remote(bogus, "raft apply failed: Invalid KVS operation 'Set'");
    remote(
        caller.get("").await,
        "failed kvs lookup: index error: object is missing a value for this index",
    );
    let elsewhere = DCSpecificRequest {
        datacenter: "elsewhere".into(),
        ..DCSpecificRequest::default()
    };
    let leader = caller.call::<_, String>("Status.Leader", &elsewhere).await;
    remote(leader, "No path to datacenter");
    caller.ping().await.unwrap();
}

/// They are answered, and the connection or stream ends behind the answer.
async fn unknown(far: &Far, over: Over) {
    for (method, text) in [
        ("KVS.Nope", "rpc: can't find method KVS.Nope"),
        ("Nope.Nope", "rpc: can't find service Nope.Nope"),
        ("KVS", "rpc: service/method request ill-formed: KVS"),
    ] {
        let mut caller = over.open(far).await;
        let answer = caller.call::<_, Empty>(method, &Empty::default()).await;
        remote(answer, text);
        let after = caller.ping().await;
        assert!(matches!(after, Err(CallError::Io(_))), "{after:?}");
    }
}

async fn thousand(far: &Far, over: Over) {
    let mut caller = over.open(far).await;
    for _ in 0..1000 {
        caller.ping().await.unwrap();
    }
}

async fn values(far: &Far, over: Over) {
    let mut caller = over.open(far).await;
    for size in [64 << 10, 400 << 10, (1 << 20) + 1] {
        let (key, value) = (over.key(&format!("values/{size}")), noise(size));
        caller.set(&key, &value).await;
        assert!(caller.value(&key).await == value, "{size} other bytes");
    }
}

/// The error names both sizes; the connection is of no use any more, others are.
async fn too_large(far: &Far, over: Over) {
    const LIMIT: usize = 100_000;
    let key = over.key("too large");
    let mut caller = over.open_with_limit(far, LIMIT).await;
    caller.set(&key, &noise(LIMIT - 1000)).await;
    assert_eq!(caller.value(&key).await, noise(LIMIT - 1000));
    caller.set(&key, &noise(LIMIT)).await;
    let refused = caller.get(&key).await.unwrap_err();
    let text = refused.to_string();
    let size = text
        .strip_prefix("bad answer: body of ")
        .and_then(|rest| rest.strip_suffix(" bytes exceeds 100000"));
    let size: usize = size.and_then(|size| size.parse().ok()).expect(&text);
    assert!(size > LIMIT, "{text}");
    assert!(matches!(caller.ping().await, Err(CallError::Closed)));
    assert_eq!(over.open(far).await.value(&key).await, noise(LIMIT));
}

/// A blocking query waits for news, and for nothing else.
async fn waits(far: &Far, over: Over) {
    let (mut caller, mut writer) = (over.open(far).await, over.open(far).await);
    let key = over.key("waits");
    writer.set(&key, b"old").await;
    let index = caller.entry(&key).await.raft.modify_index;
    let request = query(&key, index, PATIENCE * 2);
    let waiting: Waiting = Box::pin(async move { caller.call("KVS.Get", &request).await });
    let waiting = sent(waiting).await;
    for _ in 0..20 {
        writer.set(&over.key("waits for others"), b"").await;
    }
    let mut waiting = sent(waiting).await;
    writer.set(&key, b"new").await;
    let answer = waiting.as_mut().await.unwrap();
    assert!(answer.meta.index > index);
    let entries = answer.entries.unwrap();
    assert_eq!(entries[0].value.as_ref().unwrap().as_bytes(), b"new");
}

/// What does not change is answered when its time is over.
async fn times_out(far: &Far, over: Over) {
    const WAIT: Duration = Duration::from_millis(300);
    let mut caller = over.open(far).await;
    let key = over.key("times out");
    caller.set(&key, b"value").await;
    let index = caller.entry(&key).await.raft.modify_index;
    let began = Instant::now();
    let request = query(&key, index, WAIT);
    let answer: IndexedDirEntries = caller.call("KVS.Get", &request).await.unwrap();
    assert!(began.elapsed() >= WAIT);
    assert_eq!(answer.entries.unwrap()[0].raft.modify_index, index);
}

/// A call that nobody waits for any more leaves nothing for the next one to read.
async fn given_up(far: &Far, over: Over) {
    let mut caller = over.open(far).await;
    let key = over.key("given up");
    caller.set(&key, b"value").await;
    let index = caller.entry(&key).await.raft.modify_index;
    let mut caller = caller.timeout(Duration::from_millis(50));
    let request = query(&key, index, PATIENCE * 2);
    let late = caller.call::<_, Empty>("KVS.Get", &request).await;
    assert!(matches!(late, Err(CallError::TimedOut)), "{late:?}");
    assert!(matches!(caller.ping().await, Err(CallError::Closed)));
    over.open(far).await.ping().await.unwrap();
}

#[track_caller]
pub(crate) fn remote<T: std::fmt::Debug>(answer: Result<T, CallError>, text: &str) {
    match answer {
        Err(CallError::Remote(said)) => assert_eq!(said, text),
        other => panic!("no error of the server: {other:?}"),
    }
}
