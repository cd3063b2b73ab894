//! What the process counts, as Prometheus' text and as numbers.

pub mod samples;

use std::{sync::OnceLock, time::Duration};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use crate::config::Config;

/// How often histograms are tidied: between two times they keep every value that comes in.
pub const UPKEEP: Duration = Duration::from_secs(5);

/// The bounds of the buckets of durations, in seconds: five for each power of ten, from 1 µs to
/// 10 s, so that a quantile is known to within a quarter.
pub const BOUNDS: [f64; 36] = [
    1e-6, 1.6e-6, 2.5e-6, 4e-6, 6.3e-6, 1e-5, 1.6e-5, 2.5e-5, 4e-5, 6.3e-5, 1e-4, 1.6e-4, 2.5e-4,
    4e-4, 6.3e-4, 1e-3, 1.6e-3, 2.5e-3, 4e-3, 6.3e-3, 1e-2, 1.6e-2, 2.5e-2, 4e-2, 6.3e-2, 0.1,
    0.16, 0.25, 0.4, 0.63, 1.0, 1.6, 2.5, 4.0, 6.3, 10.0,
];

/// The process's metrics. There is one recorder in a process, and it stays.
static TELEMETRY: OnceLock<Option<Telemetry>> = OnceLock::new();

/// What the process counts.
#[derive(Clone)]
pub struct Telemetry {
    handle: PrometheusHandle,
}

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}

impl Telemetry {
    /// Counts from now on, if there is a place where metrics can be read. The first such agent of a
    /// process decides on the prefix. `None` without such a place, or if the host of this agent has
    /// a recorder of its own.
    pub fn wanted(config: &Config) -> Option<Telemetry> {
        if config.admin_socket.is_none() && config.metrics_addr.is_none() {
            return None;
        }
        TELEMETRY
            .get_or_init(|| install(&config.metrics_prefix))
            .clone()
    }

    /// All metrics in Prometheus' text format.
    pub fn text(&self) -> String {
        self.handle.render()
    }

    /// To be called every [`UPKEEP`].
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

fn install(prefix: &str) -> Option<Telemetry> {
    let millis = BOUNDS.map(|bound| bound * 1e3);
    // Neither list is empty, which is all that could be wrong with them.
    let builder = PrometheusBuilder::new()
        .set_buckets(&BOUNDS)
        .and_then(|builder| {
            // Consul times its calls in milliseconds.
            let name = Matcher::Suffix("rpc.server.call".to_owned());
            builder.set_buckets_for_metric(name, &millis)
        })
        .ok()?;
    let inner = builder.build_recorder();
    let handle = inner.handle();
    let prefix = match prefix {
        "" => String::new(),
        prefix => format!("{prefix}."),
    };
    metrics::set_global_recorder(Prefixed { inner, prefix }).ok()?;
    Some(Telemetry { handle })
}

/// Puts Consul's prefix before Consul's names, and leaves ours alone.
struct Prefixed {
    inner: PrometheusRecorder,
    prefix: String,
}

impl Prefixed {
    fn is_ours(&self, name: &str) -> bool {
        self.prefix.is_empty() || name.starts_with("oneport.")
    }

    fn name(&self, name: KeyName) -> KeyName {
        if self.is_ours(name.as_str()) {
            return name;
        }
        format!("{}{}", self.prefix, name.as_str()).into()
    }

    fn with<T>(&self, key: &Key, register: impl FnOnce(&Key) -> T) -> T {
        if self.is_ours(key.name()) {
            return register(key);
        }
        let name = format!("{}{}", self.prefix, key.name());
        let labels: Vec<_> = key.labels().cloned().collect();
        register(&Key::from_parts(name, labels))
    }
}

impl Recorder for Prefixed {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.inner.describe_counter(self.name(name), unit, text);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.inner.describe_gauge(self.name(name), unit, text);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.inner.describe_histogram(self.name(name), unit, text);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.with(key, |key| self.inner.register_counter(key, metadata))
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.with(key, |key| self.inner.register_gauge(key, metadata))
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.with(key, |key| self.inner.register_histogram(key, metadata))
    }
}

#[cfg(test)]
mod tests {
    use metrics::with_local_recorder;

    use super::*;

    #[test]
    fn consuls_names_get_the_prefix_and_ours_do_not() {
        let inner = PrometheusBuilder::new().build_recorder();
        let handle = inner.handle();
        let prefix = "consul.".to_owned();
        with_local_recorder(&Prefixed { inner, prefix }, || {
            metrics::counter!("rpc.request", "a" => "b").increment(1);
            metrics::counter!("oneport.calls").increment(2);
        });
        let text = handle.render();
        assert!(text.contains("consul_rpc_request{a=\"b\"} 1"), "{text}");
        assert!(text.contains("\noneport_calls 2"), "{text}");
    }

    #[test]
    fn bounds_rise() {
        assert!(BOUNDS.is_sorted());
    }
}
