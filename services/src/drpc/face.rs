//! The face of an error on dRPC: a number.

use oneport_proto::{BoxError, Code, Refusal, status_of};

use super::{failure::Failure, status::Status};

impl Status {
    /// The status that a call ends with that failed with `error`.
    ///
    /// A [`Failure`] anywhere among its sources says so itself; Go's server looks at the outermost
    /// error only. Of other errors [`Code::Unimplemented`] is
    /// [`UNKNOWN_METHOD`](Status::UNKNOWN_METHOD), and all else [`FAILURE`](Status::FAILURE):
    /// dRPC has no other word for a refusal, and no hint when to come back.
    pub fn of_error(error: BoxError) -> Status {
        if let Some(failure) = Failure::of(error.as_ref()) {
            return failure.status();
        }
        let status = status_of(error);
        match (Refusal::of(&status), status.code()) {
            (Some(refusal), _) => face(refusal),
            (None, Code::Unimplemented) => Status::UNKNOWN_METHOD,
            (None, _) => Status::FAILURE,
        }
    }
}

/// The status of each refusal. A caller that is refused must not take it for a module or method
/// that does not exist.
fn face(refusal: &Refusal) -> Status {
    match refusal {
        Refusal::Timeout
        | Refusal::RateLimited { .. }
        | Refusal::InFlight
        | Refusal::Denied(_)
        | Refusal::UnknownToken
        | Refusal::NotFound
        | Refusal::Draining
        | Refusal::TooLarge { .. }
        | Refusal::Panicked => Status::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Failure);

    #[test]
    fn a_failure_is_found_among_the_sources() {
        let failure = Failure::new(Status(42));
        let boxed: BoxError = Outer(failure.clone()).into();
        assert_eq!(Status::of_error(boxed), Status(42));
        let ours = tonic::Status::from(failure);
        assert_eq!(ours.message(), "the call failed (42)");
        assert_eq!(Status::of_error(ours.into()), Status(42));
    }

    #[test]
    fn other_errors_are_failures() {
        let of = |status: tonic::Status| Status::of_error(status.into());
        assert_eq!(of(tonic::Status::aborted("x")), Status::FAILURE);
        assert_eq!(
            of(tonic::Status::unimplemented("x")),
            Status::UNKNOWN_METHOD
        );
        assert_eq!(of(Refusal::Draining.into()), Status::FAILURE);
        assert_eq!(Status::of_error("text".into()), Status::FAILURE);
    }
}
