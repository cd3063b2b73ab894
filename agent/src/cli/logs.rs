//! Logs on stderr.

use std::io::{self, IsTerminal};

use tracing_subscriber::{
    EnvFilter, Registry, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

use crate::config::Level;

/// Changes how much is logged.
#[derive(Clone, Debug)]
pub(super) struct Logs(reload::Handle<EnvFilter, Registry>);

impl Logs {
    /// Logs to stderr from now on: at `level`, else as `RUST_LOG` says, else what an operator wants.
    pub(super) fn start(level: Option<Level>, json: bool) -> Logs {
        let (filter, handle) = reload::Layer::new(filter(level));
        let logs = tracing_subscriber::fmt::layer()
            .with_ansi(io::stderr().is_terminal())
            .with_writer(io::stderr);
        let registry = tracing_subscriber::registry().with(filter);
        // An error means that somebody logs already.
        let _started = if json {
            registry.with(logs.json()).try_init()
        } else {
            registry.with(logs).try_init()
        };
        Logs(handle)
    }

    /// Logs this much from now on.
    pub(super) fn set(&self, level: Option<Level>) {
        // An error means that somebody else logs.
        let _set = self.0.reload(filter(level));
    }
}

fn filter(level: Option<Level>) -> EnvFilter {
    match level {
        Some(level) => EnvFilter::new(level.name()),
        None => {
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(Level::Info.name()))
        }
    }
}
