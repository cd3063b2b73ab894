//! The dRPC socket.

use std::path::PathBuf;

use oneport::services::drpc::{self, ListenLimits};

/// Where programs of this host call by dRPC, and what they may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrpcConfig {
    /// The path of the socket, if there is one.
    pub socket: Option<PathBuf>,
    /// The mode of its file: whoever may write may call. Default
    /// [`DEFAULT_MODE`](drpc::DEFAULT_MODE).
    pub mode: u32,
    /// How many sessions there may be. Their grace is the port's.
    pub listen: ListenLimits,
    /// How large and how slow messages may be.
    pub messages: drpc::Config,
}

impl Default for DrpcConfig {
    fn default() -> Self {
        DrpcConfig {
            socket: None,
            mode: drpc::DEFAULT_MODE,
            listen: ListenLimits::default(),
            messages: drpc::Config::default(),
        }
    }
}
