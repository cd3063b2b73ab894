//! What a request is made of: values, and values that only a server can give.

use std::collections::BTreeMap;
use std::fmt;

use crate::matrix::ask::text;
use crate::matrix::msgpack::Value;

/// A part of a request.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Item {
    Value(Value),
    /// Text that begins with the prefix of this run.
    Own(Vec<u8>),
    /// The modify index of this key below the prefix, and so much more; 0 if there is no such key.
    ModifyIndex(Vec<u8>, i64),
    /// The index that this query would get now, and so much more.
    Now(i64),
    /// Bytes as they are.
    Bytes(Vec<u8>),
    List(Vec<Item>),
    Struct(Vec<(Value, Item)>),
}

/// What one server says about the items of one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) prefix: Vec<u8>,
    pub(crate) modified: BTreeMap<Vec<u8>, u64>,
    pub(crate) now: u64,
}

impl Known {
    pub(crate) fn own(&self, tail: &[u8]) -> Vec<u8> {
        [&self.prefix, tail].concat()
    }
}

impl Item {
    pub(crate) fn text(value: &str) -> Item {
        Item::Value(text(value))
    }

    pub(crate) fn uint(value: u64) -> Item {
        Item::Value(Value::UInt(value))
    }

    pub(crate) fn fields<const N: usize>(fields: [(&str, Item); N]) -> Item {
        Item::Struct(fields.map(|(name, item)| (text(name), item)).into())
    }

    /// The value of a field of a struct.
    pub(crate) fn field(&self, name: &str) -> Option<&Item> {
        match self {
            Item::Struct(fields) => {
                let found = fields.iter().find(|(key, _)| key.is_text(name));
                found.map(|(_, item)| item)
            }
            _ => None,
        }
    }

    /// Sets a field of a struct, or adds it.
    pub(crate) fn set(&mut self, name: &str, item: Item) {
        if let Item::Struct(fields) = self {
            match fields.iter_mut().find(|(key, _)| key.is_text(name)) {
                Some(field) => field.1 = item,
                None => fields.push((text(name), item)),
            }
        }
    }

    /// Takes a field away.
    pub(crate) fn without(&self, name: &str) -> Item {
        match self {
            Item::Struct(fields) => {
                let others = fields.iter().filter(|(key, _)| !key.is_text(name));
                Item::Struct(others.cloned().collect())
            }
            other => other.clone(),
        }
    }

    /// Looks at this item and all of its parts.
    pub(crate) fn visit(&self, see: &mut dyn FnMut(&Item)) {
        see(self);
        match self {
            Item::List(items) => items.iter().for_each(|item| item.visit(see)),
            Item::Struct(fields) => fields.iter().for_each(|(_, item)| item.visit(see)),
            _ => {}
        }
    }

    pub(crate) fn encode(&self, known: &Known) -> Vec<u8> {
        let plus = |index: u64, more: i64| Value::UInt(index.saturating_add_signed(more)).encode();
        match self {
            Item::Value(value) => value.encode(),
            Item::Own(tail) => Value::Raw(known.own(tail)).encode(),
            Item::ModifyIndex(key, more) => {
                plus(known.modified.get(key).copied().unwrap_or(0), *more)
            }
            Item::Now(more) => plus(known.now, *more),
            Item::Bytes(bytes) => bytes.clone(),
            Item::List(items) => {
                let mut out = sized(Value::Array(vec![Value::Nil; items.len()]));
                items.iter().for_each(|item| out.extend(item.encode(known)));
                out
            }
            Item::Struct(fields) => {
                let mut out = sized(Value::Map(vec![(Value::Nil, Value::Nil); fields.len()]));
                for (key, item) in fields {
                    out.extend(key.encode());
                    out.extend(item.encode(known));
                }
                out
            }
        }
    }

    /// The same with one thing less in it, or one thing simpler.
    pub(crate) fn simpler(&self) -> Vec<Item> {
        match self {
            Item::Value(Value::Raw(bytes)) if !bytes.is_empty() => {
                let half = bytes[..bytes.len() / 2].to_vec();
                [Vec::new(), half, bytes[..bytes.len() - 1].to_vec()]
                    .map(|bytes| Item::Value(Value::Raw(bytes)))
                    .into()
            }
            Item::Value(Value::UInt(number)) if *number > 1 => vec![Item::uint(0), Item::uint(1)],
            Item::Own(tail) if tail != b"a" && !tail.is_empty() => {
                let half = tail[..tail.len() / 2].to_vec();
                vec![Item::Own(b"a".to_vec()), Item::Own(half)]
            }
            Item::List(items) => {
                let shorter = (0..items.len()).map(|at| {
                    let mut fewer = items.clone();
                    fewer.remove(at);
                    Item::List(fewer)
                });
                shorter.collect()
            }
            Item::Struct(fields) => simpler_fields(fields),
            _ => Vec::new(),
        }
    }
}

fn simpler_fields(fields: &[(Value, Item)]) -> Vec<Item> {
    let mut found = Vec::new();
    for at in 0..fields.len() {
        let mut fewer = fields.to_vec();
        fewer.remove(at);
        found.push(Item::Struct(fewer));
    }
    for (at, (_, item)) in fields.iter().enumerate() {
        for simpler in item.simpler() {
            let mut changed = fields.to_vec();
            changed[at].1 = simpler;
            found.push(Item::Struct(changed));
        }
    }
    found
}

/// The head of a list or a map of this size.
fn sized(of_this_size: Value) -> Vec<u8> {
    let (parts, value) = match &of_this_size {
        Value::Array(items) => (items.len(), &of_this_size),
        Value::Map(entries) => (2 * entries.len(), &of_this_size),
        _ => (0, &of_this_size),
    };
    let mut bytes = value.encode();
    bytes.truncate(bytes.len() - parts);
    bytes
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Value(value) => write!(f, "{value:?}"),
            Item::Own(tail) => write!(f, "own {:?}", Value::Raw(tail.clone())),
            Item::ModifyIndex(key, more) => {
                write!(f, "ModifyIndex of {:?}{more:+}", Value::Raw(key.clone()))
            }
            Item::Now(more) => write!(f, "index now{more:+}"),
            Item::Bytes(bytes) => {
                f.write_str("bytes ")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Item::List(items) => f.debug_list().entries(items).finish(),
            Item::Struct(fields) => f
                .debug_map()
                .entries(fields.iter().map(|(key, item)| (key, item)))
                .finish(),
        }
    }
}
