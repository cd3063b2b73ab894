//! The facts of one connection.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
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
        })
    }

    /// The same connection after its TLS handshake.
    pub fn with_tls(&self, tls: Tls) -> Arc<Session> {
        Arc::new(Session {
            id: self.id,
            peer: self.peer.clone(),
            local: self.local.clone(),
            tls: Some(tls),
        })
    }

    /// A session of callers inside this process.
    pub fn in_process() -> Arc<Session> {
        Session::new(Peer::Local, Local::InProcess)
    }
}
