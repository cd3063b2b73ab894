//! Calls in the words of keys and values.

use std::time::Duration;

use oneport::{
    client::Mux,
    proto::structs::{DirEntry, Empty, IndexedDirEntries, KVSRequest, KeyRequest},
    services::{
        Conn,
        netrpc::{CallError, Channel, Client},
    },
};
use serde::{Serialize, de::DeserializeOwned};

/// Calls over one connection or stream.
pub(crate) struct Caller {
    client: Client<Channel>,
    /// The session of a stream that has one for itself.
    _mux: Option<Mux>,
}

impl Caller {
    pub(crate) fn new(conn: Conn) -> Caller {
        Caller::over(Channel::new(conn))
    }

    pub(crate) fn over(channel: Channel) -> Caller {
        Caller {
            client: Client::new(channel),
            _mux: None,
        }
    }

    /// A new stream of a session.
    pub(crate) async fn on(mux: &Mux) -> Caller {
        Caller::new(mux.open().await.unwrap())
    }

    /// The same, and the session ends with it.
    pub(crate) fn with(self, mux: Mux) -> Caller {
        Caller {
            _mux: Some(mux),
            ..self
        }
    }

    /// The same with a time for every call.
    pub(crate) fn timeout(self, timeout: Duration) -> Caller {
        Caller {
            client: self.client.timeout(timeout),
            ..self
        }
    }

    pub(crate) async fn call<Req, Rsp>(&mut self, method: &str, req: &Req) -> Result<Rsp, CallError>
    where
        Req: Serialize + ?Sized,
        Rsp: DeserializeOwned,
    {
        self.client.call(method, req).await
    }

    pub(crate) async fn ping(&mut self) -> Result<Empty, CallError> {
        self.call("Status.Ping", &Empty::default()).await
    }

    pub(crate) async fn apply(&mut self, op: &str, entry: DirEntry) -> Result<bool, CallError> {
        let request = KVSRequest {
            datacenter: "dc1".into(),
            op: op.into(),
            dir_ent: entry,
            ..KVSRequest::default()
        };
        self.call("KVS.Apply", &request).await
    }

    pub(crate) async fn set(&mut self, key: &str, value: &[u8]) {
        let set = self.apply("set", entry(key, value)).await;
        assert!(!set.unwrap(), "a set answers false");
    }

    pub(crate) async fn get(&mut self, key: &str) -> Result<IndexedDirEntries, CallError> {
        self.call("KVS.Get", &query(key, 0, Duration::ZERO)).await
    }

    /// The entry of a key, which must be there.
    pub(crate) async fn entry(&mut self, key: &str) -> DirEntry {
        let mut entries = self.get(key).await.unwrap().entries.unwrap();
        assert_eq!(entries.len(), 1, "{key}");
        let entry = entries.remove(0);
        assert_eq!(entry.key, *key);
        entry
    }

    /// The value of a key, which must be there.
    pub(crate) async fn value(&mut self, key: &str) -> Vec<u8> {
        let value = self.entry(key).await.value.unwrap_or_default();
        value.as_bytes().to_vec()
    }
}

pub(crate) fn entry(key: &str, value: &[u8]) -> DirEntry {
    DirEntry {
        key: key.into(),
        value: Some(value.into()),
        ..DirEntry::default()
    }
}

/// A query that waits for an index above the given one; index 0 does not wait.
pub(crate) fn query(key: &str, index: u64, wait: Duration) -> KeyRequest {
    let mut request = KeyRequest {
        datacenter: "dc1".into(),
        key: key.into(),
        ..KeyRequest::default()
    };
    request.query.min_query_index = index;
    request.query.max_query_time = wait.into();
    request
}

/// Bytes that look like nothing else.
pub(crate) fn noise(size: usize) -> Vec<u8> {
    let mut state: u32 = 1;
    let step = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..size).map(step).collect()
}
