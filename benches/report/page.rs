//! The page, in Markdown.

use std::fmt::Write;

use crate::{
    args::Plan,
    bulk::Moved,
    burden::Direction,
    idle::{self, Still},
    load::{IDLE_PLAIN, IDLE_STREAMS, IDLE_YAMUX, Measured},
    numbers::{median, or_dash, share, short, span},
    rows::Row,
    runs::{Found, Loads, SIDES, Side, Sides},
};

/// What is reached, what is not, and what nobody can tell.
const YES: &str = "yes";
const NO: &str = "**no**";
const UNKNOWN: &str = "–";

pub(crate) fn write(plan: &Plan, found: &Found) -> String {
    let mut page = String::new();
    page += &opening(plan, found);
    page += &processor(&found.rows);
    page += &layers(&found.rows);
    page += &rates(&found.rows);
    page += &latencies(&found.rows);
    page += &bulk(&found.bulk);
    page += &still(&found.still);
    page += &instructions(found);
    page += &commands(&found.rows);
    page.trim_end().to_owned() + "\n"
}

fn opening(plan: &Plan, found: &Found) -> String {
    let mut text = format!(
        "# Benchmarks

`cargo bench --bench report` wrote this page; no figure in it was typed in. Five servers did the same
work on one machine, over loopback:

- **oneport**: the methods of this repository's agent on its port, with no layers in front, release build.
- **all layers**: the same behind all layers, as the agent serves them: metrics that are recorded, trace, \
time-outs, rate limits of all kinds, bounds on calls in flight and auth, every limit set and too high to \
refuse. No ACLs, as with Consul.
- **Consul**: Consul 1.13.9, built from its module, as a development server.
- **Go**: a server on Consul's libraries with a map behind them \
(`tests/interop/go/yamux-2020`).
- **bare**: tokio sockets that move as many bytes as the calls have and understand none of them. No \
server of these calls can cost less without reading and writing its sockets differently.

They were measured in turns, {} {} of {} ms, and what stands here are medians. Load generator and \
servers shared the machine, so calls a second depend on both; the server's processor time (user and \
system, from `/proc`) is what to compare. A share is the median of the rounds' shares, with the least \
and the most of them beside it. Limits on the connections of one address are off on both sides. A goal \
is a share, never a number of microseconds: those are one machine's on one day.\n",
        plan.rounds,
        if plan.rounds == 1 { "round" } else { "rounds" },
        plan.time.as_millis(),
    );
    if plan.quick {
        text += "\n**This was a quick look: one short round. Nothing here is settled.**\n";
    }
    text += "\n## The machine\n\n| | |\n|---|---|\n";
    for (name, fact) in &found.machine {
        _ = writeln!(text, "| {name} | {fact} |");
    }
    let valgrind = found.valgrind.as_deref().unwrap_or("not installed");
    _ = writeln!(text, "| Counter | {valgrind} |");
    text
}

fn processor(rows: &[(Row, Sides<Measured>)]) -> String {
    let mut text = heading(
        "Processor time of the server, in µs per call",
        "With no layers in front; the share is that of oneport.

| work | oneport | all layers | Consul | Go | bare | share of Consul | goal | reached |
|---|--:|--:|--:|--:|--:|--:|--:|---|",
    );
    for (row, sides) in rows {
        let shares = processor_shares(sides, Side::Oneport);
        let cells = cells(sides, |measured| measured.cpu, short);
        let middle = median(shares.iter().copied());
        _ = writeln!(
            text,
            "| {} | {cells} | {} | ≤ {} | {} |",
            row.name,
            with_span(&shares),
            share(row.goal),
            verdict(middle.map(|share| share <= row.goal)),
        );
    }
    text
}

/// The same rows with all layers in front: their share of Consul, and what they add.
fn layers(rows: &[(Row, Sides<Measured>)]) -> String {
    let mut text = heading(
        "With all layers in front",
        "Processor time again. What the layers add is the median of the rounds' differences.

| work | added, µs per call | share of Consul | goal | reached |
|---|--:|--:|--:|---|",
    );
    for (row, sides) in rows {
        let shares = processor_shares(sides, Side::Layered);
        let middle = median(shares.iter().copied());
        let layered = sides.of(Side::Layered).iter();
        let added = layered
            .zip(sides.of(Side::Oneport))
            .filter_map(|(layered, alone)| Some(layered.cpu? - alone.cpu?));
        _ = writeln!(
            text,
            "| {} | {} | {} | ≤ {} | {} |",
            row.name,
            or_dash(median(added), short),
            with_span(&shares),
            share(row.goal),
            verdict(middle.map(|share| share <= row.goal)),
        );
    }
    text
}

/// The rows that the README shows, as lines of its table.
pub(crate) fn figures(rows: &[(Row, Sides<Measured>)]) -> String {
    let mut text = String::new();
    for (row, sides) in rows.iter().filter(|(row, _)| row.in_readme) {
        let middle = median(processor_shares(sides, Side::Oneport)).map(share);
        let middle = middle.unwrap_or(UNKNOWN.into());
        _ = writeln!(text, "| {} | **{middle}** |", row.name);
    }
    text
}

fn processor_shares(sides: &Sides<Measured>, ours: Side) -> Vec<f64> {
    ratios(sides, ours, |ours, theirs| Some(ours.cpu? / theirs.cpu?))
}

fn rates(rows: &[(Row, Sides<Measured>)]) -> String {
    let mut text = heading(
        "Calls per second",
        "| work | oneport | all layers | Consul | Go | bare | times Consul |
|---|--:|--:|--:|--:|--:|--:|",
    );
    for (row, sides) in rows {
        let times = ratios(sides, Side::Oneport, |ours, theirs| {
            Some(ours.rate / theirs.rate)
        });
        let times = median(times);
        let goal = row.faster.map_or(String::new(), |goal| {
            let reached = verdict(times.map(|times| times >= goal));
            format!(" (goal: {goal}, reached: {reached})")
        });
        let cells = cells(sides, |measured| Some(measured.rate), short);
        let times = or_dash(times, short);
        _ = writeln!(text, "| {} | {cells} | {times}{goal} |", row.name);
    }
    text
}

fn latencies(rows: &[(Row, Sides<Measured>)]) -> String {
    let mut text = heading(
        "Latency in µs: p50 / p99",
        "| work | oneport | all layers | Consul | Go | bare, of all calls at once |
|---|--:|--:|--:|--:|--:|",
    );
    for (row, sides) in rows {
        let cell = |side| {
            let of = |pick: fn(&Measured) -> f64| median(sides.of(side).iter().map(pick));
            let (p50, p99) = (of(|one| one.p50), of(|one| one.p99));
            format!("{} / {}", or_dash(p50, short), or_dash(p99, short))
        };
        let cells = SIDES.map(cell).join(" | ");
        _ = writeln!(text, "| {} | {cells} |", row.name);
    }
    text
}

fn bulk(found: &[Loads]) -> String {
    const GOAL: f64 = 0.9;
    let mut text = heading(
        "Much data over one yamux stream",
        "Writes of 64 KiB, between two processes; the bare socket does the same without yamux.

| way | yamux MB/s | bare MB/s | share | goal | reached | yamux CPU µs/MB | bare CPU µs/MB |
|---|--:|--:|--:|--:|---|--:|--:|",
    );
    for (direction, rounds) in found {
        let way = match direction {
            Direction::Up => "client to server",
            Direction::Down => "server to client",
        };
        let of = |pick: fn(&(Moved, Moved)) -> f64| median(rounds.iter().map(pick));
        let shares: Vec<f64> = rounds
            .iter()
            .map(|(ours, bare)| ours.rate / bare.rate)
            .collect();
        let middle = median(shares.iter().copied());
        _ = writeln!(
            text,
            "| {way} | {} | {} | {} | ≥ {} | {} | {} | {} |",
            or_dash(of(|(ours, _)| ours.rate), short),
            or_dash(of(|(_, bare)| bare.rate), short),
            with_span(&shares),
            share(GOAL),
            verdict(middle.map(|share| share >= GOAL)),
            or_dash(of(|(ours, _)| ours.cpu), short),
            or_dash(of(|(_, bare)| bare.cpu), short),
        );
    }
    text
}

fn still(found: &Sides<Still>) -> String {
    let mut text = heading(
        "Memory and start-up",
        "Resident memory; an idle connection has carried one call. Ready is the first answer to \
`Status.Leader`, counted from the start of the process.

| what | oneport | Consul | Go | goal | reached |
|---|--:|--:|--:|--:|---|",
    );
    for goal in idle::GOALS {
        let of = |side| median(found.of(side).iter().map(goal.pick));
        let cell = |side| or_dash(of(side), |value| format!("{} {}", short(value), goal.unit));
        let reached = of(Side::Oneport).map(|ours| ours <= goal.most);
        _ = writeln!(
            text,
            "| {} | {} | {} | {} | ≤ {} {} | {} |",
            goal.name,
            cell(Side::Oneport),
            cell(Side::Consul),
            cell(Side::Go),
            goal.most,
            goal.unit,
            verdict(reached),
        );
    }
    text
}

fn instructions(found: &Found) -> String {
    let mut text = heading(
        "Instructions",
        "Counted by callgrind in user space, on fixed runs in one process: what twice as many calls \
take more than once as many. They repeat to a fraction of a percent, which times do not.",
    );
    if found.counted.is_none() {
        return text + "\nvalgrind is not installed here, so none were counted.\n";
    }
    text += "
The client is made of bytes, so this is the server alone, from the bytes of a socket to the bytes of \
a socket. The bare server reads and writes the same way, counts bytes, and copies answers: with yamux those of \
sixteen calls at once.

| work | oneport, per call | all layers, per call | added | bare, per call | oneport, times bare |
|---|--:|--:|--:|--:|--:|
";
    for (name, run) in [
        ("Status.Ping, plain", "ping-plain"),
        ("KVS.Get 128 B, plain", "get-plain"),
        ("Status.Ping, yamux, 16 streams", "ping-yamux"),
        ("KVS.Get 128 B, yamux, 16 streams", "get-yamux"),
    ] {
        let ours = found.instructions(run);
        let layered = found.instructions(&format!("{run}-layers"));
        let bare = found.instructions(&format!("{run}-bare"));
        let added = layered.zip(ours).map(|(layered, ours)| layered - ours);
        let times = ours.zip(bare).map(|(ours, bare)| ours / bare);
        _ = writeln!(
            text,
            "| {name} | {} | {} | {} | {} | {} |",
            or_dash(ours, short),
            or_dash(layered, short),
            or_dash(added, short),
            or_dash(bare, short),
            or_dash(times, short)
        );
    }
    text + &sniffing(found)
}

/// What sniffing adds to the life of a connection.
fn sniffing(found: &Found) -> String {
    const GOAL: f64 = 0.03;
    let (sniffed, known) = (
        found.instructions("life-sniffed"),
        found.instructions("life-known"),
    );
    let added = sniffed
        .zip(known)
        .map(|(sniffed, known)| (sniffed - known) / sniffed);
    format!(
        "
A connection's life of one call, over real sockets: accept, `Status.Ping`, close. With sniffing it \
goes through the first byte and the port's table; without, the listener hands it to net/rpc, and the \
client leaves the byte out. The kernel's part, which is most of such a life, is not counted. These rows differ by a few percent from run to run, so a share of them by more than that.

| life | instructions |
|---|--:|
| listener, sniffing, table, net/rpc | {} |
| listener, net/rpc | {} |
| bare: accept, read, write, end | {} |
| **share of sniffing** | **{}** (goal: < {} %, reached: {}) |
",
        or_dash(sniffed, short),
        or_dash(known, short),
        or_dash(found.instructions("life-bare"), short),
        or_dash(added, |share| format!("{:.1} %", share * 100.0)),
        GOAL * 100.0,
        verdict(added.map(|share| share < GOAL)),
    )
}

fn commands(rows: &[(Row, Sides<Measured>)]) -> String {
    let mut text = heading(
        "By hand",
        "`cargo bench --bench report -- serve` starts the servers and prints each one's address \
and process id. With those, `oneport bench` repeats any row:

| work | `oneport bench ADDRESS --server-pid PID` and |
|---|---|",
    );
    for (row, _) in rows {
        _ = writeln!(text, "| {} | `{}` |", row.name, row.flags().join(" "));
    }
    _ = writeln!(text, "| idle plain connections | `{IDLE_PLAIN}` |");
    _ = writeln!(text, "| idle yamux sessions | `{IDLE_YAMUX}` |");
    _ = writeln!(text, "| idle streams | `{IDLE_STREAMS}` |");
    text + "
`--only TEXT` measures some rows: part of a name above, `bulk`, `idle` or `instructions`. The bare \
server understands nothing, so it has a client of its own, in `benches/report/floor.rs`. \
`cargo bench --bench frames`, `sniff` and `calls` look closer, each beside its bare sibling.\n"
}

fn heading(title: &str, below: &str) -> String {
    format!("\n## {title}\n\n{below}\n")
}

/// The sides' medians, as cells.
fn cells(
    sides: &Sides<Measured>,
    pick: impl Fn(&Measured) -> Option<f64>,
    write: impl Fn(f64) -> String,
) -> String {
    let cell = |side| or_dash(median(sides.of(side).iter().filter_map(&pick)), &write);
    SIDES.map(cell).join(" | ")
}

/// The figure of one of ours as a part of Consul's, round by round.
fn ratios(
    sides: &Sides<Measured>,
    ours: Side,
    ratio: impl Fn(&Measured, &Measured) -> Option<f64>,
) -> Vec<f64> {
    let (ours, theirs) = (sides.of(ours), sides.of(Side::Consul));
    ours.iter()
        .zip(theirs)
        .filter_map(|(ours, theirs)| ratio(ours, theirs))
        .collect()
}

fn with_span(shares: &[f64]) -> String {
    let middle = median(shares.iter().copied()).map(share);
    let Some((middle, (least, most))) = middle.zip(span(shares.iter().copied())) else {
        return UNKNOWN.into();
    };
    format!("**{middle}** ({} to {})", share(least), share(most))
}

fn verdict(reached: Option<bool>) -> &'static str {
    match reached {
        Some(true) => YES,
        Some(false) => NO,
        None => UNKNOWN,
    }
}
