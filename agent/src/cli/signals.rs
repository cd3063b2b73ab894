//! The signals that the program knows.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::{Exit, Failure};

/// SIGINT and SIGTERM, which end it. Both have handlers of their own, for a process with id 1 dies
/// of neither by default.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

/// SIGHUP, which makes it read its settings again.
pub(super) struct Hangups(Signal);

impl Hangups {
    /// Installs the handler, for as long as the process lives.
    pub(super) fn install() -> Result<Hangups, Failure> {
        handled(SignalKind::hangup()).map(Hangups)
    }

    /// Waits for the next.
    pub(super) async fn next(&mut self) {
        self.0.recv().await;
    }
}

fn handled(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error: io::Error| {
        Failure::new(Exit::Usage, format!("cannot handle signals: {error}"))
    })
}

impl Signals {
    /// Installs the handlers, for as long as the process lives.
    pub(super) fn install() -> Result<Signals, Failure> {
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
