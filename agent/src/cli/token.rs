//! The caller's secret.

/// The ACL token of a call.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Token {
    /// The ACL token.
    #[arg(
        id = "token",
        long = "token",
        value_name = "SECRET",
        env = "ONEPORT_TOKEN",
        hide_env_values = true
    )]
    #[arg(default_value = "", hide_default_value = true)]
    secret: String,
}

impl Token {
    /// The secret; empty for the anonymous caller.
    pub(super) fn secret(&self) -> &str {
        &self.secret
    }
}
