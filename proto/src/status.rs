//! From errors to statuses: the one list, used at the edge.

use std::error::Error;

use tonic::{Code, Status};

use crate::{BoxError, Refusal};

/// The code that `error` will end the call with: a look, for metrics and trace, which pass the
/// error on.
pub fn code_of(error: &BoxError) -> Code {
    find(error.as_ref()).map_or(Code::Unknown, Found::code)
}

/// The status that `error` ends the call with.
///
/// A [`Status`] anywhere in the chain is taken as it is, a bare [`Refusal`] and tower's own errors
/// have their codes, and everything else is [`Code::Unknown`] with the error's text.
pub fn status_of(error: BoxError) -> Status {
    let error = match error.downcast::<Status>() {
        Ok(status) => return *status,
        Err(error) => error,
    };
    match find(error.as_ref()) {
        Some(Found::Status(status)) => status.clone(),
        Some(Found::Refusal(refusal)) => Status::from(refusal.clone()),
        None => {
            let mut status = Status::unknown(error.to_string());
            status.set_source(error.into());
            status
        }
    }
}

enum Found<'a> {
    Status(&'a Status),
    Refusal(&'a Refusal),
}

impl Found<'_> {
    fn code(self) -> Code {
        match self {
            Found::Status(status) => status.code(),
            Found::Refusal(refusal) => refusal.code(),
        }
    }
}

/// The first link of the chain that means something to us.
fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<Found<'a>> {
    let mut link = Some(error);
    while let Some(error) = link {
        if let Some(status) = error.downcast_ref() {
            return Some(Found::Status(status));
        }
        if let Some(refusal) = error.downcast_ref().or_else(|| tower_refusal(error)) {
            return Some(Found::Refusal(refusal));
        }
        link = error.source();
    }
    None
}

/// What tower's own layers fail with, in our words.
fn tower_refusal(error: &(dyn Error + 'static)) -> Option<&'static Refusal> {
    if error.is::<tower::timeout::error::Elapsed>() {
        Some(&Refusal::Timeout)
    } else if error.is::<tower::load_shed::error::Overloaded>() {
        Some(&Refusal::InFlight)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Status);

    #[test]
    fn a_status_is_found_in_the_chain() {
        let error: BoxError = Outer(Status::aborted("why")).into();
        assert_eq!(code_of(&error), Code::Aborted);
        assert_eq!(status_of(error).message(), "why");
    }

    #[test]
    fn towers_errors_have_codes() {
        let error: BoxError = tower::timeout::error::Elapsed::new().into();
        assert_eq!(code_of(&error), Code::DeadlineExceeded);
        assert_eq!(Refusal::of(&status_of(error)), Some(&Refusal::Timeout));
        let error: BoxError = tower::load_shed::error::Overloaded::new().into();
        assert_eq!(status_of(error).code(), Code::ResourceExhausted);
    }

    #[test]
    fn a_stranger_is_unknown_and_keeps_its_text() {
        let error: BoxError = "odd".into();
        assert_eq!(code_of(&error), Code::Unknown);
        assert_eq!(status_of(error).message(), "odd");
    }
}
