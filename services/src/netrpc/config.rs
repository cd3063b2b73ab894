//! How much, how long and how deep a net/rpc peer may go.

use std::time::Duration;

use super::frame::Bounds;
use crate::msgpack;

/// Largest header, in bytes, unless configured otherwise. Consul has no limit; a real one is under
/// 100.
pub const DEFAULT_HEADER_LIMIT: usize = 1024;
/// Longest `Service.Method`, in bytes, unless configured otherwise. Consul answers one of 304.
pub const DEFAULT_METHOD_LIMIT: usize = 512;
/// Largest request body, in bytes, unless configured otherwise. Consul has no limit.
pub const DEFAULT_BODY_LIMIT: usize = 8 * 1024 * 1024;
/// Largest reply body that a [`Channel`](super::Channel) takes, in bytes.
pub const DEFAULT_REPLY_LIMIT: usize = 256 * 1024 * 1024;
/// How long a connection may stay silent before its first request.
pub const DEFAULT_FIRST_REQUEST: Duration = Duration::from_secs(10);
/// How long a header may take from its first byte to its last.
pub const DEFAULT_HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a body may make no progress.
pub const DEFAULT_BODY_STALL: Duration = Duration::from_secs(30);
/// The least mean rate of a request that is under way, in bytes a second.
pub const DEFAULT_LEAST_RATE: u64 = 4096;
/// From when on, counted from a request's first byte, the least rate is asked for.
pub const DEFAULT_LEAST_RATE_AFTER: Duration = Duration::from_secs(10);
/// How long a peer may take none of what is to be sent to it.
pub const DEFAULT_WRITE_STALL: Duration = Duration::from_secs(30);
/// How long a session that refused a body waits for silence, so that its answer is read.
pub const DEFAULT_LINGER: Duration = Duration::from_secs(1);
/// How many bytes of a refused body a session throws away before it gives up on the peer.
pub const DEFAULT_LINGER_BYTES: usize = 64 * 1024 * 1024;
/// How long a blocking query waits that does not say how long: Consul's `default_query_time`.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(300);
/// How long a blocking query may ask to wait: Consul's `max_query_time`.
pub const DEFAULT_MAX_WAIT: Duration = Duration::from_secs(600);
/// Up to this part of its time more a query waits, so that queries that came together do not end
/// together: Consul's jitter.
const WAIT_SPREAD: u32 = 16;

/// What a [`Server`](super::Server) takes from a peer.
///
/// Times run only while a request is under way: a pooled connection may be idle for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Largest request header in bytes; the default is [`DEFAULT_HEADER_LIMIT`].
    pub header_limit: usize,
    /// Longest method name in bytes; the default is [`DEFAULT_METHOD_LIMIT`].
    pub method_limit: usize,
    /// Largest request body in bytes; the default is [`DEFAULT_BODY_LIMIT`].
    pub body_limit: usize,
    /// Deepest nesting of a body; [`msgpack::MAX_DEPTH`] is the default and the most that decodes.
    pub depth: usize,
    /// Most elements of a body; the default is [`msgpack::MAX_ELEMENTS`].
    pub elements: u64,
    /// How long a connection may stay silent before its first request; `None` where the carrier
    /// has a limit of its own, as yamux has for its streams.
    pub first_request: Option<Duration>,
    /// How long a header may take from its first byte.
    pub head_time: Duration,
    /// How long a body may make no progress.
    pub body_stall: Duration,
    /// The least mean rate of a request under way in bytes a second; 0 asks for none.
    pub least_rate: u64,
    /// From when on the least rate is asked for.
    pub least_rate_after: Duration,
    /// How long a peer may take none of what is to be sent to it; `None` where the carrier has a
    /// limit of its own, as yamux has for its connection. The default is [`DEFAULT_WRITE_STALL`].
    pub write_stall: Option<Duration>,
    /// How long a session that refused a body waits for the peer's silence, and one that ends for
    /// what is to be sent.
    pub linger: Duration,
    /// How many bytes of a refused body are thrown away; the default is [`DEFAULT_LINGER_BYTES`].
    pub linger_bytes: usize,
    /// How long a blocking query waits that does not say how long; the default is
    /// [`DEFAULT_WAIT`]. This and [`max_wait`](Config::max_wait) only tell the layers how long a
    /// query may take ([`Head::wait`](oneport_proto::Head::wait)): give them the limits of whoever
    /// runs the queries.
    pub default_wait: Duration,
    /// How long a blocking query may ask to wait; a longer wish counts as this one. The default is
    /// [`DEFAULT_MAX_WAIT`].
    pub max_wait: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            header_limit: DEFAULT_HEADER_LIMIT,
            method_limit: DEFAULT_METHOD_LIMIT,
            body_limit: DEFAULT_BODY_LIMIT,
            depth: msgpack::MAX_DEPTH,
            elements: msgpack::MAX_ELEMENTS,
            first_request: Some(DEFAULT_FIRST_REQUEST),
            head_time: DEFAULT_HEAD_TIME,
            body_stall: DEFAULT_BODY_STALL,
            least_rate: DEFAULT_LEAST_RATE,
            least_rate_after: DEFAULT_LEAST_RATE_AFTER,
            write_stall: Some(DEFAULT_WRITE_STALL),
            linger: DEFAULT_LINGER,
            linger_bytes: DEFAULT_LINGER_BYTES,
            default_wait: DEFAULT_WAIT,
            max_wait: DEFAULT_MAX_WAIT,
        }
    }
}

impl Config {
    /// The longest that a blocking query may wait that [asked](super::Asked::wait) for this: the
    /// server's default or cap, and a sixteenth more.
    pub fn longest_wait(&self, asked: Duration) -> Duration {
        let time = if asked.is_zero() {
            self.default_wait
        } else {
            asked.min(self.max_wait)
        };
        time.saturating_add(time / WAIT_SPREAD)
    }

    /// What a request may be at most.
    pub(crate) fn bounds(&self) -> Bounds {
        let limits = |size| msgpack::Limits {
            size,
            depth: self.depth,
            elements: self.elements,
        };
        Bounds {
            header: limits(self.header_limit),
            method: self.method_limit,
            body: limits(self.body_limit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_has_a_default_and_a_cap_and_is_spread() {
        let config = Config {
            default_wait: Duration::from_secs(32),
            max_wait: Duration::from_secs(64),
            ..Config::default()
        };
        for (asked, longest) in [(0, 34), (16, 17), (64, 68), (65, 68), (u64::MAX, 68)] {
            let asked = Duration::from_secs(asked);
            assert_eq!(config.longest_wait(asked), Duration::from_secs(longest));
        }
    }
}
