//! Bytes that arrived and are not parsed yet.

use bytes::Bytes;

/// How much room is made at once for a value that comes in several chunks. A value never holds
/// more than this beyond the bytes that were really sent. The allocator moves large values without
/// copying them, so that small steps cost little.
const STEP: usize = 16 * 1024;

/// Bytes that arrived and are not parsed yet, in one piece.
///
/// What arrives whole is parsed and sliced where it lies. Only a value that is cut by the end of a
/// chunk is copied together.
#[derive(Debug)]
pub(crate) enum Inbox {
    /// As it arrived.
    Whole(Bytes),
    /// Copied together; never empty. A Vec and not a BytesMut: it must not grow by doubling on a
    /// stranger's word.
    Joined(Vec<u8>),
}

impl Default for Inbox {
    fn default() -> Inbox {
        Inbox::Whole(Bytes::new())
    }
}

impl Inbox {
    /// All that is not parsed yet.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Inbox::Whole(whole) => whole,
            Inbox::Joined(joined) => joined,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    /// Appends a chunk.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        match self {
            Inbox::Whole(whole) if whole.is_empty() => *whole = chunk,
            Inbox::Whole(whole) => {
                let mut joined = Vec::new();
                append(&mut joined, whole);
                append(&mut joined, &chunk);
                *self = Inbox::Joined(joined);
            }
            Inbox::Joined(joined) => append(joined, &chunk),
        }
    }

    /// Takes the first `n` bytes out, without a copy of them.
    pub(crate) fn take(&mut self, n: usize) -> Bytes {
        match self {
            Inbox::Whole(whole) => whole.split_to(n),
            Inbox::Joined(joined) => {
                let rest = joined.split_off(n);
                let taken = std::mem::take(joined);
                *self = Inbox::Whole(Bytes::from(rest));
                Bytes::from(taken)
            }
        }
    }
}

fn append(joined: &mut Vec<u8>, bytes: &[u8]) {
    let room = joined.capacity() - joined.len();
    if room < bytes.len() {
        // The last step before a small value would be mostly air: half the value at most.
        let step = STEP.min(joined.len().max(bytes.len()));
        joined.reserve_exact(bytes.len().max(step));
    }
    joined.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the cuts, the bytes come out as they went in.
        #[test]
        fn nothing_is_lost(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..20),
                           takes in prop::collection::vec(0usize..30, 0..40)) {
            let all: Vec<u8> = chunks.concat();
            let mut inbox = Inbox::default();
            let mut got = Vec::new();
            let mut takes = takes.into_iter();
            for chunk in chunks {
                inbox.push(Bytes::from(chunk));
                let n = takes.next().unwrap_or(0).min(inbox.bytes().len());
                got.extend_from_slice(&inbox.take(n));
            }
            let n = inbox.bytes().len();
            got.extend_from_slice(&inbox.take(n));
            prop_assert_eq!(got, all);
            prop_assert!(inbox.is_empty());
        }
    }

    #[test]
    fn a_long_value_holds_little_more_than_itself() {
        let mut inbox = Inbox::default();
        for _ in 0..1000 {
            inbox.push(Bytes::from(vec![7; 1000]));
        }
        assert_eq!(inbox.bytes().len(), 1_000_000);
        let Inbox::Joined(joined) = inbox else {
            panic!("a value that comes in pieces is joined");
        };
        assert!(joined.capacity() <= 1_000_000 + STEP);
    }
}
