//! Checks of many streams in one session.

use std::time::Duration;

use oneport::{
    client::Mux,
    proto::structs::{Empty, IndexedDirEntries},
    services::{
        netrpc::CallError,
        yamux::{Config, OpenError},
    },
};
use tokio::{task::JoinSet, time::Instant};

use super::{
    Far, Steps,
    caller::{Caller, noise, query},
    calls::remote,
    polls::{Polls, sent},
};

pub(crate) async fn all(steps: &mut Steps, far: &Far) {
    steps.run(far, "300 polls", polls(far, 300)).await;
    steps.run(far, "700 polls", polls(far, 700)).await;
    steps.run(far, "long call", long_call(far)).await;
    steps.run(far, "streams in a row", in_a_row(far)).await;
    steps.run(far, "streams at once", at_once(far)).await;
    steps.run(far, "sessions at once", sessions(far)).await;
    steps.run(far, "unread answer", unread_answer(far)).await;
    steps.run(far, "dropped calls", dropped_calls(far)).await;
    steps
        .run(far, "survives errors", survives_errors(far))
        .await;
    steps.run(far, "our go-away", our_go_away(far)).await;
    steps.run(far, "our end", our_end(far)).await;
}

async fn polls(far: &Far, count: usize) {
    let mux = far.mux().await;
    let polls = Polls::start(&mux, &format!("polls/{count}"), count).await;
    polls.wake(&mut Caller::on(&mux).await).await;
    mux.close().await;
}

/// A call of 4 s while a stream may be opened for 1.5 s.
async fn long_call(far: &Far) {
    // On a busy machine an acknowledgement may be late, but not every time.
    for _ in 0..2 {
        if long_call_once(far).await.is_ok() {
            return;
        }
    }
    long_call_once(far).await.unwrap();
}

async fn long_call_once(far: &Far) -> Result<(), CallError> {
    const WAIT: Duration = Duration::from_secs(4);
    let config = Config {
        open_timeout: Duration::from_millis(1500),
        ..Config::default()
    };
    let mux = far.mux_with(config).await;
    let mut writer = Caller::on(&mux).await;
    writer.set("long call", b"value").await;
    let index = writer.entry("long call").await.raft.modify_index;
    let began = Instant::now();
    let request = query("long call", index, WAIT);
    let answer: IndexedDirEntries = Caller::on(&mux).await.call("KVS.Get", &request).await?;
    assert!(began.elapsed() >= WAIT);
    assert_eq!(answer.entries.unwrap()[0].raft.modify_index, index);
    Ok(())
}

async fn in_a_row(far: &Far) {
    let mux = far.mux().await;
    for _ in 0..1000 {
        Caller::on(&mux).await.ping().await.unwrap();
    }
    mux.close().await;
}

/// Values that are larger than a window, both ways, in several streams.
async fn at_once(far: &Far) {
    let mux = far.mux().await;
    let mut streams = JoinSet::new();
    for i in 0..8 {
        let mut caller = Caller::on(&mux).await;
        streams.spawn(async move {
            let key = format!("at once/{i}");
            for round in 0..3 {
                let value = noise((600 << 10) + i + 8 * round);
                caller.set(&key, &value).await;
                assert!(caller.value(&key).await == value, "other bytes");
            }
        });
    }
    streams.join_all().await;
    mux.close().await;
}

async fn sessions(far: &Far) {
    let mut all = JoinSet::new();
    for i in 0..20 {
        let mux = far.mux().await;
        all.spawn(async move {
            for j in 0..8 {
                let (mut caller, key) = (Caller::on(&mux).await, format!("sessions/{i}/{j}"));
                caller.set(&key, key.as_bytes()).await;
                assert_eq!(caller.value(&key).await, key.as_bytes());
            }
            mux.close().await;
        });
    }
    all.join_all().await;
}

/// An answer that nobody reads fills its stream's window, and holds nobody up.
async fn unread_answer(far: &Far) {
    let mux = far.mux().await;
    let (mut caller, value) = (Caller::on(&mux).await, noise(1 << 20));
    caller.set("unread", &value).await;
    let unread = sent(Box::pin(async move { caller.value("unread").await })).await;
    for _ in 0..100 {
        Caller::on(&mux).await.ping().await.unwrap();
    }
    assert!(unread.await == value, "other bytes");
    mux.close().await;
}

/// Futures of calls are dropped while the server works on them: others go on.
async fn dropped_calls(far: &Far) {
    let mux = far.mux().await;
    let others = Polls::start(&mux, "dropped", 50).await;
    let mut waiting = Vec::new();
    for _ in 0..50 {
        waiting.push(others.waiting(&mux).await);
    }
    let mut caller = Caller::on(&mux).await;
    caller.ping().await.unwrap();
    drop(waiting);
    caller.ping().await.unwrap();
    others.wake(&mut caller).await;
    drop(caller);
    // Not before the server has let go of all streams.
    mux.close().await;
}

async fn survives_errors(far: &Far) {
    let mux = far.mux().await;
    for _ in 0..20 {
        let mut caller = Caller::on(&mux).await;
        let answer = caller.call::<_, Empty>("KVS.Nope", &Empty::default()).await;
        remote(answer, "rpc: can't find method KVS.Nope");
        Caller::on(&mux).await.ping().await.unwrap();
    }
    mux.close().await;
}

/// We say go-away with calls in flight: they are answered, and then the session is over.
async fn our_go_away(far: &Far) {
    let (mux, mut other) = (far.mux().await, far.plain().await);
    let polls = Polls::start(&mux, "our go-away", 50).await;
    let closing = sent(Box::pin(mux.close())).await;
    polls.wake(&mut other).await;
    closing.await;
}

/// We drop the session with calls in flight: they fail, and other sessions go on.
async fn our_end(far: &Far) {
    let (mux, other) = (far.mux().await, far.mux().await);
    let stay = Polls::start(&other, "our end/stay", 20).await;
    let cut = Polls::start(&mux, "our end/cut", 50).await;
    drop(mux);
    all_broken(cut).await;
    stay.wake(&mut Caller::on(&other).await).await;
    other.close().await;
}

/// The server is killed with calls in flight: they fail, and so does whoever comes later.
pub(crate) async fn death(steps: &mut Steps, far: &Far, kill: impl FnOnce()) {
    steps
        .run(far, "death of the server", async {
            let (mux, mut plain) = (far.mux().await, far.plain().await);
            let polls = Polls::start(&mux, "death", 50).await;
            plain.ping().await.unwrap();
            kill();
            all_broken(polls).await;
            shut(&mux).await;
            let after = plain.ping().await;
            assert!(matches!(after, Err(CallError::Io(_))), "{after:?}");
        })
        .await;
}

pub(crate) async fn all_broken(polls: Polls) {
    for answer in polls.all().await {
        assert!(matches!(answer, Err(CallError::Io(_))), "{answer:?}");
    }
}

/// The session has ended, which shows in the next stream.
pub(crate) async fn shut(mux: &Mux) {
    assert_eq!(mux.open().await.err(), Some(OpenError::SessionClosed));
    assert!(mux.is_closed());
}
