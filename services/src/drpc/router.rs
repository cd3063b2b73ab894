//! Modules by number: the usual innermost service.

use std::{
    collections::HashMap,
    sync::Arc,
    task::{Context, Poll},
};

use oneport_proto::{BoxError, TooManyMethods};
use tower::Service;

use super::{
    handler::{Answer, failed},
    methods::Methods,
    module::Module,
    reply::Reply,
    request::Request,
    status::Status,
};

/// Modules by number. Cheap to clone; always ready.
///
/// A module that is not registered is answered [`UNKNOWN_MODULE`](Status::UNKNOWN_MODULE).
#[derive(Clone, Debug)]
pub struct Router {
    methods: Methods,
    modules: Arc<HashMap<i32, Module>>,
}

/// A router under construction: see [`Router::builder`].
#[derive(Debug, Default)]
pub struct RouterBuilder {
    modules: Vec<Module>,
}

/// A route that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The module's number is another's already.
    #[error("module {id} is registered twice: as {first} and as {second}")]
    ModuleTaken {
        /// The number.
        id: i32,
        /// The name of the module that has it.
        first: &'static str,
        /// The name of the module that wants it.
        second: &'static str,
    },
    /// The method's number is another's already.
    #[error("method {id} of module {module} is registered twice, the second time as {name}")]
    MethodTaken {
        /// The module's name.
        module: &'static str,
        /// The number.
        id: i32,
        /// The second name.
        name: &'static str,
    },
    /// The process knows too many methods.
    #[error(transparent)]
    TooMany(#[from] TooManyMethods),
}

impl Router {
    /// A router without modules.
    pub fn builder() -> RouterBuilder {
        RouterBuilder::default()
    }

    /// The methods that it serves.
    pub fn methods(&self) -> Methods {
        self.methods.clone()
    }
}

impl RouterBuilder {
    /// Adds a module.
    #[must_use]
    pub fn module(mut self, module: Module) -> RouterBuilder {
        self.modules.push(module);
        self
    }

    /// The finished router.
    ///
    /// # Errors
    /// [`RouteError::ModuleTaken`] when two modules have one number.
    pub fn build(self) -> Result<Router, RouteError> {
        let mut modules: HashMap<i32, Module> = HashMap::new();
        for module in self.modules {
            let second = module.name();
            if let Some(first) = modules.insert(module.id(), module.clone()) {
                return Err(RouteError::ModuleTaken {
                    id: module.id(),
                    first: first.name(),
                    second,
                });
            }
        }
        let names = modules.iter();
        let names = names.map(|(id, module)| (*id, module.names().clone()));
        Ok(Router {
            methods: Methods::new(names.collect()),
            modules: Arc::new(modules),
        })
    }
}

impl Service<Request> for Router {
    type Response = Reply;
    type Error = BoxError;
    type Future = Answer;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Answer {
        match self.modules.get(&request.module) {
            Some(module) => module.answer(request),
            None => failed(Status::UNKNOWN_MODULE),
        }
    }
}
