//! What serves the methods of one module.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    sync::Arc,
    task::{Context, Poll},
};

use oneport_proto::{BoxError, Class, Head};
use tower::Service;

use super::{
    handler::{Answer, Handler, Typed, Whole, failed},
    methods::Names,
    reply::Reply,
    request::Request,
    router::RouteError,
    status::Status,
};

/// The methods of one module: a tower service of [`Request`]s. Cheap to clone; always ready.
///
/// A method that it does not have is answered [`UNKNOWN_METHOD`](Status::UNKNOWN_METHOD).
#[derive(Clone)]
pub struct Module(Arc<Inner>);

struct Inner {
    id: i32,
    names: Names,
    methods: HashMap<i32, Box<dyn Handler>>,
    otherwise: Option<Box<dyn Handler>>,
}

/// A module under construction: see [`Module::builder`].
pub struct ModuleBuilder {
    inner: Inner,
    error: Option<RouteError>,
}

impl Module {
    /// A module of this number. DAOS has 0 for tests and demonstrations, 1 to 4 for its own, and its
    /// servers in C know no others; here any number will do. The name is for logs and metrics.
    pub fn builder(id: i32, name: &'static str) -> ModuleBuilder {
        ModuleBuilder {
            inner: Inner {
                id,
                names: Names::new(name),
                methods: HashMap::new(),
                otherwise: None,
            },
            error: None,
        }
    }

    /// Its number.
    pub fn id(&self) -> i32 {
        self.0.id
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.0.names.name()
    }

    pub(crate) fn names(&self) -> &Names {
        &self.0.names
    }

    pub(crate) fn answer(&self, request: Request) -> Answer {
        let handler = self.0.methods.get(&request.method);
        match handler.or(self.0.otherwise.as_ref()) {
            Some(handler) => handler.call(request),
            None => failed(Status::UNKNOWN_METHOD),
        }
    }
}

impl ModuleBuilder {
    /// Adds a method: an `async fn(head, request) -> Result<response, error>` of prost messages.
    ///
    /// The error may be a [`Failure`](super::Failure) or a [`tonic::Status`], as everything else
    /// here fails with; [`Status::of_error`] says what becomes of it. A body that is no `Req` is
    /// answered [`FAILED_UNMARSHAL_PAYLOAD`](Status::FAILED_UNMARSHAL_PAYLOAD).
    #[must_use]
    pub fn method<F, Fut, Req, Rsp, E>(
        self,
        id: i32,
        name: &'static str,
        class: Class,
        function: F,
    ) -> ModuleBuilder
    where
        F: Fn(Head, Req) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Rsp, E>> + Send + 'static,
        Req: prost::Message + Default + 'static,
        Rsp: prost::Message + 'static,
        E: Into<BoxError> + 'static,
    {
        self.handler(id, name, class, Box::new(Typed::new(function)))
    }

    /// Adds a method that is a service of requests whose bodies are bytes.
    #[must_use]
    pub fn service<S>(self, id: i32, name: &'static str, class: Class, service: S) -> ModuleBuilder
    where
        S: Service<Request, Response = Reply, Error: Into<BoxError>, Future: Send>
            + Clone
            + Send
            + Sync
            + 'static,
    {
        self.handler(id, name, class, Box::new(Whole(service)))
    }

    /// Serves all other methods of the module, which have no names: in metrics they are `unknown`.
    #[must_use]
    pub fn otherwise<S>(mut self, service: S) -> ModuleBuilder
    where
        S: Service<Request, Response = Reply, Error: Into<BoxError>, Future: Send>
            + Clone
            + Send
            + Sync
            + 'static,
    {
        self.inner.otherwise = Some(Box::new(Whole(service)));
        self
    }

    fn handler(
        mut self,
        id: i32,
        name: &'static str,
        class: Class,
        handler: Box<dyn Handler>,
    ) -> ModuleBuilder {
        let added = match self.inner.names.add(id, name, class) {
            Ok(true) => Ok(()),
            Ok(false) => Err(RouteError::MethodTaken {
                module: self.inner.names.name(),
                id,
                name,
            }),
            Err(error) => Err(error.into()),
        };
        self.inner.methods.insert(id, handler);
        // The first error is the one that tells.
        self.error = self.error.or(added.err());
        self
    }

    /// The finished module.
    ///
    /// # Errors
    /// [`RouteError`] names the first method that cannot be.
    pub fn build(self) -> Result<Module, RouteError> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(Module(Arc::new(self.inner))),
        }
    }
}

impl Service<Request> for Module {
    type Response = Reply;
    type Error = BoxError;
    type Future = Answer;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Answer {
        self.answer(request)
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ModuleBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module")
            .field("id", &self.id)
            .field("name", &self.names.name())
            .field("methods", &self.methods.len())
            .finish_non_exhaustive()
    }
}
