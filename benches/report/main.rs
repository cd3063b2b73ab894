//! Writes `BENCHMARKS.md`: our server, the real Consul, a bare Go server on Consul's libraries and
//! bare sockets, doing the same work in turns on this machine.
//!
//! `cargo bench --bench report` measures everything in about twelve minutes, `-- --quick` in one, into
//! a file that is not kept. `-- serve` starts the servers and leaves them to whoever wants to
//! repeat a row by hand.

#![allow(
    clippy::unwrap_used,
    reason = "what fails in a server or a fixed run fails it"
)]

mod args;
mod bulk;
mod callgrind;
mod fixed;
mod floor;
mod idle;
mod limited;
mod load;
mod machine;
mod numbers;
mod page;
mod peers;
mod rows;
mod runs;

#[path = "../support/bare.rs"]
mod bare;
#[path = "../support/bulk.rs"]
mod burden;
#[path = "../support/calls.rs"]
mod calls;
#[path = "../support/ends.rs"]
mod ends;
#[path = "../support/feed.rs"]
mod feed;
#[path = "../support/way.rs"]
mod way;

use std::{error::Error, process::ExitCode};

use args::Task;

/// Whatever went wrong, in words.
type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match args::parse(&words) {
        Ok(Task::Report(plan)) => runs::report(&plan),
        Ok(Task::Serve) => runs::serve(),
        Ok(Task::Server(server)) => server.run(),
        Ok(Task::Fixed(run, count)) => {
            fixed::run(run, count);
            Ok(())
        }
        Ok(Task::Help) => {
            print!("{}", args::HELP);
            Ok(())
        }
        Err(wrong) => Err(wrong.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("report: {failure}");
            ExitCode::FAILURE
        }
    }
}
