//! What a caller may do, in the words of Consul's ACLs.

use std::fmt;

use bytes::Bytes;

/// What is done to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Looking at it.
    Read,
    /// Changing it, and looking at it.
    Write,
}

impl Access {
    /// Consul's word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Access::Read => "read",
            Access::Write => "write",
        }
    }
}

/// What a rule can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// One key of the key-value store.
    Key,
    /// All keys that begin with the given one, those of the future too: what a deletion of a whole
    /// tree asks for.
    KeyTree,
    /// One method, by its name on the wire. Consul has no such rules.
    Method,
}

impl Resource {
    /// Consul's word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Resource::Key | Resource::KeyTree => "key",
            Resource::Method => "method",
        }
    }
}

/// What somebody is allowed to do. Whoever authenticates a caller hands this to its
/// [`Identity`](crate::Identity); whoever knows what a call is about asks it.
pub trait Grants: fmt::Debug + Send + Sync {
    /// Whether `access` to the `resource` called `name` is granted.
    fn allow(&self, access: Access, resource: Resource, name: &[u8]) -> bool;
}

/// The grants of somebody who may do everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Everything;

impl Grants for Everything {
    fn allow(&self, _: Access, _: Resource, _: &[u8]) -> bool {
        true
    }
}

/// Why somebody was denied. Printed, it is the text of Consul 1.13 that its clients look for; they
/// match its first two words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Denial {
    /// No reason is given.
    #[default]
    Plain,
    /// A permission is missing.
    Lacks {
        /// The accessor id of the caller's token: its public name, never the secret. `None` where
        /// there is none.
        accessor: Option<std::sync::Arc<str>>,
        /// What the caller wanted to do,
        access: Access,
        /// to what kind of thing,
        resource: Resource,
        /// and to which. Any bytes; empty where the resource has no name.
        name: Bytes,
    },
}

impl Denial {
    /// The text with the resource's name as it is, which need not be UTF-8.
    pub fn text(&self) -> Vec<u8> {
        let mut text = b"Permission denied".to_vec();
        let Denial::Lacks {
            accessor,
            access,
            resource,
            name,
        } = self
        else {
            return text;
        };
        let who = match accessor {
            Some(accessor) => format!("token with AccessorID '{accessor}'"),
            None => "provided token".to_owned(),
        };
        let (resource, access) = (resource.name(), access.name());
        text.extend_from_slice(
            format!(": {who} lacks permission '{resource}:{access}'").as_bytes(),
        );
        if !name.is_empty() {
            text.extend_from_slice(b" on \"");
            text.extend_from_slice(name);
            text.push(b'"');
        }
        text
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_is_consuls_text() {
        let mut accessor = Some("00000000-0000-0000-0000-000000000002".into());
        let denial = |accessor: &Option<std::sync::Arc<str>>, name| Denial::Lacks {
            accessor: accessor.clone(),
            access: Access::Read,
            resource: Resource::Key,
            name: Bytes::from_static(name),
        };
        assert_eq!(
            denial(&accessor, b"foo/x").to_string(),
            "Permission denied: token with AccessorID '00000000-0000-0000-0000-000000000002' \
             lacks permission 'key:read' on \"foo/x\""
        );
        accessor = None;
        assert_eq!(
            denial(&accessor, b"").to_string(),
            "Permission denied: provided token lacks permission 'key:read'"
        );
        assert!(denial(&accessor, b"\xff").text().ends_with(b" on \"\xff\""));
        assert_eq!(Denial::Plain.to_string(), "Permission denied");
    }
}
