//! The facts of one connection.

use std::{
    any::Any,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{Local, Peer};

/// What is known about one connection, shared by all of its calls.
///
/// Made at accept or dial time and made anew once, when a TLS handshake adds its facts. Services
/// read this and never the socket.
#[derive(Debug)]
pub struct Session {
    /// Unique within this process, counted from 1: for logs.
    pub id: u64,
    /// The far end.
    pub peer: Peer,
    /// The near end.
    pub local: Local,
    /// What the TLS handshake found; `None` on a plain connection.
    pub tls: Option<Tls>,
    /// What one layer keeps with the connection.
    pub kept: Kept,
}

/// A place where one layer keeps what it knows of a connection, so that it need not look it up at
/// each call. It is for whoever comes first; others find it taken and have to look up theirs.
#[derive(Debug, Default)]
pub struct Kept(OnceLock<Arc<dyn Any + Send + Sync>>);

impl Kept {
    /// What is kept here, made now if nothing was; `None` if it is of another type.
    pub fn get_or_init<T, F>(&self, make: F) -> Option<Arc<T>>
    where
        T: Any + Send + Sync,
        F: FnOnce() -> Arc<T>,
    {
        let kept = self.0.get_or_init(|| make());
        Arc::clone(kept).downcast().ok()
    }
}

/// What a TLS handshake found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The protocol chosen by ALPN (RFC 7301), if any.
    pub alpn: Option<Vec<u8>>,
    /// The server name that the client asked for (SNI), if any.
    pub server_name: Option<String>,
    /// The certificate that the client proved to hold, if it showed one and it was verified.
    pub client: Option<ClientCert>,
}

/// What a verified client certificate says of its holder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCert {
    /// The common name of its subject; empty where there is none.
    pub common_name: String,
    /// The DNS names among its subject's alternative names.
    pub dns_names: Vec<String>,
    /// The URIs among its subject's alternative names; a SPIFFE id is one.
    pub uris: Vec<String>,
}

impl Session {
    /// The facts of a plain connection.
    pub fn new(peer: Peer, local: Local) -> Arc<Session> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new(Session {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            peer,
            local,
            tls: None,
            kept: Kept::default(),
        })
    }

    /// The same connection after its TLS handshake.
    pub fn with_tls(&self, tls: Tls) -> Arc<Session> {
        Arc::new(Session {
            id: self.id,
            peer: self.peer.clone(),
            local: self.local.clone(),
            tls: Some(tls),
            kept: Kept::default(),
        })
    }

    /// A session of callers inside this process.
    pub fn in_process() -> Arc<Session> {
        Session::new(Peer::Local, Local::InProcess)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_keeps_its_own_with_a_connection() {
        let session = Session::in_process();
        let first: Arc<u8> = session.kept.get_or_init(|| Arc::new(1)).unwrap();
        let again: Arc<u8> = session.kept.get_or_init(|| Arc::new(2)).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        assert!(session.kept.get_or_init(|| Arc::new("other")).is_none());
    }
}
