//! `oneport bench`.

mod compare;
mod comparison;
mod idle;
mod lane;
mod load;
mod method;
mod mix;
mod pace;
mod process;
mod progress;
mod question;
mod report;
mod run;
mod source;
mod stock;
mod tally;
mod target;
mod text;

use std::time::Duration;

use clap::value_parser;

use super::{
    block_on,
    exit::{Exit, Failure},
    output::{self, Format},
    remote::address,
    signals::Signals,
};
use load::Load;
use progress::Progress;
use run::Run;

/// How long a load lasts, unless it is said.
const DURATION: Duration = Duration::from_secs(10);
/// The most idle connections.
const MAX_IDLE: i64 = 100_000;

/// Measure how fast a server answers, and what that costs it.
///
/// Any server that speaks Consul's net/rpc will do. Every answer is looked at: a wrong one is
/// counted, described, and makes the exit code 1. SIGINT and SIGTERM end the load early; what was
/// measured is printed all the same. Keys are written below a prefix of their own and deleted in the
/// end. On a terminal the result is text, and everywhere else it is one JSON object.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
#[command(after_help = "\
Examples:
  oneport bench                                       Status.Ping, one call after the other
  oneport bench consul:8300 --transport yamux --connections 2 --streams 16 --method KVS.Get
  oneport bench --connections 4 --in-flight 32        pipelined
  oneport bench --transport yamux --stream-per-call --streams 16
  oneport bench --connect-per-call --connections 8
  oneport bench --mix Status.Ping=1,KVS.Get=8,KVS.Apply=1 --rate 5000 --duration 1m
  oneport bench --method KVS.Get --server-pid \"$(pgrep -o consul)\" --json | jq .Server
  oneport bench --idle 50 --streams 50 --transport yamux --calls 0 --server-pid 4711")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// The server's RPC address.
    #[arg(value_name = "HOST:PORT", env = "ONEPORT_ADDR")]
    #[arg(default_value = "127.0.0.1:8300", value_parser = address)]
    addr: String,
    #[command(flatten)]
    load: Load,
    /// The server's process on this machine: print its processor time for each call (Linux).
    #[arg(long, value_name = "PID", value_parser = value_parser!(u32).range(1..))]
    server_pid: Option<u32>,
    /// Before the load open N connections, or sessions with --streams streams each, and print what
    /// each costs the server in memory.
    #[arg(long, value_name = "N", requires = "server_pid")]
    #[arg(value_parser = value_parser!(u32).range(1..=MAX_IDLE))]
    idle: Option<u32>,
    #[command(flatten)]
    output: Output,
}

/// How a result is shown.
#[derive(Clone, Copy, Debug, clap::Args)]
struct Output {
    /// Show every second on stderr how far it is, also where stderr is no terminal.
    #[arg(long)]
    progress: bool,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Compare(compare::Args),
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.command {
            Some(Command::Compare(args)) => args.run(),
            None => self.bench(),
        }
    }

    fn bench(&self) -> Result<(), Failure> {
        self.load.validate()?;
        let limit = self.load.limit(DURATION);
        if limit == load::Limit::Calls(0) && self.idle.is_none() {
            let message = "--calls is 0, but without --idle there must be at least 1";
            return Err(Failure::new(Exit::Usage, message));
        }
        let run = Run {
            addr: &self.addr,
            pid: self.server_pid,
            load: &self.load,
            limit,
            idle: self.idle,
            progress: Progress::new(self.output.progress, "load".into()),
        };
        let report = block_on(async {
            let mut signals = Signals::install()?;
            run.measure(&mut signals).await
        })?;
        if self.output.format.is_json() {
            output::json(&report)?;
        } else {
            output::line(&text::report(&report))?;
        }
        report.errors.verdict(&report.target, report.calls)
    }
}
