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
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    whole: Bytes,
    // A Vec and not a BytesMut: it must not grow by doubling on a stranger's word.
    joined: Vec<u8>,
}

impl Inbox {
    /// All that is not parsed yet.
    pub(crate) fn bytes(&self) -> &[u8] {
        if self.joined.is_empty() {
            &self.whole
        } else {
            &self.joined
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    /// Appends a chunk.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        if self.is_empty() {
            self.whole = chunk;
            return;
        }
        if self.joined.is_empty() {
            let whole = std::mem::take(&mut self.whole);
            self.append(&whole);
        }
        self.append(&chunk);
    }

    fn append(&mut self, bytes: &[u8]) {
        let room = self.joined.capacity() - self.joined.len();
        if room < bytes.len() {
            // The last step before a small value would be mostly air: half the value at most.
            let step = STEP.min(self.joined.len().max(bytes.len()));
            self.joined.reserve_exact(bytes.len().max(step));
        }
        self.joined.extend_from_slice(bytes);
    }

    /// Takes the first `n` bytes out, without a copy of them.
    pub(crate) fn take(&mut self, n: usize) -> Bytes {
        if self.joined.is_empty() {
            return self.whole.split_to(n);
        }
        let rest = self.joined.split_off(n);
        let taken = std::mem::take(&mut self.joined);
        self.whole = Bytes::from(rest);
        Bytes::from(taken)
    }
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
        assert!(inbox.joined.capacity() <= 1_000_000 + STEP);
    }
}
