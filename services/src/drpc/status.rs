//! How a call ended, in dRPC's own numbers.

use std::{fmt, str::FromStr};

use tonic::Code;

/// How a call ended: an open enum. Numbers that have no name are passed on as they are, as Go does.
///
/// A method's own result code usually is inside the body of a [`SUCCESS`](Status::SUCCESS): look at
/// both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Status(pub i32);

/// The names, at the index of their number.
const NAMES: [&str; 8] = [
    "SUCCESS",
    "SUBMITTED",
    "FAILURE",
    "UNKNOWN_MODULE",
    "UNKNOWN_METHOD",
    "FAILED_UNMARSHAL_CALL",
    "FAILED_UNMARSHAL_PAYLOAD",
    "FAILED_MARSHAL",
];

impl Status {
    /// The method ran; the body is its result.
    pub const SUCCESS: Status = Status(0);
    /// Taken, to be carried out later. No server of DAOS sends it.
    pub const SUBMITTED: Status = Status(1);
    /// The method failed: the catch-all, without a body.
    pub const FAILURE: Status = Status(2);
    /// Nobody serves that module.
    pub const UNKNOWN_MODULE: Status = Status(3);
    /// The module has no such method.
    pub const UNKNOWN_METHOD: Status = Status(4);
    /// The message was not a call. The sequence number of the answer is then -1.
    pub const FAILED_UNMARSHAL_CALL: Status = Status(5);
    /// The call was fine, its body was not.
    pub const FAILED_UNMARSHAL_PAYLOAD: Status = Status(6);
    /// The method's result could not be encoded.
    pub const FAILED_MARSHAL: Status = Status(7);

    /// The name, if the number has one.
    pub fn name(self) -> Option<&'static str> {
        let index = usize::try_from(self.0).ok()?;
        NAMES.get(index).copied()
    }

    /// The status of this name; case counts.
    pub fn from_name(name: &str) -> Option<Status> {
        let index = NAMES.iter().position(|known| *known == name)?;
        i32::try_from(index).ok().map(Status)
    }

    /// The same in the words that all protocols share, for metrics and for callers that know no
    /// dRPC.
    pub const fn code(self) -> Code {
        match self {
            Status::SUCCESS | Status::SUBMITTED => Code::Ok,
            Status::UNKNOWN_MODULE | Status::UNKNOWN_METHOD => Code::Unimplemented,
            Status::FAILED_UNMARSHAL_CALL | Status::FAILED_UNMARSHAL_PAYLOAD => {
                Code::InvalidArgument
            }
            Status::FAILED_MARSHAL => Code::Internal,
            Status::FAILURE | Status(_) => Code::Unknown,
        }
    }
}

/// The name, or the number where there is none.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => fmt::Display::fmt(&self.0, f),
        }
    }
}

/// The text is neither a status' name nor a number of 32 bits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no dRPC status: it takes a name, as FAILURE, or a number of 32 bits")]
pub struct UnknownStatus(String);

/// A name or a number: what [`Display`](fmt::Display) prints.
impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Status, UnknownStatus> {
        Status::from_name(text)
            .or_else(|| text.parse().ok().map(Status))
            .ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways_and_numbers_stay() {
        for number in -3..300 {
            let status = Status(number);
            assert_eq!(status.to_string().parse(), Ok(status));
        }
        assert_eq!(Status(3).to_string(), "UNKNOWN_MODULE");
        assert_eq!(Status::from_name("FAILED_MARSHAL"), Some(Status(7)));
        assert_eq!(Status(42).name(), None);
        let error = Status::from_str("failure").unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("\"failure\" is no dRPC status")
        );
    }
}
