//! What commands print.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::exit::{Exit, Failure};

/// How a command prints its result.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Format {
    /// Print JSON, also on a terminal. Everywhere else it is JSON anyway.
    #[arg(long)]
    json: bool,
}

impl Format {
    /// For a command whose `--json` is something else.
    pub(super) fn objects(json: bool) -> Format {
        Format { json }
    }

    /// Whether the result is JSON.
    pub(super) fn is_json(self) -> bool {
        self.json || !io::stdout().is_terminal()
    }
}

/// Prints JSON: in lines on a terminal, in one line everywhere else.
pub(super) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = if io::stdout().is_terminal() {
        serde_json::to_string_pretty(value)
    } else {
        serde_json::to_string(value)
    };
    let text = text.map_err(|error| Failure::caused(Exit::Refused, &error))?;
    line(&text)
}

/// Prints a line.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    bytes(format!("{text}\n").as_bytes())
}

/// Prints bytes as they are.
pub(super) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    written.map_err(|error| match error.kind() {
        // Whoever read our output has had enough: that ends the command and is no error.
        io::ErrorKind::BrokenPipe => Failure::quiet(Exit::Done),
        _ => Failure::new(Exit::Usage, format!("cannot write to stdout: {error}")),
    })
}
