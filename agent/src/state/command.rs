//! What changes the state.

use std::fmt::{self, Write};

use bytes::Bytes;

use super::Entry;

/// One change, as the log carries it. What it decides depends on the state and on itself alone, so
/// that every replica of the log decides alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Changes nothing: what a new leader writes first.
    Nop,
    /// An operation on the key-value table.
    Kv(KvOp, Entry),
    /// Forgets the tombstones of deletions up to this index.
    Reap {
        /// The last index whose tombstones go.
        through: u64,
    },
}

/// The operations on the key-value table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KvOp {
    /// Writes the entry.
    Set,
    /// Deletes the key.
    Delete,
    /// Deletes the key if its modify index is the entry's.
    DeleteCas,
    /// Deletes every key that begins with the entry's key.
    DeleteTree,
    /// Writes the entry if the key's modify index is the entry's; 0 is "only if absent".
    Cas,
    /// Writes the entry and takes the key's lock for the entry's session.
    Lock,
    /// Writes the entry and gives the lock of the entry's session back.
    Unlock,
    /// What no server knows. It goes through the log like any other and fails there.
    Unknown(Bytes),
}

impl KvOp {
    /// The operation of this name on the wire. Names are case-sensitive.
    pub fn named(name: &[u8]) -> KvOp {
        match name {
            b"set" => KvOp::Set,
            b"delete" => KvOp::Delete,
            b"delete-cas" => KvOp::DeleteCas,
            b"delete-tree" => KvOp::DeleteTree,
            b"cas" => KvOp::Cas,
            b"lock" => KvOp::Lock,
            b"unlock" => KvOp::Unlock,
            _ => KvOp::Unknown(Bytes::copy_from_slice(name)),
        }
    }
}

/// Why a command changed nothing. The texts are Consul's, letter by letter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The operation is not one of [`KvOp`]'s.
    #[error("Invalid KVS operation '{}'", String::from_utf8_lossy(.0))]
    InvalidOperation(Bytes),
    /// A lock or unlock without a session.
    #[error("missing session")]
    MissingSession,
    /// A lock for a session that does not exist.
    #[error("invalid session {}", Quoted(.0))]
    InvalidSession(Bytes),
}

/// Bytes as Go's `%#v` shows a string.
struct Quoted<'a>(&'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for chunk in self.0.utf8_chunks() {
            chunk.valid().chars().try_for_each(|c| quote(c, f))?;
            chunk
                .invalid()
                .iter()
                .try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        f.write_char('"')
    }
}

fn quote(c: char, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match c {
        '"' | '\\' => write!(f, "\\{c}"),
        '\u{7}' => f.write_str("\\a"),
        '\u{8}' => f.write_str("\\b"),
        '\u{c}' => f.write_str("\\f"),
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        '\u{b}' => f.write_str("\\v"),
        c if c.is_ascii_control() => write!(f, "\\x{:02x}", u32::from(c)),
        // What Rust escapes as \u{…} is what is not printable; Go writes it in four or eight digits.
        c if !c.is_ascii() && c.escape_debug().len() > 1 => match u32::from(c) {
            wide @ 0x1_0000.. => write!(f, "\\U{wide:08x}"),
            narrow => write!(f, "\\u{narrow:04x}"),
        },
        c => f.write_char(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact() {
        assert_eq!(KvOp::named(b"delete-tree"), KvOp::DeleteTree);
        assert_eq!(
            KvOp::named(b"SET"),
            KvOp::Unknown(Bytes::from_static(b"SET"))
        );
        assert_eq!(KvOp::named(b""), KvOp::Unknown(Bytes::new()));
    }

    #[test]
    fn sessions_are_quoted_as_go_does() {
        let shown = |session: &'static [u8]| {
            ApplyError::InvalidSession(Bytes::from_static(session)).to_string()
        };
        assert_eq!(shown(b"nope"), r#"invalid session "nope""#);
        assert_eq!(shown(b"a\"\\\n\x01"), r#"invalid session "a\"\\\n\x01""#);
        assert_eq!(
            shown("é\u{200b}".as_bytes()),
            "invalid session \"é\\u200b\""
        );
        assert_eq!(shown(b"\xff"), r#"invalid session "\xff""#);
    }

    #[test]
    fn errors_name_what_was_sent() {
        let odd = ApplyError::InvalidOperation(Bytes::from_static(b"check-index"));
        assert_eq!(odd.to_string(), "Invalid KVS operation 'check-index'");
        assert_eq!(ApplyError::MissingSession.to_string(), "missing session");
    }
}
