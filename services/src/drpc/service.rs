//! From a message to its answer, without a socket.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
};

use bytes::Bytes;
use oneport_proto::{BoxError, Head, Session};
use prost::Message;
use tokio::time::Instant;
use tower::Service;

use super::{
    message::{Call, Response},
    methods::Methods,
    reply::Reply,
    request::Request,
    router::Router,
    status::Status,
};
use crate::caught::caught;

/// Handlers that panicked.
const PANICS: &str = "oneport.drpc.panics";

/// Answers messages: bytes in, bytes out. It is what a session does with what it receives, and a way
/// to test modules, with all layers in front of them, without any socket.
#[derive(Clone, Debug)]
pub struct ModuleService<S> {
    methods: Methods,
    service: S,
}

impl ModuleService<Router> {
    /// Answers with the modules of a router.
    pub fn router(router: Router) -> ModuleService<Router> {
        ModuleService::new(router.methods(), router)
    }
}

impl<S> ModuleService<S> {
    /// Knows `methods` and calls `service` for each call, known or not.
    pub fn new(methods: Methods, service: S) -> ModuleService<S> {
        ModuleService { methods, service }
    }
}

impl<S> ModuleService<S>
where
    S: Service<Request, Response = Reply, Error: Into<BoxError>>,
{
    /// The encoded response to an encoded call that came on `session`.
    ///
    /// There always is one: what is no call is answered with sequence number -1 and
    /// [`FAILED_UNMARSHAL_CALL`](Status::FAILED_UNMARSHAL_CALL), and a handler that panics has
    /// failed.
    pub async fn process(&mut self, session: &Arc<Session>, call: Bytes) -> Bytes {
        self.answer(session, call).await.encode_to_vec().into()
    }

    pub(crate) async fn answer(&mut self, session: &Arc<Session>, call: Bytes) -> Response {
        match Call::decode(call) {
            Ok(call) => self.respond(session, call).await,
            Err(error) => {
                tracing::debug!(session = session.id, %error, "a message is not a dRPC call");
                Response::to_no_call()
            }
        }
    }

    async fn respond(&mut self, session: &Arc<Session>, call: Call) -> Response {
        let method = self.methods.find(call.module, call.method);
        let sequence = call.sequence;
        let (module, number) = (call.module, call.method);
        let request = Request {
            head: Head::new(method, Arc::clone(session), Instant::now()),
            module,
            method: number,
            sequence,
            body: call.body,
        };
        let reply = self.call(request).await.unwrap_or_else(|error| {
            // The text does not travel: this is the only place where it is seen.
            let text = error.to_string();
            let status = Status::of_error(error);
            let name = method.name();
            let session = session.id;
            tracing::debug!(session, module, number, name, %status, text, "a dRPC call failed");
            Reply {
                status,
                body: Bytes::new(),
            }
        });
        Response {
            sequence,
            status: reply.status.0,
            body: reply.body,
        }
    }

    /// Waits until the service is ready, calls it and waits for the answer. A panic is an outcome.
    async fn call(&mut self, request: Request) -> Result<Reply, BoxError> {
        let service = &mut self.service;
        let ready = poll_fn(|cx| unwind(|| service.poll_ready(cx))).await;
        ready?.map_err(Into::into)?;
        let mut call = pin!(caught(PANICS, || service.call(request))?);
        let reply = poll_fn(|cx| unwind(|| call.as_mut().poll(cx))).await;
        reply?.map_err(Into::into)
    }
}

/// Polls foreign code.
fn unwind<T>(poll: impl FnOnce() -> std::task::Poll<T>) -> std::task::Poll<Result<T, BoxError>> {
    match caught(PANICS, poll) {
        Ok(polled) => polled.map(Ok),
        Err(panicked) => std::task::Poll::Ready(Err(panicked)),
    }
}
