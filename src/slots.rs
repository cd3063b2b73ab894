//! Who may come in: the limits of accepting, without any io.

use std::collections::HashMap;

use oneport_layers::{
    Source,
    bucket::{Bucket, Buckets, Limit, Rate},
};
use tokio::time::Instant;

use crate::config::ListenConfig;

/// How many sources that came lately are remembered: 128 KiB, whoever comes.
const MANY_SOURCES: usize = 8192;

/// The places of a port. One owner takes and gives back.
#[derive(Debug)]
pub(crate) struct Slots {
    most: usize,
    most_per_source: usize,
    rate: Bucket,
    rate_per_source: Buckets,
    taken: usize,
    /// The connections of each source that has any.
    open: HashMap<Source, usize>,
}

/// The limit that a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    Total,
    Source,
    Rate,
    TotalRate,
}

impl Full {
    /// The metric label.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Full::Total => "total",
            Full::Source => "source",
            Full::Rate => "rate",
            Full::TotalRate => "total_rate",
        }
    }
}

impl Slots {
    pub(crate) fn new(config: &ListenConfig) -> Slots {
        let mut slots = Slots {
            most: 0,
            most_per_source: 0,
            rate: Bucket::new(Limit::INFINITE),
            rate_per_source: Buckets::new(Limit::INFINITE, MANY_SOURCES),
            taken: 0,
            open: HashMap::new(),
        };
        slots.set(config);
        slots
    }

    /// Makes these the limits. What is taken stays taken.
    pub(crate) fn set(&mut self, config: &ListenConfig) {
        let some = |limit| if limit == 0 { usize::MAX } else { limit };
        self.most = some(config.max_conns);
        self.most_per_source = some(config.max_conns_per_source);
        let all = limit(config.all_conns_per_second, config.all_conn_burst);
        self.rate.set(all);
        let each = limit(config.conns_per_second, config.conn_burst);
        self.rate_per_source.set(each);
    }

    /// Takes a place, to be given back with [`Slots::free`]. Peers on this host have no source and
    /// share the total only. An attempt refused by a limit of its source costs nothing, so a source
    /// that is over its rate is let in again as soon as the rate allows.
    pub(crate) fn take(&mut self, source: Option<Source>, now: Instant) -> Result<(), Full> {
        if self.taken >= self.most {
            return Err(Full::Total);
        }
        if let Some(source) = source {
            self.has_room(source)?;
            let taken = self.rate_per_source.take(&source, now);
            taken.map_err(|_| Full::Rate)?;
        }
        self.rate.take(now).map_err(|_| Full::TotalRate)?;
        self.taken += 1;
        if let Some(source) = source {
            *self.open.entry(source).or_default() += 1;
        }
        Ok(())
    }

    fn has_room(&self, source: Source) -> Result<(), Full> {
        let open = self.open.get(&source).copied().unwrap_or(0);
        if open < self.most_per_source {
            Ok(())
        } else {
            Err(Full::Source)
        }
    }

    /// Gives a place back.
    pub(crate) fn free(&mut self, source: Option<Source>) {
        self.taken = self.taken.saturating_sub(1);
        let Some(source) = source else { return };
        if let Some(open) = self.open.get_mut(&source) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                self.open.remove(&source);
            }
        }
    }
}

/// A rate of a valid config: 0 is no rate, and stands for no limit.
fn limit(rate: u32, burst: u32) -> Limit {
    Limit {
        rate: Rate::per_second(f64::from(rate)).unwrap_or(Rate::INFINITE),
        burst,
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

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
        slots.free(None);
        assert_eq!(slots.take(source(2), now), Ok(()));
    }

    #[test]
    fn the_limit_of_a_source_is_exact_and_its_own() {
        let (mut slots, now) = slots(0, 2, 0, 0);
        assert_eq!(slots.take(source(1), now), Ok(()));
        assert_eq!(slots.take(source(1), now), Ok(()));
        assert_eq!(slots.take(source(1), now), Err(Full::Source));
        assert_eq!(slots.take(source(2), now), Ok(()));
        slots.free(source(1));
        assert_eq!(slots.take(source(1), now), Ok(()));
    }

    #[test]
    fn the_rate_is_a_burst_and_then_one_at_a_time() {
        let (mut slots, now) = slots(0, 0, 10, 3);
        for _ in 0..3 {
            assert_eq!(slots.take(source(1), now), Ok(()));
            slots.free(source(1));
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
    fn the_rate_in_all_is_everybodys_together() {
        let config = ListenConfig {
            all_conns_per_second: 10,
            all_conn_burst: 3,
            ..ListenConfig::default()
        };
        let (mut slots, now) = (Slots::new(&config), Instant::now());
        assert_eq!(slots.take(source(1), now), Ok(()));
        assert_eq!(slots.take(source(2), now), Ok(()));
        assert_eq!(slots.take(None, now), Ok(()));
        for from in [source(3), None] {
            assert_eq!(slots.take(from, now), Err(Full::TotalRate));
        }
        let tenth = Duration::from_millis(100);
        assert_eq!(slots.take(source(3), now + tenth), Ok(()));
    }

    #[test]
    fn new_limits_hold_for_the_next_and_leave_the_others() {
        let (mut slots, now) = slots(2, 2, 0, 0);
        slots.take(source(1), now).unwrap();
        slots.take(source(1), now).unwrap();
        let config = |max_conns, max_conns_per_source| ListenConfig {
            max_conns,
            max_conns_per_source,
            ..ListenConfig::default()
        };
        slots.set(&config(3, 1));
        assert_eq!(slots.take(source(1), now), Err(Full::Source));
        assert_eq!(slots.take(source(2), now), Ok(()));
        slots.free(source(1));
        assert_eq!(slots.take(source(1), now), Err(Full::Source));
        slots.set(&config(1, 2));
        assert_eq!(slots.take(source(1), now), Err(Full::Total));
        slots.set(&config(3, 2));
        assert_eq!(slots.take(source(1), now), Ok(()));
    }

    #[test]
    fn a_source_that_left_is_forgotten() {
        let (mut slots, now) = slots(0, 0, 10, 3);
        slots.take(source(1), now).unwrap();
        slots.free(source(1));
        assert!(slots.open.is_empty());
        assert_eq!(slots.rate_per_source.busy(now), 1);
        assert_eq!(slots.rate_per_source.busy(now + Duration::from_secs(1)), 0);
    }

    #[test]
    fn many_sources_in_a_moment_do_not_fill_the_memory() {
        let (mut slots, now) = slots(0, 0, 10, 3);
        slots.take(source(0), now).unwrap();
        for n in 1..100_000 {
            slots.take(source(n), now).unwrap();
            slots.free(source(n));
            assert_eq!(slots.open.len(), 1);
        }
        assert_eq!(slots.rate_per_source.bytes(), 128 * 1024);
    }
}
