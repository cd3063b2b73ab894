//! The calls that are measured, as bytes: what a client sends and what it gets.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use oneport::{
    Port, Sniff,
    proto::{
        BoxError, Everything, Identity, Session,
        structs::{DirEntry, Empty, KVSRequest, KeyRequest, kv::op},
        wire::byte,
    },
    services::{
        Conn, Drainer,
        msgpack::encode,
        netrpc::{self, Client, Reply, Request},
        yamux::Yamux,
    },
};
use oneport_agent::{Agent, Config};
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tower::{Service, ServiceBuilder};

/// The values that are read: one small, one large, and a folder of a hundred small ones.
const SMALL: (&str, usize) = ("bench/small", 128);
const LARGE: (&str, usize) = ("bench/large", 16 * 1024);
const FOLDER: &str = "bench/folder/";
const FILES: usize = 100;

/// An agent in this process: no limit on connections, and the keys that calls ask for. It listens at
/// a loopback port, where it is served once it is run.
pub(crate) async fn agent() -> Agent {
    filled(config()).await
}

/// Any free port, and no limit on connections: one address makes all of them here.
pub(crate) fn config() -> Config {
    let mut config = Config {
        server_port: 0,
        ..Config::default()
    };
    config.listen.max_conns_per_source = 0;
    config.listen.conns_per_second = 0;
    config
}

/// An agent with these settings and the keys that calls ask for.
pub(crate) async fn filled(config: Config) -> Agent {
    let agent = Agent::bind(config).await.unwrap();
    let mut client = Client::new(agent.stack().clone());
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

/// The agent's port, without a layer in it, whatever that runs over. Only who calls is said, without which nothing is granted.
pub(crate) fn protocol(agent: &Agent) -> Sniff<Port> {
    let config = agent.config();
    let netrpc = methods(agent);
    // As the agent has it: on a stream silence and stalled writes are the session's to bound.
    let stream = netrpc.clone().config(netrpc::Config {
        first_request: None,
        write_stall: None,
        ..config.netrpc.clone()
    });
    let sessions = Yamux::new(stream).config(config.yamux.clone());
    let port = Port::builder()
        .tag(byte::RPC_SINGLE, "net/rpc", netrpc)
        .tag(byte::RPC_MULTI, "net/rpc over yamux", sessions)
        .build();
    Sniff::new(port.unwrap())
}

/// Net/rpc to the agent's methods, without a layer.
pub(crate) fn methods(agent: &Agent) -> netrpc::Server<impl Handler> {
    let anybody = Identity::with_grants("anonymous", Arc::new(Everything));
    let known = move |mut request: Request| {
        // A head is new here: nobody has written into it.
        let _first = request.head.identity.set(anybody.clone());
        request
    };
    let router = agent.router().clone();
    let methods = router.methods();
    let service = ServiceBuilder::new().map_request(known).service(router);
    netrpc::Server::new(methods, service).config(agent.config().netrpc.clone())
}

/// What net/rpc can be served by.
pub(crate) trait Handler:
    Service<Request, Response = Reply, Error = BoxError, Future: Send + 'static>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Handler for S where
    S: Service<Request, Response = Reply, Error = BoxError, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static
{
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
    pub(crate) async fn exchange(self, agent: &Agent) -> Exchange {
        let header = RequestHeader {
            seq: 1,
            service_method: self.method(),
        };
        let mut request = BytesMut::from(&written(&header)[..]);
        request.extend_from_slice(&self.body());
        let request = request.freeze();
        let mut server = methods(agent);
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
