//! `oneport agent reload`.

use std::path::{Path, PathBuf};

use hyper::Method;
use rustix::process::{Signal, kill_process};

use super::{
    block_on,
    exit::{Exit, Failure},
    output,
    socket::Socket,
};
use crate::{
    admin::{
        Reloaded,
        client::{AskError, ask},
    },
    pid_file,
};

/// Make a running agent read its settings files again.
///
/// Limits, tokens, time-outs and the log level change without a connection being dropped; what
/// changed is printed, and what waits for a restart. If something is wrong in the files everything
/// stays as it was, the errors are printed, and the exit code is 1. With --pid-file the agent gets a
/// SIGHUP instead, and only its log says what became of it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  oneport validate /etc/oneport.d && oneport agent reload
  oneport agent reload --admin-socket /run/oneport/admin.sock
  oneport agent reload --pid-file /run/oneport.pid")]
pub(super) struct Args {
    #[command(flatten)]
    socket: Socket,
    /// Send SIGHUP to the process that this file names; then the socket does not matter.
    #[arg(long, value_name = "PATH")]
    pid_file: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        match &self.pid_file {
            Some(path) => signal(path),
            None => {
                let socket = self.socket.path()?;
                report(block_on(reload(&socket))?)
            }
        }
    }
}

async fn reload(socket: &Path) -> Result<Reloaded, Failure> {
    let asked = ask(socket, Method::POST, "/reload").await;
    let (_, body) = asked.map_err(|error| refuse(socket, &error))?;
    serde_json::from_slice(&body).map_err(|error| {
        let message = format!("{}: bad answer: {error}", socket.display());
        Failure::new(Exit::Unreachable, message)
    })
}

fn report(reloaded: Reloaded) -> Result<(), Failure> {
    match reloaded {
        Reloaded::Done { changed, restart } => {
            let mut lines: Vec<_> = changed.iter().map(|key| format!("changed {key}")).collect();
            lines.extend(
                restart
                    .iter()
                    .map(|key| format!("waits for a restart: {key}")),
            );
            if lines.is_empty() {
                lines.push("nothing changed".to_owned());
            }
            output::line(&lines.join("\n"))
        }
        Reloaded::Refused { mut errors } => {
            errors.push("the agent's settings stay as they were".to_owned());
            Err(Failure::all(Exit::Refused, &errors))
        }
    }
}

/// Why an agent does not answer, with its exit code.
pub(super) fn refuse(socket: &Path, error: &AskError) -> Failure {
    let exit = match error {
        AskError::Late => Exit::Late,
        AskError::Connect(_) | AskError::Broken(_) => Exit::Unreachable,
    };
    Failure::caused(exit, error).about(&format!("admin socket {}", socket.display()))
}

fn signal(path: &Path) -> Result<(), Failure> {
    let failed = |exit, what: String| Failure::new(exit, format!("{}: {what}", path.display()));
    let pid = pid_file::read(path).map_err(|error| failed(Exit::Usage, error.to_string()))?;
    let pid = pid.ok_or_else(|| failed(Exit::Usage, "there is no process id in it".to_owned()))?;
    kill_process(pid, Signal::HUP).map_err(|error| {
        failed(
            Exit::Unreachable,
            format!("process {}: {error}", pid.as_raw_nonzero()),
        )
    })?;
    output::line(&format!(
        "sent SIGHUP to process {}; its log says what became of it",
        pid.as_raw_nonzero()
    ))
}
