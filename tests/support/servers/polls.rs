//! Many blocking queries in one session.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

use oneport::{client::Mux, proto::structs::IndexedDirEntries, services::netrpc::CallError};
use tokio::task::JoinSet;

use super::{
    PATIENCE,
    caller::{Caller, query},
};

type Answer = Result<IndexedDirEntries, CallError>;

/// A call that is under way and owns its stream.
pub(crate) type Waiting = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Queries for one key, each in a stream of its own, which the server has.
pub(crate) struct Polls {
    key: String,
    index: u64,
    answers: JoinSet<Answer>,
    count: usize,
}

impl Polls {
    pub(crate) async fn start(mux: &Mux, key: &str, count: usize) -> Polls {
        let mut caller = Caller::on(mux).await;
        caller.set(key, b"old").await;
        let index = caller.entry(key).await.raft.modify_index;
        let mut polls = Polls {
            key: key.to_owned(),
            index,
            answers: JoinSet::new(),
            count,
        };
        for _ in 0..count {
            let waiting = polls.waiting(mux).await;
            polls.answers.spawn(waiting);
        }
        // What was sent before this has arrived when it is answered.
        caller.ping().await.unwrap();
        assert!(polls.answers.try_join_next().is_none(), "answered early");
        polls
    }

    /// One more query, which is sent and waits for the same news.
    pub(crate) async fn waiting(&self, mux: &Mux) -> Waiting {
        let mut caller = Caller::on(mux).await;
        let request = query(&self.key, self.index, PATIENCE * 2);
        sent(Box::pin(
            async move { caller.call("KVS.Get", &request).await },
        ))
        .await
    }

    /// Makes the news over another connection or stream; everybody must hear them.
    pub(crate) async fn wake(self, by: &mut Caller) {
        by.set(&self.key, b"new").await;
        let index = self.index;
        for answer in self.all().await {
            let answer = answer.unwrap();
            assert!(answer.meta.index > index, "{answer:?}");
            let entries = answer.entries.unwrap();
            let value = entries[0].value.as_ref().unwrap();
            assert_eq!((entries.len(), value.as_bytes()), (1, &b"new"[..]));
        }
    }

    /// All answers, whatever they are.
    pub(crate) async fn all(mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        while let Some(answer) = self.answers.join_next().await {
            answers.push(answer.unwrap());
        }
        assert_eq!(answers.len(), self.count);
        answers
    }
}

/// Polls a call once: what it has to say is on its way, and it waits.
pub(crate) async fn sent<T>(
    mut call: Pin<Box<dyn Future<Output = T> + Send>>,
) -> Pin<Box<dyn Future<Output = T> + Send>> {
    poll_fn(|cx| {
        assert!(call.as_mut().poll(cx).is_pending(), "answered at once");
        Poll::Ready(())
    })
    .await;
    call
}
