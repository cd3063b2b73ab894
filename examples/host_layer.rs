//! A stranger's layer, written once, in front of net/rpc and of a plain tonic server: while the shop
//! is closed, each protocol is told so in its own words.
//!
//! `cargo run --example host_layer`

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};

use oneport::client::{Dial, Endpoint};
use oneport::layers::Refusable;
use oneport::proto::{BoxError, Call, Class, Head, Refusal, Status};
use oneport::services::{Drainer, netrpc};
use oneport::{ListenConfig, Listener, Port, Sniff};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Server};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::{Layer, Service};

/// Refuses calls while the shop is closed.
#[derive(Clone, Default)]
struct OpenHours<S = ()> {
    inner: S,
    closed: Arc<AtomicBool>,
}

impl<S> Layer<S> for OpenHours {
    type Service = OpenHours<S>;

    fn layer(&self, inner: S) -> OpenHours<S> {
        let closed = Arc::clone(&self.closed);
        OpenHours { inner, closed }
    }
}

impl<S, R> Service<R> for OpenHours<S>
where
    R: Call,
    S: Service<R, Error: Into<BoxError>>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Refusable<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: R) -> Self::Future {
        match self.closed.load(Relaxed) {
            true => Refusable::refused(Status::from(Refusal::Draining)),
            false => Refusable::passed(self.inner.call(request)),
        }
    }
}

async fn price((): (), _: Head, apples: u64) -> Result<u64, Status> {
    Ok(apples * 3)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let hours = OpenHours::default();
    // The contract that such a layer has to keep, as a test.
    oneport::layers::testing::keeps_contract(hours.clone()).await?;
    println!("the layer keeps the contract");

    // In front of net/rpc, on a port of ours.
    let drainer = Drainer::new();
    let listener = Listener::bind("127.0.0.1:0".parse()?, ListenConfig::default()).await?;
    let router = netrpc::Router::builder(())
        .method("Shop.Price", Class::Read, price)
        .build()?;
    let served = netrpc::Server::new(router.methods(), hours.layer(router));
    let port = Port::builder().tag(0, "net/rpc", served).build()?;
    let addr = listener.local_addr();
    let ours = tokio::spawn(listener.serve(Sniff::new(port), drainer.handle()));

    // In front of a tonic server that knows nothing of us.
    let socket = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", socket.local_addr()?);
    let (_, health) = tonic_health::server::health_reporter();
    let theirs = Server::builder().layer(hours.clone()).add_service(health);
    let theirs = tokio::spawn(theirs.serve_with_incoming(TcpListenerStream::new(socket)));

    let conn = Dial::new(drainer.handle())
        .call(Endpoint::from(addr).tag(0))
        .await?;
    let mut shop = netrpc::Client::new(netrpc::Channel::new(conn));
    let mut health = HealthClient::new(Channel::from_shared(url)?.connect().await?);
    for (sign, is_closed) in [("open", false), ("closed", true)] {
        hours.closed.store(is_closed, Relaxed);
        match shop.call::<_, u64>("Shop.Price", &7u64).await {
            Ok(price) => println!("{sign}: net/rpc says {price}"),
            Err(error) => println!("{sign}: net/rpc says {error}"),
        }
        match health.check(HealthCheckRequest::default()).await {
            Ok(answer) => println!("{sign}: gRPC says {:?}", answer.get_ref().status()),
            Err(status) => println!(
                "{sign}: gRPC says {:?}: {}",
                status.code(),
                status.message()
            ),
        }
    }
    theirs.abort();
    drop(shop);
    drainer.drain();
    ours.await?;
    Ok(())
}
