//! The signals that end the program.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::{Exit, Failure};

/// SIGINT and SIGTERM. Both have handlers of their own, for a process with id 1 dies of neither by
/// default.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Installs the handlers, for as long as the process lives.
    pub(super) fn install() -> Result<Signals, Failure> {
        let handled = |kind| {
            signal(kind).map_err(|error: io::Error| {
                Failure::new(Exit::Usage, format!("cannot handle signals: {error}"))
            })
        };
        Ok(Signals {
            interrupt: handled(SignalKind::interrupt())?,
            terminate: handled(SignalKind::terminate())?,
        })
    }

    /// Waits for the next of either.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
