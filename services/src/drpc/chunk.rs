//! Messages in packets, and packets into messages.
//!
//! A message is cut into chunks; each is one packet, with a header of 24 bytes in front:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | length of the whole message, headers not counted |
//! | 8 | 8 | how much of it follows in this packet |
//! | 16 | 4 | number of this chunk, from 0 |
//! | 20 | 4 | how many chunks there are |
//!
//! Numbers are in the byte order of the host, for both ends are on one. There is no message number:
//! chunks of two messages never mix on a connection. Releases of DAOS up to 2.6 have no header.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use prost::Message;

use super::message::Call;

/// The largest packet in bytes: DAOS' `MaxChunkSize` and `UNIXCOMM_MAXMSGSIZE`.
pub const MAX_PACKET: usize = 1 << 17;
/// The length of a chunk's header in bytes, on hosts of 64 bits; DAOS has no others.
pub const HEADER: usize = 24;
/// The most data in one packet, in bytes.
pub const MAX_DATA: usize = MAX_PACKET - HEADER;

/// A connection that waits for a message keeps a buffer of at most this many bytes.
const IDLE_BUFFER: usize = 2 * 1024;
/// A new buffer is at least this large.
const FIRST_BUFFER: usize = 1024;

/// What a server of DAOS 2.6 or older answers to a chunk header, which it takes for a call.
pub(crate) const LEGACY_ANSWER: &[u8] = b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\x05";

/// What stands in front of each chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Length of the whole message in bytes.
    pub total: u64,
    /// How many bytes of it are in this packet.
    pub data: u64,
    /// Number of this chunk, from 0.
    pub index: u32,
    /// How many chunks the message has.
    pub chunks: u32,
}

impl Header {
    /// The bytes on the wire.
    pub fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&self.total.to_ne_bytes());
        bytes[8..16].copy_from_slice(&self.data.to_ne_bytes());
        bytes[16..20].copy_from_slice(&self.index.to_ne_bytes());
        bytes[20..].copy_from_slice(&self.chunks.to_ne_bytes());
        bytes
    }

    /// The header of a packet and the data behind it; `None` if the packet is too short for one.
    pub fn split(packet: &[u8]) -> Option<(Header, &[u8])> {
        let (total, rest) = packet.split_first_chunk()?;
        let (data, rest) = rest.split_first_chunk()?;
        let (index, rest) = rest.split_first_chunk()?;
        let (chunks, rest) = rest.split_first_chunk()?;
        let header = Header {
            total: u64::from_ne_bytes(*total),
            data: u64::from_ne_bytes(*data),
            index: u32::from_ne_bytes(*index),
            chunks: u32::from_ne_bytes(*chunks),
        };
        Some((header, rest))
    }
}

/// The chunks of a message of `length` bytes, as both implementations of DAOS cut it: all full but
/// the last, and one without data for an empty message.
///
/// `None` for a message of more chunks than a header can count, which no memory holds.
pub fn chunks(length: usize) -> Option<impl Iterator<Item = (Header, Range<usize>)>> {
    let total = u64::try_from(length).ok()?;
    let count = u32::try_from(length.div_ceil(MAX_DATA).max(1)).ok()?;
    let mut start = 0;
    Some((0..count).map(move |index| {
        let end = length.min(start + MAX_DATA);
        let range = start..end;
        start = end;
        let header = Header {
            total,
            data: range.len() as u64,
            index,
            chunks: count,
        };
        (header, range)
    }))
}

/// A packet that does not belong where it came. The connection is lost: where the next message
/// begins is not known any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Shorter than a header.
    #[error("packet of {length} bytes: a chunk header alone has {HEADER}")]
    Short {
        /// The packet's length.
        length: usize,
    },
    /// Longer than a packet may be.
    #[error("packet of {length} bytes: the largest has {MAX_PACKET}")]
    Long {
        /// The packet's length.
        length: usize,
    },
    /// Not the next chunk.
    #[error("chunk {index} where chunk {expected} is next")]
    Index {
        /// Its number.
        index: u32,
        /// The next one's.
        expected: u32,
    },
    /// A message of no chunks.
    #[error("the message says that it has no chunks")]
    NoChunks,
    /// The number of chunks changed on the way.
    #[error("chunk {index} says that there are {chunks} chunks, the first said {first}")]
    ChunksChanged {
        /// The chunk that says so.
        index: u32,
        /// What it says.
        chunks: u32,
        /// What the first chunk said.
        first: u32,
    },
    /// The message's length changed on the way.
    #[error("chunk {index} says that the message has {total} bytes, the first said {first}")]
    TotalChanged {
        /// The chunk that says so.
        index: u32,
        /// What it says.
        total: u64,
        /// What the first chunk said.
        first: u64,
    },
    /// The chunk is not as long as it says.
    #[error("chunk {index} says that it has {says} bytes, and {holds} are in its packet")]
    DataSize {
        /// The chunk.
        index: u32,
        /// What it says.
        says: u64,
        /// What the packet holds.
        holds: u64,
    },
    /// More data than the message has.
    #[error("{got} bytes up to chunk {index}, of a message of {total}")]
    Overflow {
        /// The chunk.
        index: u32,
        /// How much has come with it.
        got: u64,
        /// The message's length.
        total: u64,
    },
    /// All chunks came, and data is missing.
    #[error("all chunks came with {got} bytes, of a message of {total}")]
    Incomplete {
        /// How much has come.
        got: u64,
        /// The message's length.
        total: u64,
    },
    /// Larger than this end takes.
    #[error("message of {total} bytes exceeds {limit}")]
    TooLarge {
        /// The message's length, as announced.
        total: u64,
        /// The limit.
        limit: u64,
    },
    /// A bare message without a header.
    #[error(
        "the peer speaks the dRPC of DAOS 2.6 or older, which has no chunk header: \
         only 2.8 and newer can be talked to"
    )]
    Legacy,
}

/// Puts the chunks of one connection together.
///
/// The buffer grows with what arrives, never with what is announced, and is used again for the next
/// message as soon as nobody holds the last one.
#[derive(Debug)]
pub struct Assembler {
    limit: u64,
    buffer: BytesMut,
    under_way: Option<UnderWay>,
}

/// A message of which the first chunk has come.
#[derive(Clone, Copy, Debug)]
struct UnderWay {
    total: u64,
    chunks: u32,
    next: u32,
}

impl Assembler {
    /// An assembler that takes messages of at most `limit` bytes.
    pub fn new(limit: usize) -> Assembler {
        Assembler {
            limit: u64::try_from(limit).unwrap_or(u64::MAX),
            buffer: BytesMut::new(),
            under_way: None,
        }
    }

    /// How long the message is of which some chunks have come; `None` between messages.
    pub fn under_way(&self) -> Option<u64> {
        self.under_way.map(|message| message.total)
    }

    /// Takes the next packet; gives the message that it completes, if it does.
    ///
    /// # Errors
    /// [`FrameError`]: nothing that comes after it makes sense.
    pub fn push(&mut self, packet: &[u8]) -> Result<Option<Bytes>, FrameError> {
        self.take(packet)
            .map_err(|error| self.recognise(packet, error))
    }

    fn take(&mut self, packet: &[u8]) -> Result<Option<Bytes>, FrameError> {
        let length = packet.len();
        if length > MAX_PACKET {
            return Err(FrameError::Long { length });
        }
        let (header, data) = Header::split(packet).ok_or(FrameError::Short { length })?;
        let got = self.buffered();
        let message = check(self.under_way, header, data.len() as u64, got, self.limit)?;
        self.append(data);
        if message.next < message.chunks {
            self.under_way = Some(message);
            return Ok(None);
        }
        self.under_way = None;
        Ok(Some(self.buffer.split().freeze()))
    }

    /// How much of the message has come.
    fn buffered(&self) -> u64 {
        self.buffer.len() as u64
    }

    fn append(&mut self, data: &[u8]) {
        if self.buffer.is_empty() && !self.buffer.try_reclaim(data.len()) {
            self.buffer = BytesMut::with_capacity(data.len().max(FIRST_BUFFER));
        }
        self.buffer.extend_from_slice(data);
    }

    /// Gives back the memory that a connection without work should not hold.
    pub fn rest(&mut self) {
        if self.under_way.is_none() && self.buffer.capacity() > IDLE_BUFFER {
            self.buffer = BytesMut::new();
        }
    }

    /// A bad packet where a message should begin may be a message of the old kind.
    fn recognise(&self, packet: &[u8], error: FrameError) -> FrameError {
        let begins = self.under_way.is_none();
        if begins && (packet == LEGACY_ANSWER || is_bare_call(packet)) {
            FrameError::Legacy
        } else {
            error
        }
    }
}

/// Whether a packet that is no chunk is a call without a header. A body of zeros decodes as well,
/// so it must name a module or a method.
fn is_bare_call(packet: &[u8]) -> bool {
    // The tags of the four fields of a call.
    let tagged = matches!(packet.first(), Some(0x08 | 0x10 | 0x18 | 0x22));
    tagged && Call::decode(packet).is_ok_and(|call| call.module != 0 || call.method != 0)
}

/// What is under way after this chunk, of which the packet holds `holds` bytes, when `got` bytes had
/// come before.
fn check(
    under_way: Option<UnderWay>,
    header: Header,
    holds: u64,
    got: u64,
    limit: u64,
) -> Result<UnderWay, FrameError> {
    let Header {
        total,
        data,
        index,
        chunks,
    } = header;
    let first = under_way.unwrap_or(UnderWay {
        total,
        chunks,
        next: 0,
    });
    let expected = first.next;
    if index != expected {
        return Err(FrameError::Index { index, expected });
    }
    if chunks == 0 {
        return Err(FrameError::NoChunks);
    }
    if chunks != first.chunks {
        let first = first.chunks;
        return Err(FrameError::ChunksChanged {
            index,
            chunks,
            first,
        });
    }
    if total != first.total {
        let first = first.total;
        return Err(FrameError::TotalChanged {
            index,
            total,
            first,
        });
    }
    if data != holds {
        let says = data;
        return Err(FrameError::DataSize { index, says, holds });
    }
    if total > limit {
        return Err(FrameError::TooLarge { total, limit });
    }
    let got = got.saturating_add(data);
    if got > total {
        return Err(FrameError::Overflow { index, got, total });
    }
    let next = index.saturating_add(1);
    if next == chunks && got < total {
        return Err(FrameError::Incomplete { got, total });
    }
    Ok(UnderWay { next, ..first })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(total: usize, index: u32, chunks: u32, data: &[u8]) -> Vec<u8> {
        let header = Header {
            total: total as u64,
            data: data.len() as u64,
            index,
            chunks,
        };
        [&header.to_bytes(), data].concat()
    }

    #[test]
    fn memory_follows_what_arrives_and_not_what_is_announced() {
        let total = 30 * 1024 * 1024;
        let mut assembler = Assembler::new(total);
        assembler.push(&chunk(total, 0, 1000, b"x")).unwrap();
        assert_eq!(assembler.under_way(), u64::try_from(total).ok());
        assert_eq!(assembler.buffer.capacity(), FIRST_BUFFER);
        let full = vec![0; MAX_DATA];
        for index in 1..9 {
            assembler.push(&chunk(total, index, 1000, &full)).unwrap();
            let arrived = assembler.buffer.len();
            assert!(assembler.buffer.capacity() <= 2 * arrived);
        }
    }

    #[test]
    fn small_messages_use_one_buffer_and_idle_ones_no_large_one() {
        let mut assembler = Assembler::new(MAX_DATA);
        let mut places = std::collections::BTreeSet::new();
        for _ in 0..100 {
            let message = assembler.push(&chunk(64, 0, 1, &[7; 64])).unwrap().unwrap();
            places.insert(message.as_ptr());
            assembler.rest();
        }
        assert!(places.len() <= 16, "{}", places.len());
        let large = assembler.push(&chunk(MAX_DATA, 0, 1, &vec![7; MAX_DATA]));
        drop(large);
        assembler.rest();
        assert!(assembler.buffer.capacity() <= IDLE_BUFFER);
    }
}
