//! Rules about keys and methods, by Consul's precedence.

use std::{collections::HashMap, sync::Arc};

use oneport_proto::{Access, Grants, Resource};

/// What a rule grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Nothing.
    Deny,
    /// Looking.
    Read,
    /// Looking and changing.
    Write,
}

impl Level {
    /// Whether this is enough for `access`.
    pub fn allows(self, access: Access) -> bool {
        match access {
            Access::Read => self >= Level::Read,
            Access::Write => self == Level::Write,
        }
    }

    /// Which of two rules about the same name holds: a denial over all else, then the one that
    /// grants more. So Consul merges the policies of a token.
    fn merge(self, other: Level) -> Level {
        if self == Level::Deny || other == Level::Deny {
            Level::Deny
        } else {
            self.max(other)
        }
    }
}

/// Rules, as plain data. A rule about one name holds over all about prefixes; of those, the longest
/// holds. What no rule is about is up to a default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// About single keys: Consul's `key`.
    pub key: Vec<(String, Level)>,
    /// About all keys with a prefix: Consul's `key_prefix`.
    pub key_prefix: Vec<(String, Level)>,
    /// About all methods with a prefix, as `KVS.`; a whole name is one too. Consul has none. A
    /// method that no rule is about may be called.
    pub method_prefix: Vec<(String, Level)>,
}

impl Rules {
    /// Everything is granted: Consul's `global-management`.
    pub fn management() -> Rules {
        Rules::default().key_prefix("", Level::Write)
    }

    /// With a rule about one key.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>, level: Level) -> Rules {
        self.key.push((key.into(), level));
        self
    }

    /// With a rule about all keys that begin with `prefix`.
    #[must_use]
    pub fn key_prefix(mut self, prefix: impl Into<String>, level: Level) -> Rules {
        self.key_prefix.push((prefix.into(), level));
        self
    }

    /// With a rule about all methods that begin with `prefix`.
    #[must_use]
    pub fn method_prefix(mut self, prefix: impl Into<String>, level: Level) -> Rules {
        self.method_prefix.push((prefix.into(), level));
        self
    }

    /// What these rules grant, for an [`Identity`](oneport_proto::Identity). `default` is for keys
    /// that no rule is about: Consul's `acl.default_policy`.
    pub fn grants(&self, default: Level) -> Arc<dyn Grants> {
        Arc::new(Granted {
            keys: Table::new(&self.key, &self.key_prefix),
            methods: Table::new(&[], &self.method_prefix),
            default,
        })
    }
}

/// Rules, ready to be asked.
#[derive(Debug)]
struct Granted {
    keys: Table,
    methods: Table,
    default: Level,
}

impl Grants for Granted {
    fn allow(&self, access: Access, resource: Resource, name: &[u8]) -> bool {
        let level = match resource {
            Resource::Key => self.keys.level(name).unwrap_or(self.default),
            Resource::KeyTree => self.keys.tree(name).unwrap_or(self.default),
            Resource::Method => self.methods.level(name).unwrap_or(Level::Write),
        };
        level.allows(access)
    }
}

/// Rules about names of one kind.
#[derive(Debug)]
struct Table {
    exact: HashMap<Box<[u8]>, Level>,
    /// In the order of their prefixes, each once.
    prefixes: Vec<Prefix>,
}

#[derive(Debug)]
struct Prefix {
    prefix: Box<[u8]>,
    level: Level,
    /// The rule with the longest prefix of this prefix.
    parent: Option<usize>,
}

impl Table {
    fn new(exact: &[(String, Level)], prefixes: &[(String, Level)]) -> Table {
        let mut sorted: Vec<_> = merged(prefixes).into_iter().collect();
        sorted.sort();
        let mut table = Table {
            exact: merged(exact),
            prefixes: Vec::with_capacity(sorted.len()),
        };
        for (prefix, level) in sorted {
            let parent = table.longest_before(table.prefixes.len(), &prefix);
            table.prefixes.push(Prefix {
                prefix,
                level,
                parent,
            });
        }
        table
    }

    /// What holds for one name.
    fn level(&self, name: &[u8]) -> Option<Level> {
        let exact = self.exact.get(name).copied();
        exact.or_else(|| self.prefix_level(name))
    }

    /// What holds for all names with a prefix together: the least of what the longest rule about
    /// the prefix itself grants, and of all rules about what is below it.
    fn tree(&self, prefix: &[u8]) -> Option<Level> {
        let below = self.prefixes[self.end_of(prefix, false)..]
            .iter()
            .take_while(|rule| rule.prefix.starts_with(prefix))
            .map(|rule| rule.level);
        let exact = self.exact.iter();
        let exact = exact
            .filter(|(name, _)| name.starts_with(prefix))
            .map(|(_, level)| *level);
        let least = below.chain(exact).min();
        match (self.prefix_level(prefix), least) {
            (Some(own), Some(least)) => Some(own.min(least)),
            (Some(own), None) => Some(own),
            // Rules that take nothing away say nothing about names that no rule is about.
            (None, Some(least)) => (least < Level::Write).then_some(least),
            (None, None) => None,
        }
    }

    fn prefix_level(&self, name: &[u8]) -> Option<Level> {
        let rule = self.longest_before(self.end_of(name, true), name)?;
        Some(self.prefixes[rule].level)
    }

    /// Where the rules end whose prefixes are less than `name`, or equal to it.
    fn end_of(&self, name: &[u8], equal: bool) -> usize {
        self.prefixes
            .partition_point(|rule| *rule.prefix < *name || equal && *rule.prefix == *name)
    }

    /// The longest prefix of `name` among the first `end` rules, which are not greater than it. All
    /// prefixes of a name that stand before a rule are prefixes of that rule too, or are it: so the
    /// way up from the last one passes all of them.
    fn longest_before(&self, end: usize, name: &[u8]) -> Option<usize> {
        let mut at = end.checked_sub(1);
        while let Some(rule) = at {
            if name.starts_with(&self.prefixes[rule].prefix) {
                break;
            }
            at = self.prefixes[rule].parent;
        }
        at
    }
}

fn merged(rules: &[(String, Level)]) -> HashMap<Box<[u8]>, Level> {
    let mut merged = HashMap::with_capacity(rules.len());
    for (name, level) in rules {
        merged
            .entry(Box::from(name.as_bytes()))
            .and_modify(|known: &mut Level| *known = known.merge(*level))
            .or_insert(*level);
    }
    merged
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn may(rules: &Rules, default: Level, name: &str) -> (bool, bool, bool) {
        let grants = rules.grants(default);
        let allow = |access, resource| grants.allow(access, resource, name.as_bytes());
        (
            allow(Access::Read, Resource::Key),
            allow(Access::Write, Resource::Key),
            allow(Access::Write, Resource::KeyTree),
        )
    }

    #[test]
    fn the_longest_prefix_wins_and_a_name_over_all() {
        let rules = Rules::default()
            .key_prefix("a/", Level::Read)
            .key_prefix("a/b/", Level::Write)
            .key_prefix("a/b/c/", Level::Deny)
            .key("a/b/c/d", Level::Read);
        for (name, expected) in [
            ("a/x", (true, false, false)),
            ("a/b/x", (true, true, true)),
            ("a/b/", (true, true, false)),
            ("a/b/c/x", (false, false, false)),
            ("a/b/c/d", (true, false, false)),
            ("b", (false, false, false)),
            ("", (false, false, false)),
        ] {
            assert_eq!(may(&rules, Level::Deny, name), expected, "{name:?}");
        }
        assert_eq!(may(&rules, Level::Write, "b"), (true, true, true));
        // Some of the tree is not for writing.
        assert_eq!(may(&rules, Level::Write, ""), (true, true, false));
        assert_eq!(
            may(&Rules::management(), Level::Deny, "x"),
            (true, true, true)
        );
    }

    #[test]
    fn a_tree_that_rules_only_add_to_is_up_to_the_default() {
        let rules = Rules::default().key_prefix("a/b", Level::Write);
        assert_eq!(may(&rules, Level::Write, "a/"), (true, true, true));
        assert_eq!(may(&rules, Level::Deny, "a/"), (false, false, false));
    }

    #[test]
    fn of_two_rules_about_the_same_a_denial_holds() {
        use Level::{Deny, Read, Write};
        for (first, second, holds) in [
            (Read, Write, Write),
            (Deny, Write, Deny),
            (Write, Deny, Deny),
        ] {
            let rules = Rules::default()
                .key_prefix("a", first)
                .key_prefix("a", second);
            let (read, write, _) = may(&rules, Deny, "a");
            assert_eq!((read, write), (holds >= Read, holds == Write));
        }
    }

    #[test]
    fn methods_are_free_unless_a_rule_is_about_them() {
        let rules = Rules::default()
            .method_prefix("KVS.", Level::Read)
            .method_prefix("Txn", Level::Deny);
        let grants = rules.grants(Level::Deny);
        let allow = |access, name: &str| grants.allow(access, Resource::Method, name.as_bytes());
        assert!(allow(Access::Read, "KVS.Get"));
        assert!(!allow(Access::Write, "KVS.Apply"));
        assert!(!allow(Access::Read, "Txn.Read"));
        assert!(allow(Access::Write, "Catalog.Register"));
    }

    fn level() -> impl Strategy<Value = Level> {
        prop_oneof![Just(Level::Deny), Just(Level::Read), Just(Level::Write)]
    }

    fn rules() -> impl Strategy<Value = Vec<(String, Level)>> {
        prop::collection::vec(("[ab]{0,4}", level()), 0..12)
    }

    proptest! {
        /// The table agrees with a look at every rule.
        #[test]
        fn it_is_what_looking_at_all_rules_says(exact in rules(), prefixes in rules(), name in "[abc]{0,5}") {
            let merged = |rules: &[(String, Level)], name: &str| {
                let same = rules.iter().filter(|(about, _)| about == name);
                same.map(|(_, level)| *level).reduce(Level::merge)
            };
            let naive = merged(&exact, &name).or_else(|| {
                (0..=name.len()).rev().find_map(|end| merged(&prefixes, &name[..end]))
            });
            let table = Table::new(&exact, &prefixes);
            prop_assert_eq!(table.level(name.as_bytes()), naive);

            let own = (0..=name.len()).rev().find_map(|end| merged(&prefixes, &name[..end]));
            let all = exact.iter().chain(&prefixes);
            let below = all.filter(|(about, _)| about.starts_with(&name));
            let refuses = below.clone().any(|(about, _)| {
                let of = |rules: &[_]| merged(rules, about).is_some_and(|level| level < Level::Write);
                of(&exact) || of(&prefixes)
            });
            let writes = match own {
                Some(Level::Write) => Some(!refuses),
                Some(_) => Some(false),
                None => refuses.then_some(false),
            };
            let tree = table.tree(name.as_bytes()).map(|level| level == Level::Write);
            prop_assert_eq!(tree, writes);
        }
    }
}
