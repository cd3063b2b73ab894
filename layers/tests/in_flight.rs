//! How many calls run at once.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::{future::pending, sync::Arc, time::Duration};

use oneport_layers::{
    InFlightConfig, InFlightLayer,
    testing::{Ping, Pong},
};
use oneport_proto::{
    BoxError, Class, Code, Family, Head, Method, MethodInfo, Refusal, Session, code_of, status_of,
};
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};

const NONE: InFlightConfig = InFlightConfig {
    calls: 0,
    calls_per_connection: 0,
    waiting: 0,
    waiting_per_connection: 0,
};

async fn serve(_: Ping) -> Result<Pong, BoxError> {
    Ok(Pong::new())
}

async fn call(layer: &InFlightLayer, request: Ping) -> Result<Pong, Code> {
    let called = layer.layer(service_fn(serve)).oneshot(request).await;
    called.map_err(|error| {
        let code = code_of(&error);
        assert_eq!(Refusal::of(&status_of(error)), Some(&Refusal::InFlight));
        code
    })
}

fn waiting(session: &Arc<Session>) -> Ping {
    let mut request = Ping::on(Arc::clone(session));
    request.head.as_mut().unwrap().wait = Some(Duration::from_secs(300));
    request
}

#[tokio::test]
async fn a_place_is_kept_until_the_reply_has_ended() {
    let layer = InFlightLayer::new(InFlightConfig { calls: 2, ..NONE });
    let first = call(&layer, Ping::new()).await.unwrap();
    let second = call(&layer, Ping::new()).await.unwrap();
    assert_eq!(layer.calls(), 2);
    assert_eq!(
        call(&layer, Ping::new()).await.unwrap_err(),
        Code::ResourceExhausted
    );
    first.finish(Code::Ok);
    let third = call(&layer, Ping::new()).await.unwrap();
    drop((second, third));
    assert_eq!(layer.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_abandoned_gives_its_place_back() {
    let layer = InFlightLayer::new(InFlightConfig { calls: 1, ..NONE });
    let never = service_fn(|_: Ping| pending::<Result<Pong, BoxError>>());
    let running = layer.layer(never).oneshot(Ping::new());
    assert!(
        tokio::time::timeout(Duration::from_secs(1), running)
            .await
            .is_err()
    );
    assert_eq!(layer.calls(), 0);
}

#[tokio::test]
async fn a_connection_has_a_bound_of_its_own() {
    let layer = InFlightLayer::new(InFlightConfig {
        calls_per_connection: 1,
        ..NONE
    });
    let (greedy, modest) = (Session::in_process(), Session::in_process());
    let held = call(&layer, Ping::on(Arc::clone(&greedy))).await.unwrap();
    assert!(call(&layer, Ping::on(Arc::clone(&greedy))).await.is_err());
    assert!(call(&layer, Ping::on(modest)).await.is_ok());
    held.finish(Code::Ok);
    assert!(call(&layer, Ping::on(greedy)).await.is_ok());
}

#[tokio::test]
async fn watchers_take_no_place_of_calls() {
    let config = InFlightConfig {
        calls: 1,
        calls_per_connection: 1,
        waiting: 3,
        waiting_per_connection: 2,
    };
    let layer = InFlightLayer::new(config);
    let (one, other) = (Session::in_process(), Session::in_process());
    let mut held = vec![
        call(&layer, waiting(&one)).await.unwrap(),
        call(&layer, waiting(&one)).await.unwrap(),
    ];
    assert!(call(&layer, waiting(&one)).await.is_err());
    held.push(call(&layer, waiting(&other)).await.unwrap());
    assert!(call(&layer, waiting(&other)).await.is_err());
    assert_eq!((layer.calls(), layer.waiting()), (0, 3));
    assert!(call(&layer, Ping::on(one)).await.is_ok());
    drop(held);
    assert_eq!(layer.waiting(), 0);
}

#[tokio::test]
async fn a_server_that_is_full_says_that_it_is_alive() {
    let layer = InFlightLayer::new(InFlightConfig { calls: 1, ..NONE });
    let _held = call(&layer, Ping::new()).await.unwrap();
    let info = MethodInfo::intern(Family::NetRpc, "InFlight.Alive", Class::Exempt).unwrap();
    let head = Head::new(Method::Known(info), Session::in_process(), Instant::now());
    assert!(call(&layer, Ping { head: Some(head) }).await.is_ok());
    assert_eq!(layer.calls(), 1);
}

#[tokio::test]
async fn bounds_change_while_it_runs() {
    let layer = InFlightLayer::new(NONE);
    let held = [
        call(&layer, Ping::new()).await.unwrap(),
        call(&layer, Ping::new()).await.unwrap(),
    ];
    layer.set(InFlightConfig { calls: 2, ..NONE });
    assert!(call(&layer, Ping::new()).await.is_err());
    layer.set(InFlightConfig { calls: 3, ..NONE });
    assert!(call(&layer, Ping::new()).await.is_ok());
    drop(held);
    assert_eq!(layer.calls(), 0);
}
