//! `oneport man`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap_mangen::Man;

use super::{
    exit::{Exit, Failure},
    output,
};

/// Print the manual page, or write those of all commands to a directory.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  oneport man | man -l -
  oneport man --out /usr/local/share/man/man1")]
pub(super) struct Args {
    /// Write a page for every command to this directory, which is made if it is missing.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Some(dir) = self.out else {
            return output::bytes(&page(documented()));
        };
        write_pages(&dir).map_err(|error| {
            let message = format!("--out: cannot write to {}: {error}", dir.display());
            Failure::new(Exit::Usage, message)
        })
    }
}

/// The commands that have pages: all but the one that prints help.
fn documented() -> clap::Command {
    super::command().disable_help_subcommand(true)
}

/// The roff of one command's page.
fn page(command: clap::Command) -> Vec<u8> {
    let mut roff = Vec::new();
    // Writing to memory cannot fail.
    let _ = Man::new(command).render(&mut roff);
    roff
}

fn write_pages(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    clap_mangen::generate_to(documented(), dir)
}
