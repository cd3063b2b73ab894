//! Waiting for both. Whoever is slower is waited for as long as it takes, and nobody longer than
//! that: what is equal is equal at once.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::both::Both;
use super::sight::Sight;
use super::step::Step;
use super::talk::Talk;
use super::{compare, mask};

/// How long one may be slower than the other, on a machine that has other things to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(25);
/// What is to stay as it is gets so long to change.
pub(crate) const QUIET: Duration = Duration::from_millis(15);

/// Waits until one of them has brought more, or the moment has come: then it is false.
pub(crate) async fn more(talks: &mut [Both<Talk>], until: Instant) -> bool {
    let talks = talks.iter_mut().flat_map(Both::each);
    let mut waits: Vec<Pin<Box<dyn Future<Output = ()> + Send + '_>>> = Vec::new();
    for talk in talks {
        waits.push(Box::pin(talk.more()));
    }
    let any = poll_fn(|context| {
        let mut ready = false;
        for wait in &mut waits {
            ready |= wait.as_mut().poll(context).is_ready();
            if ready {
                break;
            }
        }
        if ready {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    });
    timeout_at(until, any).await.is_ok()
}

/// Waits until both have done this.
pub(crate) async fn until(
    talks: &mut Both<Talk>,
    patience: Duration,
    mut done: impl FnMut(&mut Talk) -> bool,
) {
    let end = Instant::now() + patience;
    let talks = std::slice::from_mut(talks);
    loop {
        let [consul, ours] = talks[0].each();
        // Both are asked: each counts what it has.
        let (consul, ours) = (done(consul), done(ours));
        if consul && ours || !more(talks, end).await {
            return;
        }
    }
}

/// Waits until what both have said is fine, and nothing more comes for a while.
pub(crate) async fn settle(
    talks: &mut Both<Talk>,
    quiet: Duration,
    patience: Duration,
    fine: impl Fn(&Both<Sight>) -> bool,
) {
    let end = Instant::now() + patience.max(quiet);
    let talks = std::slice::from_mut(talks);
    loop {
        while !talks[0].all(Talk::ended) && more(talks, Instant::now() + quiet).await {}
        let fine = fine(&talks[0].map(Talk::sight));
        if fine || talks[0].all(Talk::ended) || Instant::now() >= end {
            return;
        }
    }
}

/// Whether both said the same, or a row of the deviations says why not.
pub(crate) fn is_fine(step: &Step, seen: &Both<Sight>, addrs: &Both<SocketAddr>) -> bool {
    compare::sights(seen, addrs).is_ok() || mask::explains(step, seen).is_some()
}
