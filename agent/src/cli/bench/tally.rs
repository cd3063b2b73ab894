//! What happened to the calls: counts, latencies and errors.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hdrhistogram::Histogram;
use oneport::services::netrpc::CallError;

use super::{method::Method, mix::Mix};
use crate::cli::exit::{Exit, Failure};

/// Latencies are kept in nanoseconds, up to an hour, to three digits.
const LONGEST: u64 = 3600 * 1_000_000_000;
const DIGITS: u8 = 3;
/// How many errors of a kind are described.
const DESCRIBED: u64 = 2;

/// What can go wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The answer was not the right one.
    Wrong,
    /// The server answered with an error.
    Refused,
    /// No connection, or it broke.
    Connection,
    /// No answer in time.
    Late,
}

impl Kind {
    pub(super) const ALL: [Kind; 4] = [Kind::Wrong, Kind::Refused, Kind::Connection, Kind::Late];

    pub(super) fn of(error: &CallError) -> Kind {
        match error {
            CallError::Remote(_) => Kind::Refused,
            CallError::TimedOut => Kind::Late,
            CallError::Io(_) | CallError::Closed | CallError::NotReady => Kind::Connection,
            CallError::Sequence { .. }
            | CallError::Header(_)
            | CallError::Refused(_)
            | CallError::Decode(_)
            | CallError::Encode(_) => Kind::Wrong,
        }
    }

    /// How a command ends that met such errors.
    pub(super) fn exit(self) -> Exit {
        match self {
            Kind::Wrong | Kind::Refused => Exit::Refused,
            Kind::Connection => Exit::Unreachable,
            Kind::Late => Exit::Late,
        }
    }
}

impl From<&Failure> for Kind {
    /// The kind of what keeps a call from being made.
    fn from(error: &Failure) -> Kind {
        match error.exit() {
            Exit::Late => Kind::Late,
            Exit::Refused => Kind::Refused,
            _ => Kind::Connection,
        }
    }
}

/// Counts what happened, from any task.
#[derive(Debug)]
pub(super) struct Tally(Mutex<Counts>);

/// What was counted.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    /// Of each method of the mix, how long its right answers took.
    pub(super) latencies: Vec<(Method, Histogram<u64>)>,
    errors: [u64; Kind::ALL.len()],
    pub(super) described: Vec<String>,
    pub(super) sent: u64,
    pub(super) received: u64,
}

impl Tally {
    /// Nothing of the methods of this mix.
    pub(super) fn of(mix: &Mix) -> Tally {
        let methods = mix.weights().iter();
        let latencies = methods.map(|(method, _)| (*method, histogram()));
        Tally(Mutex::new(Counts {
            latencies: latencies.collect(),
            errors: [0; Kind::ALL.len()],
            described: Vec::new(),
            sent: 0,
            received: 0,
        }))
    }

    /// A right answer to the method at this place of the mix.
    pub(super) fn answer(&self, method: usize, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.counts().latencies[method].1.saturating_record(nanos);
    }

    /// A call that went wrong.
    pub(super) fn error(&self, kind: Kind, what: String) {
        self.errors(kind, 1, what);
    }

    /// So many calls that went wrong for the same reason.
    pub(super) fn errors(&self, kind: Kind, count: u64, what: String) {
        let mut counts = self.counts();
        if counts.errors[kind as usize] < DESCRIBED && !counts.described.contains(&what) {
            counts.described.push(what);
        }
        counts.errors[kind as usize] += count;
    }

    /// The errors of another count, as if they had been counted here.
    pub(super) fn blame(&self, other: &Counts) {
        let mut counts = self.counts();
        for (count, more) in counts.errors.iter_mut().zip(other.errors) {
            *count += more;
        }
        let described = other.described.iter().cloned();
        counts.described.splice(0..0, described);
    }

    /// Bytes that passed.
    pub(super) fn bytes(&self, sent: u64, received: u64) {
        let mut counts = self.counts();
        counts.sent += sent;
        counts.received += received;
    }

    /// How many right answers and how many errors there are.
    pub(super) fn progress(&self) -> (u64, u64) {
        let counts = self.counts();
        (counts.calls(), counts.failed())
    }

    /// All that was counted.
    pub(super) fn take(&self) -> Counts {
        self.counts().clone()
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// Right answers.
    pub(super) fn calls(&self) -> u64 {
        self.latencies.iter().map(|(_, taken)| taken.len()).sum()
    }

    pub(super) fn errors(&self, kind: Kind) -> u64 {
        self.errors[kind as usize]
    }

    /// Errors of every kind.
    pub(super) fn failed(&self) -> u64 {
        self.errors.iter().sum()
    }

    /// How long right answers took, whatever the method.
    pub(super) fn latency(&self) -> Histogram<u64> {
        let mut all = histogram();
        for (_, taken) in &self.latencies {
            // They have the same bounds.
            all += taken;
        }
        all
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("the bounds are constants")
}

#[cfg(test)]
mod tests {
    use super::{super::mix, *};

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn methods_are_counted_apart_and_together() {
        let tally = Tally::of(&mix::parse("Status.Ping=1,KVS.Get=1").unwrap());
        (1..=90).for_each(|n| tally.answer(0, MS * n));
        (91..=100).for_each(|n| tally.answer(1, MS * n));
        let counts = tally.take();
        assert_eq!((counts.latencies[0].1.len(), counts.calls()), (90, 100));
        let all = counts.latency();
        let at = |quantile| all.value_at_quantile(quantile) / 1_000_000;
        assert_eq!((at(0.5), at(0.9), at(0.99), at(1.0)), (50, 90, 99, 100));
    }

    #[test]
    fn what_is_too_long_counts_as_the_longest() {
        let tally = Tally::of(&Mix::only(Method::Ping));
        tally.answer(0, Duration::from_secs(7200));
        tally.answer(0, Duration::ZERO);
        let all = tally.take().latency();
        assert_eq!(all.len(), 2);
        assert!(all.max() >= LONGEST);
    }

    #[test]
    fn errors_are_counted_by_kind_and_described_a_few_times() {
        let tally = Tally::of(&Mix::only(Method::Ping));
        (0..10).for_each(|n| tally.error(Kind::Wrong, format!("wrong {n}")));
        tally.errors(Kind::Late, 5, "late".into());
        let warmed = Tally::of(&Mix::only(Method::Ping));
        warmed.error(Kind::Late, "too late".into());
        warmed.blame(&tally.take());
        assert_eq!(warmed.take().failed(), 16);
        assert_eq!(warmed.take().described[3], "too late");

        let counts = tally.take();
        assert_eq!(counts.errors(Kind::Wrong), 10);
        assert_eq!((counts.errors(Kind::Late), counts.failed()), (5, 15));
        assert_eq!(counts.described, ["wrong 0", "wrong 1", "late"]);
    }
}
