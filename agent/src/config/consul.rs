//! Keys that Consul has and we have no use for yet.
//!
//! An operator's file has them, so they are no errors; they are listed, for nobody should believe
//! that they count. A few are refused all the same: without them the server would let in whom the
//! operator meant to keep out. They are those of Consul 1.13.9 with the ones that later releases added, and
//! the deprecated ones.

use std::sync::LazyLock;

use super::{Setting, document::Value};

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// A value, whatever it is.
    Leaf,
    /// A table of further known keys.
    Table,
}

/// All keys that are not settings of ours. One that ends in `.*` is whatever the operator writes
/// there.
static KEYS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    include_str!("consul-keys.txt")
        .lines()
        .filter(|key| Setting::of(key).is_none())
        .collect()
});

/// What Consul knows of this key; `None` if it knows nothing of it.
pub fn known(key: &str) -> Option<Known> {
    let leaf = |known: &&str| known.strip_suffix(".*").unwrap_or(known) == key;
    if KEYS.iter().any(leaf) {
        return Some(Known::Leaf);
    }
    let inside = |known: &&str| {
        known
            .strip_prefix(key)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    KEYS.iter().any(inside).then_some(Known::Table)
}

/// Keys that would leave a door open if they were passed over, and why they are refused.
const REFUSED: [(&str, &str); 8] = [
    ("verify_incoming", TLS),
    ("verify_incoming_rpc", TLS),
    ("tls.defaults.verify_incoming", TLS),
    ("tls.internal_rpc.verify_incoming", TLS),
    ("acl_datacenter", "write acl.enabled instead"),
    ("acl_default_policy", "write acl.default_policy instead"),
    ("acl_master_token", MANAGEMENT),
    ("acl.tokens.master", MANAGEMENT),
];
const TLS: &str = "TLS is not served yet, so plain connections would be taken: leave it out if that \
                   is meant";
const MANAGEMENT: &str = "write acl.tokens.initial_management instead";

/// Why this key, with this value, cannot be passed over.
pub fn refused(key: &str, value: &Value) -> Option<&'static str> {
    let off = matches!(value, Value::Flag(false));
    let known = REFUSED.iter().find(|(refused, _)| *refused == key && !off);
    known.map(|(_, why)| *why)
}

/// All of them, without the marks.
pub fn keys() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|key| key.strip_suffix(".*").unwrap_or(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_consul_has_is_known_unless_we_have_it() {
        assert_eq!(known("node_meta"), Some(Known::Leaf));
        assert_eq!(known("dns_config"), Some(Known::Table));
        assert_eq!(known("dns_config.node_ttl"), Some(Known::Leaf));
        assert_eq!(known("dns_config.node_tt"), None);
        assert_eq!(known("datacenter"), None);
        assert_eq!(known("oneport"), None);
    }

    #[test]
    fn what_would_leave_a_door_open_is_not_passed_over() {
        for (key, _) in REFUSED {
            assert_eq!(known(key), Some(Known::Leaf), "{key}");
            assert!(refused(key, &Value::Flag(true)).is_some());
            assert!(refused(key, &Value::Flag(false)).is_none());
        }
        assert!(refused("verify_outgoing", &Value::Flag(true)).is_none());
    }

    #[test]
    fn every_setting_outside_our_namespace_is_consuls() {
        let consuls: Vec<_> = include_str!("consul-keys.txt").lines().collect();
        assert!(consuls.is_sorted());
        for setting in super::super::settings::SETTINGS {
            assert_eq!(
                setting.is_consuls(),
                consuls.contains(&setting.key),
                "{}",
                setting.key
            );
        }
    }
}
