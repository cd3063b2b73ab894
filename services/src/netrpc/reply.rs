//! One call's answer on its way out.

use std::fmt;

use bytes::{Bytes, BytesMut};
use oneport_proto::End;
use serde::{Serialize, de::DeserializeOwned};
use tonic::Code;

use crate::msgpack;

/// The body of an empty result, and of every error.
const EMPTY: Bytes = Bytes::from_static(b"\x80");

/// The answer of one call. A value is encoded only when the driver writes it, straight into the
/// connection's output buffer.
pub struct Reply(Body);

enum Body {
    Raw(Bytes),
    Value(Box<dyn Encode + Send>),
}

/// A value that knows its msgpack form; the trait that [`Reply`] needs to forget the type.
trait Encode {
    fn encode(&self, out: &mut BytesMut) -> Result<(), msgpack::EncodeError>;
}

impl<T: Serialize> Encode for T {
    fn encode(&self, out: &mut BytesMut) -> Result<(), msgpack::EncodeError> {
        msgpack::encode(self, out)
    }
}

impl Reply {
    /// Go's empty struct: an empty map.
    pub fn empty() -> Reply {
        Reply(Body::Raw(EMPTY))
    }

    /// A value.
    pub fn value<T: Serialize + Send + 'static>(value: T) -> Reply {
        Reply(Body::Value(Box::new(value)))
    }

    /// A body that is msgpack already: exactly one value.
    pub fn raw(body: Bytes) -> Reply {
        Reply(Body::Raw(body))
    }

    /// Appends the body.
    pub(crate) fn put(&self, out: &mut BytesMut) -> Result<(), msgpack::EncodeError> {
        match &self.0 {
            Body::Raw(bytes) => {
                out.extend_from_slice(bytes);
                Ok(())
            }
            Body::Value(value) => value.encode(out),
        }
    }

    /// The msgpack body.
    ///
    /// # Errors
    /// When a value has no msgpack form.
    pub fn into_bytes(self) -> Result<Bytes, msgpack::EncodeError> {
        match self.0 {
            Body::Raw(bytes) => Ok(bytes),
            Body::Value(value) => {
                let mut out = BytesMut::new();
                value.encode(&mut out)?;
                Ok(out.freeze())
            }
        }
    }

    /// The body as a `T`.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, msgpack::DecodeError> {
        match &self.0 {
            Body::Raw(bytes) => msgpack::decode(bytes),
            Body::Value(value) => {
                let mut out = BytesMut::new();
                // A value without msgpack form leaves nothing, which does not decode either.
                let _unencodable = value.encode(&mut out);
                msgpack::decode(&out)
            }
        }
    }
}

impl oneport_proto::Reply for Reply {
    type Tracked<E: End> = Reply;

    fn on_end<E: End>(self, end: E) -> Reply {
        end.end(Code::Ok);
        self
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Body::Raw(bytes) => f.debug_tuple("Reply").field(bytes).finish(),
            Body::Value(_) => f.write_str("Reply(value)"),
        }
    }
}
