//! All measurements, in turns.

use std::{fs, io, path::Path};

use tokio::runtime::Builder;

use crate::{
    Failure,
    args::Plan,
    bulk::{self, Moved},
    burden::Direction,
    callgrind::Valgrind,
    calls, fixed, floor,
    idle::{self, Still},
    load::{self, Measured},
    machine, page,
    peers::{Programs, Running, Server},
    rows::{Bytes, ROWS, Row},
};

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Ours without layers.
    Oneport,
    /// Ours with all layers.
    Layered,
    Consul,
    Go,
    Bare,
}

pub(crate) const SIDES: [Side; 5] = [
    Side::Oneport,
    Side::Layered,
    Side::Consul,
    Side::Go,
    Side::Bare,
];

/// What each side did, round by round.
#[derive(Clone, Debug)]
pub(crate) struct Sides<T>([Vec<T>; SIDES.len()]);

impl<T> Default for Sides<T> {
    fn default() -> Sides<T> {
        Sides(Default::default())
    }
}

impl<T> Sides<T> {
    fn push(&mut self, side: Side, value: T) {
        self.0[side as usize].push(value);
    }

    pub(crate) fn of(&self, side: Side) -> &[T] {
        &self.0[side as usize]
    }
}

/// A direction, and what was moved in each round over yamux and over a bare socket.
pub(crate) type Loads = (Direction, Vec<(Moved, Moved)>);

/// Everything that was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) machine: Vec<(&'static str, String)>,
    pub(crate) rows: Vec<(Row, Sides<Measured>)>,
    pub(crate) bulk: Vec<Loads>,
    pub(crate) still: Sides<Still>,
    /// Instructions by run; `None` without valgrind.
    pub(crate) counted: Option<Vec<(&'static str, f64)>>,
    pub(crate) valgrind: Option<String>,
}

impl Found {
    pub(crate) fn instructions(&self, run: &str) -> Option<f64> {
        let counted = self.counted.as_ref()?;
        let found = counted.iter().find(|(name, _)| *name == run);
        found.map(|(_, count)| *count)
    }
}

/// The servers that calls are made to.
struct Servers {
    oneport: Running,
    layered: Running,
    consul: Option<Running>,
    go: Option<Running>,
}

impl Servers {
    fn start(programs: &Programs) -> Result<Servers, Failure> {
        let servers = Servers {
            oneport: Server::Oneport.start()?,
            layered: Server::Layered.start()?,
            consul: programs.consul()?,
            go: programs.go()?,
        };
        for side in SIDES {
            servers.of(side).map(Running::ready).transpose()?;
        }
        Ok(servers)
    }

    fn of(&self, side: Side) -> Option<&Running> {
        match side {
            Side::Oneport => Some(&self.oneport),
            Side::Layered => Some(&self.layered),
            Side::Consul => self.consul.as_ref(),
            Side::Go => self.go.as_ref(),
            Side::Bare => None,
        }
    }
}

/// Measures, and writes the page.
pub(crate) fn report(plan: &Plan) -> Result<(), Failure> {
    let programs = Programs::build()?;
    let found = Found {
        machine: machine::facts(),
        rows: rows(plan, &programs)?,
        bulk: loads(plan)?,
        still: stills(plan, &programs)?,
        ..Found::default()
    };
    let found = count(plan, found);
    fs::write(&plan.out, page::write(plan, &found))?;
    eprintln!("written: {}", plan.out.display());
    if plan.shows() {
        show(&page::figures(&found.rows))?;
    }
    Ok(())
}

/// Puts the figures into the README, between their marks.
fn show(figures: &str) -> Result<(), Failure> {
    const FROM: &str = "|---|--:|\n";
    const TO: &str = "<!-- end of figures -->";
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = fs::read_to_string(&readme)?;
    let parts = text.split_once(TO).and_then(|(before, after)| {
        let (before, _) = before.rsplit_once(FROM)?;
        Some((before, after))
    });
    let (before, after) = parts.ok_or("the README has no place for figures")?;
    fs::write(&readme, [before, FROM, figures, TO, after].concat())?;
    eprintln!("written: {}", readme.display());
    Ok(())
}

/// Starts the servers for whoever wants to measure by hand.
pub(crate) fn serve() -> Result<(), Failure> {
    let programs = Programs::build()?;
    let servers = Servers::start(&programs)?;
    println!("the load generator is {}", programs.oneport.display());
    for (side, name) in [
        (Side::Oneport, "oneport"),
        (Side::Layered, "layered"),
        (Side::Consul, "consul"),
        (Side::Go, "go"),
    ] {
        if let Some(server) = servers.of(side) {
            println!("{name:8} {} --server-pid {}", server.addr, server.pid());
        }
    }
    println!("until the end of stdin (Ctrl-D)");
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

fn rows(plan: &Plan, programs: &Programs) -> Result<Vec<(Row, Sides<Measured>)>, Failure> {
    let servers = Servers::start(programs)?;
    let wanted = ROWS.into_iter().filter(|row| plan.has(row.name));
    let mut rows: Vec<(Row, Bytes, Sides<Measured>)> = Vec::new();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let agent = runtime.block_on(calls::agent());
    for row in wanted {
        let exchange = runtime.block_on(row.call.exchange(&agent));
        rows.push((row, row.shape.bytes(&exchange), Sides::default()));
    }
    for round in 0..plan.rounds {
        for (row, bytes, sides) in &mut rows {
            eprintln!("round {} of {}: {}", round + 1, plan.rounds, row.name);
            for turn in 0..SIDES.len() {
                // Another one begins each time.
                let side = SIDES[(turn + round) % SIDES.len()];
                let measured = match (side, servers.of(side)) {
                    (Side::Bare, _) => floor::measure(&row.shape, *bytes, plan.time)?,
                    (_, Some(server)) => load::measure(&programs.oneport, server, row, plan.time)?,
                    (_, None) => continue,
                };
                sides.push(side, measured);
            }
        }
    }
    Ok(rows
        .into_iter()
        .map(|(row, _, sides)| (row, sides))
        .collect())
}

fn loads(plan: &Plan) -> Result<Vec<Loads>, Failure> {
    let mut all = Vec::new();
    for direction in [Direction::Up, Direction::Down] {
        let mut rounds = Vec::new();
        for round in 0..if plan.has("bulk") { plan.rounds } else { 0 } {
            eprintln!("round {} of {}: bulk {direction:?}", round + 1, plan.rounds);
            let yamux = bulk::measure(true, direction, plan.time)?;
            rounds.push((yamux, bulk::measure(false, direction, plan.time)?));
        }
        all.push((direction, rounds));
    }
    Ok(all)
}

fn stills(plan: &Plan, programs: &Programs) -> Result<Sides<Still>, Failure> {
    // Memory does not wobble as times do, and looking at it takes long.
    const ROUNDS: usize = 3;
    let mut stills = Sides::default();
    for round in 0..if plan.has("idle") {
        plan.rounds.min(ROUNDS)
    } else {
        0
    } {
        for side in SIDES {
            eprintln!("round {}: idle, {side:?}", round + 1);
            if let Some(still) = idle::look(programs, side)? {
                stills.push(side, still);
            }
        }
    }
    Ok(stills)
}

fn count(plan: &Plan, found: Found) -> Found {
    let Some(valgrind) = Valgrind::find() else {
        eprintln!("valgrind is not installed: no instructions are counted");
        return found;
    };
    let mut counted = Vec::new();
    for (run, _, times) in fixed::RUNS {
        if !plan.has("instructions") {
            continue;
        }
        eprintln!("counting instructions: {run}");
        match valgrind.each(run, times) {
            Ok(each) => counted.push((run, each)),
            // Everything else was measured by now: it is worth more than this one figure.
            Err(failure) => eprintln!("not counted: {failure}"),
        }
    }
    Found {
        counted: Some(counted),
        valgrind: Some(valgrind.version),
        ..found
    }
}
