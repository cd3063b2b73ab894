//! Reading settings again while a server runs.

use super::{
    logs::Logs,
    sources::{Gathered, Sources},
    validate::unused_keys,
};
use crate::{admin::Reloaded, config::load::Unused, live::Live};

/// Reads what a server was started with again.
#[derive(Clone, Debug)]
pub(super) struct Reloader {
    pub(super) sources: Sources,
    pub(super) logs: Logs,
}

impl Reloader {
    /// Reads everything again and changes what can be changed. What came of it is logged too, for
    /// nobody asks a signal.
    pub(super) async fn reload(&self, live: &Live) -> Reloaded {
        let sources = self.sources.clone();
        let gathered = tokio::task::spawn_blocking(move || sources.gather()).await;
        let reloaded = match gathered {
            Ok(Ok(gathered)) => self.change(live, gathered),
            Ok(Err(failure)) => Reloaded::Refused {
                errors: failure.lines(),
            },
            Err(panicked) => Reloaded::Refused {
                errors: vec![format!("reading the settings failed: {panicked}")],
            },
        };
        log(&reloaded);
        reloaded
    }

    fn change(&self, live: &Live, gathered: Gathered) -> Reloaded {
        let Gathered {
            mut config,
            unused,
            socket_named,
        } = gathered;
        if !socket_named {
            config.admin_socket.clone_from(&live.config().admin_socket);
        }
        match live.change(&config) {
            Ok(changed) => {
                self.logs.set(live.config().log_level);
                tell_unused(&unused);
                changed.into()
            }
            Err(error) => Reloaded::Refused {
                errors: vec![error.to_string()],
            },
        }
    }
}

fn log(reloaded: &Reloaded) {
    match reloaded {
        Reloaded::Done { changed, restart } => {
            tracing::info!(?changed, "settings read again");
            if !restart.is_empty() {
                tracing::warn!(?restart, "settings wait for a restart");
            }
        }
        Reloaded::Refused { errors } => {
            for error in errors {
                tracing::error!("settings stay as they were: {error}");
            }
        }
    }
}

/// Says which keys do not count.
pub(super) fn tell_unused(unused: &[Unused]) {
    if let Some(text) = unused_keys(unused) {
        tracing::warn!("{text}");
    }
}
