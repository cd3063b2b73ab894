//! The numbers that a server knows.

use std::{collections::HashMap, sync::Arc};

use oneport_proto::{Class, Family, Method, MethodInfo, TooManyMethods};

/// The modules and methods that a server knows, interned as `module.method`; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Methods(Arc<HashMap<i32, Names>>);

/// One module's names.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    name: &'static str,
    methods: HashMap<i32, &'static MethodInfo>,
}

impl Names {
    pub(crate) fn new(name: &'static str) -> Names {
        Names {
            name,
            methods: HashMap::new(),
        }
    }

    /// Adds a method; false if the number has one already.
    pub(crate) fn add(
        &mut self,
        id: i32,
        name: &str,
        class: Class,
    ) -> Result<bool, TooManyMethods> {
        let whole = format!("{}.{name}", self.name);
        let info = MethodInfo::intern_copy(Family::Drpc, &whole, class)?;
        Ok(self.methods.insert(id, info).is_none())
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }
}

impl Methods {
    pub(crate) fn new(modules: HashMap<i32, Names>) -> Methods {
        Methods(Arc::new(modules))
    }

    /// The method of these numbers, as they came on the wire.
    pub fn find(&self, module: i32, method: i32) -> Method {
        let names = self.0.get(&module);
        match names.and_then(|names| names.methods.get(&method)) {
            Some(info) => Method::Known(info),
            None => Method::Unknown(Family::Drpc),
        }
    }

    /// The name of a module, if it is known.
    pub fn module(&self, module: i32) -> Option<&'static str> {
        self.0.get(&module).map(Names::name)
    }

    /// All of them with their numbers, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (i32, i32, &'static MethodInfo)> {
        self.0.iter().flat_map(|(module, names)| {
            let methods = names.methods.iter();
            methods.map(|(method, info)| (*module, *method, *info))
        })
    }
}
