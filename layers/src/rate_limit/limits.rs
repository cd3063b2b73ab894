//! What a limiter is set to.

use std::{fmt, str::FromStr};

use crate::bucket::Limit;

/// All that can be set of a [`Limiter`](super::Limiter): plain data. The default limits nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// All calls together: Consul's `limits.rpc_rate` and `limits.rpc_max_burst`, which a Consul
    /// agent holds its own calls to, offered for a server's port. Enforced whatever the mode.
    pub rpc: Limit,
    /// What is done about a call that is over one of the limits below: Consul's
    /// `limits.request_limits.mode`.
    pub mode: Mode,
    /// All calls that change nothing: Consul's `limits.request_limits.read_rate`.
    pub read: Limit,
    /// All calls that change something: Consul's `limits.request_limits.write_rate`.
    pub write: Limit,
    /// The calls of each source: an IPv4 address or an IPv6 /64. Callers on this host have none
    /// and are not limited by it.
    pub source: Limit,
    /// The calls of each identity. Those without one share a bucket.
    pub identity: Limit,
}

/// What is done about a call that is over a limit. The words are Consul's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Nothing: calls are not even counted.
    #[default]
    Disabled,
    /// The call is counted and logged, and served.
    Permissive,
    /// The call is counted and logged, and refused.
    Enforcing,
}

/// A word that is no [`Mode`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a mode is \"disabled\", \"permissive\" or \"enforcing\", but this is {0:?}")]
pub struct UnknownMode(pub String);

impl Mode {
    /// All modes.
    pub const ALL: [Mode; 3] = [Mode::Disabled, Mode::Permissive, Mode::Enforcing];

    /// Consul's word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Disabled => "disabled",
            Mode::Permissive => "permissive",
            Mode::Enforcing => "enforcing",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(word: &str) -> Result<Mode, UnknownMode> {
        let named = Mode::ALL.into_iter().find(|mode| mode.name() == word);
        named.ok_or_else(|| UnknownMode(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_have_consuls_words() {
        for mode in Mode::ALL {
            assert_eq!(mode.name().parse(), Ok(mode));
        }
        assert_eq!(
            "Enforcing".parse::<Mode>().unwrap_err().to_string(),
            "a mode is \"disabled\", \"permissive\" or \"enforcing\", but this is \"Enforcing\""
        );
    }
}
