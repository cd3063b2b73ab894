//! A metrics recorder that counts, for one test's thread.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, atomic::AtomicU64, atomic::Ordering},
};

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, LocalRecorderGuard, Metadata, Recorder,
    SharedString, Unit, set_default_local_recorder,
};

/// Counters by `name{value}`; a histogram counts its records, a gauge is ignored.
#[derive(Default)]
pub(crate) struct Counts(Mutex<BTreeMap<String, Arc<Cell>>>);

#[derive(Default)]
struct Cell(AtomicU64);

impl Counts {
    /// A recorder for what runs on this thread as long as the guard lives.
    pub(crate) fn install() -> (&'static Counts, LocalRecorderGuard<'static>) {
        let counts: &'static Counts = Box::leak(Box::default());
        (counts, set_default_local_recorder(counts))
    }

    /// The count of `name{value of its label}`, or of `name`.
    pub(crate) fn of(&self, key: &str) -> u64 {
        let cells = self.0.lock().unwrap();
        cells
            .get(key)
            .map_or(0, |cell| cell.0.load(Ordering::Relaxed))
    }

    fn cell(&self, key: &Key) -> Arc<Cell> {
        let mut name = key.name().to_owned();
        for label in key.labels() {
            name = format!("{name}{{{}}}", label.value());
        }
        Arc::clone(self.0.lock().unwrap().entry(name).or_default())
    }
}

impl metrics::CounterFn for Cell {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

impl HistogramFn for Cell {
    fn record(&self, _: f64) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.cell(key))
    }
}
