//! Who a caller is, and the place where it is written.

use std::{
    fmt, mem,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;

use crate::{
    Class, Method, Refusal,
    permission::{Access, Denial, Grants, Resource},
};

/// Who a caller is, once somebody found out, and what it may do. Cheap to clone.
#[derive(Clone)]
pub struct Identity(Arc<Facts>);

struct Facts {
    name: Box<str>,
    accessor: Option<Arc<str>>,
    grants: Option<Arc<dyn Grants>>,
}

impl Identity {
    /// Somebody of this name, which is fit for logs and for keys of per-identity limits; never a
    /// secret. Nothing is granted to it.
    pub fn new(name: impl Into<Box<str>>) -> Identity {
        Identity(Arc::new(Facts {
            name: name.into(),
            accessor: None,
            grants: None,
        }))
    }

    /// The holder of a token: `accessor` is the token's public id, which refusals name.
    pub fn with_token(
        name: impl Into<Box<str>>,
        accessor: impl Into<Arc<str>>,
        grants: Arc<dyn Grants>,
    ) -> Identity {
        Identity(Arc::new(Facts {
            name: name.into(),
            accessor: Some(accessor.into()),
            grants: Some(grants),
        }))
    }

    /// Somebody without a token.
    pub fn with_grants(name: impl Into<Box<str>>, grants: Arc<dyn Grants>) -> Identity {
        Identity(Arc::new(Facts {
            name: name.into(),
            accessor: None,
            grants: Some(grants),
        }))
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The accessor id of the caller's token, if it came by one.
    pub fn accessor(&self) -> Option<&str> {
        self.0.accessor.as_deref()
    }

    /// Whether the caller may call this method at all: a read needs [`Access::Read`] to it, a write
    /// [`Access::Write`]. Exempt methods are for everybody; so are unknown ones, whose callers are
    /// told that they are unknown. Where nobody said what is granted, that a caller is known is
    /// enough to call.
    ///
    /// # Errors
    /// [`Refusal::Denied`] if it was not granted.
    pub fn may_call(&self, method: &Method) -> Result<(), Refusal> {
        let Method::Known(info) = method else {
            return Ok(());
        };
        let access = match info.class {
            Class::Read => Access::Read,
            Class::Write => Access::Write,
            Class::Exempt => return Ok(()),
        };
        if self.0.grants.is_none() {
            return Ok(());
        }
        self.may(access, Resource::Method, info.name.as_bytes())
    }

    /// Whether the caller may do this. Where nobody said what is granted, nothing is.
    ///
    /// # Errors
    /// [`Refusal::Denied`], with Consul's text, if it was not granted.
    pub fn may(&self, access: Access, resource: Resource, name: &[u8]) -> Result<(), Refusal> {
        let granted = self.0.grants.as_ref();
        if granted.is_some_and(|grants| grants.allow(access, resource, name)) {
            return Ok(());
        }
        Err(Refusal::Denied(Denial::Lacks {
            accessor: self.0.accessor.clone(),
            access,
            resource,
            name: Bytes::copy_from_slice(name),
        }))
    }
}

/// Two identities are one if everything that is said of them is.
impl PartialEq for Identity {
    fn eq(&self, other: &Identity) -> bool {
        let grants = match (&self.0.grants, &other.0.grants) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        };
        grants && self.0.name == other.0.name && self.0.accessor == other.0.accessor
    }
}

impl Eq for Identity {}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("name", &self.0.name)
            .field("accessor", &self.0.accessor)
            .finish_non_exhaustive()
    }
}

/// A place for one [`Identity`], with its call's head. Whoever is further out than auth and wants to
/// know afterwards what it found, as trace does, [shares](IdentitySlot::share) the place before; a
/// call that nobody looks at costs no allocation for it.
#[derive(Clone, Debug, Default)]
pub struct IdentitySlot(State);

#[derive(Clone, Debug, Default)]
enum State {
    #[default]
    Empty,
    Own(Identity),
    Shared(Arc<OnceLock<Identity>>),
}

impl IdentitySlot {
    /// The identity, if it was written.
    pub fn get(&self) -> Option<&Identity> {
        match &self.0 {
            State::Empty => None,
            State::Own(identity) => Some(identity),
            State::Shared(shared) => shared.get(),
        }
    }

    /// Writes the identity.
    ///
    /// # Errors
    /// Gives the identity back when one was written before: the first one holds.
    pub fn set(&mut self, identity: Identity) -> Result<(), Identity> {
        match &self.0 {
            State::Empty => {
                self.0 = State::Own(identity);
                Ok(())
            }
            State::Own(_) => Err(identity),
            State::Shared(shared) => shared.set(identity),
        }
    }

    /// The same place once more: from now on each sees what is written into the other, and so do
    /// their clones. A clone of a slot that nobody shared is a place of its own.
    pub fn share(&mut self) -> IdentitySlot {
        let shared = match mem::take(&mut self.0) {
            State::Empty => Arc::default(),
            State::Own(identity) => Arc::new(OnceLock::from(identity)),
            State::Shared(shared) => shared,
        };
        self.0 = State::Shared(shared);
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Family, MethodInfo, permission::Everything};

    #[test]
    fn who_shares_a_slot_sees_what_is_written_later() {
        let mut inner = IdentitySlot::default();
        let mut outer = inner.share();
        let who = Identity::new("ann");
        assert_eq!(outer.get(), None);
        inner.set(who.clone()).unwrap();
        assert_eq!(outer.get(), Some(&who));
        assert_eq!(outer.set(Identity::new("bob")).unwrap_err().name(), "bob");
        assert_eq!(inner.get(), Some(&who));
        assert_eq!(inner.share().get(), Some(&who));
    }

    #[test]
    fn a_slot_that_nobody_shares_holds_one_identity_too() {
        let mut slot = IdentitySlot::default();
        let mut early = slot.clone();
        slot.set(Identity::new("ann")).unwrap();
        assert_eq!(slot.set(Identity::new("bob")).unwrap_err().name(), "bob");
        assert_eq!(early.get(), None);
        early.set(Identity::new("bob")).unwrap();
        let mut late = slot.share();
        assert_eq!(late.get().unwrap().name(), "ann");
        assert!(late.set(Identity::new("bob")).is_err());
    }

    #[test]
    fn what_was_not_granted_is_denied() {
        let may = |who: Identity| who.may(Access::Write, Resource::Key, b"k");
        assert!(may(Identity::new("ann")).is_err());
        let everything = Identity::with_grants("ann", Arc::new(Everything));
        assert_eq!(may(everything.clone()), Ok(()));
        let method = Method::Known(MethodInfo::intern(Family::Grpc, "I.W", Class::Write).unwrap());
        assert_eq!(everything.may_call(&method), Ok(()));
        assert_eq!(Identity::new("ann").may_call(&method), Ok(()));
    }
}
