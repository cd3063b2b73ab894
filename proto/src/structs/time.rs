//! Go's `time.Time`.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

/// The seconds from the year 1, where Go begins to count, to 1970, where everybody else does.
const UNIX: i64 = 62_135_596_800;
/// The only version of the form.
const VERSION: u8 = 1;
/// The bytes of the form.
const LENGTH: usize = 15;

/// A point in time, as `time.Time` writes itself in binary.
///
/// On the wire it is 15 raw bytes: `01`, the seconds since the year 1 (i64), the nanoseconds (u32) and the
/// zone in minutes east (i16, -1 for UTC). The default is Go's zero time. In JSON it is the same in
/// hexadecimal digits.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use oneport_proto::structs::GoTime;
///
/// let time = GoTime::from(SystemTime::UNIX_EPOCH + Duration::from_nanos(1));
/// assert_eq!(time.to_bytes(), *b"\x01\x00\x00\x00\x0e\x77\x91\xf7\x00\x00\x00\x00\x01\xff\xff");
/// assert_eq!(GoTime::from_bytes(&time.to_bytes()), Ok(time));
/// assert!(GoTime::default().is_zero());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GoTime {
    /// Seconds since the first of January of the year 1, in UTC.
    pub seconds: i64,
    /// Nanoseconds within the second.
    pub nanos: u32,
    /// The zone in minutes east of Greenwich; -1 says UTC, 0 is a zone that happens to agree with it.
    pub zone: i16,
}

/// Why bytes are no time. The texts are Go's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// There are no bytes.
    #[error("Time.UnmarshalBinary: no data")]
    Empty,
    /// The version is unknown.
    #[error("Time.UnmarshalBinary: unsupported version")]
    Version,
    /// Too many or too few bytes.
    #[error("Time.UnmarshalBinary: invalid length")]
    Length,
}

impl GoTime {
    /// What Go calls the zero time: the first second of the year 1.
    pub const ZERO: Self = Self {
        seconds: 0,
        nanos: 0,
        zone: -1,
    };

    /// Whether it is the zero time, in any zone.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.seconds == 0 && self.nanos == 0
    }

    /// The form of the wire.
    #[must_use]
    pub fn to_bytes(self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[0] = VERSION;
        bytes[1..9].copy_from_slice(&self.seconds.to_be_bytes());
        bytes[9..13].copy_from_slice(&self.nanos.to_be_bytes());
        bytes[13..15].copy_from_slice(&self.zone.to_be_bytes());
        bytes
    }

    /// Reads the form of the wire.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TimeError> {
        let (&version, rest) = bytes.split_first().ok_or(TimeError::Empty)?;
        if version != VERSION {
            return Err(TimeError::Version);
        }
        let (seconds, rest) = rest.split_first_chunk().ok_or(TimeError::Length)?;
        let (nanos, rest) = rest.split_first_chunk().ok_or(TimeError::Length)?;
        let zone = rest.try_into().map_err(|_| TimeError::Length)?;
        Ok(Self {
            seconds: i64::from_be_bytes(*seconds),
            nanos: u32::from_be_bytes(*nanos),
            zone: i16::from_be_bytes(zone),
        })
    }

    /// The same as the system tells it; `None` for what it cannot tell.
    #[must_use]
    pub fn to_system(self) -> Option<SystemTime> {
        let seconds = self.seconds.checked_sub(UNIX)?;
        let span = Duration::from_secs(seconds.unsigned_abs());
        let second = if seconds < 0 {
            SystemTime::UNIX_EPOCH.checked_sub(span)?
        } else {
            SystemTime::UNIX_EPOCH.checked_add(span)?
        };
        second.checked_add(Duration::from_nanos(self.nanos.into()))
    }
}

impl Default for GoTime {
    fn default() -> Self {
        Self::ZERO
    }
}

/// In UTC. What lies beyond Go's range is the zero time.
impl From<SystemTime> for GoTime {
    fn from(time: SystemTime) -> Self {
        let (seconds, nanos) = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => (i64::try_from(after.as_secs()), after.subsec_nanos()),
            Err(before) => {
                // Nanoseconds count upwards, also before 1970.
                let before = before.duration();
                let up = before.subsec_nanos() > 0;
                let seconds = i64::try_from(before.as_secs()).map(|s| -s - i64::from(up));
                let nanos = if up {
                    1_000_000_000 - before.subsec_nanos()
                } else {
                    0
                };
                (seconds, nanos)
            }
        };
        match seconds.ok().and_then(|seconds| seconds.checked_add(UNIX)) {
            Some(seconds) => Self {
                seconds,
                nanos,
                zone: -1,
            },
            None => Self::ZERO,
        }
    }
}

impl Serialize for GoTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = self.to_bytes();
        if !serializer.is_human_readable() {
            return serializer.serialize_bytes(&bytes);
        }
        serializer.collect_str(&Hex(&bytes))
    }
}

/// Bytes in hexadecimal digits.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<'de> Deserialize<'de> for GoTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_any(Form);
        }
        // Not as bytes at once: nil is the zero time, but no bytes are an error.
        deserializer.deserialize_option(Form)
    }
}

/// Takes a time in any form.
struct Form;

impl<'de> Visitor<'de> for Form {
    type Value = GoTime;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time of 15 bytes")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<GoTime, E> {
        GoTime::from_bytes(bytes).map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<GoTime, E> {
        // A format that tells strings by their content may take the bytes of the wire for one.
        if text.len() == LENGTH {
            return self.visit_bytes(text.as_bytes());
        }
        let digits = text.as_bytes().chunks(2).map(|pair| {
            let pair = std::str::from_utf8(pair).map_err(E::custom)?;
            u8::from_str_radix(pair, 16).map_err(E::custom)
        });
        self.visit_bytes(&digits.collect::<Result<Vec<u8>, E>>()?)
    }

    fn visit_unit<E: de::Error>(self) -> Result<GoTime, E> {
        Ok(GoTime::ZERO)
    }

    fn visit_none<E: de::Error>(self) -> Result<GoTime, E> {
        Ok(GoTime::ZERO)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<GoTime, D::Error> {
        deserializer.deserialize_byte_buf(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<GoTime, A::Error> {
        let mut bytes = [0; LENGTH];
        for byte in &mut bytes {
            let Some(next) = seq.next_element()? else {
                return Err(de::Error::custom(TimeError::Length));
            };
            *byte = next;
        }
        self.visit_bytes(&bytes)
    }
}
