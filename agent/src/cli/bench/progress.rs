//! How far a run is, once a second, for people who wait.

use std::{
    convert::Infallible,
    io::{self, IsTerminal, Write},
    time::Duration,
};

use tokio::time::{Instant, interval_at};

use super::{tally::Tally, text};

const EVERY: Duration = Duration::from_secs(1);

/// What is shown, and where.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    label: String,
    place: Place,
}

/// Where progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// On one line of a terminal that is written again and again.
    Line,
    /// A line each.
    Lines,
    /// Nowhere.
    Off,
}

impl Progress {
    /// On a terminal, or where it was asked for; `label` says what it is about.
    pub(super) fn new(asked: bool, label: String) -> Progress {
        let place = match (io::stderr().is_terminal(), asked) {
            (true, _) => Place::Line,
            (false, true) => Place::Lines,
            (false, false) => Place::Off,
        };
        Progress { label, place }
    }

    /// Shows it every second, for as long as it is polled.
    pub(super) async fn report(
        &self,
        part: &str,
        start: Instant,
        end: Option<Instant>,
        tally: &Tally,
    ) -> Infallible {
        let mut every = interval_at(start + EVERY, EVERY);
        let (mut last, mut at) = (0, start);
        loop {
            let now = every.tick().await;
            if self.place == Place::Off {
                continue;
            }
            let (calls, failed) = tally.progress();
            let rate = (calls - last) as f64 / (now - at).as_secs_f64();
            (last, at) = (calls, now);
            let elapsed = (now - start).as_secs();
            let of = end.map_or(String::new(), |end| {
                format!(" of {}", text::seconds((end - start).as_secs_f64()))
            });
            self.show(&format!(
                "{}{part}: {elapsed} s{of}, {} calls, {} /s, {failed} errors",
                self.label,
                text::count(calls as f64),
                text::count(rate)
            ));
        }
    }

    /// A line that says what is being done.
    fn show(&self, text: &str) {
        let mut stderr = io::stderr().lock();
        // A closed stderr has nobody to tell.
        let _closed = match self.place {
            Place::Line => write!(stderr, "\r\x1b[2K{text}").and_then(|()| stderr.flush()),
            Place::Lines => writeln!(stderr, "{text}"),
            Place::Off => Ok(()),
        };
    }

    /// Leaves a clean line for what follows.
    pub(super) fn done(&self) {
        if self.place == Place::Line {
            self.show("");
        }
    }
}
