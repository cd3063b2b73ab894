//! All layers in front of the agent's methods: the order, and who is told what.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use oneport::{
    Everybody, Layers, Stack, StackConfig,
    layers::{
        InFlightConfig, TimeoutConfig,
        auth::{Level, Rules, TokenEntry, TokenTable, Tokens},
        bucket::{Limit, Rate},
        metrics::REFUSED,
        testing::keeps_contract,
    },
    proto::{
        BoxError, Class, Code, Head, Method, Session, Status, Token, code_of,
        structs::{Empty, IndexedDirEntries, KeyRequest},
    },
    services::{
        Conn, Drainer,
        netrpc::{CallError, Channel, Client, Reply, Request, Router, Server},
    },
};
use oneport_agent::{Agent, Config};
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn};

async fn agent() -> Agent {
    let config = Config {
        server_port: 0,
        ..Config::default()
    };
    Agent::bind(config).await.unwrap()
}

/// As good as none, and a burst.
fn few(burst: u32) -> Limit {
    Limit {
        rate: Rate::per_second(0.001).unwrap(),
        burst,
    }
}

#[tokio::test]
async fn it_stands_in_front_of_the_agents_methods() {
    let agent = agent().await;
    let layers = Layers::new(&StackConfig::default(), Everybody::new());
    let stack = layers.stack(agent.router().clone());
    let mut client = Server::new(agent.router().methods(), stack).client();
    let leader: String = client
        .call("Status.Leader", &Empty::default())
        .await
        .unwrap();
    assert_eq!(leader, agent.local_addr().to_string());
    let request = KeyRequest {
        key: "a".into(),
        ..KeyRequest::default()
    };
    let found: IndexedDirEntries = client.call("KVS.Get", &request).await.unwrap();
    assert!(found.entries.is_none());
    assert_eq!(layers.in_flight().calls(), 0);
}

/// The same stack behind a driver: what a layer refuses has its face on the wire.
#[tokio::test]
async fn it_stands_behind_a_driver() {
    let agent = agent().await;
    let mut config = StackConfig::default();
    config.rates.rpc = few(2);
    let layers = Layers::new(&config, Everybody::new());
    let stack = layers.stack(agent.router().clone());
    let mut server = Server::new(agent.router().methods(), stack);

    let drainer = Drainer::new();
    let (near, far) = tokio::io::duplex(4096);
    let end = |io| Conn::stream(Session::in_process(), drainer.handle(), io);
    let serving = server.ready().await.unwrap().call(end(near));
    let calling = async {
        let mut client = Client::new(Channel::new(end(far)));
        for _ in 0..3 {
            // A liveness probe is never limited.
            client
                .call::<_, Empty>("Status.Ping", &Empty::default())
                .await
                .unwrap();
        }
        let request = KeyRequest {
            key: "a".into(),
            ..KeyRequest::default()
        };
        let mut outcomes = Vec::new();
        for _ in 0..3 {
            let outcome = client
                .call::<_, IndexedDirEntries>("KVS.Get", &request)
                .await;
            outcomes.push(outcome.map_err(|error| error.to_string()));
        }
        assert!(outcomes[..2].iter().all(Result::is_ok));
        assert_eq!(outcomes[2].as_ref().unwrap_err(), "RPC rate limit exceeded");
    };
    let (served, ()) = tokio::join!(serving, calling);
    served.unwrap();
}

#[tokio::test(start_paused = true)]
async fn it_keeps_the_contract_of_a_layer() {
    let one = StackConfig {
        in_flight: InFlightConfig {
            calls: 1,
            ..InFlightConfig::default()
        },
        ..StackConfig::default()
    };
    keeps_contract(Layers::new(&one, Everybody::new()))
        .await
        .unwrap();
}

async fn never((): (), _: Head, (): ()) -> Result<(), Status> {
    std::future::pending().await
}

async fn at_once((): (), _: Head, (): ()) -> Result<(), Status> {
    Ok(())
}

fn router() -> Router {
    Router::builder(())
        .method("Stack.Never", Class::Read, never)
        .method("Stack.AtOnce", Class::Read, at_once)
        .build()
        .unwrap()
}

fn tokens() -> Tokens {
    Tokens::new(TokenTable {
        tokens: vec![TokenEntry {
            secret: Token::new(b"secret").unwrap(),
            accessor: "accessor".into(),
            name: "ann".into(),
            rules: Rules::default().method_prefix("Stack.", Level::Write),
        }],
        ..TokenTable::default()
    })
    .unwrap()
}

fn request(method: &'static str, token: &[u8]) -> Request {
    let found = router().methods().find(method.as_bytes());
    assert!(matches!(found, Method::Known(_)));
    let mut head = Head::new(found, Session::in_process(), Instant::now());
    head.token = Token::new(token);
    Request {
        head,
        name: method.into(),
        body: bytes::Bytes::from_static(b"\xc0"),
    }
}

async fn code(stack: &Stack<Request, Reply>, request: Request) -> Code {
    match stack.clone().oneshot(request).await {
        Ok(_) => Code::Ok,
        Err(error) => code_of(&error),
    }
}

/// How often each reason was counted.
fn reasons(snapshotter: &Snapshotter) -> Vec<(String, u64)> {
    let all = snapshotter.snapshot().into_vec();
    let refused = all.into_iter().filter_map(|(key, _, _, value)| {
        let DebugValue::Counter(count) = value else {
            return None;
        };
        let reason = key.key().labels().find(|label| label.key() == "reason")?;
        (key.key().name() == REFUSED).then(|| (reason.value().to_owned(), count))
    });
    let mut refused: Vec<_> = refused.collect();
    refused.sort();
    refused
}

/// Every layer refuses something, in the order of the stack, and metrics outside of all see it.
#[test]
fn metrics_see_what_every_layer_refuses() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let mut config = StackConfig {
                timeouts: TimeoutConfig {
                    read: Duration::from_secs(1),
                    ..TimeoutConfig::default()
                },
                in_flight: InFlightConfig {
                    calls: 1,
                    ..InFlightConfig::default()
                },
                ..StackConfig::default()
            };
            let layers = Layers::new(&config, tokens());
            let stack = layers.stack(router());

            assert_eq!(
                code(&stack, request("Stack.AtOnce", b"secret")).await,
                Code::Ok
            );
            let unknown = code(&stack, request("Stack.AtOnce", b"guess")).await;
            assert_eq!(unknown, Code::Unauthenticated);

            // A call that never ends holds the only place: the next is refused before anybody asks
            // who calls, and the first when its time is up.
            let (slow, full) = tokio::join!(
                code(&stack, request("Stack.Never", b"secret")),
                code(&stack, request("Stack.AtOnce", b"guess")),
            );
            assert_eq!(
                (slow, full),
                (Code::DeadlineExceeded, Code::ResourceExhausted)
            );

            config.rates.rpc = few(1);
            layers.set(&config);
            assert_eq!(
                code(&stack, request("Stack.AtOnce", b"secret")).await,
                Code::Ok
            );
            let limited = code(&stack, request("Stack.AtOnce", b"guess")).await;
            assert_eq!(limited, Code::ResourceExhausted);
        });
    });
    let count = |reason: &str, count| (reason.to_owned(), count);
    assert_eq!(
        reasons(&snapshotter),
        [
            count("in_flight", 1),
            count("rate_limited", 1),
            count("timeout", 1),
            count("unknown_token", 1)
        ]
    );
}

/// Another order is the host's own lines, and tower's layers stand between ours.
#[tokio::test]
async fn a_host_writes_its_own_order() {
    let layers = Layers::new(&StackConfig::default(), Everybody::new());
    let outer = tower::ServiceBuilder::new()
        .layer(tower::timeout::TimeoutLayer::new(Duration::from_secs(1)))
        .map_request(|request: Request| request)
        .service(layers.layer(router()));
    let outer = outer.map_err(|error: BoxError| error);
    let stack: Stack<Request, Reply> = tower::util::BoxCloneSyncService::new(outer);
    assert_eq!(code(&stack, request("Stack.AtOnce", b"")).await, Code::Ok);
}

/// What it takes in front of somebody's own service.
#[tokio::test]
async fn an_error_of_the_service_is_passed_on() {
    let layers = Layers::new(&StackConfig::default(), Everybody::new());
    let odd = service_fn(|_: Request| async { Err::<Reply, BoxError>("odd".into()) });
    let mut client = Client::new(layers.stack(odd));
    let error = client.call::<_, ()>("Stack.Odd", &()).await.unwrap_err();
    assert!(matches!(error, CallError::Remote(text) if text == "odd"));
}
