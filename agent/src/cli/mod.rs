//! The command line: one module for each command.
//!
//! What a command prints for people goes to a terminal, and JSON goes everywhere else. Errors go to
//! stderr, and the exit code says of which kind they are: see [`Exit`].

mod agent;
mod bench;
mod completions;
mod drpc;
mod duration;
mod exit;
mod json;
mod kv;
mod logs;
mod man;
mod mode;
mod output;
mod reload;
mod reloader;
mod remote;
mod rpc;
mod settings;
mod signals;
mod socket;
mod sources;
mod token;
mod top;
mod top_view;
mod validate;
mod value;

use std::{io, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};

pub use exit::Exit;
use exit::Failure;

/// One port for many protocols: a server that speaks Consul's RPC, and tools to talk to one.
#[derive(Debug, Parser)]
#[command(name = "oneport", version, propagate_version = true, after_help = AFTER_HELP)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Agent(agent::Args),
    Rpc(rpc::Args),
    Kv(kv::Args),
    Drpc(drpc::Args),
    Bench(Box<bench::Args>),
    Top(top::Args),
    Validate(validate::Args),
    Settings(settings::Args),
    Completions(completions::Args),
    Man(man::Args),
}

const AFTER_HELP: &str = "\
Examples:
  oneport agent --dev                      a server at 127.0.0.1:8300, all in memory
  oneport kv put color/sky blue            write a key
  oneport kv get color/sky                 read it
  oneport kv watch --prefix color/         a line for each change
  oneport validate /etc/oneport.d          check settings files
  oneport top                              watch a running server
  oneport rpc Status.Leader                any method of any Consul server
  oneport drpc call /run/d.sock 0 0        a method of any dRPC server of this host
  oneport bench --transport yamux          how fast it answers

Exit codes:
  0  done
  1  the server answered with an error, or wrongly (bench)
  2  bad usage, a bad setting or a local file that cannot be read or written
  3  no connection: cannot listen, cannot connect, or it broke
  4  no such key, or a condition (--cas) did not hold
  5  no answer in time";

/// Does what the process's arguments say.
pub fn run() -> ExitCode {
    let done = match Cli::try_parse() {
        Ok(cli) => cli.command.run(),
        Err(error) => Err(usage(&error)),
    };
    match done {
        Ok(()) => Exit::Done.into(),
        Err(failure) => failure.report(),
    }
}

/// The whole command line, for whoever makes documents of it.
pub fn command() -> clap::Command {
    Cli::command()
}

impl Command {
    fn run(self) -> Result<(), Failure> {
        match self {
            Command::Agent(args) => args.run(),
            Command::Rpc(args) => args.run(),
            Command::Kv(args) => args.run(),
            Command::Drpc(args) => args.run(),
            Command::Bench(args) => args.run(),
            Command::Top(args) => args.run(),
            Command::Validate(args) => args.run(),
            Command::Settings(args) => args.run(),
            Command::Completions(args) => args.run(),
            Command::Man(args) => args.run(),
        }
    }
}

/// Help and version are printed like this too: clap says where they go.
fn usage(error: &clap::Error) -> Failure {
    // A closed stdout or stderr has nobody to tell.
    let _closed = error.print();
    let exit = if error.use_stderr() {
        Exit::Usage
    } else {
        Exit::Done
    };
    Failure::quiet(exit)
}

/// A runtime for a command that talks to one server.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| runtime(&error))?
        .block_on(work)
}

fn runtime(error: &io::Error) -> Failure {
    Failure::new(Exit::Usage, format!("cannot start a runtime: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn the_help_lists_every_exit_code() {
        for exit in Exit::ALL {
            let line = format!("\n  {}  ", exit.code());
            assert!(AFTER_HELP.contains(&line), "{exit:?}");
        }
    }

    #[test]
    fn every_command_has_examples() {
        for command in command().get_subcommands() {
            let mut leaves: Vec<_> = command.get_subcommands().collect();
            if !command.is_subcommand_required_set() {
                leaves.push(command);
            }
            for leaf in leaves {
                let help = leaf.get_after_help().map(ToString::to_string);
                let help = help.unwrap_or_default();
                assert!(
                    help.contains("oneport "),
                    "{} has no example",
                    leaf.get_name()
                );
            }
        }
    }
}
