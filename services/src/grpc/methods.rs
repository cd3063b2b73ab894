//! The paths that a server knows.

use std::{collections::HashMap, sync::Arc};

use oneport_proto::{Class, Family, Method, MethodInfo, TooManyMethods};

/// The methods that a gRPC server knows, interned; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Methods(Arc<HashMap<&'static str, &'static MethodInfo>>);

impl Methods {
    /// The methods of these paths, `/package.Service/Method`, and classes.
    ///
    /// # Errors
    /// [`TooManyMethods`] when the process knows too many.
    pub fn new(
        paths: impl IntoIterator<Item = (&'static str, Class)>,
    ) -> Result<Methods, TooManyMethods> {
        let known = paths
            .into_iter()
            .map(|(path, class)| Ok((path, MethodInfo::intern(Family::Grpc, path, class)?)));
        Ok(Methods(Arc::new(known.collect::<Result<_, _>>()?)))
    }

    /// The method of this path, as it came on the wire.
    pub fn find(&self, path: &str) -> Method {
        match self.0.get(path) {
            Some(info) => Method::Known(info),
            None => Method::Unknown(Family::Grpc),
        }
    }

    /// All of them, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &'static MethodInfo> {
        self.0.values().copied()
    }
}
