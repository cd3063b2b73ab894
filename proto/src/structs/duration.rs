//! Go's `time.Duration`.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

/// A span of time in nanoseconds, which may be negative. An integer on the wire and in JSON.
///
/// ```
/// use std::time::Duration;
/// use oneport_proto::structs::GoDuration;
///
/// let wait = GoDuration::from(Duration::from_secs(5));
/// assert_eq!(wait.0, 5_000_000_000);
/// assert_eq!(wait.to_std(), Some(Duration::from_secs(5)));
/// assert_eq!(GoDuration(-1).to_std(), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration(
    /// The nanoseconds.
    pub i64,
);

impl GoDuration {
    /// No time at all: in most places "use the default".
    pub const ZERO: Self = Self(0);

    /// The span, if it is not negative.
    #[must_use]
    pub fn to_std(self) -> Option<Duration> {
        u64::try_from(self.0).ok().map(Duration::from_nanos)
    }
}

/// What does not fit becomes the longest span that does: 292 years.
impl From<Duration> for GoDuration {
    fn from(span: Duration) -> Self {
        Self(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX))
    }
}

/// Shows the span as Rust does: `1.5s`.
impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            f.write_str("-")?;
        }
        fmt::Debug::fmt(&Duration::from_nanos(self.0.unsigned_abs()), f)
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i64::deserialize(deserializer).map(Self)
    }
}
