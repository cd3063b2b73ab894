//! What an agent says about itself: the JSON of `GET /state`.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use oneport::{layers::metrics as calls, metrics as connections};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::{
    config::{Config, document::Value, settings::SETTINGS},
    counted::ROUTE_OPEN,
    live::Live,
    telemetry::samples::{Histogram, Samples},
};

/// What an agent says about itself. Counts are since its start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The program's version.
    pub version: String,
    /// The node's name.
    pub node: String,
    /// The datacenter's name.
    pub datacenter: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// For how long, in seconds.
    pub uptime: f64,
    /// Whether it is on its way down.
    pub draining: bool,
    /// Its connections.
    pub connections: Connections,
    /// Its calls, by method.
    pub calls: Vec<Calls>,
    /// What was refused, by who did and then by why.
    pub refusals: BTreeMap<String, u64>,
    /// The settings in force, as a settings file would have them. Secrets are left out.
    pub settings: Json,
    /// Settings that wait for a restart, by key.
    pub restart: Vec<String>,
}

/// The connections of an agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Connections {
    /// Those that are open.
    pub open: u64,
    /// Those that were accepted, refused ones too.
    pub accepted: u64,
    /// By the row of the port's table that they found.
    pub routes: Vec<Route>,
}

/// The connections of one row of the port's table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// The row's name.
    pub name: String,
    /// Those that are open.
    pub open: u64,
    /// Those that found it.
    pub routed: u64,
}

/// The calls of one method.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calls {
    /// The protocol that it was called by.
    pub protocol: String,
    /// The method.
    pub method: String,
    /// All calls that ended.
    pub calls: u64,
    /// Those that did not end well.
    pub errors: u64,
    /// Those that have not ended.
    pub in_flight: u64,
    /// How long they took, without those that asked to wait.
    pub took: Histogram,
}

impl State {
    /// What there is to say, with the metrics in Prometheus' text format if they are known.
    pub(crate) fn gather(
        live: &Live,
        address: SocketAddr,
        uptime: Duration,
        draining: bool,
        metrics: Option<&str>,
    ) -> State {
        let config = live.config();
        let samples = Samples::parse(metrics.unwrap_or_default());
        State {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            node: config.node.clone(),
            datacenter: config.datacenter.clone(),
            address,
            uptime: uptime.as_secs_f64(),
            draining,
            connections: Connections::of(&samples),
            calls: all_calls(&samples),
            refusals: refusals(&samples),
            settings: settings(&config),
            restart: live.waiting().into_iter().map(str::to_owned).collect(),
        }
    }
}

impl Connections {
    fn of(samples: &Samples) -> Connections {
        let mut routes: BTreeMap<&str, Route> = BTreeMap::new();
        for (row, count) in samples.by(connections::PORT_ROUTED, "row") {
            routes.entry(row).or_default().routed = count;
        }
        for (row, count) in samples.by(ROUTE_OPEN, "row") {
            routes.entry(row).or_default().open = count;
        }
        let named = |(name, route): (&str, Route)| Route {
            name: name.to_owned(),
            ..route
        };
        Connections {
            open: samples.sum(connections::OPEN),
            accepted: samples.sum(connections::ACCEPTED),
            routes: routes.into_iter().map(named).collect(),
        }
    }
}

fn all_calls(samples: &Samples) -> Vec<Calls> {
    let mut all = Vec::new();
    for sample in samples.of(calls::CALLS) {
        let (protocol, method) = (sample.label("protocol"), sample.label("method"));
        let these = [("protocol", protocol), ("method", method)];
        all.push(Calls {
            protocol: protocol.to_owned(),
            method: method.to_owned(),
            calls: sample.count(),
            errors: samples.sum_where(calls::ERRORS, &these),
            in_flight: samples.sum_where(calls::IN_FLIGHT, &these),
            took: samples.histogram(
                calls::DURATION,
                &[these[0], these[1], ("blocking", "false")],
            ),
        });
    }
    all.sort_by(|a, b| (&a.protocol, &a.method).cmp(&(&b.protocol, &b.method)));
    all
}

/// Who refuses calls for which reasons: first the layers, in their order, then what is behind them.
/// Each reason is there once.
const REFUSERS: [(&str, &[&str]); 7] = [
    ("timeout", &["timeout"]),
    ("rate limit", &["rate_limited"]),
    ("in flight", &["in_flight"]),
    ("auth", &["denied", "unknown_token"]),
    ("protocol", &["too_large", "draining"]),
    ("router", &["not_found"]),
    ("handler", &["panicked"]),
];

/// Who refuses calls for this reason.
fn refuser(reason: &str) -> &'static str {
    let refuser = REFUSERS.iter().find(|(_, why)| why.contains(&reason));
    refuser.map_or("other", |(name, _)| name)
}

/// Connections are refused by the listener, calls by a layer or by what is behind it.
fn refusals(samples: &Samples) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for (limit, count) in samples.by(connections::REFUSED, "limit") {
        all.insert(format!("listener: {limit}"), count);
    }
    for (reason, count) in samples.by(calls::REFUSED, "reason") {
        all.insert(format!("{}: {reason}", refuser(reason)), count);
    }
    all
}

/// The settings as a settings file would have them.
fn settings(config: &Config) -> Json {
    let mut root = Map::new();
    for setting in SETTINGS.iter().filter(|setting| setting.field.is_shown()) {
        if let Some(value) = json(&setting.field.get(config)) {
            put(&mut root, setting.key, value);
        }
    }
    Json::Object(root)
}

fn put(table: &mut Map<String, Json>, key: &str, value: Json) {
    let Some((name, rest)) = key.split_once('.') else {
        table.insert(key.to_owned(), value);
        return;
    };
    let below = table
        .entry(name)
        .or_insert_with(|| Json::Object(Map::new()));
    // No setting's key is the beginning of another's.
    if let Json::Object(below) = below {
        put(below, rest, value);
    }
}

/// `None` for what is not set at all.
fn json(value: &Value) -> Option<Json> {
    match value {
        Value::Flag(flag) => Some((*flag).into()),
        Value::Whole(number) => i64::try_from(*number).ok().map(Json::from),
        Value::Number(number) => Some((*number).into()),
        Value::Text(text) if text.is_empty() => None,
        Value::Text(text) => Some(text.as_str().into()),
        Value::List(nodes) => {
            let values: Vec<_> = nodes.iter().filter_map(|node| json(&node.value)).collect();
            (!values.is_empty()).then_some(Json::Array(values))
        }
        Value::Null | Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_somebody_who_refuses_for_it() {
        // The catalogue is where all reasons are named.
        let catalogue = include_str!("../../../layers/src/metrics.rs");
        let prefix = "//! | `reason` |";
        let row = catalogue.lines().find_map(|line| line.strip_prefix(prefix));
        let reasons: Vec<_> = row.unwrap().split('`').skip(1).step_by(2).collect();
        assert_eq!(reasons.len(), 9);
        for reason in reasons {
            let who = REFUSERS.iter().filter(|(_, why)| why.contains(&reason));
            assert_eq!(who.count(), 1, "{reason}");
        }
        assert_eq!(refuser("of the future"), "other");
    }

    #[test]
    fn refusals_are_told_by_who_refused_and_why() {
        let text = "oneport_calls_refused{method=\"a\",reason=\"denied\"} 2\n\
                    oneport_calls_refused{method=\"b\",reason=\"denied\"} 3\n\
                    oneport_calls_refused{method=\"b\",reason=\"timeout\"} 1\n\
                    oneport_connections_refused{limit=\"source\"} 4\n";
        let refusals = refusals(&Samples::parse(text));
        let told: Vec<_> = refusals.iter().map(|(who, n)| (who.as_str(), *n)).collect();
        assert_eq!(
            told,
            [
                ("auth: denied", 5),
                ("listener: source", 4),
                ("timeout: timeout", 1)
            ]
        );
    }

    #[test]
    fn the_settings_in_force_are_a_settings_file() {
        let mut config = Config {
            node: "n7".to_owned(),
            ..Config::default()
        };
        config.listen.max_conns = 77;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.json");
        std::fs::write(&file, settings(&config).to_string()).unwrap();
        assert_eq!(crate::config::load::load(&[file]).unwrap().config, config);
    }
}
