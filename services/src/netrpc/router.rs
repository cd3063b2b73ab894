//! Handlers by method: the usual innermost service.

use std::{
    fmt,
    future::Future,
    sync::Arc,
    task::{Context, Poll},
};

use oneport_proto::{BoxError, Class, Head, Method, TooManyMethods};
use serde::{Serialize, de::DeserializeOwned};
use tonic::Status;
use tower::Service;

use super::{
    handler::{Answer, Handler, Typed, failed},
    methods::Methods,
    reply::Reply,
    request::Request,
};

/// Handlers by method. Cheap to clone; always ready.
///
/// An unknown method is answered with Go's text, by [`Fault`](super::Fault).
#[derive(Clone)]
pub struct Router(Arc<Table>);

struct Table {
    methods: Methods,
    /// By the id of their method.
    handlers: Vec<Option<Box<dyn Handler>>>,
}

/// A router under construction: see [`Router::builder`].
pub struct RouterBuilder<C> {
    context: C,
    routes: Vec<(&'static str, Class, Box<dyn Handler>)>,
}

/// A route that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The method has a handler already.
    #[error("method {0} is registered twice")]
    Taken(&'static str),
    /// A method's name is `Service.Method`.
    #[error("method {0:?} has no dot between service and method")]
    IllFormed(&'static str),
    /// The process knows too many methods.
    #[error(transparent)]
    TooMany(#[from] TooManyMethods),
}

impl Router {
    /// A router whose handlers all get a clone of `context`: their state.
    pub fn builder<C: Clone + Send + Sync + 'static>(context: C) -> RouterBuilder<C> {
        RouterBuilder {
            context,
            routes: Vec::new(),
        }
    }

    /// The methods that it serves.
    pub fn methods(&self) -> Methods {
        self.0.methods.clone()
    }
}

impl<C: Clone + Send + Sync + 'static> RouterBuilder<C> {
    /// Adds a method: an `async fn(context, head, request) -> Result<reply, status>`.
    ///
    /// A failing status is answered with its message as the error text and nothing else.
    #[must_use]
    pub fn method<F, Fut, Req, Rsp>(mut self, name: &'static str, class: Class, function: F) -> Self
    where
        F: Fn(C, Head, Req) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Rsp, Status>> + Send + 'static,
        Req: DeserializeOwned + 'static,
        Rsp: Serialize + Send + 'static,
    {
        let handler = Typed::new(self.context.clone(), function);
        self.routes.push((name, class, Box::new(handler)));
        self
    }

    /// The finished router.
    ///
    /// # Errors
    /// [`RouteError`] names the first route that cannot be.
    pub fn build(self) -> Result<Router, RouteError> {
        let names = self.routes.iter().map(|(name, class, _)| (*name, *class));
        let methods = Methods::new(names)?;
        let mut handlers: Vec<Option<Box<dyn Handler>>> = Vec::new();
        for (name, _, handler) in self.routes {
            if !name.contains('.') {
                return Err(RouteError::IllFormed(name));
            }
            let Method::Known(info) = methods.find(name.as_bytes()) else {
                continue;
            };
            if handlers.len() <= info.id {
                handlers.resize_with(info.id + 1, || None);
            }
            if handlers[info.id].replace(handler).is_some() {
                return Err(RouteError::Taken(name));
            }
        }
        Ok(Router(Arc::new(Table { methods, handlers })))
    }
}

impl Table {
    fn handler(&self, request: &Request) -> Option<&dyn Handler> {
        let method = match request.head.method {
            known @ Method::Known(_) => known,
            // A caller in this process need not intern the names that it calls.
            Method::Unknown(_) => self.methods.find(&request.name),
        };
        match method {
            Method::Known(info) => self.handlers.get(info.id)?.as_deref(),
            Method::Unknown(_) => None,
        }
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
        match self.0.handler(&request) {
            Some(handler) => handler.call(request.head, &request.body),
            None => failed(self.0.methods.fault(&request.name)),
        }
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("methods", &self.0.methods.iter().count())
            .finish()
    }
}

impl<C> fmt::Debug for RouterBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.routes.iter().map(|(name, ..)| name).collect();
        f.debug_tuple("RouterBuilder").field(&names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn nothing((): (), _head: Head, (): ()) -> Result<(), Status> {
        Ok(())
    }

    #[test]
    fn routes_that_cannot_be_are_named() {
        let twice = Router::builder(())
            .method("A.B", Class::Read, nothing)
            .method("A.B", Class::Read, nothing);
        assert_eq!(twice.build().unwrap_err(), RouteError::Taken("A.B"));
        let dotless = Router::builder(()).method("AB", Class::Read, nothing);
        assert_eq!(dotless.build().unwrap_err(), RouteError::IllFormed("AB"));
    }
}
