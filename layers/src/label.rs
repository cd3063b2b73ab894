//! Names for metrics and spans: each from a fixed set, so that nothing of the wire gets into them.

use oneport_proto::Refusal;
use tonic::Code;

/// How many codes there are.
pub(crate) const CODES: usize = 17;

/// How many refusals there are.
pub(crate) const REFUSALS: usize = 9;

/// A code as a place among all of them, and by name.
pub(crate) const fn code(code: Code) -> (usize, &'static str) {
    match code {
        Code::Ok => (0, "ok"),
        Code::Cancelled => (1, "cancelled"),
        Code::Unknown => (2, "unknown"),
        Code::InvalidArgument => (3, "invalid_argument"),
        Code::DeadlineExceeded => (4, "deadline_exceeded"),
        Code::NotFound => (5, "not_found"),
        Code::AlreadyExists => (6, "already_exists"),
        Code::PermissionDenied => (7, "permission_denied"),
        Code::ResourceExhausted => (8, "resource_exhausted"),
        Code::FailedPrecondition => (9, "failed_precondition"),
        Code::Aborted => (10, "aborted"),
        Code::OutOfRange => (11, "out_of_range"),
        Code::Unimplemented => (12, "unimplemented"),
        Code::Internal => (13, "internal"),
        Code::Unavailable => (14, "unavailable"),
        Code::DataLoss => (15, "data_loss"),
        Code::Unauthenticated => (16, "unauthenticated"),
    }
}

/// A refusal as a place among all of them, and by name.
pub(crate) const fn refusal(refusal: &Refusal) -> (usize, &'static str) {
    match refusal {
        Refusal::Timeout => (0, "timeout"),
        Refusal::RateLimited { .. } => (1, "rate_limited"),
        Refusal::InFlight => (2, "in_flight"),
        Refusal::Denied(_) => (3, "denied"),
        Refusal::NotFound => (4, "not_found"),
        Refusal::Draining => (5, "draining"),
        Refusal::TooLarge { .. } => (6, "too_large"),
        Refusal::Panicked => (7, "panicked"),
        Refusal::UnknownToken => (8, "unknown_token"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_place_of_its_own() {
        for number in 0..17 {
            let place = usize::try_from(number).unwrap();
            assert_eq!(code(Code::from_i32(number)).0, place);
            assert!(place < CODES);
        }
    }
}
