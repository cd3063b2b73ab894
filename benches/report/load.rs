//! One measurement with `oneport bench`, and what a process has used.

use std::{fs, path::Path, process::Command, time::Duration};

use serde::Deserialize;

use crate::{Failure, peers::Running, rows::Row};

/// What one measurement came to. Times are microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Calls a second.
    pub(crate) rate: f64,
    /// The server's processor time for a call.
    pub(crate) cpu: Option<f64>,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// The part of `oneport bench --json` that is read here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Said {
    calls_per_second: f64,
    latency: Latency,
    server: Option<Share>,
    idle: Option<Idle>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Latency {
    p50: f64,
    p99: f64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Share {
    cpu_per_call: f64,
}

/// Bytes of resident memory.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Idle {
    pub(crate) bytes_per_connection: f64,
    pub(crate) bytes_per_stream: Option<f64>,
}

/// Drives a server as a row says.
pub(crate) fn measure(
    oneport: &Path,
    server: &Running,
    row: &Row,
    time: Duration,
) -> Result<Measured, Failure> {
    let mut flags = row.flags();
    let warm_up = time.as_millis() / 5;
    flags.extend(["--duration".into(), format!("{}ms", time.as_millis())]);
    flags.extend(["--warm-up".into(), format!("{warm_up}ms")]);
    let said = bench(oneport, server, &flags)?;
    Ok(Measured {
        rate: said.calls_per_second,
        cpu: said.server.map(|share| share.cpu_per_call),
        p50: said.latency.p50,
        p99: said.latency.p99,
    })
}

/// The flags by which `oneport bench` looks at idle connections. There are many, because a Go server
/// has room for some from its start.
pub(crate) const IDLE_PLAIN: &str = "--transport single --idle 500 --calls 0";
/// The same for sessions.
pub(crate) const IDLE_YAMUX: &str = "--transport yamux --idle 500 --calls 0";
/// The same for streams of sessions.
pub(crate) const IDLE_STREAMS: &str = "--transport yamux --streams 50 --idle 100 --calls 0";

/// Looks at what idle connections cost a server.
pub(crate) fn idle(oneport: &Path, server: &Running, flags: &str) -> Result<Idle, Failure> {
    let flags: Vec<String> = flags.split(' ').map(str::to_owned).collect();
    let said = bench(oneport, server, &flags)?;
    said.idle
        .ok_or_else(|| "oneport bench says nothing about idle connections".into())
}

fn bench(oneport: &Path, server: &Running, flags: &[String]) -> Result<Said, Failure> {
    let output = Command::new(oneport)
        .args(["bench", &server.addr.to_string(), "--json"])
        .args(["--server-pid", &server.pid().to_string()])
        .args(flags)
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("oneport bench {}: {}", flags.join(" "), said.trim()).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Processor time of a process, in ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage(u64);

impl Usage {
    pub(crate) fn of(pid: u32) -> Result<Usage, Failure> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The second field is a name in parentheses; user and system time are the 14th and 15th.
        let ticks = || {
            let (_, fields) = stat.rsplit_once(") ")?;
            let mut fields = fields.split(' ').skip(11);
            let user: u64 = fields.next()?.parse().ok()?;
            let system: u64 = fields.next()?.parse().ok()?;
            Some(Usage(user + system))
        };
        ticks().ok_or_else(|| format!("/proc/{pid}/stat is not understood").into())
    }

    pub(crate) fn since(self, before: Usage) -> Duration {
        // USER_HZ, which is 100 on every architecture that Linux runs servers on.
        const TICK: Duration = Duration::from_millis(10);
        let ticks = self.0.saturating_sub(before.0);
        TICK * u32::try_from(ticks).unwrap_or(u32::MAX)
    }
}

/// Resident memory of a process, in bytes.
pub(crate) fn resident(pid: u32) -> Result<f64, Failure> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let kilobytes = || {
        let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    };
    let kilobytes: f64 = kilobytes().ok_or("smaps_rollup is not understood")?;
    Ok(kilobytes * 1024.0)
}
