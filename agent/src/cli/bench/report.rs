//! What a run found, as it is printed: the fields are the JSON.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{
    load::{Load, Reuse},
    process::Cpu,
    tally::{Counts, Kind},
};
use crate::cli::{exit::Failure, remote::Transport};

/// The version of the JSON: a field that goes or changes its meaning makes it another one, a new
/// field does not.
pub(super) const SCHEMA: u32 = 1;

/// One run against one server.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[cfg_attr(test, derive(serde::Deserialize))]
pub(super) struct Report {
    pub(super) schema: u32,
    /// The server's address.
    pub(super) target: String,
    pub(super) load: Asked,
    /// A signal ended the run before its time.
    pub(super) stopped: bool,
    /// How long the measured part took, until the last answer.
    pub(super) seconds: f64,
    /// Right answers.
    pub(super) calls: u64,
    pub(super) calls_per_second: f64,
    /// Calls that were due and could not be made (fixed rate).
    pub(super) unsent: u64,
    /// Of all right answers.
    pub(super) latency: Latency,
    /// The same for each method.
    pub(super) methods: Vec<OfMethod>,
    pub(super) errors: Errors,
    pub(super) bytes: Bytes,
    /// The processor time of this program.
    pub(super) client: Option<Share>,
    /// That of the server, with --server-pid.
    pub(super) server: Option<Share>,
    /// What idle connections cost the server, with --idle.
    pub(super) idle: Option<Idle>,
}

/// The load, as it was asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[cfg_attr(test, derive(serde::Deserialize))]
pub(super) struct Asked {
    /// `single` or `yamux`.
    pub(super) transport: String,
    pub(super) connections: usize,
    pub(super) streams: usize,
    pub(super) in_flight: usize,
    /// What each call had to itself: `nothing`, `stream` or `connection`.
    pub(super) per_call: String,
    pub(super) mix: Vec<Weight>,
    pub(super) value_size: usize,
    pub(super) list_size: usize,
    pub(super) keys: usize,
    /// Calls a second; null is as many as are answered.
    pub(super) rate: Option<u32>,
    pub(super) warm_up_seconds: f64,
}

/// A method and its part of the load.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[cfg_attr(test, derive(serde::Deserialize))]
pub(super) struct Weight {
    pub(super) method: String,
    pub(super) weight: u32,
}

/// Latencies in microseconds; all are 0 if there is no right answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[cfg_attr(test, derive(serde::Deserialize))]
pub(super) struct Latency {
    pub(super) mean: f64,
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    pub(super) max: f64,
}

/// The right answers of one method.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[cfg_attr(test, derive(serde::Deserialize))]
pub(super) struct OfMethod {
    pub(super) method: String,
    pub(super) calls: u64,
    pub(super) latency: Latency,
}

/// Calls without a right answer, by what happened instead.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[cfg_attr(test, derive(serde::Deserialize))]
pub(super) struct Errors {
    /// A wrong answer.
    pub(super) wrong: u64,
    /// The server answered with an error.
    pub(super) refused: u64,
    /// No connection, or it broke.
    pub(super) connection: u64,
    /// No answer in time.
    pub(super) late: u64,
    /// The first few, in words.
    pub(super) described: Vec<String>,
}

/// Bytes of requests and answers with their headers, without what yamux and TCP add.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[cfg_attr(test, derive(serde::Deserialize))]
pub(super) struct Bytes {
    pub(super) sent: u64,
    pub(super) received: u64,
}

/// Processor time of a process for each right answer, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[cfg_attr(test, derive(serde::Deserialize))]
pub(super) struct Share {
    pub(super) cpu_per_call: f64,
    pub(super) user_per_call: f64,
    pub(super) system_per_call: f64,
}

/// What idle connections cost the server, in bytes of resident memory.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[cfg_attr(test, derive(serde::Deserialize))]
pub(super) struct Idle {
    pub(super) connections: u64,
    /// Idle streams of all connections together; 0 without yamux.
    pub(super) streams: u64,
    /// Resident before, with the connections, and with the streams as well.
    pub(super) resident_before: u64,
    pub(super) resident_connected: u64,
    pub(super) resident_streaming: u64,
    pub(super) bytes_per_connection: f64,
    pub(super) bytes_per_stream: Option<f64>,
}

impl Asked {
    pub(super) fn new(load: &Load) -> Asked {
        let per_call = match load.reuse() {
            Reuse::Always => "nothing",
            Reuse::StreamPerCall => "stream",
            Reuse::ConnectPerCall => "connection",
        };
        let transport = match load.way.transport {
            Transport::Single => "single",
            Transport::Yamux => "yamux",
        };
        let weight = |(method, weight): &(super::method::Method, u32)| Weight {
            method: method.name().to_owned(),
            weight: *weight,
        };
        Asked {
            transport: transport.to_owned(),
            connections: load.connections(),
            streams: load.streams(),
            in_flight: load.in_flight(),
            per_call: per_call.to_owned(),
            mix: load.mix().weights().iter().map(weight).collect(),
            value_size: load.value_size(),
            list_size: load.list_size(),
            keys: load.keys(),
            rate: load.rate,
            warm_up_seconds: load.warm_up.as_secs_f64(),
        }
    }
}

impl Latency {
    pub(super) fn of(taken: &Histogram<u64>) -> Latency {
        let micros = |nanos: u64| nanos as f64 / 1e3;
        let at = |quantile| micros(taken.value_at_quantile(quantile));
        Latency {
            mean: taken.mean() / 1e3,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: micros(taken.max()),
        }
    }
}

impl OfMethod {
    pub(super) fn all(counts: &Counts) -> Vec<OfMethod> {
        let of = |(method, taken): &(super::method::Method, Histogram<u64>)| OfMethod {
            method: method.name().to_owned(),
            calls: taken.len(),
            latency: Latency::of(taken),
        };
        counts.latencies.iter().map(of).collect()
    }
}

impl Errors {
    pub(super) fn of(counts: &Counts) -> Errors {
        Errors {
            wrong: counts.errors(Kind::Wrong),
            refused: counts.errors(Kind::Refused),
            connection: counts.errors(Kind::Connection),
            late: counts.errors(Kind::Late),
            described: counts.described.clone(),
        }
    }

    fn of_kind(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Wrong => self.wrong,
            Kind::Refused => self.refused,
            Kind::Connection => self.connection,
            Kind::Late => self.late,
        }
    }

    /// Errors of every kind.
    pub(super) fn count(&self) -> u64 {
        Kind::ALL.iter().map(|kind| self.of_kind(*kind)).sum()
    }

    /// Ends the command as its worst error says; without any it is done.
    pub(super) fn verdict(&self, target: &str, calls: u64) -> Result<(), Failure> {
        let Some(worst) = Kind::ALL.into_iter().find(|kind| self.of_kind(*kind) > 0) else {
            return Ok(());
        };
        let count = self.count();
        let first = self.described.first().map_or("", String::as_str);
        let message = format!(
            "{target}: {count} of {} calls failed: {first}",
            calls + count
        );
        Err(Failure::new(worst.exit(), message))
    }
}

impl Share {
    pub(super) fn new(cpu: Cpu, calls: u64) -> Option<Share> {
        let per_call = |time: Duration| time.as_secs_f64() * 1e6 / calls as f64;
        (calls > 0).then(|| Share {
            cpu_per_call: per_call(cpu.total()),
            user_per_call: per_call(cpu.user),
            system_per_call: per_call(cpu.system),
        })
    }
}
