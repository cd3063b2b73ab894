//! A handler that forgot its types.

use std::{
    future::Future,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use oneport_proto::{BoxError, Head};
use pin_project_lite::pin_project;
use serde::{Serialize, de::DeserializeOwned};
use tonic::Status;

use super::{fault::Fault, reply::Reply};
use crate::msgpack;

/// A call under way.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Reply, BoxError>> + Send>>;

/// A method's code behind its decoder.
pub(crate) trait Handler: Send + Sync {
    fn call(&self, head: Head, body: &Bytes) -> Answer;
}

/// An `async fn(context, head, request) -> Result<reply, status>`.
pub(crate) struct Typed<C, F, Req> {
    context: C,
    function: F,
    request: PhantomData<fn() -> Req>,
}

impl<C, F, Req> Typed<C, F, Req> {
    pub(crate) fn new(context: C, function: F) -> Self {
        Typed {
            context,
            function,
            request: PhantomData,
        }
    }
}

impl<C, F, Fut, Req, Rsp> Handler for Typed<C, F, Req>
where
    C: Clone + Send + Sync,
    F: Fn(C, Head, Req) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Rsp, Status>> + Send + 'static,
    Req: DeserializeOwned,
    Rsp: Serialize + Send + 'static,
{
    fn call(&self, head: Head, body: &Bytes) -> Answer {
        match msgpack::decode(body) {
            Ok(request) => {
                let running = (self.function)(self.context.clone(), head, request);
                Box::pin(Running { running })
            }
            Err(error) => failed(Fault::Body(error)),
        }
    }
}

pin_project! {
    /// A method's code at work. An async block would hold the future twice, and move it once more.
    struct Running<Fut> {
        #[pin]
        running: Fut,
    }
}

impl<Fut, Rsp> Future for Running<Fut>
where
    Fut: Future<Output = Result<Rsp, Status>>,
    Rsp: Serialize + Send + 'static,
{
    type Output = Result<Reply, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = self.project().running.poll(cx);
        answer.map_ok(Reply::value).map_err(BoxError::from)
    }
}

/// A call that ended before it began.
pub(crate) fn failed(fault: Fault) -> Answer {
    Box::pin(std::future::ready(Err(Status::from(fault).into())))
}
