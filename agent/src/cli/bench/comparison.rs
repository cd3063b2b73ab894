//! What several rounds against several servers found.

use serde::Serialize;

use super::{
    report::{Asked, Errors, Report, SCHEMA, Share},
    target::Target,
};

/// Servers under the same load in turns.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Comparison {
    pub(super) schema: u32,
    pub(super) load: Asked,
    /// Rounds that are complete.
    pub(super) rounds: usize,
    /// A signal ended it before its time.
    pub(super) stopped: bool,
    pub(super) servers: Vec<Server>,
    /// The first server's figures over those of each other one.
    pub(super) shares: Vec<Ratio>,
}

/// One server: the medians of its rounds, and the rounds themselves.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) target: String,
    pub(super) calls_per_second: f64,
    /// In microseconds, as are the other times.
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) cpu_per_call: Option<f64>,
    /// Of all rounds together.
    pub(super) calls: u64,
    pub(super) errors: u64,
    pub(super) rounds: Vec<Report>,
}

/// One server's figures over another's.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Ratio {
    pub(super) name: String,
    pub(super) over: String,
    pub(super) calls_per_second: Option<f64>,
    pub(super) p50: Option<f64>,
    pub(super) p99: Option<f64>,
    pub(super) cpu_per_call: Option<f64>,
}

impl Comparison {
    /// Of complete rounds, each with a report for every target.
    pub(super) fn new(
        load: Asked,
        targets: &[Target],
        rounds: Vec<Vec<Report>>,
        stopped: bool,
    ) -> Comparison {
        let count = rounds.len();
        let server = |(place, target): (usize, &Target)| {
            let reports = rounds.iter().map(|round| round[place].clone());
            Server::new(target, reports.collect())
        };
        let servers: Vec<_> = targets.iter().enumerate().map(server).collect();
        let shares = match servers.split_first() {
            Some((first, others)) => others.iter().map(|o| Ratio::new(first, o)).collect(),
            None => Vec::new(),
        };
        Comparison {
            schema: SCHEMA,
            load,
            rounds: count,
            stopped,
            servers,
            shares,
        }
    }

    /// The errors of each server, in all of its rounds.
    pub(super) fn failures(&self) -> impl Iterator<Item = (&str, &Errors, u64)> {
        let rounds = self.servers.iter().flat_map(|server| {
            let named = server.rounds.iter();
            named.map(|report| (server.name.as_str(), &report.errors, report.calls))
        });
        rounds.filter(|(_, errors, _)| errors.count() > 0)
    }
}

impl Server {
    fn new(target: &Target, rounds: Vec<Report>) -> Server {
        let of = |figure: fn(&Report) -> f64| median(rounds.iter().map(figure).collect());
        let cpu: Option<Vec<_>> = rounds.iter().map(|report| report.server).collect();
        let cpu = cpu.map(|shares| shares.iter().map(|s: &Share| s.cpu_per_call).collect());
        Server {
            name: target.name.clone(),
            target: target.addr.clone(),
            calls_per_second: of(|report| report.calls_per_second).unwrap_or(0.0),
            p50: of(|report| report.latency.p50).unwrap_or(0.0),
            p99: of(|report| report.latency.p99).unwrap_or(0.0),
            cpu_per_call: cpu.and_then(median),
            calls: rounds.iter().map(|report| report.calls).sum(),
            errors: rounds.iter().map(|report| report.errors.count()).sum(),
            rounds,
        }
    }
}

impl Ratio {
    fn new(one: &Server, other: &Server) -> Ratio {
        Ratio {
            name: one.name.clone(),
            over: other.name.clone(),
            calls_per_second: over(one.calls_per_second, other.calls_per_second),
            p50: over(one.p50, other.p50),
            p99: over(one.p99, other.p99),
            cpu_per_call: over(
                one.cpu_per_call.unwrap_or(0.0),
                other.cpu_per_call.unwrap_or(0.0),
            ),
        }
    }
}

/// What was measured is above 0: a 0 stands for nothing to compare.
fn over(one: f64, other: f64) -> Option<f64> {
    (one > 0.0 && other > 0.0).then(|| one / other)
}

/// The middle one, or between the two in the middle.
fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let (middle, odd) = (figures.len() / 2, figures.len() % 2 == 1);
    let high = *figures.get(middle)?;
    match odd {
        true => Some(high),
        false => Some((figures[middle - 1] + high) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0]), Some(3.0));
        assert_eq!(median(vec![9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }

    #[test]
    fn nothing_is_no_share() {
        assert_eq!(over(1.0, 4.0), Some(0.25));
        assert_eq!(over(1.0, 0.0), None);
        assert_eq!(over(0.0, 1.0), None);
    }
}
