//! `Status.*`: is the server there, and who leads.

use std::sync::Arc;

use oneport::proto::{
    Head,
    structs::{DCSpecificRequest, Empty, GoString, RaftStats},
};
use tonic::Status;

use crate::server::Server;

/// `Status.Ping`: answers.
///
/// # Errors
/// None.
pub async fn ping(_: Arc<Server>, _: Head, _: Empty) -> Result<Empty, Status> {
    Ok(Empty::default())
}

/// `Status.Leader`: the address of the leader.
///
/// # Errors
/// The datacenter is not this one.
pub async fn leader(
    server: Arc<Server>,
    _: Head,
    request: DCSpecificRequest,
) -> Result<GoString, Status> {
    server.check_datacenter(&request.datacenter)?;
    Ok(server.leader())
}

/// `Status.Peers`: the addresses of all servers.
///
/// # Errors
/// The datacenter is not this one.
pub async fn peers(
    server: Arc<Server>,
    _: Head,
    request: DCSpecificRequest,
) -> Result<Vec<GoString>, Status> {
    server.check_datacenter(&request.datacenter)?;
    Ok(vec![server.leader()])
}

/// `Status.RaftStats`: how far the log is.
///
/// # Errors
/// None.
pub async fn raft_stats(server: Arc<Server>, _: Head, _: Empty) -> Result<RaftStats, Status> {
    let snapshot = server.store().snapshot();
    Ok(RaftStats {
        last_contact: "0".into(),
        last_term: snapshot.last_term(),
        last_index: snapshot.last_index(),
    })
}
