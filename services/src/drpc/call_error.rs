//! Why a call has no result.

use std::{io, path::PathBuf, time::Duration};

use oneport_proto::BoxError;

use super::{chunk::FrameError, failure::Failure};

/// How far a call had come when it failed: whether it may be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Not all of it has left: no server carries it out.
    No,
    /// All of it has left and there is no answer: it may have been carried out.
    Yes,
}

/// Why a call has no result. Errors of the way there say how far the call had come; see
/// [`CallError::sent`].
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The server answered with another status than success.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// There is no connection, and the channel is not one that makes its own.
    #[error("not connected")]
    NotConnected,
    /// Connecting failed.
    #[error("cannot connect to {}: {source}", path.display())]
    Connect {
        /// Where to.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// The server has had no room for a connection.
    #[error("cannot connect to {}: its queue was full for {within:?}", path.display())]
    Busy {
        /// Where to.
        path: PathBuf,
        /// For how long it was tried.
        within: Duration,
    },
    /// The connection failed.
    #[error("connection failed: {source}")]
    Io {
        /// How far the call had come.
        sent: Sent,
        /// What the kernel says.
        source: io::Error,
    },
    /// The connection was closed, by the server or by this end.
    #[error("the connection was closed")]
    Closed {
        /// How far the call had come.
        sent: Sent,
    },
    /// The answer did not come in time.
    #[error("no answer in time")]
    TimedOut {
        /// How far the call had come.
        sent: Sent,
    },
    /// The packets of the answer make no sense.
    #[error("bad answer: {0}")]
    Frame(FrameError),
    /// The answer is no `drpc.Response`.
    #[error("bad answer: {0}")]
    NoResponse(prost::DecodeError),
    /// The answer is to another question.
    #[error("answer number {got} to call number {sent}")]
    Sequence {
        /// The call's number.
        sent: i64,
        /// The answer's.
        got: i64,
    },
    /// The body of the answer is not of the expected type.
    #[error("bad answer body: {0}")]
    Body(prost::DecodeError),
    /// A service in this process failed; it is no channel.
    #[error("{0}")]
    Service(BoxError),
    /// The service was called without having been ready.
    #[error("the channel was called before it was ready")]
    NotReady,
}

impl CallError {
    /// Whether the server may have carried the call out.
    pub fn sent(&self) -> Sent {
        match self {
            CallError::NotConnected
            | CallError::Connect { .. }
            | CallError::Busy { .. }
            | CallError::NotReady => Sent::No,
            CallError::Io { sent, .. }
            | CallError::Closed { sent }
            | CallError::TimedOut { sent } => *sent,
            // A peer of the wrong age takes nothing for a call.
            CallError::Frame(FrameError::Legacy) => Sent::No,
            CallError::Failed(_)
            | CallError::Frame(_)
            | CallError::NoResponse(_)
            | CallError::Sequence { .. }
            | CallError::Body(_)
            | CallError::Service(_) => Sent::Yes,
        }
    }

    /// What a service has failed with: a channel's error is ours already.
    pub(crate) fn of(error: BoxError) -> CallError {
        match error.downcast::<CallError>() {
            Ok(error) => *error,
            Err(error) => match Failure::of(error.as_ref()) {
                Some(failure) => CallError::Failed(failure.clone()),
                None => CallError::Service(error),
            },
        }
    }
}
