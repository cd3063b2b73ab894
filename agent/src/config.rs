//! Every setting, as plain data.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use oneport::{
    ConfigError, FIRST_BYTE_WITHIN, ListenConfig,
    services::{msgpack::MAX_DEPTH, netrpc, yamux},
};

/// The settings of an agent. Ready-made for a server that is its own cluster:
///
/// ```
/// use oneport_agent::Config;
///
/// let config = Config { server_port: 0, ..Config::default() };
/// config.validate().unwrap();
///
/// let config = Config { datacenter: String::new(), ..config };
/// assert_eq!(
///     config.validate().unwrap_err().to_string(),
///     r#"datacenter is "", but it must be 1 to 128 of a-z, A-Z, 0-9, - and _"#,
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The node's name. Default `oneport`.
    pub node: String,
    /// The datacenter's name; names are case-sensitive. Default `dc1`.
    pub datacenter: String,
    /// The address to listen at. Default 127.0.0.1.
    pub bind: IpAddr,
    /// The port to listen at; 0 for any that is free. Default 8300.
    pub server_port: u16,
    /// The address that others are told, if it is not [`bind`](Config::bind). An agent that binds
    /// every address and is told no other tells them the loopback one.
    pub advertise: Option<IpAddr>,
    /// How many connections, how fast, and how long they may take to finish.
    pub listen: ListenConfig,
    /// How long a connection may take for its first byte; zero is for ever. Default 5 s, at most
    /// [`LONGEST_FIRST_BYTE`].
    pub first_byte: Duration,
    /// What a net/rpc request may be.
    pub netrpc: netrpc::Config,
    /// What a yamux session may take. The default is the library's, but for
    /// [`probation`](yamux::Config::probation): all streams are net/rpc here, which proves its
    /// peers, so strangers get [`PROBATION`](yamux::config::PROBATION) bytes.
    pub yamux: yamux::Config,
    /// Reads that wait.
    pub queries: QueryConfig,
    /// What deletions leave behind.
    pub tombstones: TombstoneConfig,
}

/// The limits of blocking queries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryConfig {
    /// How long a query waits that does not say how long. Default 300 s.
    pub default_time: Duration,
    /// How long a query may ask to wait; a longer wish counts as this one. Default 600 s, at most
    /// [`LONGEST_WAIT`]. Up to a sixteenth more is added, so that queries that came together do
    /// not end together.
    pub max_time: Duration,
    /// How many queries may wait at once; one more is answered at once with what there is. Default
    /// 8192, at most [`MOST_BLOCKING`].
    pub max_blocking: usize,
}

/// The life of tombstones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TombstoneConfig {
    /// How long the indexes of lists remember a deletion. Default 900 s.
    pub ttl: Duration,
    /// How often old ones are looked for. Default 30 s, at least 1 s.
    pub granularity: Duration,
}

/// The largest [`Config::first_byte`].
pub const LONGEST_FIRST_BYTE: Duration = Duration::from_secs(3600);
/// The largest body of a net/rpc request that can be asked for: 1 GiB.
pub const LARGEST_BODY: usize = 1 << 30;
/// The largest [`QueryConfig::max_time`].
pub const LONGEST_WAIT: Duration = Duration::from_secs(86_400);
/// The largest [`QueryConfig::max_blocking`].
pub const MOST_BLOCKING: usize = 1 << 20;
/// The largest [`TombstoneConfig::ttl`].
pub const LONGEST_TTL: Duration = Duration::from_secs(30 * 86_400);
/// The longest name of a node or datacenter.
pub const LONGEST_NAME: usize = 128;

impl Default for Config {
    fn default() -> Self {
        Config {
            node: "oneport".into(),
            datacenter: "dc1".into(),
            bind: Ipv4Addr::LOCALHOST.into(),
            server_port: 8300,
            advertise: None,
            listen: ListenConfig::default(),
            first_byte: FIRST_BYTE_WITHIN,
            netrpc: netrpc::Config::default(),
            yamux: yamux::Config {
                probation: yamux::config::PROBATION,
                ..yamux::Config::default()
            },
            queries: QueryConfig::default(),
            tombstones: TombstoneConfig::default(),
        }
    }
}

impl Default for QueryConfig {
    fn default() -> Self {
        QueryConfig {
            default_time: Duration::from_secs(300),
            max_time: Duration::from_secs(600),
            max_blocking: 8192,
        }
    }
}

impl Default for TombstoneConfig {
    fn default() -> Self {
        TombstoneConfig {
            ttl: Duration::from_secs(15 * 60),
            granularity: Duration::from_secs(30),
        }
    }
}

impl Config {
    /// Whether all of it can hold.
    ///
    /// # Errors
    /// The first field that cannot, with its value and its limit.
    pub fn validate(&self) -> Result<(), ConfigError> {
        name("node", &self.node)?;
        name("datacenter", &self.datacenter)?;
        if let Some(ip) = self.advertise {
            let limit = "an address that others can reach";
            ConfigError::check("advertise", ip, !ip.is_unspecified(), limit)?;
        }
        self.listen.validate().map_err(|error| ConfigError {
            field: format!("listen.{}", error.field),
            value: error.value,
            limit: error.limit,
        })?;
        let fits = self.first_byte <= LONGEST_FIRST_BYTE;
        let limit = format!("at most {LONGEST_FIRST_BYTE:?}");
        ConfigError::check("first_byte", self.first_byte, fits, &limit)?;
        requests(&self.netrpc)?;
        sessions(&self.yamux)?;
        self.queries.validate()?;
        self.tombstones.validate()
    }

    /// Where to listen.
    pub fn listen_addr(&self) -> SocketAddr {
        SocketAddr::new(self.bind, self.server_port)
    }

    /// What others are told once the agent listens at `bound`.
    pub fn advertised(&self, bound: SocketAddr) -> SocketAddr {
        let ip = match (self.advertise, bound.ip()) {
            (Some(ip), _) => ip,
            (None, IpAddr::V4(ip)) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            (None, IpAddr::V6(ip)) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            (None, ip) => ip,
        };
        SocketAddr::new(ip, bound.port())
    }
}

impl QueryConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        let zero = Duration::ZERO;
        let fits = self.max_time > zero && self.max_time <= LONGEST_WAIT;
        let limit = format!("above 0 and at most {LONGEST_WAIT:?}");
        ConfigError::check("queries.max_time", self.max_time, fits, &limit)?;
        let fits = self.default_time > zero && self.default_time <= self.max_time;
        let limit = format!("above 0 and at most queries.max_time, {:?}", self.max_time);
        ConfigError::check("queries.default_time", self.default_time, fits, &limit)?;
        let fits = self.max_blocking <= MOST_BLOCKING;
        let limit = format!("at most {MOST_BLOCKING}");
        ConfigError::check("queries.max_blocking", self.max_blocking, fits, &limit)
    }
}

impl TombstoneConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        let fits = self.ttl > Duration::ZERO && self.ttl <= LONGEST_TTL;
        let limit = format!("above 0 and at most {LONGEST_TTL:?}");
        ConfigError::check("tombstones.ttl", self.ttl, fits, &limit)?;
        let second = Duration::from_secs(1);
        let fits = self.granularity >= second && self.granularity <= LONGEST_TTL;
        let limit = format!("{second:?} to {LONGEST_TTL:?}");
        ConfigError::check("tombstones.granularity", self.granularity, fits, &limit)
    }
}

/// What a request may be: anything but nothing, and no deeper than decodes.
fn requests(config: &netrpc::Config) -> Result<(), ConfigError> {
    for (field, size) in [
        ("netrpc.header_limit", config.header_limit),
        ("netrpc.method_limit", config.method_limit),
    ] {
        let fits = (1..=LARGEST_BODY).contains(&size);
        ConfigError::check(field, size, fits, format!("1 to {LARGEST_BODY}"))?;
    }
    let fits = (1..=LARGEST_BODY).contains(&config.body_limit);
    let limit = format!("1 to {LARGEST_BODY}");
    ConfigError::check("netrpc.body_limit", config.body_limit, fits, &limit)?;
    let fits = (1..=MAX_DEPTH).contains(&config.depth);
    ConfigError::check(
        "netrpc.depth",
        config.depth,
        fits,
        format!("1 to {MAX_DEPTH}"),
    )?;
    ConfigError::check(
        "netrpc.elements",
        config.elements,
        config.elements > 0,
        "at least 1",
    )?;
    for (field, time) in [
        ("netrpc.head_time", config.head_time),
        ("netrpc.body_stall", config.body_stall),
    ] {
        ConfigError::check(field, time, time > Duration::ZERO, "above 0")?;
    }
    Ok(())
}

/// What a session may take: room for one stream at least, and an order among the limits of memory.
fn sessions(config: &yamux::Config) -> Result<(), ConfigError> {
    for (field, count) in [
        ("yamux.max_streams", config.max_streams),
        ("yamux.accept_backlog", config.accept_backlog),
        ("yamux.max_silent", config.max_silent),
        ("yamux.max_unacked", config.max_unacked),
        ("yamux.max_outgoing", config.max_outgoing),
        ("yamux.polls_per_turn", config.polls_per_turn),
    ] {
        ConfigError::check(field, count, count > 0, "at least 1")?;
    }
    let fits = config.max_unread >= config.session_window;
    let limit = format!("at least yamux.session_window, {}", config.session_window);
    ConfigError::check("yamux.max_unread", config.max_unread, fits, &limit)?;
    let fits = config.fatal_unread >= config.max_unread;
    let limit = format!("at least yamux.max_unread, {}", config.max_unread);
    ConfigError::check("yamux.fatal_unread", config.fatal_unread, fits, &limit)?;
    for (field, time) in [
        ("yamux.first_frame", config.first_frame),
        ("yamux.silent_timeout", config.silent_timeout),
        ("yamux.open_timeout", config.open_timeout),
        ("yamux.close_timeout", config.close_timeout),
        ("yamux.write_timeout", config.write_timeout),
        ("yamux.keepalive_interval", config.keepalive_interval),
        ("yamux.keepalive_timeout", config.keepalive_timeout),
    ] {
        ConfigError::check(field, time, time > Duration::ZERO, "above 0")?;
    }
    Ok(())
}

/// Consul's rule for names that have to fit in DNS and in log lines.
fn name(field: &str, value: &str) -> Result<(), ConfigError> {
    let lettered = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let fits = (1..=LONGEST_NAME).contains(&value.len()) && value.bytes().all(lettered);
    let limit = format!("1 to {LONGEST_NAME} of a-z, A-Z, 0-9, - and _");
    ConfigError::check(field, value, fits, &limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Config)) -> Option<String> {
        let mut config = Config::default();
        change(&mut config);
        config.validate().err().map(|error| error.to_string())
    }

    #[test]
    fn the_default_holds() {
        assert_eq!(refused(|_| ()), None);
    }

    #[test]
    fn an_error_names_field_value_and_limit() {
        assert_eq!(
            refused(|config| config.node = "a.b".into()).unwrap(),
            r#"node is "a.b", but it must be 1 to 128 of a-z, A-Z, 0-9, - and _"#
        );
        assert_eq!(
            refused(|config| config.listen.grace = Duration::from_secs(7200)).unwrap(),
            "listen.grace is 7200s, but it must be at most 3600s"
        );
        assert_eq!(
            refused(|config| config.netrpc.depth = MAX_DEPTH + 1).unwrap(),
            format!(
                "netrpc.depth is {}, but it must be 1 to {MAX_DEPTH}",
                MAX_DEPTH + 1
            )
        );
        assert_eq!(
            refused(|config| config.queries.max_blocking = MOST_BLOCKING + 1).unwrap(),
            "queries.max_blocking is 1048577, but it must be at most 1048576"
        );
        assert_eq!(
            refused(|config| config.queries.default_time = Duration::from_secs(601)).unwrap(),
            "queries.default_time is 601s, but it must be above 0 and at most queries.max_time, 600s"
        );
    }

    #[test]
    fn limits_hold_at_their_edge() {
        let edge = |wait| move |config: &mut Config| config.queries.max_time = wait;
        assert_eq!(refused(edge(LONGEST_WAIT)), None);
        assert!(refused(edge(LONGEST_WAIT + Duration::from_nanos(1))).is_some());
        assert!(refused(edge(Duration::ZERO)).is_some());
        assert_eq!(
            refused(|config| config.node = "n".repeat(LONGEST_NAME)),
            None
        );
        assert!(refused(|config| config.node = "n".repeat(LONGEST_NAME + 1)).is_some());
        assert_eq!(refused(|config| config.queries.max_blocking = 0), None);
        let step = |step| move |config: &mut Config| config.tombstones.granularity = step;
        assert_eq!(refused(step(Duration::from_secs(1))), None);
        assert!(refused(step(Duration::from_millis(999))).is_some());
        assert!(refused(|config| config.tombstones.ttl = Duration::ZERO).is_some());
        assert!(refused(|config| config.yamux.max_streams = 0).is_some());
        assert!(refused(|config| config.yamux.fatal_unread = 0).is_some());
        assert!(refused(|config| config.yamux.keepalive_interval = Duration::ZERO).is_some());
        let body = |limit| move |config: &mut Config| config.netrpc.body_limit = limit;
        assert_eq!(refused(body(LARGEST_BODY)), None);
        assert!(refused(body(LARGEST_BODY + 1)).is_some());
        assert!(refused(body(0)).is_some());
        assert!(refused(|config| config.advertise = Some(Ipv4Addr::UNSPECIFIED.into())).is_some());
    }

    #[test]
    fn others_are_told_an_address_that_they_can_reach() {
        let config = Config::default();
        let told = |bound: &str| config.advertised(bound.parse().unwrap()).to_string();
        assert_eq!(told("10.0.0.1:8300"), "10.0.0.1:8300");
        assert_eq!(told("0.0.0.0:8300"), "127.0.0.1:8300");
        assert_eq!(told("[::]:8300"), "[::1]:8300");
    }
}
