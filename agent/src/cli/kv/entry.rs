//! How entries are shown to people.

use oneport::proto::structs::{DirEntry, GoString};

/// A value as text; what is not UTF-8 is replaced.
pub(super) fn value(entry: &DirEntry) -> String {
    match &entry.value {
        Some(value) => value.to_str_lossy().into_owned(),
        None => String::new(),
    }
}

/// Everything about an entry, a field a line.
pub(super) fn detailed(entry: &DirEntry) -> String {
    let holder = match entry.session.is_empty() {
        true => GoString::from_static("-"),
        false => entry.session.clone(),
    };
    let fields = [
        ("CreateIndex", entry.raft.create_index.to_string()),
        ("Flags", entry.flags.to_string()),
        ("Key", entry.key.to_string()),
        ("LockIndex", entry.lock_index.to_string()),
        ("ModifyIndex", entry.raft.modify_index.to_string()),
        ("Session", holder.to_string()),
        ("Value", value(entry)),
    ];
    let lines = fields.map(|(name, value)| format!("{name:<12} {value}"));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_a_field_a_line() {
        let entry = DirEntry {
            key: "a".into(),
            value: Some(b"caf\xe9".as_slice().into()),
            flags: 42,
            ..DirEntry::default()
        };
        let shown = detailed(&entry);
        assert!(shown.contains("\nFlags        42\n"));
        assert!(shown.contains("\nSession      -\n"));
        assert!(shown.ends_with("\nValue        caf\u{fffd}"));
    }
}
