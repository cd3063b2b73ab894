//! How many calls may run at once.
//!
//! A call counts from the moment it is passed on until its reply has ended, which for a stream is
//! its last byte, or until it is abandoned. One more than may run is refused at once with
//! [`Refusal::InFlight`]; nothing queues here.
//!
//! # Blocking queries
//! A blocking query waits for news, for minutes, and does no work meanwhile; an agent of Consul's
//! keeps one for each thing it watches, so that a server has thousands of them beside a handful of
//! calls that really run. If they counted as calls, a bound that protects the server from a pile of
//! work would be used up by watchers, who cost nothing but memory. So they have
//! [bounds of their own](InFlightConfig::waiting), sized for memory, and take no place of a call.
//! A server that answers a query too many at once with what there is, as ours does, keeps that
//! limit below this one; then nobody is refused here.
//!
//! Methods of the class [`Exempt`](Class::Exempt), liveness probes, are passed on uncounted: a
//! server that is full is alive.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasherDefault, Hasher},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use oneport_proto::{BoxError, Call, Class, End, Head, Method, Refusal, Reply};
use tonic::{Code, Status};
use tower::{Layer, Service};

use crate::{
    guard::{Guard, Guarded},
    refusable::head,
};

/// Calls that run at once, in all: many times what fast handlers reach, so that being there means
/// that something behind them is stuck. Consul has no such limit.
pub const MAX_CALLS: usize = 8192;
/// Calls that run at once on one connection: a quarter of the streams that a yamux session may have.
pub const MAX_CALLS_PER_CONNECTION: usize = 1024;
/// Blocking queries that wait at once, in all: twice what the agent lets wait, which answers one
/// more at once. Consul has no such limit.
pub const MAX_WAITING: usize = 16_384;
/// Blocking queries that wait at once on one connection: one on each stream of a yamux session.
pub const MAX_WAITING_PER_CONNECTION: usize = 4096;

/// The bounds of an [`InFlightLayer`]. In every field zero means "no limit".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InFlightConfig {
    /// Calls at once, in all. Default [`MAX_CALLS`].
    pub calls: usize,
    /// Calls at once on one connection. Default [`MAX_CALLS_PER_CONNECTION`].
    pub calls_per_connection: usize,
    /// Blocking queries at once, in all. Default [`MAX_WAITING`].
    pub waiting: usize,
    /// Blocking queries at once on one connection. Default [`MAX_WAITING_PER_CONNECTION`].
    pub waiting_per_connection: usize,
}

impl Default for InFlightConfig {
    fn default() -> Self {
        InFlightConfig {
            calls: MAX_CALLS,
            calls_per_connection: MAX_CALLS_PER_CONNECTION,
            waiting: MAX_WAITING,
            waiting_per_connection: MAX_WAITING_PER_CONNECTION,
        }
    }
}

/// Bounds how many calls run at once. Clones of a layer, and all services that they make, share
/// their bounds.
#[derive(Clone, Debug)]
pub struct InFlightLayer(Arc<Bounds>);

impl InFlightLayer {
    /// With these bounds.
    pub fn new(config: InFlightConfig) -> InFlightLayer {
        let layer = InFlightLayer(Arc::default());
        layer.set(config);
        layer
    }

    /// Changes the bounds. Calls that run go on, however many they are; the next one finds the new
    /// bounds.
    pub fn set(&self, config: InFlightConfig) {
        self.0.calls.set(config.calls, config.calls_per_connection);
        let each = config.waiting_per_connection;
        self.0.waiting.set(config.waiting, each);
    }

    /// How many calls run, exempt ones and blocking queries not counted.
    pub fn calls(&self) -> usize {
        self.0.calls.all.load(Relaxed)
    }

    /// How many blocking queries wait.
    pub fn waiting(&self) -> usize {
        self.0.waiting.all.load(Relaxed)
    }
}

impl<S> Layer<S> for InFlightLayer {
    type Service = InFlight<S>;

    fn layer(&self, inner: S) -> InFlight<S> {
        InFlight {
            inner,
            bounds: Arc::clone(&self.0),
        }
    }
}

/// A service with a bound on its calls: see the [module](self).
#[derive(Clone, Debug)]
pub struct InFlight<S> {
    inner: S,
    bounds: Arc<Bounds>,
}

impl<S, R> Service<R> for InFlight<S>
where
    R: Call,
    S: Service<R, Error: Into<BoxError>, Response: Reply>,
{
    type Response = <S::Response as Reply>::Tracked<Permit>;
    type Error = BoxError;
    type Future = Guarded<S::Future, Permit>;

    /// As the inner service: a place is taken by a call, not by the wish to make one.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let permit = head(&request).and_then(|head| Permit::take(&self.bounds, head));
        match permit {
            Ok(permit) => Guarded::begin(permit, || self.inner.call(request)),
            Err(refused) => Guarded::refused(refused),
        }
    }
}

/// A running call's place; given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    /// None for an exempt call.
    _place: Option<Place>,
}

#[derive(Debug)]
struct Place {
    bounds: Arc<Bounds>,
    waits: bool,
    /// The connection, if its calls were being counted when this one began.
    session: Option<u64>,
}

impl Permit {
    fn take(bounds: &Arc<Bounds>, head: &Head) -> Result<Permit, Status> {
        if let Method::Known(info) = head.method
            && info.class == Class::Exempt
        {
            return Ok(Permit { _place: None });
        }
        let waits = head.wait.is_some();
        let Some(session) = bounds.of(waits).take(head.session.id) else {
            return Err(Refusal::InFlight.into());
        };
        let place = Place {
            bounds: Arc::clone(bounds),
            waits,
            session,
        };
        Ok(Permit {
            _place: Some(place),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.bounds.of(self.waits).give(self.session);
    }
}

impl End for Permit {
    fn end(self, _code: Code) {}
}

impl Guard for Permit {}

#[derive(Debug, Default)]
struct Bounds {
    calls: Bound,
    waiting: Bound,
}

impl Bounds {
    fn of(&self, waits: bool) -> &Bound {
        if waits { &self.waiting } else { &self.calls }
    }
}

/// A bound on one kind of calls. A limit of zero is none.
#[derive(Default)]
struct Bound {
    most: AtomicUsize,
    most_each: AtomicUsize,
    all: AtomicUsize,
    each: Each,
}

impl Bound {
    fn set(&self, most: usize, most_each: usize) {
        self.most.store(most, Relaxed);
        self.most_each.store(most_each, Relaxed);
    }

    /// Takes a place for a call on the connection `session`. What is inside is to be given back.
    fn take(&self, session: u64) -> Option<Option<u64>> {
        let most = self.most.load(Relaxed);
        let one_more = |running| one_more(running, most);
        self.all.fetch_update(Relaxed, Relaxed, one_more).ok()?;
        let most_each = self.most_each.load(Relaxed);
        if most_each == 0 {
            return Some(None);
        }
        if self.each.take(session, most_each) {
            return Some(Some(session));
        }
        self.all.fetch_sub(1, Relaxed);
        None
    }

    fn give(&self, session: Option<u64>) {
        if let Some(session) = session {
            self.each.give(session);
        }
        self.all.fetch_sub(1, Relaxed);
    }
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound")
            .field("most", &self.most)
            .field("most_each", &self.most_each)
            .field("all", &self.all)
            .finish_non_exhaustive()
    }
}

/// The count with one more call, if `most` lets it in.
fn one_more(running: usize, most: usize) -> Option<usize> {
    (most == 0 || running < most).then_some(running + 1)
}

/// How many locks share the connections: their calls meet on one only by chance.
const SHARDS: u64 = 64;

/// Counts of calls by connection. A connection without any takes no room.
struct Each(Box<[Mutex<Counts>]>);

type Counts = HashMap<u64, usize, BuildHasherDefault<Spread>>;

impl Default for Each {
    fn default() -> Each {
        Each((0..SHARDS).map(|_| Mutex::default()).collect())
    }
}

impl Each {
    fn take(&self, session: u64, most: usize) -> bool {
        let mut counts = self.shard(session);
        let running = counts.entry(session).or_default();
        match one_more(*running, most) {
            Some(more) => {
                *running = more;
                true
            }
            None => false,
        }
    }

    fn give(&self, session: u64) {
        let mut counts = self.shard(session);
        match counts.get_mut(&session) {
            Some(running) if *running > 1 => *running -= 1,
            _ => _ = counts.remove(&session),
        }
    }

    fn shard(&self, session: u64) -> MutexGuard<'_, Counts> {
        // Ids are counted, so neighbours are in different shards.
        let shard = usize::try_from(session % SHARDS).unwrap_or_default();
        // Nothing panics while it is held.
        self.0[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Session ids are counted by this process: nobody outside can choose colliding ones, so a
/// multiplication (by 2^64 divided by the golden ratio) spreads them well enough.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = (self.0 ^ id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bound(most: usize, most_each: usize) -> Bound {
        let bound = Bound::default();
        bound.set(most, most_each);
        bound
    }

    #[test]
    fn the_bound_in_all_is_exact() {
        let bound = bound(2, 0);
        let first = bound.take(1).unwrap();
        assert!(bound.take(2).is_some());
        assert!(bound.take(3).is_none());
        bound.give(first);
        assert!(bound.take(3).is_some());
    }

    #[test]
    fn the_bound_of_a_connection_is_exact_and_its_own() {
        let bound = bound(0, 2);
        let first = bound.take(1).unwrap();
        assert!(bound.take(1).is_some());
        assert!(bound.take(1).is_none());
        assert!(bound.take(2).is_some());
        // The one that was refused took no place of the others either.
        assert_eq!(bound.all.load(Relaxed), 3);
        bound.give(first);
        assert!(bound.take(1).is_some());
    }

    #[test]
    fn a_bound_that_is_switched_on_meets_calls_that_were_not_counted() {
        let bound = bound(0, 0);
        let early = bound.take(1).unwrap();
        bound.set(0, 1);
        let counted = bound.take(1).unwrap();
        bound.give(early);
        assert!(bound.take(1).is_none());
        bound.give(counted);
        assert!(bound.take(1).is_some());
    }

    proptest! {
        #[test]
        fn nothing_is_left_when_all_have_ended(
            most in 0usize..5,
            most_each in 0usize..4,
            steps in prop::collection::vec((0u64..3, any::<bool>()), 0..60),
        ) {
            let bound = bound(most, most_each);
            let mut running = Vec::new();
            for (session, begins) in steps {
                if begins {
                    running.extend(bound.take(session));
                } else if let Some(ended) = running.pop() {
                    bound.give(ended);
                }
                prop_assert!(most == 0 || running.len() <= most);
                for id in 0..3 {
                    let of_it = running.iter().filter(|held| **held == Some(id)).count();
                    prop_assert!(most_each == 0 || of_it <= most_each);
                }
                prop_assert_eq!(bound.all.load(Relaxed), running.len());
            }
            for ended in running {
                bound.give(ended);
            }
            prop_assert_eq!(bound.all.load(Relaxed), 0);
            for shard in &bound.each.0 {
                prop_assert!(shard.lock().unwrap().is_empty());
            }
        }
    }
}
