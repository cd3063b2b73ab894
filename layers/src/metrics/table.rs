//! The rows of all methods.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use oneport_proto::{Family, MAX_METHODS, Method};

use super::row::Row;

/// How many rows are made room for at a time.
const CHUNK: usize = 64;
/// Enough chunks for all methods and, behind them, [`MethodInfo::accept`](oneport_proto::MethodInfo::accept).
const CHUNKS: usize = MAX_METHODS / CHUNK + 1;

/// The rows of all methods, by id: found without a lock.
pub(super) struct Table {
    known: Box<[OnceLock<Box<Chunk>>]>,
    unknown: Unknown,
}

/// The rows of unknown methods, one for each protocol.
#[derive(Default)]
struct Unknown {
    connection: OnceLock<Arc<Row>>,
    netrpc: OnceLock<Arc<Row>>,
    grpc: OnceLock<Arc<Row>>,
    drpc: OnceLock<Arc<Row>>,
    /// By the names that hosts gave their protocols: a handful.
    host: Mutex<HashMap<&'static str, Arc<Row>>>,
}

type Chunk = [OnceLock<Arc<Row>>; CHUNK];

impl Table {
    pub(super) fn new() -> Table {
        Table {
            known: (0..CHUNKS).map(|_| OnceLock::new()).collect(),
            unknown: Unknown::default(),
        }
    }

    #[inline]
    pub(super) fn row(&self, method: Method) -> Arc<Row> {
        let place = match method {
            Method::Known(info) => {
                let chunk = self.known[info.id / CHUNK]
                    .get_or_init(|| Box::new(std::array::from_fn(|_| OnceLock::new())));
                &chunk[info.id % CHUNK]
            }
            Method::Unknown(Family::Connection) => &self.unknown.connection,
            Method::Unknown(Family::NetRpc) => &self.unknown.netrpc,
            Method::Unknown(Family::Grpc) => &self.unknown.grpc,
            Method::Unknown(Family::Drpc) => &self.unknown.drpc,
            Method::Unknown(Family::Host(name)) => return self.unknown.host(name, method),
        };
        Arc::clone(place.get_or_init(|| Arc::new(Row::new(method))))
    }
}

impl Unknown {
    fn host(&self, name: &'static str, method: Method) -> Arc<Row> {
        // A recorder that panicked while a row was made left the map as it was.
        let mut rows = self.host.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(
            rows.entry(name)
                .or_insert_with(|| Arc::new(Row::new(method))),
        )
    }
}
