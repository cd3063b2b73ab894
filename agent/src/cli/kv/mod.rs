//! `oneport kv`.

mod delete;
mod entry;
mod get;
mod list;
mod put;
mod watch;

use oneport::proto::structs::{
    DirEntry, GoString, KVSRequest, QueryOptions, RaftIndex, WriteRequest,
};

use super::{block_on, exit::Failure, remote::Remote, token::Token};

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
    #[command(flatten)]
    token: Token,
    #[command(flatten)]
    remote: Remote,
}

impl Scope {
    fn datacenter(&self) -> GoString {
        self.datacenter.as_str().into()
    }

    fn read(&self) -> QueryOptions {
        QueryOptions {
            token: self.token.secret().into(),
            ..QueryOptions::default()
        }
    }

    /// Makes one change; with an index, only if that is still the entry's. What the server decided
    /// means something only then.
    fn change(&self, op: &str, cas: Option<u64>, entry: DirEntry) -> Result<bool, Failure> {
        let request = KVSRequest {
            datacenter: self.datacenter(),
            op: op.into(),
            dir_ent: DirEntry {
                raft: RaftIndex {
                    modify_index: cas.unwrap_or(0),
                    ..RaftIndex::default()
                },
                ..entry
            },
            write: WriteRequest {
                token: self.token.secret().into(),
            },
        };
        block_on(async {
            let mut connection = self.remote.connect().await?;
            connection.call("KVS.Apply", &request).await
        })
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
