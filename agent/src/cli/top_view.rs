//! What `oneport top` shows, apart from where it is shown.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    admin::state::{Calls, State},
    config::span::Span,
    telemetry::samples::Histogram,
};

/// The state of an agent, and what it was a look before.
pub(super) struct View {
    now: State,
    at: Instant,
    before: Option<State>,
    /// The time between the looks; since the start at the first.
    span: Duration,
}

impl View {
    /// The first look: everything since the agent's start.
    pub(super) fn first((now, at): (State, Instant)) -> View {
        let span = Duration::try_from_secs_f64(now.uptime).unwrap_or_default();
        View {
            now,
            at,
            before: None,
            span,
        }
    }

    /// The next look: everything since the last one.
    pub(super) fn next(&mut self, (now, at): (State, Instant)) {
        // An agent that has started again has counted anew.
        if now.uptime < self.now.uptime {
            *self = View::first((now, at));
            return;
        }
        self.span = at - self.at;
        self.at = at;
        self.before = Some(std::mem::replace(&mut self.now, now));
    }

    /// The picture, in as many lines and columns as there is room for.
    pub(super) fn lines(&self, width: usize, height: usize) -> Vec<String> {
        let mut lines = vec![self.title(), String::new()];
        lines.extend(self.routes());
        lines.push(String::new());
        lines.extend(self.calls());
        lines.push(String::new());
        lines.extend(self.refusals());
        lines.truncate(height);
        for line in &mut lines {
            if let Some((end, _)) = line.char_indices().nth(width) {
                line.truncate(end);
            }
        }
        lines
    }

    fn title(&self) -> String {
        let state = &self.now;
        let up = Duration::try_from_secs_f64(state.uptime.floor()).unwrap_or_default();
        let mut title = format!(
            "oneport {}  {} in {} at {}  up {}",
            state.version,
            state.node,
            state.datacenter,
            state.address,
            Span(up)
        );
        if state.draining {
            title.push_str("  DRAINING");
        }
        if !state.restart.is_empty() {
            let waiting = state.restart.len();
            title.push_str(&format!("  settings waiting for a restart: {waiting}"));
        }
        title
    }

    fn routes(&self) -> Vec<String> {
        let connections = &self.now.connections;
        let before = self.before.as_ref().map(|state| &state.connections);
        let row = |name: &str, open: u64, total: u64, earlier: u64| {
            let rate = self.rate(total, earlier);
            format!("{name:<28}{open:>10}{total:>12}{rate:>11}")
        };
        let mut lines = vec![format!(
            "{:<28}{:>10}{:>12}{:>11}",
            "CONNECTIONS", "open", "total", "new/s"
        )];
        for route in &connections.routes {
            let same = |before: &&crate::admin::state::Route| before.name == route.name;
            let earlier = before.and_then(|before| before.routes.iter().find(same));
            let earlier = earlier.map_or(0, |route| route.routed);
            lines.push(row(&route.name, route.open, route.routed, earlier));
        }
        let earlier = before.map_or(0, |before| before.accepted);
        lines.push(row("all", connections.open, connections.accepted, earlier));
        lines
    }

    fn calls(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{:<28}{:>10}{:>12}{:>11}{:>10}{:>10}{:>9}",
            "CALLS", "running", "total", "calls/s", "p50", "p99", "errors"
        )];
        for calls in &self.now.calls {
            lines.push(self.method(calls));
        }
        if self.now.calls.is_empty() {
            lines.push("none yet".to_owned());
        }
        lines
    }

    fn method(&self, calls: &Calls) -> String {
        let same =
            |before: &&Calls| before.protocol == calls.protocol && before.method == calls.method;
        let before = self.before.as_ref();
        let before = before.and_then(|state| state.calls.iter().find(same));
        let took = match before {
            Some(before) => calls.took.since(&before.took),
            None => calls.took.clone(),
        };
        let name = match calls.protocol.as_str() {
            "netrpc" => calls.method.clone(),
            protocol => format!("{} ({protocol})", calls.method),
        };
        format!(
            "{name:<28}{:>10}{:>12}{:>11}{:>10}{:>10}{:>9}",
            calls.in_flight,
            calls.calls,
            self.rate(calls.calls, before.map_or(0, |before| before.calls)),
            time(&took, 50),
            time(&took, 99),
            calls.errors,
        )
    }

    fn refusals(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{:<28}{:>10}{:>12}{:>11}",
            "REFUSED", "", "total", "a second"
        )];
        for (why, total) in &self.now.refusals {
            let before = self.before.as_ref();
            let earlier = before.and_then(|state| state.refusals.get(why)).copied();
            let rate = self.rate(*total, earlier.unwrap_or(0));
            lines.push(format!("{why:<28}{:>10}{total:>12}{rate:>11}", ""));
        }
        if self.now.refusals.is_empty() {
            lines.push("nothing".to_owned());
        }
        lines
    }

    /// How many a second, since the last look.
    fn rate(&self, total: u64, earlier: u64) -> String {
        let more = total.saturating_sub(earlier);
        let millis = self.span.as_millis().max(1);
        let tenths = u128::from(more) * 10_000 / millis;
        format!("{}.{}", tenths / 10, tenths % 10)
    }
}

/// A percentile in a unit that people read.
fn time(took: &Histogram, hundredths: u32) -> String {
    if took.count == 0 {
        return "-".to_owned();
    }
    let Some(seconds) = took.percentile(hundredths) else {
        return "> 10 s".to_owned();
    };
    if seconds < 1e-3 {
        format!("{:.0} µs", seconds * 1e6)
    } else if seconds < 1.0 {
        format!("{:.1} ms", seconds * 1e3)
    } else {
        format!("{seconds:.1} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::state::{Connections, Route};

    fn state(uptime: f64, calls: u64, bucket: u64) -> State {
        State {
            version: "1".into(),
            node: "n".into(),
            datacenter: "dc1".into(),
            address: "127.0.0.1:8300".parse().unwrap(),
            uptime,
            draining: false,
            connections: Connections {
                open: 1,
                accepted: 5,
                routes: vec![Route {
                    name: "net/rpc".into(),
                    open: 1,
                    routed: 4,
                }],
            },
            calls: vec![Calls {
                protocol: "netrpc".into(),
                method: "KVS.Get".into(),
                calls,
                errors: 0,
                in_flight: 2,
                took: Histogram {
                    buckets: vec![(0.001, 0), (0.002, bucket)],
                    count: calls,
                },
            }],
            refusals: [("timeout: timeout".to_owned(), calls)].into(),
            settings: serde_json::Value::Null,
            restart: Vec::new(),
        }
    }

    fn line<'a>(lines: &'a [String], name: &str) -> Vec<&'a str> {
        let found = lines.iter().find(|line| line.starts_with(name)).unwrap();
        found[name.len()..].split_whitespace().collect()
    }

    #[test]
    fn the_first_look_is_since_the_start_and_the_next_since_the_last() {
        let at = Instant::now();
        let mut view = View::first((state(10.0, 100, 100), at));
        let lines = view.lines(usize::MAX, usize::MAX);
        assert_eq!(
            line(&lines, "KVS.Get"),
            ["2", "100", "10.0", "1.5", "ms", "2.0", "ms", "0"]
        );
        assert_eq!(line(&lines, "net/rpc"), ["1", "4", "0.4"]);
        assert_eq!(line(&lines, "timeout: timeout"), ["100", "10.0"]);

        view.next((state(12.0, 500, 500), at + Duration::from_secs(2)));
        let lines = view.lines(usize::MAX, usize::MAX);
        assert_eq!(line(&lines, "KVS.Get")[1..3], ["500", "200.0"]);
        assert_eq!(line(&lines, "net/rpc"), ["1", "4", "0.0"]);

        // It has started again.
        view.next((state(1.0, 7, 7), at + Duration::from_secs(4)));
        let lines = view.lines(usize::MAX, usize::MAX);
        assert_eq!(line(&lines, "KVS.Get")[1..3], ["7", "7.0"]);
    }

    #[test]
    fn the_picture_fits_the_terminal() {
        let view = View::first((state(10.0, 100, 100), Instant::now()));
        let lines = view.lines(20, 5);
        assert_eq!(lines.len(), 5);
        assert!(lines.iter().all(|line| line.chars().count() <= 20));
    }

    #[test]
    fn times_are_for_people() {
        let took = |upper| Histogram {
            buckets: vec![(upper, 1)],
            count: 1,
        };
        assert_eq!(time(&took(2e-4), 50), "100 µs");
        assert_eq!(time(&took(2e-2), 50), "10.0 ms");
        assert_eq!(time(&took(4.0), 50), "2.0 s");
        assert_eq!(time(&Histogram::default(), 50), "-");
        let over = Histogram {
            buckets: vec![(10.0, 0)],
            count: 1,
        };
        assert_eq!(time(&over, 99), "> 10 s");
    }
}
