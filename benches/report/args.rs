//! What is asked of this program, by people and by itself.

use std::{path::PathBuf, time::Duration};

use crate::{burden::Direction, fixed, peers::Server};

/// Where the page goes, and where that of a quick look does.
const PAGE: &str = "BENCHMARKS.md";
const QUICK_PAGE: &str = "target/BENCHMARKS.md";

pub(crate) const HELP: &str = "\
Measures oneport beside Consul, a bare Go server and bare sockets, and writes BENCHMARKS.md.

Usage: cargo bench --bench report [-- OPTIONS]
       cargo bench --bench report -- serve

  --quick         one short round of everything, into target/BENCHMARKS.md
  --rounds N      how often everything is measured, in turns [default: 5]
  --time MS       how long each measurement lasts [default: 1000]
  --only TEXT     only the rows that have this in their names
  --out FILE      where to write [default: BENCHMARKS.md, and its first figures into README.md]
  serve           start the servers, say where they are, and wait for the end of stdin
";

/// What to do.
pub(crate) enum Task {
    Report(Plan),
    Serve,
    /// This process is to be one of the servers.
    Server(Server),
    /// This process is to be counted: so many calls or connections.
    Fixed(fixed::Run, u64),
    Help,
}

/// How much to measure.
pub(crate) struct Plan {
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    pub(crate) time: Duration,
    pub(crate) only: Option<String>,
    pub(crate) out: PathBuf,
}

impl Plan {
    /// Whether the README is to show what is found: when all of it goes where it is kept.
    pub(crate) fn shows(&self) -> bool {
        self.only.is_none() && self.out == home().join(PAGE)
    }

    /// Whether a row is asked for.
    pub(crate) fn has(&self, row: &str) -> bool {
        self.only.as_ref().is_none_or(|text| row.contains(text))
    }
}

pub(crate) fn parse(words: &[String]) -> Result<Task, String> {
    // Cargo says that it is benching. Without it nobody asked for ten minutes of measuring.
    let benching = words.iter().any(|word| word == "--bench");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let words: Vec<&str> = words
        .into_iter()
        .filter(|word| *word != "--bench")
        .collect();
    match words[..] {
        [] if !benching => Ok(Task::Help),
        ["serve"] => Ok(Task::Serve),
        ["server", "oneport"] => Ok(Task::Server(Server::Oneport)),
        ["server", "layered"] => Ok(Task::Server(Server::Layered)),
        ["server", "bare", request, answer] => Ok(Task::Server(Server::Bare {
            request: number(request)?,
            answer: number(answer)?,
        })),
        ["server", "bulk", how, direction] => Ok(Task::Server(Server::Bulk {
            yamux: how == "yamux",
            direction: if direction == "up" {
                Direction::Up
            } else {
                Direction::Down
            },
        })),
        ["fixed", run, count] => {
            let run = fixed::Run::named(run).ok_or_else(|| format!("no fixed run is {run:?}"))?;
            Ok(Task::Fixed(run, number(count)?))
        }
        _ => plan(&words),
    }
}

fn plan(words: &[&str]) -> Result<Task, String> {
    let quick = words.contains(&"--quick");
    let mut plan = Plan {
        quick,
        rounds: if quick { 1 } else { 5 },
        time: Duration::from_millis(if quick { 300 } else { 1000 }),
        only: None,
        out: home().join(if quick { QUICK_PAGE } else { PAGE }),
    };
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word {
            "--quick" => {}
            "--rounds" => plan.rounds = at_least_one(word, value()?)?,
            "--time" => {
                let ms = at_least_one(word, value()?)?;
                plan.time = Duration::from_millis(ms.try_into().unwrap_or(u64::MAX));
            }
            "--only" => plan.only = Some((*value()?).to_owned()),
            "--out" => plan.out = PathBuf::from(value()?),
            "--help" | "-h" => return Ok(Task::Help),
            other => return Err(format!("{other:?} is not understood; --help tells what is")),
        }
    }
    Ok(Task::Report(plan))
}

fn home() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn at_least_one(flag: &str, text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..) => Ok(n),
        _ => Err(format!(
            "{flag} is {text:?}, but it must be a number of at least 1"
        )),
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}
