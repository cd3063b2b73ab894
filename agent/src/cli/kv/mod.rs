//! `oneport kv`.

mod delete;
mod entry;
mod get;
mod list;
mod put;
mod watch;

use oneport::proto::structs::{GoString, QueryOptions, WriteRequest};

use super::{exit::Failure, remote::Remote};

/// Read, write and watch keys.
#[derive(Debug, clap::Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Get(get::Args),
    Put(put::Args),
    List(list::Args),
    Delete(delete::Args),
    Watch(watch::Args),
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Get(args) => args.run(),
            Command::Put(args) => args.run(),
            Command::List(args) => args.run(),
            Command::Delete(args) => args.run(),
            Command::Watch(args) => args.run(),
        }
    }
}

/// What all commands on keys know about their server.
#[derive(Clone, Debug, clap::Args)]
struct Scope {
    /// The datacenter that is asked [default: the server's own].
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    datacenter: String,
    /// The ACL token.
    #[arg(
        long,
        value_name = "SECRET",
        env = "ONEPORT_TOKEN",
        hide_env_values = true
    )]
    #[arg(default_value = "", hide_default_value = true)]
    token: String,
    #[command(flatten)]
    remote: Remote,
}

impl Scope {
    fn datacenter(&self) -> GoString {
        self.datacenter.as_str().into()
    }

    fn read(&self) -> QueryOptions {
        QueryOptions {
            token: self.token.as_str().into(),
            ..QueryOptions::default()
        }
    }

    fn write(&self) -> WriteRequest {
        WriteRequest {
            token: self.token.as_str().into(),
        }
    }
}

/// How fresh a read has to be.
#[derive(Clone, Copy, Debug, clap::Args)]
struct Freshness {
    /// Any server may answer, from what it has.
    #[arg(long, conflicts_with = "consistent")]
    stale: bool,
    /// The leader makes sure that it still leads before it answers.
    #[arg(long)]
    consistent: bool,
}

impl Freshness {
    fn apply(self, options: QueryOptions) -> QueryOptions {
        QueryOptions {
            allow_stale: self.stale,
            require_consistent: self.consistent,
            ..options
        }
    }
}
