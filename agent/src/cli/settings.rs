//! `oneport settings`.

use super::{exit::Failure, output};
use crate::config::page;

/// Print all settings: keys, defaults, limits and meaning.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  oneport settings
  oneport settings --markdown > docs/settings.md
  oneport settings | grep -A1 limits")]
pub(super) struct Args {
    /// Print the reference page, with what each setting must be and when a change counts.
    #[arg(long)]
    markdown: bool,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let page = if self.markdown {
            page::markdown()
        } else {
            page::plain()
        };
        output::bytes(page.as_bytes())
    }
}
