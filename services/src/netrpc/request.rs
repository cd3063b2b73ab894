//! One call on its way in.

use bytes::Bytes;
use oneport_proto::{Call, Head};

/// One net/rpc call. Its name and body are slices of what was read.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is known about the call.
    pub head: Head,
    /// The method as it came, `Service.Method`; need not be UTF-8.
    pub name: Bytes,
    /// The msgpack body, complete but not decoded.
    pub body: Bytes,
}

impl Call for Request {
    fn head(&self) -> Option<&Head> {
        Some(&self.head)
    }

    fn head_mut(&mut self) -> Option<&mut Head> {
        Some(&mut self.head)
    }
}
