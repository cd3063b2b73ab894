//! What the agent answers on its dRPC socket: the methods of the port that are of use to other
//! programs of this host, behind the same layers, and reloads.
//!
//! | module | methods |
//! |---|---|
//! | [`STATUS`] | 1601 ping, 1602 leader, 1603 peers, 1604 raft_stats |
//! | [`KV`] | 1701 apply, 1702 get, 1703 list, 1704 list_keys |
//! | [`RELOAD`] | 1801 reload, for the agent's own user and root |
//!
//! The [`messages`] are those of `proto/drpc/agent.proto`. A token travels in the request, for dRPC
//! has no room for one; a call that fails is answered
//! [`FAILURE`](oneport::services::drpc::Status::FAILURE), and the log says why.

mod asked;
mod door;
mod kv;
pub mod messages;
mod reload;
mod status;

use std::{future::Future, sync::Arc};

use oneport::{
    proto::{Class, Head, Status},
    services::drpc::{Module, RouteError, Router},
};

pub(crate) use door::Door;

use crate::{admin::Asks, server::Server};

/// Is the server there, and who leads.
pub const STATUS: i32 = 16;
/// Keys and values.
pub const KV: i32 = 17;
/// Reading the settings files again.
pub const RELOAD: i32 = 18;

/// All modules.
pub(crate) fn router(server: &Arc<Server>, asks: Asks) -> Result<Router, RouteError> {
    let status = Module::builder(STATUS, "status")
        .method(1601, "ping", Class::Exempt, with(server, status::ping))
        .method(1602, "leader", Class::Exempt, with(server, status::leader))
        .method(1603, "peers", Class::Exempt, with(server, status::peers))
        .method(
            1604,
            "raft_stats",
            Class::Exempt,
            with(server, status::raft_stats),
        )
        .build()?;
    let kv = Module::builder(KV, "kv")
        .method(1701, "apply", Class::Write, with(server, kv::apply))
        .method(1702, "get", Class::Read, with(server, kv::get))
        .method(1703, "list", Class::Read, with(server, kv::list))
        .method(1704, "list_keys", Class::Read, with(server, kv::list_keys))
        .build()?;
    let reload = Module::builder(RELOAD, "reload")
        .method(1801, "reload", Class::Exempt, move |head, request| {
            reload::reload(asks.clone(), head, request)
        })
        .build()?;
    Router::builder()
        .module(status)
        .module(kv)
        .module(reload)
        .build()
}

/// A method with the server that it stands on.
fn with<F, Fut, Req, Rsp>(
    server: &Arc<Server>,
    method: F,
) -> impl Fn(Head, Req) -> Fut + Send + Sync + 'static
where
    F: Fn(Arc<Server>, Head, Req) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Rsp, Status>>,
{
    let server = Arc::clone(server);
    move |head, request| method(Arc::clone(&server), head, request)
}
