//! Ways of calls, and what they look like on the wire.

use bytes::{Bytes, BytesMut};
use oneport::{proto::wire::byte, services::yamux::frame::Header};

/// How calls travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// One after the other on a connection of their own.
    Plain,
    /// On so many streams of one yamux session.
    Yamux(u32),
}

impl Way {
    /// The byte that opens such a connection.
    pub(crate) fn tag(self) -> u8 {
        match self {
            Way::Plain => byte::RPC_SINGLE,
            Way::Yamux(_) => byte::RPC_MULTI,
        }
    }

    /// How many calls are under way at once.
    pub(crate) fn calls(self) -> u32 {
        match self {
            Way::Plain => 1,
            Way::Yamux(streams) => streams,
        }
    }

    /// The same message once a call, as it is on the wire: with frame headers if there are any.
    pub(crate) fn once_each(self, message: &[u8]) -> Bytes {
        let Way::Yamux(streams) = self else {
            return Bytes::copy_from_slice(message);
        };
        let length = u32::try_from(message.len()).unwrap();
        let mut out = BytesMut::new();
        for id in ids(streams) {
            out.extend_from_slice(&Header::data(id, length).encode());
            out.extend_from_slice(message);
        }
        out.freeze()
    }
}

/// The ids that a client gives its streams.
pub(crate) fn ids(streams: u32) -> impl Iterator<Item = u32> {
    (0..streams).map(|n| 2 * n + 1)
}
