//! How many connections each row of the port has.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use metrics::{Gauge, gauge};
use oneport::{
    proto::BoxError,
    services::{Conn, Protocol},
};
use tower::Service;

/// Connections that are open, by the `row` of the port's table that they found.
pub const ROUTE_OPEN: &str = "oneport.agent.routes.open";

/// A protocol whose connections are counted.
#[derive(Clone, Debug)]
pub(crate) struct Counted<P> {
    protocol: P,
    row: &'static str,
}

impl<P> Counted<P> {
    pub(crate) fn new(row: &'static str, protocol: P) -> Counted<P> {
        Counted { protocol, row }
    }
}

/// One connection; no longer one when it is dropped.
struct One(Gauge);

impl Drop for One {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

impl<P: Protocol> Service<Conn> for Counted<P> {
    type Response = ();
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.protocol.poll_ready(cx)
    }

    fn call(&mut self, conn: Conn) -> Self::Future {
        let open = gauge!(ROUTE_OPEN, "row" => self.row);
        open.increment(1);
        let one = One(open);
        let serving = self.protocol.call(conn);
        Box::pin(async move {
            let _one = one;
            serving.await
        })
    }
}
