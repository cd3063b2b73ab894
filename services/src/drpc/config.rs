//! How much and how long a dRPC peer may take.

use std::time::Duration;

/// Largest message in bytes, headers not counted, unless configured otherwise. DAOS has no limit.
pub const DEFAULT_MESSAGE_LIMIT: usize = 32 * 1024 * 1024;
/// Memory for messages of more than one packet, in bytes, of all connections of a server together.
pub const DEFAULT_MEMORY: usize = 256 * 1024 * 1024;
/// How long a message may take from its first chunk to its last.
pub const DEFAULT_MESSAGE_TIME: Duration = Duration::from_secs(30);
/// How long a peer may take nothing of what is to be sent to it.
pub const DEFAULT_WRITE_STALL: Duration = Duration::from_secs(30);
/// How long connecting may take, with the tries that a full queue of the server costs.
pub const DEFAULT_CONNECT_TIME: Duration = Duration::from_secs(5);

/// What a [`Server`](super::Server) takes from a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Largest message in bytes; the default is [`DEFAULT_MESSAGE_LIMIT`]. A longer one ends the
    /// session.
    pub message_limit: usize,
    /// Memory for messages of more than one packet, in bytes, of all sessions together; the default
    /// is [`DEFAULT_MEMORY`]. When it is taken, further ones wait unread; calls that fit into one
    /// packet never do. One message is always let in, however large.
    pub memory: usize,
    /// How long a message may take from its first chunk to its last, with the wait for memory; the
    /// default is [`DEFAULT_MESSAGE_TIME`].
    pub message_time: Duration,
    /// How long a peer may take nothing of an answer; the default is [`DEFAULT_WRITE_STALL`].
    pub write_stall: Duration,
    /// How long a session may be idle; the default is for ever, as in DAOS.
    pub idle: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            message_limit: DEFAULT_MESSAGE_LIMIT,
            memory: DEFAULT_MEMORY,
            message_time: DEFAULT_MESSAGE_TIME,
            write_stall: DEFAULT_WRITE_STALL,
            idle: None,
        }
    }
}
