//! When accepting fails.

use std::io;

/// What a failed accept says about the ones after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptFailure {
    /// That one connection was gone before it was taken: the next may be there already.
    Connection,
    /// The listener or the process is in trouble, most often out of files: only time helps.
    Listener,
}

impl AcceptFailure {
    /// What `error` says.
    pub fn of(error: &io::Error) -> AcceptFailure {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
        match error.kind() {
            ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted => {
                AcceptFailure::Connection
            }
            _ => AcceptFailure::Listener,
        }
    }

    /// The metric label.
    pub const fn label(self) -> &'static str {
        match self {
            AcceptFailure::Connection => "connection",
            AcceptFailure::Listener => "listener",
        }
    }
}
