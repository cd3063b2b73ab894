//! Checks of what servers do to us, which the small ones do when they are told to.

use oneport::{
    proto::structs::{Blob, Empty},
    services::{
        netrpc::{CallError, Channel},
        yamux::OpenError,
    },
};
use serde::Serialize;

use super::{
    Far, PATIENCE, Steps,
    caller::Caller,
    polls::{Polls, sent},
    sessions::{all_broken, shut},
};

pub(crate) async fn all(steps: &mut Steps, far: &Far) {
    steps.run(far, "their ping", their_ping(far)).await;
    steps.run(far, "their stream", their_stream(far)).await;
    steps.run(far, "no stream is left", none_left(far)).await;
    steps.run(far, "their go-away", their_go_away(far)).await;
    steps.run(far, "their end", their_end(far)).await;
    steps.run(far, "their flood", their_flood(far)).await;
}

/// They are asked something about all of their sessions, and answer with a number.
async fn ask(caller: &mut Caller, method: &str) -> u64 {
    caller.call(method, &Empty::default()).await.unwrap()
}

async fn their_ping(far: &Far) {
    let mux = far.mux().await;
    let polls = Polls::start(&mux, "their ping", 20).await;
    let mut caller = Caller::on(&mux).await;
    assert_eq!(ask(&mut caller, "Peer.Ping").await, 1);
    polls.wake(&mut caller).await;
    drop(caller);
    mux.close().await;
}

/// A client has no streams for the server: they are reset, and that is all.
async fn their_stream(far: &Far) {
    let mux = far.mux().await;
    let polls = Polls::start(&mux, "their stream", 20).await;
    let mut caller = Caller::on(&mux).await;
    assert_eq!(ask(&mut caller, "Peer.Open").await, 1);
    polls.wake(&mut caller).await;
    drop(caller);
    mux.close().await;
}

/// A call that is dropped while the server works on it leaves no stream behind at the server,
/// though it still works.
async fn none_left(far: &Far) {
    let mux = far.mux().await;
    let polls = Polls::start(&mux, "none left", 20).await;
    let mut waiting = Vec::new();
    for _ in 0..50 {
        waiting.push(polls.waiting(&mux).await);
    }
    let mut caller = Caller::on(&mux).await;
    // Those that wait, those that are dropped next, and the one that asks.
    let mut streams = ask(&mut caller, "Peer.Streams").await;
    assert_eq!(streams, 20 + 50 + 1);
    drop(waiting);
    while streams > 20 + 1 {
        streams = ask(&mut caller, "Peer.Streams").await;
    }
    assert_eq!(streams, 20 + 1);
    polls.wake(&mut caller).await;
    drop(caller);
    mux.close().await;
}

/// What is under way is answered; what is new belongs elsewhere.
async fn their_go_away(far: &Far) {
    let mux = far.mux().await;
    let polls = Polls::start(&mux, "their go-away", 50).await;
    let mut caller = Caller::on(&mux).await;
    assert_eq!(ask(&mut caller, "Peer.GoAway").await, 1);
    assert_eq!(mux.open().await.err(), Some(OpenError::GoAway));
    assert!(mux.is_closed());
    polls.wake(&mut caller).await;
    caller.ping().await.unwrap();
    drop(caller);
    mux.close().await;
    let mux = far.mux().await;
    Caller::on(&mux).await.ping().await.unwrap();
    mux.close().await;
}

/// They close the connection in the middle of calls: all of them fail, at once.
async fn their_end(far: &Far) {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Sleep {
        time: u64,
    }
    let (mux, mut plain) = (far.mux().await, far.plain().await);
    let polls = Polls::start(&mux, "their end", 50).await;
    let mut sleeper = Caller::on(&mux).await;
    let time = u64::try_from((PATIENCE * 2).as_nanos()).unwrap();
    let sleeping = sent(Box::pin(async move {
        sleeper
            .call::<_, Empty>("Peer.Sleep", &Sleep { time })
            .await
    }));
    let sleeping = sleeping.await;
    assert_eq!(ask(&mut plain, "Peer.Close").await, 1);
    all_broken(polls).await;
    let slept = sleeping.await;
    assert!(matches!(slept, Err(CallError::Io(_))), "{slept:?}");
    shut(&mux).await;
    plain.ping().await.unwrap();
}

/// They answer much more than we take: that call fails, and its neighbours do not notice.
async fn their_flood(far: &Far) {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Fill {
        size: usize,
    }
    let mux = far.mux().await;
    let polls = Polls::start(&mux, "their flood", 20).await;
    let channel = Channel::with_reply_limit(mux.open().await.unwrap(), 1 << 20);
    let mut caller = Caller::over(channel);
    let fits: Blob = caller
        .call("Peer.Fill", &Fill { size: 1_000_000 })
        .await
        .unwrap();
    assert_eq!(fits.len(), 1_000_000);
    let size = 64 << 20;
    let flood = caller.call::<_, Blob>("Peer.Fill", &Fill { size }).await;
    assert!(matches!(flood, Err(CallError::Refused(_))), "{flood:?}");
    let text = flood.unwrap_err().to_string();
    assert_eq!(text, "bad answer: body of 67108869 bytes exceeds 1048576");
    drop(caller);
    polls.wake(&mut Caller::on(&mux).await).await;
    mux.close().await;
}
