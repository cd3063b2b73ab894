//! Why sessions and streams end.

use std::io;

use oneport_proto::BoxError;
use thiserror::Error;

use super::frame::BadHeader;

/// What a peer did that ends the whole session: it is told by a go-away with code 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// A header that is not one.
    #[error(transparent)]
    BadHeader(#[from] BadHeader),
    /// A data or window frame for stream 0.
    #[error("stream id 0")]
    StreamZero,
    /// SYN for a stream that is open.
    #[error("second SYN for an open stream")]
    DuplicateSyn,
    /// FIN for a stream that had one.
    #[error("second FIN for a stream")]
    DoubleFin,
    /// A data frame longer than what was granted.
    #[error("data over the receive window")]
    WindowExceeded,
    /// More credit than 32 bits hold.
    #[error("window credit overflow")]
    CreditOverflow,
    /// Too much unread at once, over all streams.
    #[error("too many unread bytes")]
    UnreadExceeded,
    /// Too many pings.
    #[error("ping flood")]
    PingFlood,
    /// Too many resets, sent or asked for.
    #[error("reset flood")]
    ResetFlood,
    /// Too many frames that say nothing.
    #[error("flood of empty frames")]
    EmptyFlood,
    /// Too many frames for streams that do not exist.
    #[error("flood of frames for unknown streams")]
    UnknownFlood,
}

impl Fault {
    /// The label of the fault counter.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Fault::BadHeader(BadHeader::Version(_)) => "version",
            Fault::BadHeader(BadHeader::Kind(_)) => "type",
            Fault::StreamZero => "stream_zero",
            Fault::DuplicateSyn => "duplicate_syn",
            Fault::DoubleFin => "double_fin",
            Fault::WindowExceeded => "window_exceeded",
            Fault::CreditOverflow => "credit_overflow",
            Fault::UnreadExceeded => "unread_exceeded",
            Fault::PingFlood => "ping_flood",
            Fault::ResetFlood => "reset_flood",
            Fault::EmptyFlood => "empty_flood",
            Fault::UnknownFlood => "unknown_flood",
        }
    }
}

/// Why a session ended, when it was not an orderly end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The peer broke the protocol or flooded us.
    #[error("yamux: {0}")]
    Fault(#[from] Fault),
    /// The peer said that we did, or that it failed: a go-away with a code other than 0.
    #[error("yamux: the peer ended the session with code {0}")]
    GoneAway(u32),
    /// Nothing came at all.
    #[error("yamux: no frame in time")]
    Silent,
    /// A ping was not answered in time.
    #[error("yamux: keepalive failed")]
    KeepaliveFailed,
    /// The transport took no byte for too long.
    #[error("yamux: write stalled")]
    WriteStalled,
    /// The connection ended inside a frame.
    #[error("yamux: connection ended inside a frame")]
    Truncated,
    /// The transport failed.
    #[error("yamux: {0}")]
    Io(#[from] io::Error),
    /// The protocol of the streams is dead: its readiness failed.
    #[error("yamux: protocol of the streams failed: {0}")]
    Protocol(BoxError),
}

/// Why a stream's reads and writes fail; it is inside the [`io::Error`] that they return.
///
/// The texts are those of the reference, which callers compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The peer, or a limit, reset the stream.
    #[error("connection reset")]
    Reset,
    /// Written after our own FIN.
    #[error("stream closed")]
    Closed,
    /// The peer did not accept, begin or close the stream in time.
    #[error("i/o deadline reached")]
    TimedOut,
    /// The session is gone.
    #[error("session shutdown")]
    SessionClosed,
}

impl From<StreamError> for io::Error {
    fn from(err: StreamError) -> io::Error {
        let kind = match err {
            StreamError::Reset => io::ErrorKind::ConnectionReset,
            StreamError::Closed => io::ErrorKind::BrokenPipe,
            StreamError::TimedOut => io::ErrorKind::TimedOut,
            StreamError::SessionClosed => io::ErrorKind::ConnectionAborted,
        };
        io::Error::new(kind, err)
    }
}

/// Why a stream could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The session has ended, or was told to by us.
    #[error("session shutdown")]
    SessionClosed,
    /// The peer has sent a go-away: streams that are open go on, new ones belong elsewhere.
    #[error("remote end is not accepting connections")]
    GoAway,
    /// All stream ids of the session are used up; a new session has more.
    #[error("streams exhausted")]
    StreamsExhausted,
    /// As many streams are open as [`Config::max_streams`](super::Config::max_streams) allows.
    #[error("too many streams")]
    TooManyStreams,
}
