//! Why a call was not served.

use std::time::Duration;

use tonic::{Code, Status, metadata::MetadataMap};
use tonic_types::{ErrorDetails, StatusExt};

use crate::Denial;

/// Why a call was not served. It travels as the [`source`](std::error::Error::source) of the
/// [`Status`] that a layer fails with, and each protocol has one exhaustive function that gives it
/// its native face: a new refusal does not compile until every protocol knows it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The call's time is up.
    #[error("the call took longer than it may")]
    Timeout,
    /// A rate limit was reached.
    #[error("{}", retry.text())]
    RateLimited {
        /// Whose limit.
        scope: Scope,
        /// What the caller may do about it.
        retry: Retry,
        /// When trying again makes sense, if that is known.
        retry_after: Option<Duration>,
    },
    /// Too many calls are running.
    #[error("too many calls in flight")]
    InFlight,
    /// The caller may not do this.
    #[error("{0}")]
    Denied(Denial),
    /// The caller's token is nobody's. The text is Consul's, and says no more than it does.
    #[error("ACL not found")]
    UnknownToken,
    /// Nothing of that name is served here.
    #[error("not found")]
    NotFound,
    /// The server is on its way down.
    #[error("the server is draining")]
    Draining,
    /// The request's body is larger than the server takes.
    #[error("request body of {size} bytes exceeds {limit}")]
    TooLarge {
        /// How large it is, as far as it was seen or announced.
        size: u64,
        /// The limit that it exceeds.
        limit: u64,
    },
    /// The handler panicked.
    #[error("the handler panicked")]
    Panicked,
}

/// Whose rate limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everybody's together.
    Global,
    /// That of the source address.
    Source,
    /// That of the method's class.
    Class,
    /// That of the caller's identity.
    Identity,
}

impl Scope {
    /// The label for metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Scope::Global => "global",
            Scope::Source => "source",
            Scope::Class => "class",
            Scope::Identity => "identity",
        }
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What a caller that was refused by a rate limit may do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// Call less often. What Consul's older limiter says (`limits.rpc_rate`), which its clients of
    /// all ages recognise.
    Slower,
    /// Try another server, or this one later. What Consul's newer limiter says
    /// (`limits.request_limits`, 1.15 and later).
    Elsewhere,
    /// Try this server later: it is the leader, and nobody else can do it. Consul's newer limiter.
    Later,
}

impl Retry {
    /// Consul's text, which is the whole error on net/rpc and the message on gRPC.
    pub const fn text(self) -> &'static str {
        match self {
            Retry::Slower => "RPC rate limit exceeded",
            Retry::Elsewhere => {
                "rate limit exceeded, try again later or against a different server"
            }
            Retry::Later => {
                "rate limit exceeded for operation that can only be performed by the leader, \
                 try again later"
            }
        }
    }
}

impl Refusal {
    /// When trying again makes sense, if that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Refusal::RateLimited { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The gRPC code of this refusal.
    pub fn code(&self) -> Code {
        match self {
            Refusal::Timeout => Code::DeadlineExceeded,
            Refusal::RateLimited { retry, .. } => match retry {
                Retry::Slower | Retry::Elsewhere => Code::ResourceExhausted,
                Retry::Later => Code::Unavailable,
            },
            Refusal::InFlight | Refusal::TooLarge { .. } => Code::ResourceExhausted,
            Refusal::Denied(_) => Code::PermissionDenied,
            Refusal::UnknownToken => Code::Unauthenticated,
            Refusal::NotFound => Code::NotFound,
            Refusal::Draining => Code::Unavailable,
            Refusal::Panicked => Code::Internal,
        }
    }

    /// The refusal behind a status, if there is one.
    pub fn of(status: &Status) -> Option<&Refusal> {
        let mut source = std::error::Error::source(status);
        while let Some(error) = source {
            if let Some(refusal) = error.downcast_ref() {
                return Some(refusal);
            }
            source = error.source();
        }
        None
    }
}

/// The key of the delay that gRPC clients with a retry policy obey, in milliseconds (gRFC A6).
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// A refusal that knows when to come back tells it in both ways that gRPC clients look for: a
/// `google.rpc.RetryInfo` detail, and the pushback among the trailers.
impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Status {
        let (code, text) = (refusal.code(), refusal.to_string());
        let mut status = match refusal.retry_after() {
            Some(delay) => come_back(code, text, delay),
            None => Status::new(code, text),
        };
        status.set_source(std::sync::Arc::new(refusal));
        status
    }
}

fn come_back(code: Code, text: String, delay: Duration) -> Status {
    let details = ErrorDetails::with_retry_info(Some(delay));
    // Rounded up: a millisecond early is refused again.
    let millis = delay.as_nanos().div_ceil(1_000_000);
    let mut metadata = MetadataMap::new();
    if let Ok(millis) = millis.to_string().parse() {
        metadata.insert(PUSHBACK, millis);
    }
    Status::with_error_details_and_metadata(code, text, details, metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_remembers_its_refusal() {
        let refusal = Refusal::TooLarge { size: 9, limit: 8 };
        let status = Status::from(refusal.clone());
        assert_eq!(Refusal::of(&status), Some(&refusal));
        assert_eq!(status.message(), "request body of 9 bytes exceeds 8");
        assert_eq!(Refusal::of(&Status::unknown("x")), None);
    }

    #[test]
    fn a_status_says_when_to_come_back() {
        let limited = |retry_after| {
            Status::from(Refusal::RateLimited {
                scope: Scope::Source,
                retry: Retry::Elsewhere,
                retry_after,
            })
        };
        let delay = Duration::from_micros(1500);
        let status = limited(Some(delay));
        let info = status.get_details_retry_info().unwrap();
        assert_eq!(info.retry_delay, Some(delay));
        assert_eq!(status.metadata().get(PUSHBACK).unwrap(), "2");
        assert!(limited(None).details().is_empty());
    }
}
