//! The methods that the server answers, one module for each of Consul's endpoints.
//!
//! Each is an async function of the [`Server`], the call's head and the request, so
//! that every protocol can call the same ones. An error's message is exactly what net/rpc sends.

pub mod kv;
pub mod status;

use std::sync::Arc;

use oneport::{
    proto::Class,
    services::netrpc::{RouteError, Router},
};

use crate::server::Server;

/// All methods of `server`, by the names that they have on the wire.
///
/// # Errors
/// None of its own; the process may know too many methods.
pub fn router(server: Arc<Server>) -> Result<Router, RouteError> {
    Router::builder(server)
        .method("Status.Ping", Class::Exempt, status::ping)
        .method("Status.Leader", Class::Exempt, status::leader)
        .method("Status.Peers", Class::Exempt, status::peers)
        .method("Status.RaftStats", Class::Exempt, status::raft_stats)
        .method("KVS.Apply", Class::Write, kv::apply)
        .method("KVS.Get", Class::Read, kv::get)
        .method("KVS.List", Class::Read, kv::list)
        .method("KVS.ListKeys", Class::Read, kv::list_keys)
        .build()
}
