//! `oneport completions`.

use clap_complete::{Shell, generate};

use super::{exit::Failure, output};

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  oneport completions bash > ~/.local/share/bash-completion/completions/oneport
  oneport completions zsh > ~/.zfunc/_oneport
  oneport completions fish > ~/.config/fish/completions/oneport.fish")]
pub(super) struct Args {
    /// The shell.
    shell: Shell,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        generate(self.shell, &mut super::command(), "oneport", &mut script);
        output::bytes(&script)
    }
}
