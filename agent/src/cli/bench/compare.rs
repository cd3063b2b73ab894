//! `oneport bench compare`.

use std::time::Duration;

use clap::value_parser;

use super::{
    Output,
    comparison::Comparison,
    load::{Limit, Load},
    progress::Progress,
    report::{Asked, Report},
    run::Run,
    target::{self, Target},
    text,
};
use crate::cli::{
    block_on,
    exit::{Exit, Failure},
    output,
    signals::Signals,
};

/// How long the load lasts in each round, unless it is said.
const DURATION: Duration = Duration::from_secs(3);
/// The most servers.
const MAX_TARGETS: usize = 16;
/// The most rounds.
const MAX_ROUNDS: i64 = 1000;

/// Measure servers in turns, and print the first one's share of each other one.
///
/// In each round every server has the same load, one after the other, so that what else happens on
/// the machine meets all of them. The figures are medians over the rounds. With @PID the server is
/// a process of this machine, and its processor time for each call is compared too. Signals,
/// answers and keys are treated as without compare; a round that a signal cuts is not counted.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  oneport bench compare ours=127.0.0.1:8300 consul=127.0.0.1:9300
  oneport bench compare ours=127.0.0.1:8300@4711 consul=127.0.0.1:9300@4712 --rounds 9 \\
      --transport yamux --connections 2 --streams 16 --method KVS.Get
  oneport bench compare old=127.0.0.1:8300 new=127.0.0.1:8301 --calls 100000 --json | jq .Shares")]
pub(super) struct Args {
    /// The servers, two or more. Shares are the first one's.
    #[arg(value_name = "NAME=HOST:PORT[@PID]", value_parser = target::parse)]
    #[arg(required = true, num_args = 2..)]
    targets: Vec<Target>,
    /// How often each server has its turn.
    #[arg(long, value_name = "N", default_value_t = 5)]
    #[arg(value_parser = value_parser!(u32).range(1..=MAX_ROUNDS))]
    rounds: u32,
    #[command(flatten)]
    load: Load,
    #[command(flatten)]
    output: Output,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        self.validate()?;
        let found = block_on(self.compare())?;
        if self.output.format.is_json() {
            output::json(&found)?;
        } else {
            output::line(&text::comparison(&found))?;
        }
        match found.failures().next() {
            Some((name, errors, calls)) => errors.verdict(name, calls),
            None => Ok(()),
        }
    }

    fn validate(&self) -> Result<(), Failure> {
        let refuse = |message| Err(Failure::new(Exit::Usage, message));
        self.load.validate()?;
        if self.targets.len() > MAX_TARGETS {
            let count = self.targets.len();
            return refuse(format!(
                "there are {count} servers, but there may be at most {MAX_TARGETS}"
            ));
        }
        if self.load.limit(DURATION) == Limit::Calls(0) {
            return refuse("--calls is 0, but it must be at least 1".into());
        }
        let names = || self.targets.iter().map(|target| &target.name);
        let twice = names()
            .enumerate()
            .find(|(n, name)| names().take(*n).any(|o| o == *name));
        match twice {
            Some((_, name)) => refuse(format!("two servers are called {name:?}")),
            None => Ok(()),
        }
    }

    /// A B A B …: rounds in which every server has its turn.
    async fn compare(&self) -> Result<Comparison, Failure> {
        let mut signals = Signals::install()?;
        let mut rounds = Vec::new();
        let mut stopped = false;
        for number in 1..=self.rounds {
            let round = self.round(number, &mut signals).await?;
            stopped = round.iter().any(|report| report.stopped);
            if stopped {
                break;
            }
            rounds.push(round);
        }
        let asked = Asked::new(&self.load);
        Ok(Comparison::new(asked, &self.targets, rounds, stopped))
    }

    /// One turn of every server; a round that a signal cut has fewer.
    async fn round(&self, number: u32, signals: &mut Signals) -> Result<Vec<Report>, Failure> {
        let mut reports = Vec::with_capacity(self.targets.len());
        for target in &self.targets {
            let label = format!("round {number} of {}, {}", self.rounds, target.name);
            let run = Run {
                addr: &target.addr,
                pid: target.pid,
                load: &self.load,
                limit: self.load.limit(DURATION),
                idle: None,
                progress: Progress::new(self.output.progress, label),
            };
            let report = run.measure(signals).await?;
            let stopped = report.stopped;
            reports.push(report);
            if stopped {
                break;
            }
        }
        Ok(reports)
    }
}
