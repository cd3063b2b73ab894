//! From a request to its answer.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
};
use oneport::services::Drain;
use serde::Serialize;
use tokio::time::Instant;

use super::{Asks, Reloaded, state::State};
use crate::{live::Live, telemetry::Telemetry};

/// Prometheus' text format.
const METRICS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Where a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// The unix socket: whoever is there may do everything.
    Socket,
    /// The address for metrics.
    Tcp,
}

/// What there is to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Metrics,
    Ready,
    State,
    Reload,
}

impl Route {
    fn of(door: Door, path: &str) -> Option<Route> {
        match (door, path) {
            (_, "/metrics") => Some(Route::Metrics),
            (_, "/ready") => Some(Route::Ready),
            (Door::Socket, "/state") => Some(Route::State),
            (Door::Socket, "/reload") => Some(Route::Reload),
            _ => None,
        }
    }

    fn methods(self) -> &'static str {
        match self {
            Route::Metrics | Route::Ready | Route::State => "GET, HEAD",
            Route::Reload => "POST",
        }
    }

    fn takes(self, method: &Method) -> bool {
        self.methods()
            .split(", ")
            .any(|known| known == method.as_str())
    }
}

/// What answers stand on.
#[derive(Clone, Debug)]
pub(super) struct Routes {
    pub(super) live: Live,
    pub(super) addr: SocketAddr,
    pub(super) telemetry: Option<Telemetry>,
    pub(super) asks: Asks,
    pub(super) began: Instant,
    pub(super) drain: Drain,
}

impl Routes {
    pub(super) async fn answer<B>(
        &self,
        door: Door,
        request: &Request<B>,
    ) -> Response<Full<Bytes>> {
        let Some(route) = Route::of(door, request.uri().path()) else {
            let paths = match door {
                Door::Socket => "/metrics, /ready, /state and /reload",
                Door::Tcp => "/metrics and /ready",
            };
            let text = format!("there is nothing here; there is something at {paths}\n");
            return plain(StatusCode::NOT_FOUND, TEXT, text);
        };
        if !route.takes(request.method()) {
            let methods = route.methods();
            let text = format!("{} takes {methods}\n", request.uri().path());
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, TEXT, text);
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static(methods));
            return response;
        }
        match route {
            Route::Metrics => self.metrics(),
            Route::Ready => self.ready(),
            Route::State => json(StatusCode::OK, &self.state()),
            Route::Reload => self.reload().await,
        }
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        match &self.telemetry {
            Some(telemetry) => plain(StatusCode::OK, METRICS, telemetry.text()),
            None => {
                let text = "the host of this agent counts elsewhere\n".to_owned();
                plain(StatusCode::SERVICE_UNAVAILABLE, TEXT, text)
            }
        }
    }

    fn ready(&self) -> Response<Full<Bytes>> {
        let (status, text) = if self.drain.is_draining() {
            (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
        } else {
            (StatusCode::OK, "ready\n")
        };
        plain(status, TEXT, text.to_owned())
    }

    fn state(&self) -> State {
        let text = self.telemetry.as_ref().map(Telemetry::text);
        let draining = self.drain.is_draining();
        State::gather(
            &self.live,
            self.addr,
            self.began.elapsed(),
            draining,
            text.as_deref(),
        )
    }

    async fn reload(&self) -> Response<Full<Bytes>> {
        let reloaded = self.asks.ask().await;
        let status = match &reloaded {
            Reloaded::Done { .. } => StatusCode::OK,
            Reloaded::Refused { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        };
        json(status, &reloaded)
    }
}

fn json(status: StatusCode, value: &impl Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_vec(value) {
        Ok(body) => plain(status, JSON, body),
        Err(error) => plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            TEXT,
            format!("{error}\n"),
        ),
    }
}

fn plain(status: StatusCode, kind: HeaderValue, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    response
}
