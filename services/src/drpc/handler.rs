//! A handler that forgot its types.

use std::{future::Future, marker::PhantomData, pin::Pin};

use oneport_proto::{BoxError, Head};
use tower::{Service, ServiceExt};

use super::{failure::Failure, reply::Reply, request::Request, status::Status};

/// A call under way.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Reply, BoxError>> + Send>>;

/// What answers the calls of one method, or of a whole module.
pub(crate) trait Handler: Send + Sync {
    fn call(&self, request: Request) -> Answer;
}

/// An `async fn(head, request) -> Result<response, error>`.
pub(crate) struct Typed<F, Req> {
    function: F,
    request: PhantomData<fn() -> Req>,
}

impl<F, Req> Typed<F, Req> {
    pub(crate) fn new(function: F) -> Self {
        Typed {
            function,
            request: PhantomData,
        }
    }
}

impl<F, Fut, Req, Rsp, E> Handler for Typed<F, Req>
where
    F: Fn(Head, Req) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Rsp, E>> + Send + 'static,
    Req: prost::Message + Default,
    Rsp: prost::Message,
    E: Into<BoxError>,
{
    fn call(&self, request: Request) -> Answer {
        match Req::decode(request.body) {
            Ok(decoded) => {
                let running = (self.function)(request.head, decoded);
                Box::pin(async move {
                    let response = running.await.map_err(Into::into)?;
                    Ok(Reply::value(&response))
                })
            }
            Err(error) => {
                tracing::debug!(method = request.head.method.name(), %error, "bad dRPC body");
                failed(Status::FAILED_UNMARSHAL_PAYLOAD)
            }
        }
    }
}

/// A tower service; each call gets a clone that is waited for.
pub(crate) struct Whole<S>(pub(crate) S);

impl<S> Handler for Whole<S>
where
    S: Service<Request, Response = Reply, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
{
    fn call(&self, request: Request) -> Answer {
        let called = self.0.clone().oneshot(request);
        Box::pin(async move { called.await.map_err(Into::into) })
    }
}

/// A call that ended before it began.
pub(crate) fn failed(status: Status) -> Answer {
    Box::pin(std::future::ready(Err(Failure::new(status).into())))
}
