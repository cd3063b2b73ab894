//! Who may come in: the limits of accepting, without any io.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::{config::ListenConfig, source::Source};

/// From this many remembered sources on, those without a connection are forgotten.
const MANY_SOURCES: usize = 8192;

/// The places of a port. One owner takes and gives back, so there is no lock.
#[derive(Debug)]
pub(crate) struct Slots {
    most: usize,
    most_per_source: usize,
    /// The time that one new connection of a source costs; zero if they are free.
    cost: Duration,
    /// How far ahead of the clock a source may be: the burst's cost.
    ahead: Duration,
    taken: usize,
    sources: HashMap<Source, Taken>,
    tidy_at: usize,
}

/// What is known of one source.
#[derive(Debug)]
struct Taken {
    open: usize,
    /// The time that all its connections have cost so far, on the clock: a leaky bucket in one
    /// number. In the past it means nothing.
    paid_until: Instant,
}

/// The limit that a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    Total,
    Source,
    Rate,
}

impl Full {
    /// The metric label.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Full::Total => "total",
            Full::Source => "source",
            Full::Rate => "rate",
        }
    }
}

impl Slots {
    pub(crate) fn new(config: &ListenConfig) -> Slots {
        let some = |limit| if limit == 0 { usize::MAX } else { limit };
        let cost = match config.conns_per_second {
            0 => Duration::ZERO,
            rate => Duration::from_secs(1) / rate,
        };
        Slots {
            most: some(config.max_conns),
            most_per_source: some(config.max_conns_per_source),
            cost,
            ahead: cost * config.conn_burst,
            taken: 0,
            sources: HashMap::new(),
            tidy_at: MANY_SOURCES,
        }
    }

    /// Takes a place, to be given back with [`Slots::free`]. Peers on this host have no source and
    /// share the total only. A refused attempt costs nothing, so a source that is over its rate is
    /// let in again as soon as the rate allows.
    pub(crate) fn take(&mut self, source: Option<Source>, now: Instant) -> Result<(), Full> {
        if self.taken >= self.most {
            return Err(Full::Total);
        }
        if let Some(source) = source {
            self.take_of(source, now)?;
        }
        self.taken += 1;
        Ok(())
    }

    fn take_of(&mut self, source: Source, now: Instant) -> Result<(), Full> {
        self.tidy(now);
        let taken = self.sources.entry(source).or_insert(Taken {
            open: 0,
            paid_until: now,
        });
        if taken.open >= self.most_per_source {
            return Err(Full::Source);
        }
        let paid_until = taken.paid_until.max(now) + self.cost;
        if paid_until - now > self.ahead {
            return Err(Full::Rate);
        }
        taken.paid_until = paid_until;
        taken.open += 1;
        Ok(())
    }

    /// Gives a place back.
    pub(crate) fn free(&mut self, source: Option<Source>, now: Instant) {
        self.taken = self.taken.saturating_sub(1);
        let Some(source) = source else { return };
        if let Some(taken) = self.sources.get_mut(&source) {
            taken.open = taken.open.saturating_sub(1);
            if taken.open == 0 && taken.paid_until <= now {
                self.sources.remove(&source);
            }
        }
    }

    /// Keeps the table small whoever comes: sources that have no connection and owe nothing go
    /// first; if the table is still large, the debts of all others without a connection do.
    fn tidy(&mut self, now: Instant) {
        if self.sources.len() < self.tidy_at {
            return;
        }
        self.sources
            .retain(|_, taken| taken.open > 0 || taken.paid_until > now);
        if self.sources.len() >= self.tidy_at / 2 {
            self.sources.retain(|_, taken| taken.open > 0);
        }
        // Twice what is left, so that tidying stays rare however many connections there are.
        self.tidy_at = MANY_SOURCES.max(2 * self.sources.len());
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn slots(total: usize, per_source: usize, rate: u32, burst: u32) -> (Slots, Instant) {
        let config = ListenConfig {
            max_conns: total,
            max_conns_per_source: per_source,
            conns_per_second: rate,
            conn_burst: burst,
            ..ListenConfig::default()
        };
        (Slots::new(&config), Instant::now())
    }

    fn source(n: u32) -> Option<Source> {
        Some(Source::V4(Ipv4Addr::from_bits(n)))
    }

    #[test]
    fn the_total_is_exact() {
        let (mut slots, now) = slots(2, 0, 0, 0);
        assert_eq!(slots.take(source(1), now), Ok(()));
        assert_eq!(slots.take(None, now), Ok(()));
        assert_eq!(slots.take(source(2), now), Err(Full::Total));
        slots.free(None, now);
        assert_eq!(slots.take(source(2), now), Ok(()));
    }

    #[test]
    fn the_limit_of_a_source_is_exact_and_its_own() {
        let (mut slots, now) = slots(0, 2, 0, 0);
        assert_eq!(slots.take(source(1), now), Ok(()));
        assert_eq!(slots.take(source(1), now), Ok(()));
        assert_eq!(slots.take(source(1), now), Err(Full::Source));
        assert_eq!(slots.take(source(2), now), Ok(()));
        slots.free(source(1), now);
        assert_eq!(slots.take(source(1), now), Ok(()));
    }

    #[test]
    fn the_rate_is_a_burst_and_then_one_at_a_time() {
        let (mut slots, now) = slots(0, 0, 10, 3);
        for _ in 0..3 {
            assert_eq!(slots.take(source(1), now), Ok(()));
            slots.free(source(1), now);
        }
        assert_eq!(slots.take(source(1), now), Err(Full::Rate));
        let tenth = Duration::from_millis(100);
        let almost = now + tenth - Duration::from_nanos(1);
        assert_eq!(slots.take(source(1), almost), Err(Full::Rate));
        assert_eq!(slots.take(source(1), now + tenth), Ok(()));
        assert_eq!(slots.take(source(1), now + tenth), Err(Full::Rate));
        assert_eq!(slots.take(source(2), now), Ok(()));
    }

    #[test]
    fn a_source_that_left_is_forgotten() {
        let (mut slots, now) = slots(0, 0, 10, 3);
        slots.take(source(1), now).unwrap();
        slots.free(source(1), now + Duration::from_secs(1));
        assert!(slots.sources.is_empty());
    }

    #[test]
    fn many_sources_in_a_moment_do_not_fill_the_memory() {
        let (mut slots, now) = slots(0, 0, 10, 3);
        slots.take(source(0), now).unwrap();
        for n in 1..100_000 {
            slots.take(source(n), now).unwrap();
            slots.free(source(n), now);
            assert!(slots.sources.len() <= MANY_SOURCES);
        }
        assert_eq!(slots.sources[&source(0).unwrap()].open, 1);
    }
}
