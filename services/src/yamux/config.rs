//! The limits of a session.

use tokio::time::{Duration, Instant};

use super::budget::Budget;

/// How long a connection may be silent before the first byte of its first frame.
pub const FIRST_FRAME: Duration = Duration::from_secs(10);
/// What the streams of a session should cost at most before one of them has carried a whole request,
/// in bytes: with what the session itself takes it stays below 64 KiB beyond what was sent.
pub const PROBATION: usize = 40 * 1024;
/// What a stream counts as in [`Config::probation`], in bytes: its place in the session and a
/// net/rpc session on it, rounded up.
pub const STREAM_COST: usize = 1792;
/// Streams open in one session at once. A Consul agent holds one per blocking query.
pub const MAX_STREAMS: usize = 4096;
/// Streams that wait for the protocol to be ready.
pub const ACCEPT_BACKLOG: usize = 256;
/// Streams opened by the peer that have not carried a byte yet.
pub const MAX_SILENT: usize = 256;
/// How long a stream may be open without a byte.
pub const SILENT_TIMEOUT: Duration = Duration::from_secs(30);
/// Streams opened by us and not accepted yet. Go's library allows as many.
pub const MAX_UNACKED: usize = 256;
/// How long a peer may take to accept a stream. Go's library waits as long.
pub const OPEN_TIMEOUT: Duration = Duration::from_secs(75);
/// How long a peer may take to close its half after we have closed ours. As in Go's library.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(300);
/// The largest receive window of a stream, in bytes.
pub const MAX_STREAM_WINDOW: u32 = 4 * 1024 * 1024;
/// Unread bytes of a session above which no more credit is given; also what all windows together
/// may grow by.
pub const SESSION_WINDOW: usize = 8 * 1024 * 1024;
/// Unread bytes of a session above which its newest stream is reset.
pub const MAX_UNREAD: usize = 16 * 1024 * 1024;
/// Unread bytes of a session above which it ends.
pub const FATAL_UNREAD: usize = 24 * 1024 * 1024;
/// Bytes framed and not yet taken by the transport above which streams wait with their writes.
pub const MAX_OUTGOING: usize = 1024 * 1024;
/// Bytes waiting for credit, over all streams, above which no stream is given more to read.
pub const MAX_PENDING: usize = 8 * 1024 * 1024;
/// How long the transport may take no byte while there are some to send. As in Go's library.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the peer is pinged. As in Go's library.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// How long it may take to answer. As in Go's library.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pings that a peer may send.
pub const PINGS: Budget = Budget {
    per_second: 10,
    burst: 100,
};
/// Streams that a peer may reset, or make us reset. The burst lets it cancel all streams of a full
/// session at once, and once more those that it opens in their place.
pub const RESETS: Budget = Budget {
    per_second: 200,
    burst: 8192,
};
/// Frames without payload, credit or flags that a peer may send.
pub const EMPTY_FRAMES: Budget = Budget {
    per_second: 1000,
    burst: 1000,
};
/// Frames that a peer may send for streams which never existed. Late frames of streams that we
/// closed do not count.
pub const UNKNOWN_FRAMES: Budget = Budget {
    per_second: 1000,
    burst: 1000,
};
/// Polls of streams in one turn of the session, before other tasks of the runtime get theirs.
pub const POLLS_PER_TURN: usize = 256;

/// The limits of a session. Every default is a constant of this module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How long a client may be silent before the first byte of its first frame; then the session
    /// ends. Default [`FIRST_FRAME`].
    pub first_frame: Duration,
    /// What the streams of a session may cost, in bytes beyond an eighth of those received and at
    /// [`STREAM_COST`] each, before one of them has carried a whole request ([`Conn::prove`](crate::Conn::prove)) or was answered. What is
    /// opened beyond waits until then, or is reset if it carries data. Default `usize::MAX`, which
    /// trusts everybody at once; [`PROBATION`] is meant for protocols that prove their peers, as
    /// net/rpc does.
    pub probation: usize,
    /// Streams open at once; one more is reset. Default [`MAX_STREAMS`].
    pub max_streams: usize,
    /// Streams waiting for the protocol to be ready; one more is reset. Default
    /// [`ACCEPT_BACKLOG`].
    pub accept_backlog: usize,
    /// Streams of the peer without a byte yet; one more is reset. Default [`MAX_SILENT`].
    pub max_silent: usize,
    /// How long a stream of the peer may be without a byte before it is reset. Default
    /// [`SILENT_TIMEOUT`].
    pub silent_timeout: Duration,
    /// Streams of ours that the peer has not accepted; the next one waits. Default
    /// [`MAX_UNACKED`].
    pub max_unacked: usize,
    /// How long a stream of ours may wait to be accepted before it is reset. Default
    /// [`OPEN_TIMEOUT`].
    pub open_timeout: Duration,
    /// How long a stream that we are done with waits for the peer's FIN before it is reset.
    /// Default [`CLOSE_TIMEOUT`].
    pub close_timeout: Duration,
    /// How far a stream's receive window may grow, in bytes. Default [`MAX_STREAM_WINDOW`]; at
    /// [`INITIAL_WINDOW`](super::INITIAL_WINDOW) or below windows never grow.
    pub max_stream_window: u32,
    /// Unread bytes above which no credit is given, and by how many bytes all windows together may
    /// grow. Default [`SESSION_WINDOW`].
    pub session_window: usize,
    /// Unread bytes above which the newest stream that has some is reset. Default [`MAX_UNREAD`].
    pub max_unread: usize,
    /// Unread bytes above which the session ends. Default [`FATAL_UNREAD`].
    pub fatal_unread: usize,
    /// Outgoing bytes at which writes wait. Default [`MAX_OUTGOING`].
    pub max_outgoing: usize,
    /// Bytes waiting for credit at which inbound streams get nothing more to read. Default
    /// [`MAX_PENDING`].
    pub max_pending: usize,
    /// How long a blocked transport is borne. Default [`WRITE_TIMEOUT`].
    pub write_timeout: Duration,
    /// Time between the answer to a ping and the next one. Default [`KEEPALIVE_INTERVAL`].
    pub keepalive_interval: Duration,
    /// How long an answer to a ping may take. Default [`KEEPALIVE_TIMEOUT`].
    pub keepalive_timeout: Duration,
    /// Pings that the peer may send. Default [`PINGS`].
    pub pings: Budget,
    /// Streams that the peer may reset or have reset. Default [`RESETS`].
    pub resets: Budget,
    /// Empty frames that the peer may send. Default [`EMPTY_FRAMES`].
    pub empty_frames: Budget,
    /// Frames for unknown streams that the peer may send. Default [`UNKNOWN_FRAMES`].
    pub unknown_frames: Budget,
    /// Polls of streams in one turn; at least 1. Default [`POLLS_PER_TURN`].
    pub polls_per_turn: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            first_frame: FIRST_FRAME,
            probation: usize::MAX,
            max_streams: MAX_STREAMS,
            accept_backlog: ACCEPT_BACKLOG,
            max_silent: MAX_SILENT,
            silent_timeout: SILENT_TIMEOUT,
            max_unacked: MAX_UNACKED,
            open_timeout: OPEN_TIMEOUT,
            close_timeout: CLOSE_TIMEOUT,
            max_stream_window: MAX_STREAM_WINDOW,
            session_window: SESSION_WINDOW,
            max_unread: MAX_UNREAD,
            fatal_unread: FATAL_UNREAD,
            max_outgoing: MAX_OUTGOING,
            max_pending: MAX_PENDING,
            write_timeout: WRITE_TIMEOUT,
            keepalive_interval: KEEPALIVE_INTERVAL,
            keepalive_timeout: KEEPALIVE_TIMEOUT,
            pings: PINGS,
            resets: RESETS,
            empty_frames: EMPTY_FRAMES,
            unknown_frames: UNKNOWN_FRAMES,
            polls_per_turn: POLLS_PER_TURN,
        }
    }
}

/// `now + wait`, however long the wait is.
pub(crate) fn after(now: Instant, wait: Duration) -> Instant {
    // Thirty years stand for ever, as in tokio.
    const FOR_EVER: Duration = Duration::from_secs(30 * 365 * 86_400);
    now + wait.min(FOR_EVER)
}
