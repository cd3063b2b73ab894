//! Limits and times of a listener, as plain data.

use std::time::Duration;

/// The limits of a [`Listener`](crate::Listener). In every field zero means "no limit", but for
/// [`grace`](ListenConfig::grace), where it means "no grace".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenConfig {
    /// Connections at once, in all; further ones are closed unread. Default [`MAX_CONNS`].
    pub max_conns: usize,
    /// Connections at once from one source, which is an IPv4 address or an IPv6 /64; further ones
    /// are closed unread. Default [`MAX_CONNS_PER_SOURCE`].
    pub max_conns_per_source: usize,
    /// New connections a second from one source, in the long run; further ones are closed unread.
    /// Default [`CONNS_PER_SECOND`], at most [`MOST_CONNS_PER_SECOND`].
    pub conns_per_second: u32,
    /// New connections from one source at one moment; at least 1 where
    /// [`conns_per_second`](ListenConfig::conns_per_second) holds. Default [`CONN_BURST`].
    pub conn_burst: u32,
    /// New connections a second in all, in the long run; further ones are closed unread. Off by
    /// default, at most [`MOST_CONNS_PER_SECOND`].
    pub all_conns_per_second: u32,
    /// New connections in all at one moment; at least 1 where
    /// [`all_conns_per_second`](ListenConfig::all_conns_per_second) holds.
    pub all_conn_burst: u32,
    /// The time between TCP keepalive probes, in whole seconds. Default [`KEEPALIVE`], at most
    /// [`LONGEST_KEEPALIVE`].
    pub keepalive: Duration,
    /// How long a drain waits for connections before it cuts them. Default [`GRACE`], at most
    /// [`LONGEST_GRACE`].
    pub grace: Duration,
}

/// Connections at once on one port: below the common limit of open files with room to spare.
pub const MAX_CONNS: usize = 4096;
/// Connections at once from one source: Consul's `limits.rpc_max_conns_per_client`.
pub const MAX_CONNS_PER_SOURCE: usize = 100;
/// New connections a second from one source: twice the above, so that a whole node may reconnect
/// twice in one second. Consul has no such limit.
pub const CONNS_PER_SECOND: u32 = 200;
/// New connections from one source at one moment: two seconds' worth.
pub const CONN_BURST: u32 = 400;
/// The time between keepalive probes: that of Go's listeners, hence Consul's.
pub const KEEPALIVE: Duration = Duration::from_secs(15);
/// How long a drain waits: Consul's `leave_drain_time`.
pub const GRACE: Duration = Duration::from_secs(5);

/// The largest [`ListenConfig::conns_per_second`]: a connection a microsecond.
pub const MOST_CONNS_PER_SECOND: u32 = 1_000_000;
/// The largest [`ListenConfig::keepalive`] that Linux takes (`TCP_KEEPIDLE`).
pub const LONGEST_KEEPALIVE: Duration = Duration::from_secs(32_767);
/// The largest [`ListenConfig::grace`].
pub const LONGEST_GRACE: Duration = Duration::from_secs(3600);

impl Default for ListenConfig {
    fn default() -> Self {
        ListenConfig {
            max_conns: MAX_CONNS,
            max_conns_per_source: MAX_CONNS_PER_SOURCE,
            conns_per_second: CONNS_PER_SECOND,
            conn_burst: CONN_BURST,
            all_conns_per_second: 0,
            all_conn_burst: 0,
            keepalive: KEEPALIVE,
            grace: GRACE,
        }
    }
}

/// A setting that cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}, but it must be {limit}")]
pub struct ConfigError {
    /// The field's name, with dots where it is inside another.
    pub field: String,
    /// Its value.
    pub value: String,
    /// What it has to be.
    pub limit: String,
}

impl ListenConfig {
    /// Whether all of it can hold.
    ///
    /// # Errors
    /// The first field that cannot, with its value and its limit.
    pub fn validate(&self) -> Result<(), ConfigError> {
        rate(
            ("conns_per_second", self.conns_per_second),
            ("conn_burst", self.conn_burst),
        )?;
        rate(
            ("all_conns_per_second", self.all_conns_per_second),
            ("all_conn_burst", self.all_conn_burst),
        )?;
        at_most("keepalive", self.keepalive, LONGEST_KEEPALIVE)?;
        at_most("grace", self.grace, LONGEST_GRACE)?;
        let whole = self.keepalive.subsec_nanos() == 0;
        ConfigError::check("keepalive", self.keepalive, whole, "whole seconds")
    }
}

impl ConfigError {
    /// Nothing if a setting `fits`, else the error that names it. For hosts that have settings of
    /// their own.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn check(
        field: impl Into<String>,
        value: impl std::fmt::Debug,
        fits: bool,
        limit: impl Into<String>,
    ) -> Result<(), ConfigError> {
        if fits {
            return Ok(());
        }
        Err(ConfigError {
            field: field.into(),
            value: format!("{value:?}"),
            limit: limit.into(),
        })
    }
}

/// Whether a rate and its burst can hold.
fn rate(rate: (&str, u32), burst: (&str, u32)) -> Result<(), ConfigError> {
    at_most(rate.0, rate.1, MOST_CONNS_PER_SECOND)?;
    let fits = rate.1 == 0 || burst.1 > 0;
    ConfigError::check(
        burst.0,
        burst.1,
        fits,
        format!("at least 1 beside {}", rate.0),
    )
}

fn at_most<T: PartialOrd + std::fmt::Debug>(
    field: &str,
    value: T,
    limit: T,
) -> Result<(), ConfigError> {
    let fits = value <= limit;
    ConfigError::check(field, value, fits, format!("at most {limit:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut ListenConfig)) -> Option<String> {
        let mut config = ListenConfig::default();
        change(&mut config);
        config.validate().err().map(|error| error.to_string())
    }

    #[test]
    fn a_default_holds_and_an_error_names_the_field() {
        assert_eq!(refused(|_| ()), None);
        assert_eq!(
            refused(|config| config.conn_burst = 0).as_deref(),
            Some("conn_burst is 0, but it must be at least 1 beside conns_per_second")
        );
        assert_eq!(
            refused(|config| config.grace = LONGEST_GRACE * 2).as_deref(),
            Some("grace is 7200s, but it must be at most 3600s")
        );
    }

    #[test]
    fn limits_hold_at_their_edge() {
        let most = MOST_CONNS_PER_SECOND;
        assert_eq!(refused(|config| config.conns_per_second = most), None);
        assert!(refused(|config| config.conns_per_second = most + 1).is_some());
        let all = |rate, burst| {
            refused(|config| (config.all_conns_per_second, config.all_conn_burst) = (rate, burst))
        };
        assert_eq!((all(most, 1), all(0, 0)), (None, None));
        assert!(all(most + 1, 1).is_some());
        assert_eq!(
            all(1, 0).as_deref(),
            Some("all_conn_burst is 0, but it must be at least 1 beside all_conns_per_second")
        );
        assert_eq!(refused(|config| config.keepalive = LONGEST_KEEPALIVE), None);
        let longer = LONGEST_KEEPALIVE + Duration::from_secs(1);
        assert!(refused(|config| config.keepalive = longer).is_some());
        let fraction = Duration::from_millis(1500);
        assert!(refused(|config| config.keepalive = fraction).is_some());
        let off = |config: &mut ListenConfig| (config.conns_per_second, config.conn_burst) = (0, 0);
        assert_eq!(refused(off), None);
    }
}
