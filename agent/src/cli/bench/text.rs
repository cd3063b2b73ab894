//! Reports for people.

use std::fmt::Display;

use super::{
    comparison::{Comparison, Ratio, Server},
    report::{Asked, Errors, Idle, Latency, Report, Share, Weight},
};

/// A report, without a line end behind its last line.
pub(super) fn report(report: &Report) -> String {
    let mut lines = vec![
        format!("{}: {}", report.target, load(&report.load)),
        String::new(),
    ];
    if report.stopped {
        lines.push("stopped before its time".into());
    }
    if report.seconds > 0.0 {
        lines.extend(outcome(report));
    }
    lines.extend(report.idle.as_ref().map(idle).into_iter().flatten());
    lines.join("\n")
}

/// A comparison, without a line end behind its last line.
pub(super) fn comparison(found: &Comparison) -> String {
    let rounds = some(found.rounds, "round");
    let mut lines = vec![
        format!("{}; medians of {rounds}", load(&found.load)),
        String::new(),
    ];
    if found.stopped {
        lines.push("stopped before its time".into());
    }
    if found.rounds > 0 {
        lines.push(row(
            "",
            ["calls/s", "p50", "p99", "CPU a call", "errors"].map(String::from),
        ));
        lines.extend(found.servers.iter().map(server));
        lines.extend(found.shares.iter().map(ratio));
    }
    lines.join("\n")
}

fn server(server: &Server) -> String {
    let cells = [
        count(server.calls_per_second),
        micros(server.p50),
        micros(server.p99),
        server.cpu_per_call.map_or_else(|| "-".into(), micros),
        count(server.errors as f64),
    ];
    row(&server.name, cells)
}

fn ratio(ratio: &Ratio) -> String {
    let figures = [
        ratio.calls_per_second,
        ratio.p50,
        ratio.p99,
        ratio.cpu_per_call,
    ];
    let [calls, p50, p99, cpu] = figures.map(|f| f.map_or_else(|| "-".into(), three));
    row(
        &format!("{}/{}", ratio.name, ratio.over),
        [calls, p50, p99, cpu, String::new()],
    )
}

fn row(name: &str, cells: [String; 5]) -> String {
    let cells = cells.map(|cell| format!("{cell:>12}"));
    format!("{name:<24}{}", cells.concat())
        .trim_end()
        .to_owned()
}

/// What was asked for, in one line.
fn load(load: &Asked) -> String {
    let mut parts = vec![load.transport.clone(), some(load.connections, "connection")];
    if load.transport == "yamux" {
        parts.push(format!("{} each", some(load.streams, "stream")));
    }
    if load.per_call != "nothing" {
        parts.push(format!("a {} per call", load.per_call));
    }
    if load.in_flight > 1 {
        parts.push(format!("{} in flight on each", load.in_flight));
    }
    parts.push(mix(&load.mix));
    let has = |name| {
        load.mix
            .iter()
            .any(|weight| weight.method.starts_with(name))
    };
    if has("KVS") {
        parts.push(format!("values of {}", bytes(load.value_size as f64)));
    }
    if has("KVS.List") {
        parts.push(format!("lists of {}", load.list_size));
    }
    if let Some(rate) = load.rate {
        parts.push(format!("{} calls/s", count(f64::from(rate))));
    }
    parts.join(", ")
}

fn mix(mix: &[Weight]) -> String {
    match mix {
        [only] => only.method.clone(),
        _ => {
            let parts = mix.iter().map(|of| format!("{}={}", of.method, of.weight));
            parts.collect::<Vec<_>>().join(",")
        }
    }
}

fn outcome(report: &Report) -> Vec<String> {
    let mut lines = vec![line(
        "calls",
        &format!(
            "{} in {}, {} /s",
            count(report.calls as f64),
            seconds(report.seconds),
            count(report.calls_per_second)
        ),
    )];
    if report.unsent > 0 {
        let unsent = count(report.unsent as f64);
        lines.push(line(
            "unsent",
            &format!("{unsent} calls were due and not made"),
        ));
    }
    lines.push(line("latency", &latency(&report.latency)));
    if report.methods.len() > 1 {
        lines.extend(report.methods.iter().map(|of| {
            let calls = count(of.calls as f64);
            line(
                &format!("  {}", of.method),
                &format!("{calls}: {}", latency(&of.latency)),
            )
        }));
    }
    lines.extend(errors(&report.errors));
    let (sent, received) = (report.bytes.sent as f64, report.bytes.received as f64);
    lines.push(line(
        "bytes",
        &format!("{} sent, {} received", bytes(sent), bytes(received)),
    ));
    let shares = [("server CPU", &report.server), ("own CPU", &report.client)];
    let shares = shares
        .iter()
        .filter_map(|(name, share)| share.as_ref().map(|cpu| line(name, &cpu_share(cpu))));
    lines.extend(shares);
    lines
}

fn line(name: &str, value: &str) -> String {
    format!("{name:<15} {value}")
}

fn latency(latency: &Latency) -> String {
    format!(
        "p50 {}, p90 {}, p99 {}, p99.9 {}, max {}",
        micros(latency.p50),
        micros(latency.p90),
        micros(latency.p99),
        micros(latency.p999),
        micros(latency.max)
    )
}

fn errors(errors: &Errors) -> Vec<String> {
    let kinds = [
        (errors.wrong, "wrong"),
        (errors.refused, "refused"),
        (errors.connection, "connection"),
        (errors.late, "late"),
    ];
    let kinds = kinds.iter().filter(|(count, _)| *count > 0);
    let kinds: Vec<_> = kinds
        .map(|(n, name)| format!("{} {name}", count(*n as f64)))
        .collect();
    let counts = match kinds.is_empty() {
        true => "none".to_owned(),
        false => kinds.join(", "),
    };
    let described = errors.described.iter().map(|what| line("", what));
    std::iter::once(line("errors", &counts))
        .chain(described)
        .collect()
}

fn cpu_share(share: &Share) -> String {
    format!(
        "{} a call (user {}, system {})",
        micros(share.cpu_per_call),
        micros(share.user_per_call),
        micros(share.system_per_call)
    )
}

fn idle(idle: &Idle) -> Vec<String> {
    let each = |n: u64, what: &str, size: f64| format!("{} each of {}", bytes(size), some(n, what));
    let mut lines = vec![line(
        "idle",
        &each(idle.connections, "connection", idle.bytes_per_connection),
    )];
    lines.extend(
        idle.bytes_per_stream
            .map(|size| line("", &each(idle.streams, "stream", size))),
    );
    let (before, after) = (idle.resident_before as f64, idle.resident_streaming as f64);
    lines.push(line(
        "",
        &format!(
            "server at {} before, {} with them",
            bytes(before),
            bytes(after)
        ),
    ));
    lines
}

fn some<N: Display + PartialEq + From<u8>>(n: N, what: &str) -> String {
    let plural = if n == N::from(1) { "" } else { "s" };
    format!("{n} {what}{plural}")
}

/// A whole number with its thousands apart.
pub(super) fn count(n: f64) -> String {
    let digits = format!("{n:.0}");
    let head = digits.len() % 3;
    let mut text = digits[..head].to_owned();
    for group in digits.as_bytes()[head..].chunks(3) {
        if !text.is_empty() {
            text.push(',');
        }
        text.extend(group.iter().map(|digit| char::from(*digit)));
    }
    text
}

/// A time that is given in microseconds, to three digits.
pub(super) fn micros(n: f64) -> String {
    match n {
        n if n < 1e3 => format!("{} µs", three(n)),
        n if n < 1e6 => format!("{} ms", three(n / 1e3)),
        n => format!("{} s", three(n / 1e6)),
    }
}

/// A time that is given in seconds.
pub(super) fn seconds(n: f64) -> String {
    micros(n * 1e6)
}

/// A number of bytes, to three digits.
pub(super) fn bytes(n: f64) -> String {
    match n.abs() {
        size if size < 1e3 => format!("{n:.0} B"),
        size if size < 1e6 => format!("{} kB", three(n / 1e3)),
        size if size < 1e9 => format!("{} MB", three(n / 1e6)),
        _ => format!("{} GB", three(n / 1e9)),
    }
}

fn three(n: f64) -> String {
    match n.abs() {
        size if size < 9.995 => format!("{n:.2}"),
        size if size < 99.95 => format!("{n:.1}"),
        _ => format!("{n:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::{super::target::Target, *};

    #[test]
    fn numbers_are_readable() {
        assert_eq!(count(0.0), "0");
        assert_eq!(count(999.4), "999");
        assert_eq!(count(1000.0), "1,000");
        assert_eq!(count(1_234_567.0), "1,234,567");
        assert_eq!(micros(0.5), "0.50 µs");
        assert_eq!(micros(41.25), "41.2 µs");
        assert_eq!(micros(412.5), "412 µs");
        assert_eq!(micros(1500.0), "1.50 ms");
        assert_eq!(seconds(10.0), "10.0 s");
        assert_eq!(bytes(128.0), "128 B");
        assert_eq!(bytes(10_240.0), "10.2 kB");
        assert_eq!(bytes(-3e6), "-3.00 MB");
    }

    /// A run that was really made; README.md shows it.
    fn sample() -> Report {
        serde_json::from_str(include_str!("sample.json")).unwrap()
    }

    #[test]
    fn the_readme_shows_what_is_printed() {
        let printed = report(&sample());
        let readme = include_str!("../../../../README.md");
        assert!(readme.contains(&printed), "README.md lacks:\n{printed}");
    }

    #[test]
    fn every_part_of_a_report_is_printed() {
        let mut full = sample();
        full.stopped = true;
        full.unsent = 1234;
        full.methods.push(full.methods[0].clone());
        full.errors = Errors {
            wrong: 2,
            late: 1,
            described: vec!["KVS.Get: key a instead of b".into()],
            ..Errors::default()
        };
        full.idle = Some(Idle {
            connections: 1,
            streams: 50,
            resident_before: 1_000_000,
            resident_connected: 1_009_000,
            resident_streaming: 1_059_000,
            bytes_per_connection: 9000.0,
            bytes_per_stream: Some(1000.0),
        });
        let printed = report(&full);
        for line in [
            "stopped before its time",
            "unsent          1,234 calls were due and not made",
            "  KVS.Get       ",
            "errors          2 wrong, 1 late",
            "                KVS.Get: key a instead of b",
            "idle            9.00 kB each of 1 connection",
            "                1.00 kB each of 50 streams",
            "                server at 1.00 MB before, 1.06 MB with them",
        ] {
            assert!(printed.contains(&format!("\n{line}")), "{line}:\n{printed}");
        }
    }

    #[test]
    fn a_comparison_is_a_table() {
        let target = |name: &str| Target {
            name: name.into(),
            addr: "127.0.0.1:8300".into(),
            pid: None,
        };
        let mut slow = sample();
        slow.calls_per_second /= 4.0;
        slow.server = None;
        let rounds = vec![vec![sample(), slow]];
        let asked = sample().load;
        let found = Comparison::new(asked, &[target("a"), target("b")], rounds, false);
        let printed = comparison(&found);
        let lines: Vec<_> = printed.lines().collect();
        assert!(lines[0].ends_with("; medians of 1 round"), "{printed}");
        let cells = |n: usize| lines[n].split_whitespace().collect::<Vec<_>>();
        assert_eq!(
            cells(2),
            ["calls/s", "p50", "p99", "CPU", "a", "call", "errors"]
        );
        assert_eq!(cells(5), ["a/b", "4.00", "1.00", "1.00", "-"]);
    }

    #[test]
    fn the_schema_is_written_down() {
        let docs = include_str!("../../../../docs/bench.md");
        let target = Target {
            name: "a".into(),
            addr: "127.0.0.1:8300".into(),
            pid: None,
        };
        let (one, two) = (target.clone(), target);
        let rounds = vec![vec![sample(), sample()]];
        let found = Comparison::new(sample().load, &[one, two], rounds, false);
        let mut names = BTreeSet::new();
        fields(&serde_json::to_value(&found).unwrap(), &mut names);
        for name in names {
            assert!(
                docs.contains(&format!("`{name}`")),
                "docs/bench.md lacks {name}"
            );
        }
    }

    /// The names of all fields, however deep.
    fn fields(value: &Value, names: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => map.iter().for_each(|(name, value)| {
                names.insert(name.clone());
                fields(value, names);
            }),
            Value::Array(items) => items.iter().for_each(|item| fields(item, names)),
            _ => {}
        }
    }
}
