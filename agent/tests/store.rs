//! The store against a model that is too simple to be wrong: a list of everything that happened.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use oneport_agent::state::{Command, Entry, KvOp, Log, Store};
use proptest::prelude::*;

/// One step of a client. Keys are few, so that operations meet.
#[derive(Clone, Debug)]
enum Step {
    Set(&'static str, u8),
    /// The index as a distance from the key's own; 0 is the right one.
    Cas(&'static str, u8, Guess),
    Delete(&'static str),
    DeleteCas(&'static str, Guess),
    DeleteTree(&'static str),
}

#[derive(Clone, Copy, Debug)]
enum Guess {
    Right,
    Zero,
    Wrong,
}

const KEYS: [&str; 7] = ["a", "a/", "a/b", "a/b/c", "a/c", "b", "b/\u{0}"];
const PREFIXES: [&str; 7] = ["", "a", "a/", "a/b", "b", "b/", "none"];

fn step() -> impl Strategy<Value = Step> {
    let key = || prop::sample::select(&KEYS[..]);
    let guess = || prop::sample::select(&[Guess::Right, Guess::Zero, Guess::Wrong][..]);
    prop_oneof![
        4 => (key(), 0..3_u8).prop_map(|(key, value)| Step::Set(key, value)),
        2 => (key(), 0..3_u8, guess()).prop_map(|(key, value, guess)| Step::Cas(key, value, guess)),
        2 => key().prop_map(Step::Delete),
        1 => (key(), guess()).prop_map(|(key, guess)| Step::DeleteCas(key, guess)),
        1 => prop::sample::select(&PREFIXES[..]).prop_map(Step::DeleteTree),
    ]
}

/// What is stored, and every change there ever was: (key or prefix, index, whether it buried).
#[derive(Default)]
struct Model {
    stored: BTreeMap<&'static str, (u8, u64, u64)>,
    buried: Vec<(&'static str, u64)>,
    table: u64,
}

impl Model {
    fn guess(&self, key: &str, guess: Guess) -> u64 {
        let right = self.stored.get(key).map_or(0, |(_, _, modified)| *modified);
        match guess {
            Guess::Right => right,
            Guess::Zero => 0,
            Guess::Wrong => right + 1000,
        }
    }

    fn set(&mut self, index: u64, key: &'static str, value: u8) {
        let created = match self.stored.get(key) {
            Some((same, ..)) if *same == value => return,
            Some((_, created, _)) => *created,
            None => index,
        };
        self.stored.insert(key, (value, created, index));
        self.table = index;
    }

    fn delete(&mut self, index: u64, key: &'static str) {
        if self.stored.remove(key).is_some() {
            self.buried.push((key, index));
            self.table = index;
        }
    }

    fn delete_tree(&mut self, index: u64, prefix: &'static str) {
        let before = self.stored.len();
        self.stored.retain(|key, _| !key.starts_with(prefix));
        if self.stored.len() < before {
            self.table = index;
            // The whole table's end is told by the table's index alone.
            if !prefix.is_empty() {
                self.buried.push((prefix, index));
            }
        }
    }

    /// Applies the step and gives the command that says the same, and its result.
    fn apply(&mut self, index: u64, step: Step) -> (KvOp, Entry, bool) {
        let mut result = false;
        let (op, entry) = match step {
            Step::Set(key, value) => {
                self.set(index, key, value);
                (KvOp::Set, Entry::new(key, vec![value]))
            }
            Step::Cas(key, value, guess) => {
                let expected = self.guess(key, guess);
                let modified = self.stored.get(key).map_or(0, |stored| stored.2);
                result = modified == expected;
                if result {
                    self.set(index, key, value);
                }
                let entry = Entry::new(key, vec![value]);
                (KvOp::Cas, expecting(entry, expected))
            }
            Step::Delete(key) => {
                self.delete(index, key);
                (KvOp::Delete, Entry::key(key))
            }
            Step::DeleteCas(key, guess) => {
                let expected = self.guess(key, guess);
                let modified = self.stored.get(key).map(|stored| stored.2);
                result = modified.is_none_or(|modified| modified == expected);
                if result {
                    self.delete(index, key);
                }
                (KvOp::DeleteCas, expecting(Entry::key(key), expected))
            }
            Step::DeleteTree(prefix) => {
                self.delete_tree(index, prefix);
                (KvOp::DeleteTree, Entry::key(prefix))
            }
        };
        (op, entry, result)
    }

    /// The index of a list: the newest entry or burial below the prefix, else the table's.
    fn list_index(&self, prefix: &str) -> u64 {
        if prefix.is_empty() {
            return self.table;
        }
        let stored = self
            .stored
            .iter()
            .filter(|(key, _)| key.starts_with(prefix));
        let buried = self
            .buried
            .iter()
            .filter(|(key, _)| key.starts_with(prefix));
        let newest = stored.map(|(_, stored)| stored.2).max();
        let newest = newest.max(buried.map(|(_, index)| *index).max());
        newest.unwrap_or(self.table)
    }
}

fn expecting(entry: Entry, modify_index: u64) -> Entry {
    Entry {
        modify_index,
        ..entry
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_does_what_the_model_does(steps in prop::collection::vec(step(), 0..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let log = Log::elected(Arc::new(Store::new()));
        let mut model = Model::default();
        for step in steps {
            let index = log.store().snapshot().last_index() + 1;
            let (op, entry, result) = model.apply(index, step);
            let applied = runtime.block_on(log.propose(Command::Kv(op, entry)));
            prop_assert_eq!(applied, Ok(result));
            let snapshot = log.store().snapshot();
            prop_assert_eq!(snapshot.last_index(), index);
            prop_assert_eq!(snapshot.kv().index(), model.table);
            for key in KEYS {
                let stored = snapshot.kv().get(key.as_bytes());
                let stored = stored.map(|entry| (entry.value.clone(), entry.create_index, entry.modify_index));
                let wanted = model.stored.get(key).map(|(value, created, modified)| {
                    (Some(Bytes::copy_from_slice(&[*value])), *created, *modified)
                });
                prop_assert_eq!(stored, wanted);
            }
            for prefix in PREFIXES {
                let listed = snapshot.kv().list(prefix.as_bytes());
                let keys: Vec<_> = listed.entries.iter().map(|entry| entry.key.clone()).collect();
                let wanted: Vec<_> = model.stored.keys().filter(|key| key.starts_with(prefix)).collect();
                prop_assert_eq!(keys, wanted);
                prop_assert_eq!(listed.index, model.list_index(prefix), "below {:?}", prefix);
            }
        }
    }
}
