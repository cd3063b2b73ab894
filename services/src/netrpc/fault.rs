//! Why a request could not be served at all.

use tonic::{Code, Status};

use crate::msgpack;

/// Why a request could not be served at all. It is answered with Go's text, and the session ends,
/// as Consul's does.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Fault {
    /// The method's name has no dot.
    #[error("rpc: service/method request ill-formed")]
    IllFormed,
    /// No service of that name.
    #[error("rpc: can't find service")]
    NoService,
    /// The service has no method of that name.
    #[error("rpc: can't find method")]
    NoMethod,
    /// The body does not fit the method.
    #[error(transparent)]
    Body(#[from] msgpack::DecodeError),
    /// The body is larger, deeper or richer than this server takes.
    #[error("request {0}")]
    Refused(#[from] BodyRefused),
    /// The peer ended between two parts of the body.
    #[error("EOF")]
    Ended,
    /// The peer ended within a part of the body.
    #[error("unexpected EOF")]
    BrokenOff,
}

/// A body that its reader does not take: a server the one of a request, a client that of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyRefused {
    /// It is too long, or says that it will be.
    #[error("body of {size} bytes exceeds {limit}")]
    Size {
        /// Its length in bytes, as far as it is known.
        size: usize,
        /// The most that is taken.
        limit: usize,
    },
    /// It is nested too deep.
    #[error("body nested {depth} deep exceeds {limit}")]
    Depth {
        /// How deep it goes, as far as it is known.
        depth: usize,
        /// The most that is taken.
        limit: usize,
    },
    /// It has too many elements.
    #[error("body of {elements} elements exceeds {limit}")]
    Elements {
        /// How many it has, as far as is known.
        elements: u64,
        /// The most that is taken.
        limit: u64,
    },
}

impl From<msgpack::ScanError> for BodyRefused {
    fn from(error: msgpack::ScanError) -> BodyRefused {
        match error {
            msgpack::ScanError::Size { seen, limit } => BodyRefused::Size { size: seen, limit },
            msgpack::ScanError::Depth { seen, limit } => BodyRefused::Depth { depth: seen, limit },
            msgpack::ScanError::Elements { seen, limit } => BodyRefused::Elements {
                elements: seen,
                limit,
            },
        }
    }
}

impl Fault {
    /// The error text on the wire. A name is repeated as it came, which need not be UTF-8.
    pub(crate) fn text(&self, name: &[u8]) -> Vec<u8> {
        let mut text = self.to_string().into_bytes();
        let joint: &[u8] = match self {
            Fault::IllFormed => b": ",
            Fault::NoService | Fault::NoMethod => b" ",
            Fault::Body(_) | Fault::Refused(_) | Fault::Ended | Fault::BrokenOff => return text,
        };
        text.extend_from_slice(joint);
        text.extend_from_slice(name);
        text
    }

    fn code(&self) -> Code {
        match self {
            Fault::IllFormed | Fault::Body(_) | Fault::Ended | Fault::BrokenOff => {
                Code::InvalidArgument
            }
            Fault::NoService | Fault::NoMethod => Code::Unimplemented,
            Fault::Refused(_) => Code::ResourceExhausted,
        }
    }

    /// The fault behind an error, if there is one.
    pub(crate) fn of<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Fault> {
        let mut link = Some(error);
        while let Some(error) = link {
            if let Some(fault) = error.downcast_ref() {
                return Some(fault);
            }
            link = error.source();
        }
        None
    }
}

impl From<Fault> for Status {
    fn from(fault: Fault) -> Status {
        let mut status = Status::new(fault.code(), fault.to_string());
        status.set_source(std::sync::Arc::new(fault));
        status
    }
}
