//! Bytes that a stream received and its application has not taken yet.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// A piece smaller than this is copied out of its read buffer when it is not taken at once, so that
/// it does not keep a buffer of 64 KiB alive.
const PIN_AT_LEAST: usize = 16 * 1024;

/// Received pieces in order: slices of the session's read buffers first, then what was copied.
/// Empty, it holds no memory.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    first: Bytes,
    /// What comes behind the first piece. Boxed: mostly nothing does.
    rest: Option<Box<Rest>>,
    len: usize,
}

#[derive(Debug, Default)]
struct Rest {
    more: VecDeque<Bytes>,
    copied: BytesMut,
}

impl Rest {
    fn push(&mut self, piece: Bytes) {
        match self.copied.is_empty() {
            true => self.more.push_back(piece),
            false => self.copied.extend_from_slice(&piece),
        }
    }

    /// The next piece; `None` when there is none.
    fn pop(&mut self) -> Option<Bytes> {
        self.more.pop_front().or_else(|| {
            let copied = std::mem::take(&mut self.copied);
            (!copied.is_empty()).then(|| copied.freeze())
        })
    }
}

impl Inbox {
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn push(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        self.len += piece.len();
        match &mut self.rest {
            Some(rest) => rest.push(piece),
            None if self.first.is_empty() => self.first = piece,
            None => self.rest.get_or_insert_default().push(piece),
        }
    }

    /// The next bytes, at most `max`; `None` when there are none.
    pub(crate) fn pop(&mut self, max: usize) -> Option<Bytes> {
        if self.len == 0 || max == 0 {
            return None;
        }
        if self.first.is_empty()
            && let Some(rest) = &mut self.rest
        {
            self.first = rest.pop().unwrap_or_default();
        }
        let piece = self.first.split_to(self.first.len().min(max));
        if self.first.is_empty() {
            // An empty slice still holds on to its buffer.
            self.first = Bytes::new();
        }
        self.len -= piece.len();
        if self.len == self.first.len() {
            self.rest = None;
        }
        Some(piece)
    }

    /// Lets go of read buffers that are kept alive by little.
    pub(crate) fn compact(&mut self) {
        let small = |piece: &Bytes| !piece.is_empty() && piece.len() < PIN_AT_LEAST;
        let mut pieces = self.rest.iter().flat_map(|rest| &rest.more);
        if !small(&self.first) && !pieces.any(small) {
            return;
        }
        let mut copied = BytesMut::with_capacity(self.len);
        copied.extend_from_slice(&self.first);
        self.first = Bytes::new();
        let rest = self.rest.get_or_insert_default();
        for piece in std::mem::take(&mut rest.more) {
            copied.extend_from_slice(&piece);
        }
        copied.extend_from_slice(&rest.copied);
        rest.copied = copied;
    }

    /// Forgets everything; returns how much that was.
    pub(crate) fn clear(&mut self) -> usize {
        let len = self.len;
        *self = Inbox::default();
        len
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_piece_taken_at_once_is_not_copied() {
        let buffer = Bytes::from(vec![7; 100]);
        let mut inbox = Inbox::default();
        inbox.push(buffer.slice(10..20));
        let piece = inbox.pop(usize::MAX).unwrap();
        assert_eq!(piece.as_ptr(), buffer[10..].as_ptr());
        assert_eq!(inbox.pop(1), None);
    }

    #[test]
    fn small_pieces_let_their_buffer_go() {
        let mut inbox = Inbox::default();
        let buffer = Bytes::from(vec![7; 100]);
        inbox.push(buffer.slice(0..1));
        inbox.compact();
        assert!(buffer.is_unique());
        assert_eq!(&inbox.pop(usize::MAX).unwrap()[..], [7]);
    }

    proptest! {
        #[test]
        fn order_and_length_are_kept(steps in prop::collection::vec((0_u8..4, 0_usize..40_000), 0..60)) {
            let mut inbox = Inbox::default();
            let mut model = VecDeque::new();
            let mut next = 0_u8;
            for (what, n) in steps {
                match what {
                    0 | 1 => {
                        next = next.wrapping_add(1);
                        inbox.push(Bytes::from(vec![next; n]));
                        model.extend(std::iter::repeat_n(next, n));
                    }
                    2 => {
                        let got = inbox.pop(n).unwrap_or_default();
                        let want: Vec<u8> = model.drain(..got.len()).collect();
                        prop_assert_eq!(&got[..], &want[..]);
                    }
                    _ => inbox.compact(),
                }
                prop_assert_eq!(inbox.len, model.len());
                prop_assert_eq!(inbox.is_empty(), model.is_empty());
            }
        }
    }
}
