//! The face of an error on net/rpc: one text, and whether the session ends.

use oneport_proto::{BoxError, Refusal, Retry, status_of};

use super::fault::Fault;

/// How an error leaves on the wire.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Face {
    /// The header's `Error`; never empty, which would mean success.
    pub(crate) text: Vec<u8>,
    /// Whether the session ends behind it.
    pub(crate) ends: bool,
}

/// The face of `error`, which the method called `name` ended with.
pub(crate) fn face(error: BoxError, name: &[u8]) -> Face {
    if let Some(fault) = Fault::of(error.as_ref()) {
        return Face {
            text: fault.text(name),
            ends: true,
        };
    }
    let status = status_of(error);
    match Refusal::of(&status) {
        Some(refusal) => refused(refusal),
        None if status.message().is_empty() => said(status.code().description()),
        None => said(status.message()),
    }
}

/// The text of each refusal. Where Consul's clients know a text for the case, it is theirs: they
/// decide by it whether to try again.
fn refused(refusal: &Refusal) -> Face {
    match refusal {
        Refusal::Timeout => said("rpc: the call timed out"),
        Refusal::RateLimited { retry, .. } => limited(*retry),
        // Consul has no such bound; its clients know what to do about this text.
        Refusal::InFlight => said(Retry::Elsewhere.text()),
        Refusal::Denied(denial) => Face {
            text: denial.text(),
            ends: false,
        },
        Refusal::UnknownToken => said("ACL not found"),
        Refusal::NotFound => said("rpc: not found"),
        // What a Consul server says that is leaving: clients retry elsewhere.
        Refusal::Draining => said("No cluster leader"),
        Refusal::TooLarge { .. } => Face {
            text: refusal.to_string().into_bytes(),
            ends: true,
        },
        Refusal::Panicked => Face {
            text: b"rpc: the handler panicked".to_vec(),
            ends: true,
        },
    }
}

/// Consul's newer limiter refuses a request before it reads the body, and so ends the session; its
/// older one is an error of the method like any other.
fn limited(retry: Retry) -> Face {
    Face {
        ends: matches!(retry, Retry::Elsewhere | Retry::Later),
        ..said(retry.text())
    }
}

fn said(text: &str) -> Face {
    Face {
        text: text.as_bytes().to_vec(),
        ends: false,
    }
}

#[cfg(test)]
mod tests {
    use tonic::Status;

    use super::*;

    fn of(error: impl Into<BoxError>) -> Face {
        face(error.into(), b"KVS.Get")
    }

    #[test]
    fn a_handlers_text_is_the_wires() {
        assert_eq!(
            of(Status::invalid_argument("Must provide key")),
            said("Must provide key")
        );
    }

    #[test]
    fn an_error_is_never_silent() {
        assert!(!of(Status::unknown("")).text.is_empty());
    }

    #[test]
    fn faults_end_the_session() {
        let found = of(Status::from(Fault::NoMethod));
        assert_eq!(found.text, b"rpc: can't find method KVS.Get");
        assert!(found.ends);
    }

    #[test]
    fn draining_is_what_clients_retry() {
        assert_eq!(
            of(Status::from(Refusal::Draining)),
            said("No cluster leader")
        );
    }
}
