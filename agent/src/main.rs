//! The oneport program.

use std::process::ExitCode;

fn main() -> ExitCode {
    oneport_agent::cli::run()
}
