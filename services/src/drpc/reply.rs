//! One call's answer on its way out.

use bytes::Bytes;
use oneport_proto::End;

use super::status::Status;

/// The answer of one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// How it ended. Modules in C may give a body beside a status that is no success.
    pub status: Status,
    /// The encoded result.
    pub body: Bytes,
}

impl Reply {
    /// A success with this body.
    pub fn new(body: Bytes) -> Reply {
        Reply {
            status: Status::SUCCESS,
            body,
        }
    }

    /// A success with a message as its body.
    pub fn value(message: &impl prost::Message) -> Reply {
        Reply::new(message.encode_to_vec().into())
    }
}

impl oneport_proto::Reply for Reply {
    type Tracked<E: End> = Reply;

    fn on_end<E: End>(self, end: E) -> Reply {
        end.end(self.status.code());
        self
    }
}
