//! The calls that are measured, as bytes: what a client sends and what it gets.

use bytes::{Bytes, BytesMut};
use oneport::{
    Port, Sniff,
    proto::{
        Session,
        structs::{DirEntry, Empty, KVSRequest, KeyRequest, kv::op},
    },
    services::{
        Conn, Drainer,
        msgpack::encode,
        netrpc::{Client, Router},
    },
};
use oneport_agent::{Agent, Config};
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tower::Service;

/// The values that are read: one small, one large, and a folder of a hundred small ones.
const SMALL: (&str, usize) = ("bench/small", 128);
const LARGE: (&str, usize) = ("bench/large", 16 * 1024);
const FOLDER: &str = "bench/folder/";
const FILES: usize = 100;

/// An agent in this process: no limit on connections, and the keys that calls ask for. It listens at
/// a loopback port, where it is served once it is run.
pub(crate) async fn agent() -> Agent {
    let mut config = Config {
        server_port: 0,
        ..Config::default()
    };
    // One address makes all connections here.
    config.listen.max_conns_per_source = 0;
    config.listen.conns_per_second = 0;
    let agent = Agent::bind(config).await.unwrap();
    let mut client = Client::new(agent.router().clone());
    let files = (0..FILES).map(|n| (format!("{FOLDER}{n:04}"), SMALL.1));
    let keys = [SMALL, LARGE].map(|(key, size)| (key.to_owned(), size));
    for (key, size) in keys.into_iter().chain(files) {
        let request = KVSRequest {
            op: op::SET.into(),
            dir_ent: DirEntry {
                key: key.into(),
                value: Some(vec![b'v'; size].into()),
                ..DirEntry::default()
            },
            ..KVSRequest::default()
        };
        client.call::<_, bool>("KVS.Apply", &request).await.unwrap();
    }
    agent
}

/// What the agent's port does with a connection, whatever that runs over.
pub(crate) fn protocol(agent: &Agent) -> Sniff<Port> {
    Sniff::new(agent.port().clone())
}

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Ping,
    Get,
    GetLarge,
    List,
}

impl Call {
    pub(crate) fn method(self) -> &'static str {
        match self {
            Call::Ping => "Status.Ping",
            Call::Get | Call::GetLarge => "KVS.Get",
            Call::List => "KVS.List",
        }
    }

    /// The msgpack body of the request.
    pub(crate) fn body(self) -> Bytes {
        let asking = |key: &str| KeyRequest {
            datacenter: "dc1".into(),
            key: key.into(),
            ..KeyRequest::default()
        };
        match self {
            Call::Ping => written(&Empty {}),
            Call::Get => written(&asking(SMALL.0)),
            Call::GetLarge => written(&asking(LARGE.0)),
            Call::List => written(&asking(FOLDER)),
        }
    }

    /// The call as it goes over the wire, without any type byte, and the agent's answer.
    pub(crate) async fn exchange(self, router: &Router) -> Exchange {
        let header = RequestHeader {
            seq: 1,
            service_method: self.method(),
        };
        let mut request = BytesMut::from(&written(&header)[..]);
        request.extend_from_slice(&self.body());
        let request = request.freeze();
        let mut server = oneport::services::netrpc::Server::new(router.methods(), router.clone());
        let (near, mut far) = duplex(1 << 20);
        let drain = Drainer::new();
        let served = server.call(Conn::stream(Session::in_process(), drain.handle(), near));
        let asked = async {
            far.write_all(&request).await.unwrap();
            far.shutdown().await.unwrap();
            let mut answer = Vec::new();
            far.read_to_end(&mut answer).await.unwrap();
            answer
        };
        let (served, answer) = tokio::join!(served, asked);
        served.unwrap();
        assert!(!answer.is_empty(), "{self:?} has no answer");
        Exchange {
            request,
            answer: answer.into(),
        }
    }
}

/// A request and its answer, header and body each.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) request: Bytes,
    pub(crate) answer: Bytes,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RequestHeader {
    seq: u64,
    service_method: &'static str,
}

fn written<T: Serialize>(value: &T) -> Bytes {
    let mut out = BytesMut::new();
    encode(value, &mut out).unwrap();
    out.freeze()
}
