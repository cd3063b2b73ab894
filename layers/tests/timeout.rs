//! How long a call may take, on a paused clock.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::{future::pending, time::Duration};

use oneport_layers::{
    TimeoutConfig, TimeoutLayer,
    testing::{Ping, Pong},
};
use oneport_proto::{BoxError, Code, Refusal, code_of, status_of};
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);

fn layer(read: Duration) -> TimeoutLayer {
    TimeoutLayer::new(TimeoutConfig {
        read,
        ..TimeoutConfig::default()
    })
}

fn never() -> impl Service<Ping, Response = Pong, Error = BoxError> + Clone {
    service_fn(|_: Ping| pending::<Result<Pong, BoxError>>())
}

/// How a call that never ends is answered, and when.
async fn refused(layer: TimeoutLayer, request: Ping) -> (Code, Duration) {
    let began = Instant::now();
    let error = layer.layer(never()).oneshot(request).await.unwrap_err();
    let code = code_of(&error);
    assert_eq!(Refusal::of(&status_of(error)), Some(&Refusal::Timeout));
    (code, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_call_that_takes_too_long_is_refused_in_time() {
    let (code, took) = refused(layer(2 * SECOND), Ping::new()).await;
    assert_eq!(code, Code::DeadlineExceeded);
    assert!(
        took >= 2 * SECOND && took < 2 * SECOND + Duration::from_millis(2),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn one_that_ends_just_before_is_served() {
    let handler = service_fn(|_: Ping| async {
        sleep(2 * SECOND - Duration::from_millis(2)).await;
        Ok::<_, BoxError>(Pong::new())
    });
    layer(2 * SECOND)
        .layer(handler)
        .oneshot(Ping::new())
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_time_runs_from_when_it_was_read() {
    let request = Ping::new();
    sleep(SECOND).await;
    let (_, took) = refused(layer(2 * SECOND), request).await;
    assert!(took < SECOND + Duration::from_millis(2), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_may_ask_for_less() {
    let mut request = Ping::new();
    request.head.as_mut().unwrap().deadline = Some(Instant::now() + SECOND);
    let (_, took) = refused(layer(5 * SECOND), request).await;
    assert!(
        took >= SECOND && took < SECOND + Duration::from_millis(2),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_blocking_query_has_its_wait_on_top() {
    let mut request = Ping::new();
    request.head.as_mut().unwrap().wait = Some(300 * SECOND);
    let (_, took) = refused(layer(5 * SECOND), request).await;
    assert_eq!(took.as_secs(), 305);
}

#[tokio::test(start_paused = true)]
async fn what_came_too_late_is_not_begun() {
    let mut request = Ping::new();
    let head = request.head.as_mut().unwrap();
    head.deadline = Some(head.at);
    let handler = service_fn(|_: Ping| async { panic!("it was called") });
    let layered = layer(SECOND).layer(handler.map_err(|error: BoxError| error));
    let error: BoxError = Service::<Ping>::call(&mut layered.clone(), request)
        .await
        .map(|(): ()| ())
        .unwrap_err();
    assert_eq!(code_of(&error), Code::DeadlineExceeded);
}

#[tokio::test(start_paused = true)]
async fn times_change_while_it_runs() {
    let layer = layer(60 * SECOND);
    let service = layer.layer(never());
    layer.set(TimeoutConfig {
        read: SECOND,
        ..TimeoutConfig::default()
    });
    let began = Instant::now();
    service.oneshot(Ping::new()).await.unwrap_err();
    assert_eq!(began.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn zero_is_no_limit() {
    let day = Duration::from_secs(86_400);
    let call = layer(Duration::ZERO).layer(never()).oneshot(Ping::new());
    assert!(tokio::time::timeout(day, call).await.is_err());
}
