//! One call on its way in.

use bytes::Bytes;
use oneport_proto::Head;

/// One dRPC call, as it passes through layers to its module.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is known about the call; its session has the caller's process, user and group.
    pub head: Head,
    /// The module.
    pub module: i32,
    /// The method within the module.
    pub method: i32,
    /// The caller's number for the call. A client counts for itself and overwrites it.
    pub sequence: i64,
    /// The body, complete but not decoded.
    pub body: Bytes,
}

impl oneport_proto::Call for Request {
    fn head(&self) -> Option<&Head> {
        Some(&self.head)
    }

    fn head_mut(&mut self) -> Option<&mut Head> {
        Some(&mut self.head)
    }
}
