//! When the next call is made: behind an answer, or when it is due.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use tokio::{sync::Semaphore, time::Instant};

/// Calls at even intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    per_second: u32,
}

const NANOS: u128 = 1_000_000_000;

impl Schedule {
    pub(super) fn new(per_second: u32) -> Schedule {
        Schedule {
            per_second: per_second.max(1),
        }
    }

    /// When the call of this number is due; the first has the number 0 and is due at once.
    pub(super) fn due(self, number: u64) -> Duration {
        let nanos = u128::from(number) * NANOS / u128::from(self.per_second);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How many calls are due so long after the start.
    pub(super) fn count(self, elapsed: Duration) -> u64 {
        let mut count = elapsed.as_nanos() * u128::from(self.per_second) / NANOS;
        // Times are rounded down: the next call may be due already.
        while self.due(u64::try_from(count).unwrap_or(u64::MAX)) <= elapsed {
            count += 1;
        }
        u64::try_from(count).unwrap_or(u64::MAX)
    }
}

/// Hands out calls until a number is reached or somebody says that it is over.
#[derive(Debug)]
pub(super) struct Pace {
    over: AtomicBool,
    taken: AtomicU64,
    limit: u64,
    due: Option<Due>,
}

#[derive(Debug)]
struct Due {
    schedule: Schedule,
    start: Instant,
    /// One permit for each call that is due and that nobody has taken.
    ready: Semaphore,
}

/// What [`Pace::try_take`] has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// A call, and since when its time counts.
    Call(Instant),
    /// No call is due yet.
    Early,
    /// No call any more.
    Over,
}

impl Pace {
    /// A call whenever somebody asks.
    pub(super) fn closed(limit: u64) -> Pace {
        Pace {
            over: AtomicBool::new(false),
            taken: AtomicU64::new(0),
            limit,
            due: None,
        }
    }

    /// A call when it is due.
    pub(super) fn fixed(limit: u64, schedule: Schedule, start: Instant) -> Pace {
        Pace {
            due: Some(Due {
                schedule,
                start,
                ready: Semaphore::new(0),
            }),
            ..Pace::closed(limit)
        }
    }

    /// The next call, if there is one now; `now` is when a call begins that was never due.
    pub(super) fn try_take(&self, now: Instant) -> Turn {
        if self.is_over() {
            return Turn::Over;
        }
        match &self.due {
            None => self.number().map_or(Turn::Over, |_| Turn::Call(now)),
            Some(due) => match due.ready.try_acquire() {
                Ok(permit) => {
                    permit.forget();
                    self.due_since(due)
                }
                Err(_) if self.is_over() => Turn::Over,
                Err(_) => Turn::Early,
            },
        }
    }

    /// The next call, when there is one; `None` when there are no more.
    pub(super) async fn take(&self) -> Option<Instant> {
        let turn = match &self.due {
            None => self.try_take(Instant::now()),
            Some(due) => match due.ready.acquire().await {
                Ok(permit) => {
                    permit.forget();
                    self.due_since(due)
                }
                Err(_closed) => Turn::Over,
            },
        };
        match turn {
            Turn::Call(since) => Some(since),
            Turn::Early | Turn::Over => None,
        }
    }

    fn due_since(&self, due: &Due) -> Turn {
        let since = |number| Turn::Call(due.start + due.schedule.due(number));
        self.number().map_or(Turn::Over, since)
    }

    fn number(&self) -> Option<u64> {
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        if number.saturating_add(1) >= self.limit {
            self.end();
        }
        (number < self.limit).then_some(number)
    }

    /// No more calls.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(due) = &self.due {
            due.ready.close();
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// How many calls were due at this time and nobody has made.
    pub(super) fn unsent(&self, at: Instant) -> u64 {
        let Some(due) = &self.due else { return 0 };
        let elapsed = at.saturating_duration_since(due.start);
        let count = due.schedule.count(elapsed).min(self.limit);
        count.saturating_sub(self.taken.load(Ordering::Relaxed))
    }
}

/// Makes calls due on time. It is a thread, for tokio's clock has steps of a millisecond.
#[derive(Debug)]
pub(super) struct Pacer {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Pacer {
    /// Serves a pace until it is dropped; one without a rate needs none.
    pub(super) fn start(pace: &Arc<Pace>) -> Pacer {
        let (stop, stopped) = mpsc::channel();
        let pace = Arc::clone(pace);
        let thread = pace.due.is_some().then(|| {
            thread::spawn(move || {
                let mut given = 0;
                while let Some(wait) = pace.release(&mut given) {
                    if stopped.recv_timeout(wait) != Err(mpsc::RecvTimeoutError::Timeout) {
                        return;
                    }
                }
            })
        });
        Pacer {
            stop: Some(stop),
            thread,
        }
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It cannot panic in a way that anybody could still do something about.
            let _ended = thread.join();
        }
    }
}

impl Pace {
    /// Gives out the calls that have become due and says how long there is no other.
    fn release(&self, given: &mut u64) -> Option<Duration> {
        let due = self.due.as_ref()?;
        if self.is_over() {
            return None;
        }
        let elapsed = due.start.elapsed();
        let count = due.schedule.count(elapsed).min(self.limit);
        let fresh = count - *given;
        due.ready
            .add_permits(usize::try_from(fresh).unwrap_or(Semaphore::MAX_PERMITS));
        *given = count;
        (count < self.limit).then(|| due.schedule.due(count).saturating_sub(elapsed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn calls_are_due_at_even_intervals() {
        let schedule = Schedule::new(1000);
        assert_eq!(schedule.due(0), Duration::ZERO);
        assert_eq!(schedule.due(1), MS);
        assert_eq!(schedule.due(3_600_000), MS * 3_600_000);
        let thirds = Schedule::new(3);
        assert_eq!(thirds.due(1), Duration::from_nanos(333_333_333));
        assert_eq!(thirds.due(3), MS * 1000, "nothing adds up");
    }

    #[test]
    fn as_many_are_due_as_have_come_due() {
        for rate in [1, 3, 7, 1000, 999_999, 1_000_000] {
            let schedule = Schedule::new(rate);
            for n in [0u64, 1, 2, 10, 12_345] {
                let due = schedule.due(n);
                assert!(schedule.count(due) > n, "{rate} {n}");
                let before = due.saturating_sub(Duration::from_nanos(1));
                assert!(n == 0 || schedule.count(before) <= n, "{rate} {n}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_call_counts_from_when_it_was_due() {
        let start = Instant::now();
        let pace = Pace::fixed(u64::MAX, Schedule::new(10), start);
        let mut given = 0;
        assert_eq!(pace.release(&mut given), Some(MS * 100));
        assert_eq!(pace.try_take(start), Turn::Call(start));
        assert_eq!(pace.try_take(start), Turn::Early);
        // Nobody was there for half a second.
        tokio::time::advance(MS * 500).await;
        pace.release(&mut given);
        let now = Instant::now();
        for n in 1..=5 {
            assert_eq!(pace.try_take(now), Turn::Call(start + MS * 100 * n));
        }
        assert_eq!(pace.try_take(now), Turn::Early);
        assert_eq!(pace.unsent(now + MS * 200), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pace_ends_with_its_last_call() {
        let now = Instant::now();
        let pace = Pace::closed(2);
        assert_eq!(pace.try_take(now), Turn::Call(now));
        assert_eq!(pace.take().await, Some(now));
        assert_eq!(pace.try_take(now), Turn::Over);

        let pace = Pace::fixed(2, Schedule::new(1), now);
        let mut given = 0;
        tokio::time::advance(MS * 5000).await;
        assert_eq!(pace.release(&mut given), None);
        assert_eq!(pace.take().await, Some(now));
        assert_eq!(pace.take().await, Some(now + MS * 1000));
        assert_eq!(pace.take().await, None);
        assert_eq!(pace.unsent(now + MS * 9000), 0);
    }

    #[tokio::test]
    async fn whoever_waits_hears_of_the_end() {
        let pace = Arc::new(Pace::fixed(
            u64::MAX,
            Schedule::new(1),
            Instant::now() + MS * 60_000,
        ));
        let pacer = Pacer::start(&pace);
        let waiting = tokio::spawn({
            let pace = Arc::clone(&pace);
            async move { pace.take().await }
        });
        pace.end();
        assert_eq!(waiting.await.unwrap(), None);
        drop(pacer);
    }
}
