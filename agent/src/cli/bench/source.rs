//! Where a lane's connections come from.

use std::sync::Arc;

use oneport::{
    client::Mux,
    services::{Conn, Drain, yamux},
};
use tokio::sync::Mutex;

use crate::cli::{
    exit::Failure,
    remote::{self, Transport, Way},
};

/// Opens what a lane talks on: a connection, or a stream of the session that it shares with the
/// other lanes of its connection.
#[derive(Debug)]
pub(super) struct Source {
    addr: String,
    way: Way,
    drain: Drain,
    /// One at a time connects; whoever comes later finds the session.
    session: Mutex<Option<Arc<Mux>>>,
}

impl Source {
    pub(super) fn new(addr: &str, way: &Way, drain: Drain) -> Source {
        Source {
            addr: addr.to_owned(),
            way: way.clone(),
            drain,
            session: Mutex::new(None),
        }
    }

    /// The next connection or stream.
    pub(super) async fn open(&self) -> Result<Conn, Failure> {
        match self.way.transport {
            Transport::Single => self.dial().await,
            Transport::Yamux => remote::open(&self.addr, &*self.session().await?).await,
        }
    }

    /// A connection that nobody shares, and the session on it, if it has one.
    pub(super) async fn open_alone(&self) -> Result<(Conn, Option<Mux>), Failure> {
        let conn = self.dial().await?;
        match self.way.transport {
            Transport::Single => Ok((conn, None)),
            Transport::Yamux => {
                let mux = Mux::new(conn, yamux::Config::default());
                Ok((remote::open(&self.addr, &mux).await?, Some(mux)))
            }
        }
    }

    async fn session(&self) -> Result<Arc<Mux>, Failure> {
        let mut session = self.session.lock().await;
        if let Some(mux) = session.as_ref().filter(|mux| !mux.is_closed()) {
            return Ok(Arc::clone(mux));
        }
        let mux = Arc::new(Mux::new(self.dial().await?, yamux::Config::default()));
        *session = Some(Arc::clone(&mux));
        Ok(mux)
    }

    async fn dial(&self) -> Result<Conn, Failure> {
        self.way.dial(&self.addr, self.drain.clone()).await
    }
}
