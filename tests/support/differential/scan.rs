//! The tokens of msgpack, one after the other, without their meaning: enough to know where a reply
//! ends, in one pass over what came.

/// A marker with what belongs to it alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Token {
    /// Its bytes, payload included.
    pub(crate) size: usize,
    /// How many values follow as its parts.
    pub(crate) parts: usize,
}

/// The first token, if its marker and length are there; its payload need not be.
pub(crate) fn token(bytes: &[u8]) -> Option<Token> {
    let marker = *bytes.first()?;
    let number = |width: usize| -> Option<usize> {
        let bytes = bytes.get(1..=width)?;
        Some(
            bytes
                .iter()
                .fold(0, |sum, byte| (sum << 8) | usize::from(*byte)),
        )
    };
    let plain = |size| Some(Token { size, parts: 0 });
    let long = |width| number(width).and_then(|length| plain(1 + width + length));
    let many = |width, each| {
        let count = number(width)?;
        Some(Token {
            size: 1 + width,
            parts: count * each,
        })
    };
    let few = |count: u8, each| {
        Some(Token {
            size: 1,
            parts: usize::from(count) * each,
        })
    };
    match marker {
        0x80..=0x8f => few(marker & 0x0f, 2),
        0x90..=0x9f => few(marker & 0x0f, 1),
        0xa0..=0xbf => plain(1 + usize::from(marker & 0x1f)),
        0xc4 | 0xd9 => long(1),
        0xc5 | 0xda => long(2),
        0xc6 | 0xdb => long(4),
        0xcc | 0xd0 => plain(2),
        0xcd | 0xd1 => plain(3),
        0xca | 0xce | 0xd2 => plain(5),
        0xcb | 0xcf | 0xd3 => plain(9),
        0xdc => many(2, 1),
        0xdd => many(4, 1),
        0xde => many(2, 2),
        0xdf => many(4, 2),
        _ => plain(1),
    }
}

/// Counts the replies of a connection as they come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replies {
    /// How far it has looked.
    seen: usize,
    /// What is still to come of the value that was begun.
    missing: usize,
    values: usize,
}

impl Replies {
    /// How many whole replies these are, of which the front was shown before.
    pub(crate) fn count(&mut self, bytes: &[u8]) -> usize {
        while let Some(token) = bytes.get(self.seen..).and_then(token) {
            if bytes.len() - self.seen < token.size {
                break;
            }
            self.seen += token.size;
            self.missing = self.missing.saturating_sub(1) + token.parts;
            if self.missing == 0 {
                self.values += 1;
            }
        }
        self.values / 2
    }
}

#[test]
fn replies_are_counted_as_they_come() {
    let reply = b"\x83\xa5Error\xa0\xa3Seq\x01\xadServiceMethod\xabStatus.Ping\x92\xcd\x01\x00\xc0";
    let two = [&reply[..], reply].concat();
    let mut replies = Replies::default();
    for end in 0..=two.len() {
        assert_eq!(replies.count(&two[..end]), end / reply.len());
    }
}
