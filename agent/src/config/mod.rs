//! Every setting, as plain data; where it may come from; and the table that says what it may be.
//!
//! | module | what it is |
//! |---|---|
//! | [`settings`] | the table of all settings: one row is all there is to know about one |
//! | [`field`] | their types and limits |
//! | [`load`] | from files to a [`Config`], or to everything that is wrong with them |
//! | [`document`] | a file as a tree that knows its places |
//! | [`acl`] | who may do what |
//! | [`consul`] | keys that Consul has and we have no use for yet |
//! | [`page`] | the reference page |
//! | [`span`] | spans of time as Go writes them |

pub mod acl;
pub mod consul;
pub mod document;
mod drpc;
pub mod field;
mod level;
pub mod load;
pub mod page;
mod setting;
pub mod settings;
pub mod span;
mod words;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use oneport::{
    ConfigError, FIRST_BYTE_WITHIN, ListenConfig, StackConfig,
    services::{netrpc, yamux},
};

pub use acl::{AclConfig, NetworkConfig, TokenConfig};
pub use drpc::DrpcConfig;
pub use level::Level;
pub use setting::{Change, OURS, Setting};
use settings::SETTINGS;
use span::Span;

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
#[derive(Clone, Debug, PartialEq)]
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
    /// How long calls may take, how often they may come, and how many at once.
    pub stack: StackConfig,
    /// Who may do what.
    pub acl: AclConfig,
    /// Who may call at all, by address.
    pub networks: NetworkConfig,
    /// Reads that wait.
    pub queries: QueryConfig,
    /// What deletions leave behind.
    pub tombstones: TombstoneConfig,
    /// How much is logged; `None` leaves it to the environment.
    pub log_level: Option<Level>,
    /// Whether logs are JSON.
    pub log_json: bool,
    /// Where the process id is written, if anywhere.
    pub pid_file: Option<PathBuf>,
    /// Where the admin socket is, if there is one.
    pub admin_socket: Option<PathBuf>,
    /// Where metrics can be scraped by TCP, if anywhere.
    pub metrics_addr: Option<SocketAddr>,
    /// What the names of Consul's metrics begin with. Default `consul`.
    pub metrics_prefix: String,
    /// The dRPC socket.
    pub drpc: DrpcConfig,
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
/// The longest time-out of a connection, a session or a stream.
pub const LONGEST_TIME: Duration = Duration::from_secs(86_400);
/// The longest path, in bytes: Linux takes no longer one.
pub const LONGEST_PATH: usize = 4095;
/// The longest path of a unix socket, in bytes. The kernel takes 107, and while the socket is being
/// made its name is a little longer.
pub const LONGEST_SOCKET: usize = 90;

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
            stack: stack(),
            acl: AclConfig::default(),
            networks: NetworkConfig::default(),
            queries: QueryConfig::default(),
            tombstones: TombstoneConfig::default(),
            log_level: None,
            log_json: false,
            pid_file: None,
            admin_socket: None,
            metrics_addr: None,
            metrics_prefix: "consul".into(),
            drpc: DrpcConfig::default(),
        }
    }
}

/// The burst of `limits.rpc_rate`: Consul's.
const RPC_BURST: u32 = 1000;
/// The bursts of a source and of an identity: what an agent asks when it starts anew.
const SOURCE_BURST: u32 = 200;

/// The library's defaults, with bursts for the rates that have none as long as they are infinite.
fn stack() -> StackConfig {
    let mut stack = StackConfig::default();
    stack.rates.rpc.burst = RPC_BURST;
    stack.rates.source.burst = SOURCE_BURST;
    stack.rates.identity.burst = SOURCE_BURST;
    stack
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
    /// The first setting that cannot, by its key, with its value and its limit.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.problems().into_iter().next().map_or(Ok(()), Err)
    }

    /// Everything that cannot hold: each setting by itself, in the order of [`SETTINGS`], then what
    /// has to fit together.
    pub fn problems(&self) -> Vec<ConfigError> {
        let alone = SETTINGS.iter().filter(|setting| !setting.field.fits(self));
        let alone = alone.map(|setting| ConfigError {
            field: setting.key.to_owned(),
            value: setting.field.get(self).to_string(),
            limit: setting.field.allowed(),
        });
        alone
            .chain(self.mismatches())
            .chain(self.acl.problem())
            .collect()
    }

    /// What does not fit together.
    pub fn mismatches(&self) -> Vec<ConfigError> {
        let (queries, listen, yamux) = (&self.queries, &self.listen, &self.yamux);
        let burst = listen.conn_burst > 0 || listen.conns_per_second == 0;
        let all_burst = listen.all_conn_burst > 0 || listen.all_conns_per_second == 0;
        [
            (
                "default_query_time",
                queries.default_time <= queries.max_time,
                format!("at most max_query_time, {}", Span(queries.max_time)),
            ),
            (
                "oneport.listen.conn_burst",
                burst,
                "at least 1 beside oneport.listen.conns_per_second".to_owned(),
            ),
            (
                "oneport.listen.all_conn_burst",
                all_burst,
                "at least 1 beside oneport.listen.all_conns_per_second".to_owned(),
            ),
            (
                "oneport.yamux.max_unread",
                yamux.max_unread >= yamux.session_window,
                format!(
                    "at least oneport.yamux.session_window, {}",
                    yamux.session_window
                ),
            ),
            (
                "oneport.yamux.fatal_unread",
                yamux.fatal_unread >= yamux.max_unread,
                format!("at least oneport.yamux.max_unread, {}", yamux.max_unread),
            ),
        ]
        .into_iter()
        .filter(|(_, fits, _)| !fits)
        .map(|(key, _, limit)| ConfigError {
            field: key.to_owned(),
            value: Setting::of(key)
                .map_or_else(String::new, |setting| setting.field.get(self).to_string()),
            limit,
        })
        .collect()
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
    fn an_error_names_key_value_and_limit() {
        assert_eq!(
            refused(|config| config.node = "a.b".into()).unwrap(),
            r#"node_name is "a.b", but it must be 1 to 128 of a-z, A-Z, 0-9, - and _"#
        );
        assert_eq!(
            refused(|config| config.queries.default_time = Duration::from_secs(601)).unwrap(),
            r#"default_query_time is "10m1s", but it must be at most max_query_time, 10m0s"#
        );
    }

    #[test]
    fn all_that_cannot_hold_is_named() {
        let config = Config {
            datacenter: String::new(),
            server_port: 0,
            first_byte: LONGEST_FIRST_BYTE * 2,
            ..Config::default()
        };
        let keys: Vec<_> = config
            .problems()
            .into_iter()
            .map(|error| error.field)
            .collect();
        assert_eq!(keys, ["datacenter", "limits.rpc_handshake_timeout"]);
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
        let burst = |burst| move |config: &mut Config| config.listen.conn_burst = burst;
        assert!(refused(burst(0)).is_some());
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
