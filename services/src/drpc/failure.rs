//! A status as an error.

use std::{borrow::Cow, error::Error};

use super::status::Status;

/// A call that did not succeed: its status and a text.
///
/// Only the number travels. The text is for the logs of whoever makes it: a client finds dRPC's
/// usual words there and nothing of the server's.
///
/// A handler may fail with it as it is, or with any error that has one among its sources; Go's
/// server looks at the outermost error only.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text} ({status})")]
pub struct Failure {
    status: Status,
    text: Cow<'static, str>,
}

impl Failure {
    /// A failure of this status, with the usual words for it.
    pub fn new(status: Status) -> Failure {
        let text = match status {
            Status::SUCCESS => "the call succeeded without a result",
            Status::SUBMITTED => "the call was taken for later",
            Status::UNKNOWN_MODULE => "no such module",
            Status::UNKNOWN_METHOD => "no such method in the module",
            Status::FAILED_UNMARSHAL_CALL => "the message is not a call",
            Status::FAILED_UNMARSHAL_PAYLOAD => "the body of the call is not what the method takes",
            Status::FAILED_MARSHAL => "the result has no encoding",
            Status::FAILURE | Status(_) => "the call failed",
        };
        Failure {
            status,
            text: text.into(),
        }
    }

    /// A [`FAILURE`](Status::FAILURE) with a text for the logs.
    pub fn with_message(text: impl Into<Cow<'static, str>>) -> Failure {
        Failure {
            status: Status::FAILURE,
            text: text.into(),
        }
    }

    /// The number that travels.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The text that does not.
    pub fn message(&self) -> &str {
        &self.text
    }

    /// The failure among `error` and its sources, if there is one.
    pub fn of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Failure> {
        let mut link = Some(error);
        while let Some(error) = link {
            if let Some(failure) = error.downcast_ref() {
                return Some(failure);
            }
            link = error.source();
        }
        None
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Failure {
        Failure::new(status)
    }
}

/// For callers that know gRPC's words: the code of the status, and the failure as the source.
impl From<Failure> for tonic::Status {
    fn from(failure: Failure) -> tonic::Status {
        // A failure is no success, whatever its number says.
        let code = match failure.status.code() {
            tonic::Code::Ok => tonic::Code::Unknown,
            code => code,
        };
        let mut status = tonic::Status::new(code, failure.to_string());
        status.set_source(std::sync::Arc::new(failure));
        status
    }
}
