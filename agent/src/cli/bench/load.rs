//! The load: what is asked, how much of it at once, for how long.

use std::time::Duration;

use clap::value_parser;
use oneport::services::yamux::config::MAX_STREAMS;

use super::{
    method::Method,
    mix::{self, Mix},
};
use crate::cli::{
    duration,
    exit::{Exit, Failure},
    remote::{Transport, Way},
    token::Token,
};

/// The most connections.
const MAX_CONNECTIONS: i64 = 10_000;
/// The most requests outstanding on one connection or stream.
const MAX_IN_FLIGHT: i64 = 1024;
/// The most requests outstanding altogether.
const MAX_OUTSTANDING: usize = 100_000;
/// The largest value, in bytes.
const MAX_VALUE: i64 = 1024 * 1024;
/// The most keys that are read, and of a list.
const MAX_KEYS: i64 = 10_000;
/// All values that are written before the load begins, in bytes.
const MAX_STOCK: usize = 64 * 1024 * 1024;
/// The highest rate, in calls a second.
const MAX_RATE: i64 = 1_000_000;
/// The most calls.
const MAX_CALLS: i64 = 1_000_000_000_000;
/// The longest prefix of the keys, in bytes.
const MAX_PREFIX: usize = 256;

/// The flags that describe a load.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Load {
    #[command(flatten)]
    pub(super) way: Way,
    #[command(flatten)]
    pub(super) token: Token,
    /// Connections at once. A server may limit them: Consul takes 100 of an address.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = bounded(1, MAX_CONNECTIONS))]
    connections: u32,
    /// Streams of each connection at once (yamux).
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = bounded(1, streams()))]
    streams: u32,
    /// Calls outstanding on each connection, or on each stream: above 1 they are pipelined, and a
    /// server answers them in their order.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = bounded(1, MAX_IN_FLIGHT))]
    #[arg(visible_alias = "pipeline")]
    in_flight: u32,
    /// Open a stream for every call, and close it afterwards (yamux).
    #[arg(long, conflicts_with_all = ["connect_per_call", "in_flight"])]
    stream_per_call: bool,
    /// Connect for every call, and close the connection afterwards. Connecting is part of the call.
    #[arg(long, conflicts_with_all = ["in_flight", "streams"])]
    connect_per_call: bool,
    /// The method that is called.
    #[arg(long, value_enum, value_name = "METHOD", default_value = "Status.Ping")]
    #[arg(ignore_case = true, conflicts_with = "mix")]
    method: Method,
    /// Methods and how often each is called in proportion: Status.Ping=1,KVS.Get=8.
    #[arg(long, value_name = "METHOD=WEIGHT,…", value_parser = mix::parse)]
    mix: Option<Mix>,
    /// The size of the values that are read and written, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 128, value_parser = bounded(0, MAX_VALUE))]
    value_size: u32,
    /// How many keys KVS.List and KVS.ListKeys find.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = bounded(1, MAX_KEYS))]
    list_size: u32,
    /// How many keys KVS.Get reads and KVS.Apply writes, one after the other.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = bounded(1, MAX_KEYS))]
    keys: u32,
    /// What the names of all keys begin with; behind it comes a part that no other run has. The
    /// keys are deleted in the end.
    #[arg(long, value_name = "PREFIX", default_value = "oneport-bench/", value_parser = prefix)]
    pub(super) prefix: String,
    /// How long the load lasts: 500ms, 10s, 5m [default: 10s; 3s a round in compare].
    #[arg(long, value_name = "TIME", conflicts_with = "calls", value_parser = duration::parse)]
    duration: Option<Duration>,
    /// How many calls the load has, whatever time they take; with 0 there is none.
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(0..=MAX_CALLS.unsigned_abs()))]
    calls: Option<u64>,
    /// Calls a second, at even intervals, whether or not the last ones were answered: a latency is
    /// counted from the moment at which its call was due. Without it a call follows an answer.
    #[arg(long, value_name = "N", value_parser = bounded(1, MAX_RATE))]
    pub(super) rate: Option<u32>,
    /// How long the same load runs before it is measured; 0 is not at all.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = span)]
    pub(super) warm_up: Duration,
}

/// When a load ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// After this time.
    Time(Duration),
    /// After so many calls.
    Calls(u64),
}

/// How long a connection or stream is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reuse {
    /// As long as it works.
    Always,
    /// Every call has a stream of its own.
    StreamPerCall,
    /// Every call has a connection of its own.
    ConnectPerCall,
}

impl Load {
    /// Refuses what no single flag can see.
    pub(super) fn validate(&self) -> Result<(), Failure> {
        let refuse = |message| Err(Failure::new(Exit::Usage, message));
        let plain = self.way.transport == Transport::Single;
        if plain && self.streams > 1 {
            return refuse(format!(
                "--streams is {}, but a plain connection has none: it needs --transport yamux",
                self.streams
            ));
        }
        if plain && self.stream_per_call {
            return refuse("--stream-per-call needs --transport yamux".into());
        }
        let outstanding = self.lanes() * self.in_flight();
        if outstanding > MAX_OUTSTANDING {
            return refuse(format!(
                "--connections {} with --streams {} and --in-flight {} are {outstanding} calls \
                 at once, but there may be at most {MAX_OUTSTANDING}",
                self.connections, self.streams, self.in_flight
            ));
        }
        let stock = usize_of(self.list_size.max(self.keys)) * self.value_size();
        if stock > MAX_STOCK {
            return refuse(format!(
                "--value-size {} with --list-size {} and --keys {} are {stock} bytes in one \
                 place, but there may be at most {MAX_STOCK}",
                self.value_size, self.list_size, self.keys
            ));
        }
        Ok(())
    }

    pub(super) fn connections(&self) -> usize {
        usize_of(self.connections)
    }

    pub(super) fn streams(&self) -> usize {
        usize_of(self.streams)
    }

    /// Connections, or streams of all connections, that carry calls at once.
    pub(super) fn lanes(&self) -> usize {
        self.connections() * self.streams()
    }

    pub(super) fn in_flight(&self) -> usize {
        usize_of(self.in_flight)
    }

    pub(super) fn value_size(&self) -> usize {
        usize_of(self.value_size)
    }

    pub(super) fn list_size(&self) -> usize {
        usize_of(self.list_size)
    }

    pub(super) fn keys(&self) -> usize {
        usize_of(self.keys)
    }

    pub(super) fn reuse(&self) -> Reuse {
        match (self.connect_per_call, self.stream_per_call) {
            (true, _) => Reuse::ConnectPerCall,
            (false, true) => Reuse::StreamPerCall,
            (false, false) => Reuse::Always,
        }
    }

    pub(super) fn mix(&self) -> Mix {
        let only = || Mix::only(self.method);
        self.mix.clone().unwrap_or_else(only)
    }

    pub(super) fn limit(&self, default: Duration) -> Limit {
        match self.calls {
            Some(calls) => Limit::Calls(calls),
            None => Limit::Time(self.duration.unwrap_or(default)),
        }
    }
}

fn bounded(least: i64, most: i64) -> clap::builder::RangedI64ValueParser<u32> {
    value_parser!(u32).range(least..=most)
}

fn streams() -> i64 {
    i64::try_from(MAX_STREAMS).unwrap_or(i64::MAX)
}

fn usize_of(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn span(text: &str) -> Result<Duration, String> {
    match text {
        "0" | "0s" | "0ms" => Ok(Duration::ZERO),
        _ => duration::parse(text).map_err(|limit| format!("{limit}, or 0")),
    }
}

fn prefix(text: &str) -> Result<String, String> {
    if (1..=MAX_PREFIX).contains(&text.len()) {
        return Ok(text.to_owned());
    }
    Err(format!("it must be 1 to {MAX_PREFIX} bytes long"))
}
