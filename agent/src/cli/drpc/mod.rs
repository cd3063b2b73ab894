//! `oneport drpc`: local calls over SOCK_SEQPACKET sockets, as DAOS has them.

mod call;
mod hello;
mod schema;
mod serve;
mod tap;

use oneport::services::drpc::BindError;

use super::exit::{Exit, Failure};

/// Call, try out and watch dRPC (DAOS) servers of this host.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Call(call::Args),
    Serve(serve::Args),
    Tap(tap::Args),
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Call(args) => args.run(),
            Command::Serve(args) => args.run(),
            Command::Tap(args) => args.run(),
        }
    }
}

/// Why there is no socket, with its exit code.
fn refuse_bind(error: &BindError) -> Failure {
    let exit = match error {
        BindError::InUse { .. } | BindError::Io { .. } => Exit::Unreachable,
        _ => Exit::Usage,
    };
    Failure::new(exit, error.to_string())
}
