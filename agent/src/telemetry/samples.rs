//! What Prometheus' text says, as numbers.

use serde::{Deserialize, Serialize};

/// Samples of metrics.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<Sample>);

/// One sample: a line of the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

/// How many values were at most so large.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Bounds, rising, and how many values are at most so large; what is above the last bound is
    /// only in [`count`](Histogram::count).
    pub buckets: Vec<(f64, u64)>,
    /// All values.
    pub count: u64,
}

impl Sample {
    /// A label's value; empty if it has no such label.
    pub fn label(&self, name: &str) -> &str {
        let found = self.labels.iter().find(|(label, _)| label == name);
        found.map_or("", |(_, value)| value)
    }

    /// The value of a counter or of a gauge that counts; below zero there is nothing to count.
    pub fn count(&self) -> u64 {
        let value = self.value.round().clamp(0.0, 9e15);
        // In these bounds every whole f64 is a u64, and prints as one.
        format!("{value:.0}").parse().unwrap_or(0)
    }
}

impl Samples {
    /// Reads Prometheus' text format; lines that are none of it are left out.
    pub fn parse(text: &str) -> Samples {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Samples(lines.filter_map(line).collect())
    }

    /// All samples of a metric, by its name on the facade.
    pub fn of(&self, metric: &str) -> impl Iterator<Item = &Sample> {
        let name = metric.replace('.', "_");
        self.0.iter().filter(move |sample| sample.name == name)
    }

    /// All of a metric together.
    pub fn sum(&self, metric: &str) -> u64 {
        self.sum_where(metric, &[])
    }

    /// All of a metric that has these labels.
    pub fn sum_where(&self, metric: &str, labels: &[(&str, &str)]) -> u64 {
        let has = |sample: &&Sample| {
            labels
                .iter()
                .all(|(name, value)| sample.label(name) == *value)
        };
        self.of(metric).filter(has).map(Sample::count).sum()
    }

    /// A metric by the values of one of its labels.
    pub fn by(&self, metric: &str, label: &str) -> std::collections::BTreeMap<&str, u64> {
        let mut sums = std::collections::BTreeMap::new();
        let name = metric.replace('.', "_");
        for sample in self.0.iter().filter(|sample| sample.name == name) {
            *sums.entry(sample.label(label)).or_default() += sample.count();
        }
        sums
    }

    /// The histogram of a metric that has these labels.
    pub fn histogram(&self, metric: &str, labels: &[(&str, &str)]) -> Histogram {
        let mut buckets = Vec::new();
        let mut count = 0;
        for sample in self.of(&format!("{metric}.bucket")) {
            if labels
                .iter()
                .any(|(name, value)| sample.label(name) != *value)
            {
                continue;
            }
            match sample.label("le") {
                "+Inf" => count += sample.count(),
                le => buckets.extend(le.parse().ok().map(|le: f64| (le, sample.count()))),
            }
        }
        buckets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        Histogram { buckets, count }
    }
}

impl Histogram {
    /// What came since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Histogram) -> Histogram {
        let before = |bound: f64| {
            let found = earlier.buckets.iter().find(|(other, _)| *other == bound);
            found.map_or(0, |(_, count)| *count)
        };
        let buckets = self.buckets.iter();
        Histogram {
            buckets: buckets
                .map(|(bound, count)| (*bound, count.saturating_sub(before(*bound))))
                .collect(),
            count: self.count.saturating_sub(earlier.count),
        }
    }

    /// The value that so many hundredths of all values are at most as large as, as far as the
    /// buckets tell: within one, values are taken to be spread evenly. `None` without values, and
    /// for what is above the last bound.
    pub fn percentile(&self, hundredths: u32) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let rank = as_f64(self.count) * f64::from(hundredths) / 100.0;
        let (mut lower, mut below) = (0.0, 0.0);
        for (bound, count) in &self.buckets {
            let upto = as_f64(*count);
            if upto >= rank && upto > below {
                return Some(lower + (bound - lower) * (rank - below) / (upto - below));
            }
            (lower, below) = (*bound, upto);
        }
        None
    }
}

/// A count as a number; beyond 2^53 it is rounded.
fn as_f64(count: u64) -> f64 {
    // Written and read, for there is no lossless conversion to ask for.
    count.to_string().parse().unwrap_or(f64::MAX)
}

/// A line like `name{label="value",…} 1.5`.
fn line(text: &str) -> Option<Sample> {
    let end = text.find(['{', ' '])?;
    let (name, rest) = text.split_at(end);
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Vec::new(), rest),
    };
    Some(Sample {
        name: name.to_owned(),
        labels,
        value: value.split_whitespace().next()?.parse().ok()?,
    })
}

/// Labels up to their closing brace, and what comes after it.
fn labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, after) = rest.split_once("=\"")?;
        let (value, after) = quoted(after)?;
        labels.push((name.to_owned(), value));
        rest = after;
    }
}

/// A value up to its closing quote, without its escapes.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
# TYPE oneport_calls counter
oneport_calls{protocol="netrpc",method="KVS.Get"} 12
oneport_calls{protocol="netrpc",method="a\"b\\,}"} 3
oneport_connections_open 2
took_bucket{m="a",le="0.1"} 50
took_bucket{m="a",le="0.2"} 90
took_bucket{m="a",le="+Inf"} 100
took_bucket{m="b",le="+Inf"} 7
nonsense
"#;

    #[test]
    fn samples_are_found_by_name_and_labels() {
        let samples = Samples::parse(TEXT);
        assert_eq!(samples.sum("oneport.calls"), 15);
        assert_eq!(samples.sum("oneport.connections.open"), 2);
        assert_eq!(
            samples.sum_where("oneport.calls", &[("method", "KVS.Get")]),
            12
        );
        let by: Vec<_> = samples.by("oneport.calls", "method").into_iter().collect();
        assert_eq!(by, [("KVS.Get", 12), ("a\"b\\,}", 3)]);
        assert_eq!(samples.sum("none"), 0);
    }

    #[test]
    fn percentiles_lie_within_their_bucket() {
        let took = Samples::parse(TEXT).histogram("took", &[("m", "a")]);
        assert_eq!(took.count, 100);
        assert_eq!(took.percentile(50), Some(0.1));
        assert_eq!(took.percentile(25), Some(0.05));
        assert!((took.percentile(70).unwrap() - 0.15).abs() < 1e-9);
        assert_eq!(took.percentile(99), None);
        assert_eq!(Histogram::default().percentile(50), None);
        let since = took.since(&Histogram {
            buckets: vec![(0.1, 50), (0.2, 80)],
            count: 90,
        });
        assert_eq!(since.buckets, [(0.1, 0), (0.2, 10)]);
        assert!((since.percentile(50).unwrap() - 0.15).abs() < 1e-9);
    }
}
