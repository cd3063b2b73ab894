//! Who serves a connection.

use oneport_proto::BoxError;
use tower::{Service, util::BoxCloneSyncService};

use crate::Conn;

/// A protocol: a service that takes a whole connection and is done when the connection is.
///
/// Implemented for every service of that shape; write `impl Protocol` instead of the bounds.
pub trait Protocol:
    Service<Conn, Response = (), Error = BoxError, Future: Send + 'static>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<P> Protocol for P where
    P: Service<Conn, Response = (), Error = BoxError, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// Any [`Protocol`], boxed: what a row of a port's table holds.
pub type BoxProtocol = BoxCloneSyncService<Conn, (), BoxError>;
