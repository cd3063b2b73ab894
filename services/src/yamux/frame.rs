//! The 12-byte frame header: all there is to a frame but its payload.
//!
//! Big endian: version (1 byte, 0), kind (1), flags (2), stream id (4), length (4). Only a data
//! frame has a payload; for the other kinds the last field is a number with a meaning of its own.

use thiserror::Error;

/// Length of every frame header, in bytes.
pub const HEADER_LEN: usize = 12;
/// The only version there is.
pub const VERSION: u8 = 0;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `length` bytes of payload follow.
    Data,
    /// The sender may receive `length` more bytes on the stream. Also the carrier of bare flags.
    WindowUpdate,
    /// A question (SYN) or its answer (ACK); `length` is an opaque value to be sent back.
    Ping,
    /// No new streams, please; `length` is a [code](GoAway).
    GoAway,
}

/// The bits of the flags field. Bits without a meaning are kept and ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u16);

impl Flags {
    /// No flag.
    pub const NONE: Flags = Flags(0);
    /// Opens a stream; asks a ping.
    pub const SYN: Flags = Flags(1);
    /// Accepts a stream; answers a ping.
    pub const ACK: Flags = Flags(2);
    /// The sender has no more data for the stream.
    pub const FIN: Flags = Flags(4);
    /// The stream is gone.
    pub const RST: Flags = Flags(8);

    /// Flags from their bits.
    pub const fn from_bits(bits: u16) -> Flags {
        Flags(bits)
    }

    /// The bits.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether all bits of `other` are set.
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

/// The codes of a go-away frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoAway {
    /// 0: an orderly end. Streams that are open go on.
    Normal,
    /// 1: the receiver broke the protocol.
    ProtocolError,
    /// 2: the sender failed.
    InternalError,
}

impl GoAway {
    /// The number on the wire.
    pub const fn code(self) -> u32 {
        match self {
            GoAway::Normal => 0,
            GoAway::ProtocolError => 1,
            GoAway::InternalError => 2,
        }
    }
}

/// A frame header that is not one. Both end the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadHeader {
    /// The first byte is not 0.
    #[error("yamux version {0}")]
    Version(u8),
    /// The second byte is above 3.
    #[error("yamux frame type {0}")]
    Kind(u8),
}

/// One frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame is for.
    pub kind: Kind,
    /// The flags.
    pub flags: Flags,
    /// The stream; 0 for pings and go-aways.
    pub stream: u32,
    /// Payload bytes, window increment, ping value or go-away code.
    pub length: u32,
}

impl Header {
    /// A data frame's header; `length` bytes have to follow.
    pub const fn data(stream: u32, length: u32) -> Header {
        Header {
            kind: Kind::Data,
            flags: Flags::NONE,
            stream,
            length,
        }
    }

    /// A window update, or with an increment of 0 a frame that only carries flags.
    pub const fn window(stream: u32, flags: Flags, increment: u32) -> Header {
        Header {
            kind: Kind::WindowUpdate,
            flags,
            stream,
            length: increment,
        }
    }

    /// A ping (SYN) or its answer (ACK).
    pub const fn ping(flags: Flags, value: u32) -> Header {
        Header {
            kind: Kind::Ping,
            flags,
            stream: 0,
            length: value,
        }
    }

    /// A go-away.
    pub const fn go_away(code: GoAway) -> Header {
        Header {
            kind: Kind::GoAway,
            flags: Flags::NONE,
            stream: 0,
            length: code.code(),
        }
    }

    /// The bytes on the wire.
    pub const fn encode(self) -> [u8; HEADER_LEN] {
        let kind = match self.kind {
            Kind::Data => 0,
            Kind::WindowUpdate => 1,
            Kind::Ping => 2,
            Kind::GoAway => 3,
        };
        let [f0, f1] = self.flags.0.to_be_bytes();
        let [s0, s1, s2, s3] = self.stream.to_be_bytes();
        let [l0, l1, l2, l3] = self.length.to_be_bytes();
        [VERSION, kind, f0, f1, s0, s1, s2, s3, l0, l1, l2, l3]
    }

    /// The header in `bytes`.
    ///
    /// # Errors
    /// When version or type are unknown; every other combination of bytes is a header.
    pub const fn decode(bytes: [u8; HEADER_LEN]) -> Result<Header, BadHeader> {
        let [version, kind, f0, f1, s0, s1, s2, s3, l0, l1, l2, l3] = bytes;
        if version != VERSION {
            return Err(BadHeader::Version(version));
        }
        let kind = match kind {
            0 => Kind::Data,
            1 => Kind::WindowUpdate,
            2 => Kind::Ping,
            3 => Kind::GoAway,
            other => return Err(BadHeader::Kind(other)),
        };
        Ok(Header {
            kind,
            flags: Flags(u16::from_be_bytes([f0, f1])),
            stream: u32::from_be_bytes([s0, s1, s2, s3]),
            length: u32::from_be_bytes([l0, l1, l2, l3]),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_documented_frames() {
        let ack = Header::window(1, Flags::ACK, 0).encode();
        assert_eq!(ack, [0, 1, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0]);
        let data = Header::data(1, 0x28).encode();
        assert_eq!(data, [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0x28]);
        let pong = Header::ping(Flags::ACK, 0xdead_beef).encode();
        assert_eq!(pong, [0, 2, 0, 2, 0, 0, 0, 0, 0xde, 0xad, 0xbe, 0xef]);
        let bye = Header::go_away(GoAway::ProtocolError).encode();
        assert_eq!(bye, [0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    }

    proptest! {
        #[test]
        fn decode_is_the_inverse_of_encode(bytes: [u8; HEADER_LEN]) {
            match Header::decode(bytes) {
                Ok(header) => prop_assert_eq!(header.encode(), bytes),
                Err(BadHeader::Version(v)) => prop_assert!(v == bytes[0] && v != 0),
                Err(BadHeader::Kind(k)) => prop_assert!(k == bytes[1] && k > 3),
            }
        }

        #[test]
        fn every_valid_prefix_decodes(kind in 0_u8..4, rest: [u8; 10]) {
            let mut bytes = [0; HEADER_LEN];
            bytes[1] = kind;
            bytes[2..].copy_from_slice(&rest);
            prop_assert_eq!(Header::decode(bytes).unwrap().encode(), bytes);
        }
    }
}
