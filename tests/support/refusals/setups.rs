//! What refuses.

use std::{sync::Arc, time::Duration};

use oneport::{
    layers::{
        InFlightConfig, InFlightLayer, RateLimitLayer, TimeoutConfig, TimeoutLayer,
        auth::{
            AuthLayer, CertName, ClientCerts, Level, Networks, Rules, TokenEntry, TokenTable,
            Tokens, UnixPeers,
        },
        bucket::{Limit, Rate},
        rate_limit::{Limiter, Limits, Mode},
    },
    proto::{
        Access, BoxError, Class, ClientCert, Everything, Head, Local, Peer, Refusal, Resource,
        Session, Status, Tls, Token, UnixPeer,
    },
    services::netrpc::{Reply, Request, Router},
};
use serde::Deserialize;
use tower::{Layer, Service, util::BoxCloneSyncService};

use super::Setup;

/// The one token of the table, and its public name.
const SECRET: &str = "c1a3f1de-9d25-4a65-b0a6-1f4bb1a1b4c5";
pub(crate) const ACCESSOR: &str = "6a1253d2-1785-24fd-91c2-f8e78c745511";

/// Requests may have any keys.
#[derive(Deserialize)]
struct Any {}

/// One method for each thing that can be asked for.
fn router() -> Router {
    async fn done((): (), _: Head, _: Any) -> Result<Done, Status> {
        Ok(Done {})
    }
    async fn never((): (), _: Head, _: Any) -> Result<Done, Status> {
        std::future::pending().await
    }
    async fn panics((): (), _: Head, _: Any) -> Result<Done, Status> {
        panic!("as asked")
    }
    fn fails(
        refusal: Refusal,
    ) -> impl Fn((), Head, Any) -> std::future::Ready<Result<Done, Status>> + Send + Sync {
        move |(), _, _| std::future::ready(Err(refusal.clone().into()))
    }
    fn may(
        access: Access,
        resource: Resource,
        name: &'static str,
    ) -> impl Fn((), Head, Any) -> std::future::Ready<Result<Done, Status>> + Send + Sync {
        move |(), head, _| {
            let may = head.may(access, resource, name.as_bytes());
            std::future::ready(may.map(|()| Done {}).map_err(Status::from))
        }
    }
    let (read, write) = (Access::Read, Access::Write);
    let large = Refusal::TooLarge { size: 9, limit: 8 };
    Router::builder(())
        .method("Refusals.Read", Class::Read, done)
        .method("Refusals.Write", Class::Write, done)
        .method("Refusals.Hold", Class::Read, never)
        .method("Refusals.Panic", Class::Read, panics)
        .method("Refusals.Drain", Class::Read, fails(Refusal::Draining))
        .method("Refusals.Lost", Class::Read, fails(Refusal::NotFound))
        .method("Refusals.Large", Class::Read, fails(large))
        .method(
            "Refusals.Key",
            Class::Read,
            may(read, Resource::Key, "foo/x"),
        )
        .method(
            "Refusals.Set",
            Class::Write,
            may(write, Resource::Key, "ro/x"),
        )
        .method(
            "Refusals.Tree",
            Class::Write,
            may(write, Resource::KeyTree, "rw/"),
        )
        .build()
        .unwrap()
}

/// Go's empty struct.
#[derive(serde::Serialize)]
struct Done {}

/// A call of `method` behind `layer`.
fn setup<L>(layer: L, method: &'static str) -> Setup
where
    L: Layer<Router>,
    L::Service: Service<Request, Response = Reply, Error = BoxError, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static,
{
    let router = router();
    Setup {
        methods: router.methods(),
        service: BoxCloneSyncService::new(layer.layer(router)),
        session: tcp("10.0.0.1:1"),
        token: "",
        method,
        served: 0,
        held: None,
    }
}

/// A call without any layer.
fn bare(method: &'static str) -> Setup {
    setup(tower::layer::util::Identity::new(), method)
}

fn tcp(addr: &str) -> Arc<Session> {
    Session::new(Peer::Tcp(addr.parse().unwrap()), Local::InProcess)
}

/// A limiter, which has room for one call, and the call after it.
fn limited(method: &'static str, leader: bool, limits: fn(Limit) -> Limits) -> Setup {
    let one = Limit {
        rate: Rate::per_second(1.0).unwrap(),
        burst: 1,
    };
    let limiter = Arc::new(Limiter::new(Limits {
        mode: Mode::Enforcing,
        ..limits(one)
    }));
    limiter.set_leader(leader);
    let both = tower::layer::util::Stack::new(
        RateLimitLayer::by_identity(Arc::clone(&limiter)),
        RateLimitLayer::new(limiter),
    );
    Setup {
        served: 1,
        ..setup(both, method)
    }
}

pub(crate) fn rpc_rate() -> Setup {
    limited("Refusals.Write", true, |rpc| Limits {
        rpc,
        ..Limits::default()
    })
}

pub(crate) fn read_rate() -> Setup {
    limited("Refusals.Read", true, |read| Limits {
        read,
        ..Limits::default()
    })
}

fn writes(write: Limit) -> Limits {
    Limits {
        write,
        ..Limits::default()
    }
}

pub(crate) fn write_rate() -> Setup {
    limited("Refusals.Write", false, writes)
}

pub(crate) fn leaders_write_rate() -> Setup {
    limited("Refusals.Write", true, writes)
}

pub(crate) fn source_rate() -> Setup {
    limited("Refusals.Read", true, |source| Limits {
        source,
        ..Limits::default()
    })
}

pub(crate) fn identity_rate() -> Setup {
    limited("Refusals.Read", true, |identity| Limits {
        identity,
        ..Limits::default()
    })
}

/// The bucket is emptied by a call that is known, on another connection.
pub(crate) fn unknown_method_rate() -> Setup {
    let known = read_rate();
    let mut emptied = known.service.clone();
    let now = tokio::time::Instant::now();
    let method = known.methods.find(b"Refusals.Read");
    let taken = emptied.call(Request {
        head: Head::new(method, tcp("10.0.0.2:1"), now),
        name: "Refusals.Read".into(),
        body: "\u{0}".into(),
    });
    drop(taken);
    Setup {
        method: "Nope.Nope",
        served: 0,
        ..known
    }
}

fn one_in_flight(calls: usize, calls_per_connection: usize) -> Setup {
    let layer = InFlightLayer::new(InFlightConfig {
        calls,
        calls_per_connection,
        ..InFlightConfig::default()
    });
    setup(layer, "Refusals.Read")
}

pub(crate) fn in_flight() -> Setup {
    Setup {
        held: Some(("Refusals.Hold", tcp("10.0.0.2:1"))),
        ..one_in_flight(1, 0)
    }
}

pub(crate) fn in_flight_of_connection() -> Setup {
    let setup = one_in_flight(0, 1);
    Setup {
        held: Some(("Refusals.Hold", Arc::clone(&setup.session))),
        ..setup
    }
}

pub(crate) fn timeout() -> Setup {
    let layer = TimeoutLayer::new(TimeoutConfig {
        read: Duration::from_secs(1),
        ..TimeoutConfig::default()
    });
    setup(layer, "Refusals.Hold")
}

fn tokens() -> AuthLayer<Tokens> {
    let table = TokenTable {
        tokens: vec![TokenEntry {
            secret: Token::new(SECRET.as_bytes()).unwrap(),
            accessor: ACCESSOR.into(),
            name: "tester".into(),
            rules: Rules::default()
                .key_prefix("ro/", Level::Read)
                .key_prefix("rw/", Level::Write)
                .key_prefix("rw/secret/", Level::Deny)
                .method_prefix("Refusals.Write", Level::Read),
        }],
        ..TokenTable::default()
    };
    AuthLayer::new(Tokens::new(table).unwrap())
}

fn with_token(method: &'static str) -> Setup {
    Setup {
        token: SECRET,
        ..setup(tokens(), method)
    }
}

pub(crate) fn unknown_token() -> Setup {
    Setup {
        token: "guess",
        ..setup(tokens(), "Refusals.Read")
    }
}

pub(crate) fn key_read() -> Setup {
    with_token("Refusals.Key")
}

pub(crate) fn key_write() -> Setup {
    with_token("Refusals.Set")
}

pub(crate) fn key_tree() -> Setup {
    with_token("Refusals.Tree")
}

pub(crate) fn method() -> Setup {
    with_token("Refusals.Write")
}

pub(crate) fn anonymous_key() -> Setup {
    setup(tokens(), "Refusals.Key")
}

/// A call by the holder of a certificate with this common name.
fn certified(name: &str, method: &'static str) -> Setup {
    let web = CertName::CommonName("web".into());
    let rules = Rules::default().grants(Level::Deny);
    let setup = setup(
        AuthLayer::new(ClientCerts::default().allow(web, rules)),
        method,
    );
    let cert = ClientCert {
        common_name: name.into(),
        ..ClientCert::default()
    };
    let tls = Tls {
        client: Some(cert),
        ..Tls::default()
    };
    Setup {
        session: setup.session.with_tls(tls),
        ..setup
    }
}

pub(crate) fn certificate() -> Setup {
    certified("db", "Refusals.Read")
}

pub(crate) fn certificate_key() -> Setup {
    certified("web", "Refusals.Key")
}

pub(crate) fn no_certificate() -> Setup {
    Setup {
        session: tcp("10.0.0.1:1"),
        ..certified("web", "Refusals.Read")
    }
}

pub(crate) fn unix_user() -> Setup {
    let peer = UnixPeer {
        pid: None,
        uid: 1001,
        gid: 1001,
    };
    Setup {
        session: Session::new(Peer::Unix(peer), Local::InProcess),
        ..no_unix_user()
    }
}

pub(crate) fn no_unix_user() -> Setup {
    let users = UnixPeers::default().user(1000, Arc::new(Everything));
    setup(AuthLayer::new(users), "Refusals.Read")
}

pub(crate) fn network() -> Setup {
    let networks = Networks::default().allow("192.0.2.0/24").unwrap();
    setup(AuthLayer::new(networks), "Refusals.Read")
}

pub(crate) fn no_identity() -> Setup {
    bare("Refusals.Key")
}

pub(crate) fn two_identities() -> Setup {
    let both = tower::layer::util::Stack::new(tokens(), tokens());
    setup(both, "Refusals.Read")
}

pub(crate) fn draining() -> Setup {
    bare("Refusals.Drain")
}

pub(crate) fn not_found() -> Setup {
    bare("Refusals.Lost")
}

pub(crate) fn too_large() -> Setup {
    bare("Refusals.Large")
}

pub(crate) fn panicked() -> Setup {
    bare("Refusals.Panic")
}
