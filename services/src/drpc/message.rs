//! The two messages: a call goes up, a response comes down.
//!
//! The shapes are those of `proto/drpc/drpc.proto`; a test holds them together.

use bytes::{BufMut, Bytes};
use prost::Message;

use super::{failure::Failure, status::Status};

/// The longest that a message is without its body: three numbers of ten bytes with a tag each, and
/// tag and length of the body.
pub(crate) const PREFIX: usize = 3 * 11 + 11;

/// A call (`drpc.Call`).
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Call {
    /// The module.
    #[prost(int32, tag = "1")]
    pub module: i32,
    /// The method within the module.
    #[prost(int32, tag = "2")]
    pub method: i32,
    /// Copied into the response. Clients count from 1.
    #[prost(int64, tag = "3")]
    pub sequence: i64,
    /// What the method takes.
    #[prost(bytes = "bytes", tag = "4")]
    pub body: Bytes,
}

/// The answer to a call (`drpc.Response`).
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Response {
    /// That of the call; -1 if the call could not be decoded.
    #[prost(int64, tag = "1")]
    pub sequence: i64,
    /// How it ended: the number of a [`Status`].
    #[prost(int32, tag = "2")]
    pub status: i32,
    /// What the method gives back.
    #[prost(bytes = "bytes", tag = "3")]
    pub body: Bytes,
}

/// The sequence number of the answer to what is not a call.
pub const NO_SEQUENCE: i64 = -1;

/// The tag bytes of the two bodies: field 4 and field 3, both of wire type 2.
const CALL_BODY: u8 = 4 << 3 | 2;
const RESPONSE_BODY: u8 = 3 << 3 | 2;

impl Response {
    /// The answer to what is not a call.
    pub fn to_no_call() -> Response {
        Response {
            sequence: NO_SEQUENCE,
            status: Status::FAILED_UNMARSHAL_CALL.0,
            body: Bytes::new(),
        }
    }

    /// How the call ended.
    pub fn ended(&self) -> Status {
        Status(self.status)
    }

    /// The body of a success.
    ///
    /// # Errors
    /// Any other status, as a [`Failure`].
    pub fn into_body(self) -> Result<Bytes, Failure> {
        match self.ended() {
            Status::SUCCESS => Ok(self.body),
            status => Err(status.into()),
        }
    }
}

/// A message in two parts, so that its body is sent from where it lies. The body is the last field.
pub(crate) trait Parted {
    /// Everything but the bytes of the body: at most [`PREFIX`] bytes.
    fn put_prefix(&self, out: &mut impl BufMut);
    /// The bytes of the body.
    fn body(&self) -> &[u8];
}

impl Parted for Call {
    fn put_prefix(&self, out: &mut impl BufMut) {
        let head = Call {
            body: Bytes::new(),
            ..*self
        };
        head.encode_raw(out);
        put_body_prefix(CALL_BODY, &self.body, out);
    }

    fn body(&self) -> &[u8] {
        &self.body
    }
}

impl Parted for Response {
    fn put_prefix(&self, out: &mut impl BufMut) {
        let head = Response {
            body: Bytes::new(),
            ..*self
        };
        head.encode_raw(out);
        put_body_prefix(RESPONSE_BODY, &self.body, out);
    }

    fn body(&self) -> &[u8] {
        &self.body
    }
}

/// Tag and length, if there is a body at all: an empty one takes no bytes.
fn put_body_prefix(tag: u8, body: &[u8], out: &mut impl BufMut) {
    if !body.is_empty() {
        out.put_u8(tag);
        // Fails when there is no room, and there is.
        let _fits = prost::encode_length_delimiter(body.len(), out);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(message: &impl Parted) -> Vec<u8> {
        let mut out = Vec::new();
        message.put_prefix(&mut out);
        assert!(out.len() <= PREFIX);
        out.extend(message.body());
        out
    }

    proptest! {
        #[test]
        fn two_parts_are_one_message(
            (module, method, status) in any::<(i32, i32, i32)>(),
            sequence: i64,
            body in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let body = Bytes::from(body);
            let call = Call { module, method, sequence, body: body.clone() };
            prop_assert_eq!(whole(&call), call.encode_to_vec());
            let response = Response { sequence, status, body };
            prop_assert_eq!(whole(&response), response.encode_to_vec());
        }
    }
}
