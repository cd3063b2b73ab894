//! Our layers, and tower-http's between them, in somebody's existing tonic server: no port of ours,
//! no listener of ours, one call of `Server::layer`.
//!
//! `cargo run --example tonic_only`

use std::sync::Arc;
use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use oneport::layers::bucket::{Limit, Rate};
use oneport::layers::rate_limit::{Limiter, Limits, Mode};
use oneport::layers::{
    InFlightConfig, InFlightLayer, MetricsLayer, RateLimitLayer, TimeoutConfig, TimeoutLayer,
    metrics::CALLS,
};
use oneport::proto::{BoxError, Class, Peer};
use oneport::services::grpc::{Methods, Stamp};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Server, server::TcpConnectInfo};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::ServiceBuilder;
use tower_http::{set_header::SetResponseHeaderLayer, trace::TraceLayer};

/// What is served, and what it does as far as limits care.
const METHODS: [(&str, Class); 2] = [
    ("/grpc.health.v1.Health/Check", Class::Read),
    ("/grpc.health.v1.Health/Watch", Class::Read),
];

/// Where tonic has the address of a peer.
fn peer(extensions: &http::Extensions) -> Option<Peer> {
    extensions
        .get::<TcpConnectInfo>()?
        .remote_addr()
        .map(Peer::Tcp)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let recorder = DebuggingRecorder::new();
    let counted = recorder.snapshotter();
    recorder.install()?;

    let limiter = Arc::new(Limiter::new(Limits {
        mode: Mode::Enforcing,
        source: Limit {
            rate: Rate::per_second(0.001)?,
            burst: 2,
        },
        ..Limits::default()
    }));
    let in_flight = InFlightLayer::new(InFlightConfig::default());
    let layers = ServiceBuilder::new()
        .layer(Stamp::new(Methods::new(METHODS)?).peer(peer))
        .layer(MetricsLayer::new())
        .layer(TraceLayer::new_for_grpc())
        .layer(TimeoutLayer::new(TimeoutConfig {
            read: Duration::from_secs(5),
            ..TimeoutConfig::default()
        }))
        .layer(SetResponseHeaderLayer::overriding(
            http::HeaderName::from_static("x-served-by"),
            http::HeaderValue::from_static("tonic"),
        ))
        .layer(RateLimitLayer::new(limiter))
        .layer(in_flight.clone());

    let socket = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", socket.local_addr()?);
    let (_, health) = tonic_health::server::health_reporter();
    let server = Server::builder()
        .layer(layers)
        .add_service(health)
        .serve_with_incoming(TcpListenerStream::new(socket));
    let server = tokio::spawn(server);

    let mut client = HealthClient::new(Channel::from_shared(url)?.connect().await?);
    // A stream counts for as long as it lives.
    let watched = client.watch(HealthCheckRequest::default()).await?;
    println!("watching, {} in flight", in_flight.calls());
    drop(watched);
    for _ in 0..2 {
        match client.check(HealthCheckRequest::default()).await {
            Ok(answer) => {
                let by = answer.metadata().get("x-served-by");
                let by = by.and_then(|by| by.to_str().ok()).unwrap_or("nobody");
                println!("{:?}, served by {by}", answer.get_ref().status());
            }
            Err(status) => println!("{:?}: {}", status.code(), status.message()),
        }
    }
    let calls = counted
        .snapshot()
        .into_vec()
        .into_iter()
        .filter_map(|(key, _, _, value)| {
            let count = match value {
                DebugValue::Counter(count) if key.key().name() == CALLS => count,
                _ => return None,
            };
            let method = key.key().labels().find(|label| label.key() == "method")?;
            Some(format!("{} {count}", method.value()))
        });
    let mut calls: Vec<_> = calls.collect();
    calls.sort();
    println!("counted: {}", calls.join(", "));
    server.abort();
    Ok(())
}
