//! The names that a server knows.

use std::{cmp::Ordering, collections::HashSet, sync::Arc};

use oneport_proto::{Class, Family, Method, MethodInfo, TooManyMethods};

use super::fault::Fault;

/// The methods that a server knows, interned; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Methods(Arc<Names>);

#[derive(Clone, Debug, Default)]
struct Names {
    /// In the order of [`compare`]: for so few names a search costs less than a hash that a
    /// stranger cannot foresee.
    methods: Vec<&'static MethodInfo>,
    services: HashSet<&'static [u8]>,
}

impl Methods {
    /// The methods of these names and classes. What stands before a name's last dot is its service.
    ///
    /// # Errors
    /// [`TooManyMethods`] when the process knows too many.
    pub fn new(
        names: impl IntoIterator<Item = (&'static str, Class)>,
    ) -> Result<Methods, TooManyMethods> {
        let mut known = Names::default();
        for (name, class) in names {
            let info = MethodInfo::intern(Family::NetRpc, name, class)?;
            known.methods.push(info);
            if let Some(service) = service_of(name.as_bytes()) {
                known.services.insert(service);
            }
        }
        let by_name = |a: &&MethodInfo, b: &&MethodInfo| compare(a, b.name.as_bytes());
        known.methods.sort_by(by_name);
        known.methods.dedup();
        Ok(Methods(Arc::new(known)))
    }

    /// The method of this name, as it came on the wire.
    pub fn find(&self, name: &[u8]) -> Method {
        let methods = &self.0.methods;
        match methods.binary_search_by(|info| compare(info, name)) {
            Ok(at) => Method::Known(methods[at]),
            Err(_) => Method::Unknown(Family::NetRpc),
        }
    }

    /// What is wrong with a name that is not known, by Go's rules.
    pub fn fault(&self, name: &[u8]) -> Fault {
        match service_of(name) {
            None => Fault::IllFormed,
            Some(service) if self.0.services.contains(service) => Fault::NoMethod,
            Some(_) => Fault::NoService,
        }
    }

    /// All of them, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &'static MethodInfo> {
        self.0.methods.iter().copied()
    }
}

/// Short names before long ones: most are told apart without a look at their bytes.
fn compare(info: &MethodInfo, name: &[u8]) -> Ordering {
    let known = info.name.as_bytes();
    known.len().cmp(&name.len()).then_with(|| known.cmp(name))
}

/// The service is what stands before the last dot, as in Go.
fn service_of(name: &[u8]) -> Option<&[u8]> {
    let dot = name.iter().rposition(|&byte| byte == b'.')?;
    Some(&name[..dot])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_as_go_does() {
        let methods = Methods::new([("KVS.Get", Class::Read)]).unwrap();
        assert_eq!(methods.find(b"KVS.Get").name(), "KVS.Get");
        assert_eq!(methods.find(b"kvs.Get"), Method::Unknown(Family::NetRpc));
        for (name, fault, text) in [
            (
                "",
                Fault::IllFormed,
                "rpc: service/method request ill-formed: ",
            ),
            (
                "KVSGet",
                Fault::IllFormed,
                "rpc: service/method request ill-formed: KVSGet",
            ),
            (".", Fault::NoService, "rpc: can't find service ."),
            ("KVS.", Fault::NoMethod, "rpc: can't find method KVS."),
            (
                "KVS..Get",
                Fault::NoService,
                "rpc: can't find service KVS..Get",
            ),
            (
                "A.KVS.Get",
                Fault::NoService,
                "rpc: can't find service A.KVS.Get",
            ),
            ("KVS.get", Fault::NoMethod, "rpc: can't find method KVS.get"),
            (
                "KVS.Get ",
                Fault::NoMethod,
                "rpc: can't find method KVS.Get ",
            ),
        ] {
            let found = methods.fault(name.as_bytes());
            assert_eq!(found, fault, "{name}");
            assert_eq!(found.text(name.as_bytes()), text.as_bytes());
        }
    }
}
