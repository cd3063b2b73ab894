//! What is called: methods, interned.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// How many distinct methods one process may intern. A method is a piece of code, so this bounds a
/// programming mistake (interning names from the wire), not traffic.
pub const MAX_METHODS: usize = 16_384;

/// What a call does, as far as limits care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Changes nothing.
    Read,
    /// Changes state.
    Write,
    /// Never limited (liveness probes, connection acceptance).
    Exempt,
}

/// The family that a method belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// A connection as a call: its only method is `accept`.
    Connection,
    /// Go's net/rpc over msgpack.
    NetRpc,
    /// gRPC.
    Grpc,
    /// DAOS dRPC.
    Drpc,
    /// A host's own protocol, by the name that it has in logs and metrics.
    Host(&'static str),
}

impl Family {
    /// The label for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Family::Connection => "connection",
            Family::NetRpc => "netrpc",
            Family::Grpc => "grpc",
            Family::Drpc => "drpc",
            Family::Host(name) => name,
        }
    }
}

/// A known method: one for each (family, name) in a process, with a dense id that layers may use
/// as an index.
#[derive(Debug, PartialEq, Eq)]
pub struct MethodInfo {
    /// Counted from 0 in the order of interning; below [`MAX_METHODS`].
    pub id: usize,
    /// The name as it is on the wire, for example `KVS.Get`.
    pub name: &'static str,
    /// What it does.
    pub class: Class,
    /// Whose method it is.
    pub family: Family,
}

/// [`MAX_METHODS`] are interned already.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("method {name} is one too many: a process interns at most {MAX_METHODS}")]
pub struct TooManyMethods {
    /// The name that found no room.
    pub name: String,
}

/// All that are interned.
type Table = HashMap<(Family, &'static str), &'static MethodInfo>;

/// Looks up a name that need not live as long as the table's own.
fn known<'a>(
    table: &HashMap<(Family, &'a str), &'static MethodInfo>,
    family: Family,
    name: &'a str,
) -> Option<&'static MethodInfo> {
    table.get(&(family, name)).copied()
}

impl MethodInfo {
    /// The one `MethodInfo` of this name and protocol; the class of the first call holds.
    ///
    /// Call it when services are put together, never with a name from the wire: entries live as
    /// long as the process.
    ///
    /// # Errors
    /// [`TooManyMethods`] when [`MAX_METHODS`] are known.
    pub fn intern(
        family: Family,
        name: &'static str,
        class: Class,
    ) -> Result<&'static MethodInfo, TooManyMethods> {
        MethodInfo::intern_with(family, name, class, || name)
    }

    /// As [`intern`](MethodInfo::intern), for a name that was put together: it is copied the first
    /// time.
    ///
    /// # Errors
    /// [`TooManyMethods`] when [`MAX_METHODS`] are known.
    pub fn intern_copy(
        family: Family,
        name: &str,
        class: Class,
    ) -> Result<&'static MethodInfo, TooManyMethods> {
        MethodInfo::intern_with(family, name, class, || {
            Box::leak(name.to_owned().into_boxed_str())
        })
    }

    fn intern_with(
        family: Family,
        name: &str,
        class: Class,
        keep: impl FnOnce() -> &'static str,
    ) -> Result<&'static MethodInfo, TooManyMethods> {
        static TABLE: Mutex<Option<Table>> = Mutex::new(None);
        let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
        let table = table.get_or_insert_default();
        if let Some(known) = known(table, family, name) {
            return Ok(known);
        }
        let id = table.len();
        if id >= MAX_METHODS {
            return Err(TooManyMethods {
                name: name.to_owned(),
            });
        }
        let name = keep();
        let info = Box::leak(Box::new(MethodInfo {
            id,
            name,
            class,
            family,
        }));
        table.insert((family, name), info);
        Ok(info)
    }

    /// The method of every connection: `accept`.
    pub fn accept() -> &'static MethodInfo {
        static ACCEPT: MethodInfo = MethodInfo {
            // Outside the dense range of interned ids on purpose: it is not interned.
            id: MAX_METHODS,
            name: "accept",
            class: Class::Exempt,
            family: Family::Connection,
        };
        &ACCEPT
    }
}

/// The method of a call, as far as the driver knows it. An unknown name never gets further than
/// the driver: it is no metric label and no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Registered.
    Known(&'static MethodInfo),
    /// Not registered in this protocol.
    Unknown(Family),
}

impl Method {
    /// The name for logs and labels; `unknown` for an unknown one.
    pub fn name(&self) -> &'static str {
        match self {
            Method::Known(info) => info.name,
            Method::Unknown(_) => "unknown",
        }
    }

    /// The family of the call.
    pub fn family(&self) -> Family {
        match self {
            Method::Known(info) => info.family,
            Method::Unknown(family) => *family,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_interned_once_per_protocol() {
        let a = MethodInfo::intern(Family::NetRpc, "T.A", Class::Read).unwrap();
        let again = MethodInfo::intern(Family::NetRpc, "T.A", Class::Write).unwrap();
        let other = MethodInfo::intern(Family::Grpc, "T.A", Class::Read).unwrap();
        let copied = MethodInfo::intern_copy(Family::NetRpc, &["T", "A"].join("."), Class::Read);
        assert!(std::ptr::eq(a, copied.unwrap()));
        assert!(std::ptr::eq(a, again));
        assert_eq!(again.class, Class::Read);
        assert_ne!(a.id, other.id);
    }
}
