//! `oneport validate`.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use super::{
    exit::{Exit, Failure},
    output,
};
use crate::config::load::{Problem, Unused, load};

/// Check settings files without starting anything.
///
/// Files are read as `oneport agent --config-file` reads them: in the order given, the later ones
/// counting. Everything that is wrong is said, each with file, line, column, key, value and what is
/// allowed, and the exit code is 2. Keys that Consul has and that have no use here yet are listed
/// and are no error.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  oneport validate agent.json
  oneport validate /etc/oneport.d && oneport agent reload
  oneport validate base.json site.toml")]
pub(super) struct Args {
    /// A .json or .toml file, or a directory of such files.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let loaded = load(&self.paths).map_err(|problems| refuse(&problems))?;
        warn(&loaded.unused);
        output::line("Configuration is valid!")
    }
}

/// Everything that is wrong, a line each.
pub(super) fn refuse(problems: &[Problem]) -> Failure {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    Failure::all(Exit::Usage, &lines)
}

fn warn(unused: &[Unused]) {
    if let Some(text) = unused_keys(unused) {
        // A closed stderr has nobody to tell.
        let _closed = writeln!(io::stderr(), "warning: {text}");
    }
}

/// Keys that do not count, so that nobody believes that they do; nothing if there are none.
pub(super) fn unused_keys(unused: &[Unused]) -> Option<String> {
    let keys = unused
        .iter()
        .map(|unused| format!("{} ({})", unused.key, unused.spot));
    let keys: Vec<_> = keys.collect();
    (!keys.is_empty()).then(|| format!("known to Consul and not used here: {}", keys.join(", ")))
}
