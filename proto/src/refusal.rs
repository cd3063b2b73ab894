//! Why a call was not served.

use std::time::Duration;

use tonic::{Code, Status};

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
    #[error("rate limit reached ({scope})")]
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

impl Refusal {
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

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Status {
        let mut status = Status::new(refusal.code(), refusal.to_string());
        status.set_source(std::sync::Arc::new(refusal));
        status
    }
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
}
