//! Module 16: the methods of `Status.*`.

use std::sync::Arc;

use oneport::proto::{
    Head, Status,
    structs::{DCSpecificRequest, Empty, GoString},
};

use super::messages::{
    LeaderResponse, PeersResponse, PingResponse, RaftStatsResponse, StatusRequest,
};
use crate::{endpoints::status, server::Server};

pub(super) async fn ping(
    server: Arc<Server>,
    head: Head,
    _: StatusRequest,
) -> Result<PingResponse, Status> {
    status::ping(server, head, Empty::default()).await?;
    Ok(PingResponse {})
}

pub(super) async fn leader(
    server: Arc<Server>,
    head: Head,
    request: StatusRequest,
) -> Result<LeaderResponse, Status> {
    let address = status::leader(server, head, asked(request)).await?;
    Ok(LeaderResponse {
        address: shown(&address),
    })
}

pub(super) async fn peers(
    server: Arc<Server>,
    head: Head,
    request: StatusRequest,
) -> Result<PeersResponse, Status> {
    let addresses = status::peers(server, head, asked(request)).await?;
    Ok(PeersResponse {
        addresses: addresses.iter().map(shown).collect(),
    })
}

pub(super) async fn raft_stats(
    server: Arc<Server>,
    head: Head,
    request: StatusRequest,
) -> Result<RaftStatsResponse, Status> {
    server.check_datacenter(&request.datacenter.into())?;
    let stats = status::raft_stats(server, head, Empty::default()).await?;
    Ok(RaftStatsResponse {
        last_contact: shown(&stats.last_contact),
        last_term: stats.last_term,
        last_index: stats.last_index,
    })
}

fn asked(request: StatusRequest) -> DCSpecificRequest {
    DCSpecificRequest {
        datacenter: request.datacenter.into(),
        ..DCSpecificRequest::default()
    }
}

fn shown(address: &GoString) -> String {
    address.to_str_lossy().into_owned()
}
