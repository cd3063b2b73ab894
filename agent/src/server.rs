//! What endpoints stand on.

use std::{net::SocketAddr, sync::Arc};

use oneport::proto::structs::{GoString, QueryMeta};
use tonic::Status;

use crate::{
    config::Config,
    queries::Queries,
    state::{Log, Store},
};

/// What endpoints stand on: the log, its state, the queries that wait, and who the server is.
#[derive(Debug)]
pub struct Server {
    datacenter: String,
    address: SocketAddr,
    log: Arc<Log>,
    queries: Queries,
}

impl Server {
    /// A server that has just elected itself and tells others that it is at `address`.
    pub fn new(config: &Config, address: SocketAddr) -> Server {
        Server {
            datacenter: config.datacenter.clone(),
            address,
            log: Arc::new(Log::elected(Arc::new(Store::new()))),
            queries: Queries::new(config.queries.clone()),
        }
    }

    /// The way in for changes.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// The state.
    pub fn store(&self) -> &Store {
        self.log.store()
    }

    /// The queries.
    pub fn queries(&self) -> &Queries {
        &self.queries
    }

    /// The address of the leader, which is this server.
    pub fn leader(&self) -> GoString {
        self.address.to_string().into()
    }

    /// Whether a request is for this datacenter; no name is this one. Names are case-sensitive.
    ///
    /// # Errors
    /// There is no other datacenter to send it to.
    pub fn check_datacenter(&self, asked: &GoString) -> Result<(), Status> {
        if asked.is_empty() || asked == self.datacenter.as_str() {
            return Ok(());
        }
        Err(Status::not_found("No path to datacenter"))
    }

    /// What a reply with this index says about itself: it comes from the leader.
    pub fn meta(&self, index: u64) -> QueryMeta {
        QueryMeta {
            index,
            known_leader: true,
            ..QueryMeta::default()
        }
    }
}
