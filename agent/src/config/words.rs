//! The settings that are one of some words.

use oneport::layers::{auth::Level as Grant, rate_limit::Mode};

use super::{Config, Level, field::Choice};

/// How much is logged.
pub(super) const LEVEL: Choice = Choice {
    words: &["off", "error", "warn", "info", "debug", "trace"],
    get: |config: &Config| config.log_level.map_or("", Level::name),
    set: |config, word| {
        config.log_level = Level::ALL.into_iter().find(|level| level.name() == word);
    },
};

/// What is done about a call that is over a limit.
pub(super) const MODE: Choice = Choice {
    words: &["disabled", "permissive", "enforcing"],
    get: |config: &Config| config.stack.rates.mode.name(),
    set: |config, word| config.stack.rates.mode = word.parse().unwrap_or(Mode::Disabled),
};

/// What holds for keys that no rule is about. Consul has one more, `extend-cache`, for servers that
/// ask others.
pub(super) const POLICY: Choice = Choice {
    words: &["allow", "deny"],
    get: |config: &Config| match config.acl.default {
        Grant::Write => "allow",
        Grant::Read | Grant::Deny => "deny",
    },
    set: |config, word| {
        config.acl.default = match word {
            "allow" => Grant::Write,
            _ => Grant::Deny,
        };
    },
};
