//! Forgets old tombstones.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::{Command, Log};

/// Forgets the tombstones that are older than a time to live, a batch at a time.
///
/// At each step it notes where the log is; what was written before a note is at least as old as
/// the note. So it keeps one note a step and no timer for a tombstone.
#[derive(Debug)]
pub struct Reaper {
    log: Arc<Log>,
    ttl: Duration,
    step: Duration,
    notes: VecDeque<(Instant, u64)>,
}

impl Reaper {
    /// Forgets what is older than `ttl`, looking every `step`.
    pub fn new(log: Arc<Log>, ttl: Duration, step: Duration) -> Reaper {
        Reaper {
            log,
            ttl,
            step,
            notes: VecDeque::new(),
        }
    }

    /// Works for ever.
    pub async fn run(mut self) -> Infallible {
        let mut steps = interval_at(Instant::now() + self.step, self.step);
        // After a pause of the process there is nothing to catch up with.
        steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = steps.tick().await;
            self.reap(now).await;
        }
    }

    async fn reap(&mut self, now: Instant) {
        let snapshot = self.log.store().snapshot();
        let mut through = None;
        while let Some((_, index)) = self
            .notes
            .pop_front_if(|(noted, _)| now - *noted >= self.ttl)
        {
            through = Some(index);
        }
        self.notes.push_back((now, snapshot.last_index()));
        if let Some(through) = through
            && snapshot.kv().has_stones(through)
        {
            // A reap decides nothing and cannot fail.
            let _reaped = self.log.propose(Command::Reap { through }).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep_until};

    use super::*;
    use crate::state::{Entry, KvOp, Store};

    const TTL: Duration = Duration::from_secs(900);
    const STEP: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn tombstones_live_as_long_as_they_should() {
        let log = Arc::new(Log::elected(Arc::new(Store::new())));
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(Reaper::new(Arc::clone(&log), TTL, STEP).run());
        advance(Duration::from_secs(7)).await;
        for (op, key) in [
            (KvOp::Set, "a/kept"),
            (KvOp::Set, "a/gone"),
            (KvOp::Delete, "a/gone"),
        ] {
            let entry = Entry::new(key, "v");
            log.propose(Command::Kv(op, entry)).await.unwrap();
        }
        let listed = || log.store().snapshot().kv().list(b"a/").index;
        let buried = listed();
        let deleted = Instant::now();
        sleep_until(deleted + TTL - Duration::from_millis(1)).await;
        assert_eq!(listed(), buried);
        sleep_until(deleted + TTL + 2 * STEP).await;
        assert_eq!(listed(), buried - 2, "the index of the key that is left");
        assert_eq!(log.store().snapshot().last_index(), buried + 1);
    }
}
