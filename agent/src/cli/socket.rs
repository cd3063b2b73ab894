//! Which admin socket is meant.

use std::{env, path::PathBuf};

use super::exit::{Exit, Failure};

/// The admin socket of the agent at `port` where nobody names one: in the directory that a session
/// has for such things. There is none without such a directory, or for any port that is free.
pub(super) fn default_socket(port: u16) -> Option<PathBuf> {
    let dir = env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty())?;
    (port > 0).then(|| PathBuf::from(dir).join(format!("oneport-{port}.sock")))
}

/// The admin socket of an agent that runs.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Socket {
    /// The agent's admin socket [default: oneport-8300.sock in XDG_RUNTIME_DIR].
    #[arg(
        long = "admin-socket",
        value_name = "PATH",
        env = "ONEPORT_ADMIN_SOCKET"
    )]
    path: Option<PathBuf>,
}

impl Socket {
    /// Its path.
    pub(super) fn path(&self) -> Result<PathBuf, Failure> {
        let path = self.path.clone().or_else(|| default_socket(8300));
        path.ok_or_else(|| {
            let message = "where is the agent's admin socket? Start the agent with --admin-socket \
                           PATH and give the same here: there is no XDG_RUNTIME_DIR to have one in";
            Failure::new(Exit::Usage, message)
        })
    }
}
