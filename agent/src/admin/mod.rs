//! What is asked of a running agent by HTTP/1.1: on a unix socket that only its user may open, and,
//! for those who scrape metrics, on a TCP address.
//!
//! | path | socket | TCP | answer |
//! |---|---|---|---|
//! | `GET /metrics` | yes | yes | all metrics in Prometheus' text format |
//! | `GET /ready` | yes | yes | 200 while connections are taken, 503 from the drain on |
//! | `GET /state` | yes | | [JSON](state): version, connections, calls, settings in force |
//! | `POST /reload` | yes | | reads the settings files again: 200 with what changed, 422 with what is wrong |
//!
//! Each connection serves one request within [`ANSWER_WITHIN`], and there are at most [`MOST_CONNS`]
//! of each kind; further ones wait in the kernel.

pub mod client;
mod doors;
mod routes;
mod socket;
pub mod state;

use std::{convert::Infallible, future::pending, net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use oneport::services::Drain;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

pub use doors::AdminError;
pub(crate) use doors::Doors;

use crate::{
    live::{Changed, Live},
    telemetry::{Telemetry, UPKEEP},
};
use routes::{Door, Routes};

/// Connections at once, on the socket and on the TCP address each.
pub const MOST_CONNS: usize = 16;
/// How long a connection may take in all.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long the head of a request may take.
pub const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// The largest head of a request, in bytes.
pub const LARGEST_HEAD: usize = 16 * 1024;
/// The most header fields of a request.
pub const MOST_HEADERS: usize = 64;
/// Reloads that wait for their turn.
const MOST_RELOADS: usize = 4;

/// The reloads that are asked for.
#[derive(Debug)]
pub struct Reloads(mpsc::Receiver<Reload>);

/// The way to ask for a reload. Clones ask the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asks(Arc<ArcSwapOption<mpsc::Sender<Reload>>>);

impl Asks {
    /// Asks and waits for what becomes of it. As long as nobody takes reloads they are refused.
    pub(crate) async fn ask(&self) -> Reloaded {
        let (answer, answered) = oneshot::channel();
        let taker = self.0.load_full();
        let asked = match taker {
            Some(reloads) => reloads.send(Reload(answer)).await.is_ok(),
            None => false,
        };
        let refused = || Reloaded::Refused {
            errors: vec!["nobody reads settings files for this agent".to_owned()],
        };
        if !asked {
            return refused();
        }
        answered.await.unwrap_or_else(|_gone| refused())
    }
}

/// One reload that is asked for.
#[derive(Debug)]
pub struct Reload(oneshot::Sender<Reloaded>);

/// What became of a reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reloaded {
    /// The settings have been read.
    Done {
        /// Settings that have new values.
        changed: Vec<String>,
        /// Settings that have new values in the files, and wait for a restart.
        restart: Vec<String>,
    },
    /// Something is wrong, so that everything stays as it was.
    Refused {
        /// Everything that is wrong.
        errors: Vec<String>,
    },
}

impl From<Changed> for Reloaded {
    fn from(changed: Changed) -> Reloaded {
        let names = |keys: Vec<&str>| keys.into_iter().map(str::to_owned).collect();
        Reloaded::Done {
            changed: names(changed.changed),
            restart: names(changed.restart),
        }
    }
}

impl Reloads {
    /// The next one.
    pub async fn next(&mut self) -> Reload {
        match self.0.recv().await {
            Some(reload) => reload,
            // The agent is gone, and nobody asks any more.
            None => pending().await,
        }
    }
}

impl Reload {
    /// Says what became of it.
    pub fn answer(self, reloaded: Reloaded) {
        // Who asked may have left.
        let _gone = self.0.send(reloaded);
    }
}

/// The doors, and what is behind them.
#[derive(Debug)]
pub(crate) struct Admin {
    doors: Doors,
    live: Live,
    addr: SocketAddr,
    telemetry: Option<Telemetry>,
    asks: Asks,
}

impl Admin {
    pub(crate) fn new(
        live: Live,
        addr: SocketAddr,
        telemetry: Option<Telemetry>,
        doors: Doors,
    ) -> Admin {
        Admin {
            doors,
            live,
            addr,
            telemetry,
            asks: Asks::default(),
        }
    }

    /// The way to ask for a reload from elsewhere.
    pub(crate) fn asks(&self) -> Asks {
        self.asks.clone()
    }

    pub(crate) fn metrics_addr(&self) -> Option<SocketAddr> {
        self.doors.metrics_addr()
    }

    pub(crate) fn reloads(&self) -> Reloads {
        let (asked, reloads) = mpsc::channel(MOST_RELOADS);
        self.asks.0.store(Some(Arc::new(asked)));
        Reloads(reloads)
    }

    /// Answers until it is dropped, through the drain too: that is when people look.
    pub(crate) async fn serve(self, drain: Drain) -> Infallible {
        let routes = Routes {
            live: self.live,
            addr: self.addr,
            telemetry: self.telemetry.clone(),
            asks: self.asks,
            began: Instant::now(),
            drain,
        };
        let (socket, tcp) = self.doors.split();
        let upkeep = upkeep(self.telemetry);
        let on_socket = async {
            match &socket {
                Some(socket) => serve(|| socket.accept(), &routes, Door::Socket).await,
                None => pending().await,
            }
        };
        let on_tcp = async {
            match &tcp {
                Some(tcp) => {
                    let accept = || async { tcp.accept().await.map(|(stream, _)| stream) };
                    serve(accept, &routes, Door::Tcp).await
                }
                None => pending().await,
            }
        };
        tokio::select! {
            never = upkeep => never,
            never = on_socket => never,
            never = on_tcp => never,
        }
    }
}

/// Keeps histograms small, whether anybody scrapes or not.
async fn upkeep(telemetry: Option<Telemetry>) -> Infallible {
    let Some(telemetry) = telemetry else {
        return pending().await;
    };
    let mut steps = interval(UPKEEP);
    steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        steps.tick().await;
        telemetry.upkeep();
    }
}

/// Accepts and answers, each connection in a task that this future owns.
async fn serve<I, F>(accept: impl Fn() -> F, routes: &Routes, door: Door) -> Infallible
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = std::io::Result<I>>,
{
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            // An error here is a panic of one task, which ends with it.
            Some(_ended) = tasks.join_next() => {}
            accepted = accept(), if tasks.len() < MOST_CONNS => match accepted {
                Ok(io) => {
                    tasks.spawn(answer(io, routes.clone(), door));
                }
                Err(error) => {
                    tracing::debug!(%error, "accepting an admin connection failed");
                    // Most often out of files: only time helps.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

/// One request and its answer.
async fn answer(io: impl AsyncRead + AsyncWrite + Unpin, routes: Routes, door: Door) {
    let service = service_fn(move |request| {
        let routes = routes.clone();
        async move { Ok::<_, Infallible>(routes.answer(door, &request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_headers(MOST_HEADERS)
        .max_buf_size(LARGEST_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(io), service);
    match timeout(ANSWER_WITHIN, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "an admin connection broke"),
        Err(_elapsed) => tracing::debug!("an admin connection took too long"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    };

    use oneport::services::Drainer;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::{Agent, config::Config};

    async fn routes(drainer: &Drainer) -> Routes {
        let config = Config {
            server_port: 0,
            ..Config::default()
        };
        let agent = Agent::bind(config).await.unwrap();
        Routes {
            live: agent.live().clone(),
            addr: agent.local_addr(),
            telemetry: None,
            asks: Asks::default(),
            began: Instant::now(),
            drain: drainer.handle(),
        }
    }

    /// What a connection is answered that sends `request` and then nothing.
    async fn answered(request: &[u8]) -> String {
        let drainer = Drainer::new();
        let (mut here, there) = duplex(1024 * 1024);
        here.write_all(request).await.unwrap();
        answer(there, routes(&drainer).await, Door::Socket).await;
        let mut text = String::new();
        here.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_connections_at_once_and_no_more() {
        let (held, accepted) = (Mutex::new(Vec::<DuplexStream>::new()), AtomicUsize::new(0));
        let accept = || async {
            accepted.fetch_add(1, Relaxed);
            let (here, there) = duplex(1024);
            held.lock().unwrap().push(here);
            Ok(there)
        };
        let drainer = Drainer::new();
        let routes = routes(&drainer).await;
        let serving = serve(accept, &routes, Door::Tcp);
        tokio::pin!(serving);
        assert!(timeout(HEAD_WITHIN / 2, &mut serving).await.is_err());
        assert_eq!(accepted.load(Relaxed), MOST_CONNS);
        // Who says nothing is gone after a while, and the next ones get their turn.
        assert!(timeout(HEAD_WITHIN, &mut serving).await.is_err());
        assert_eq!(accepted.load(Relaxed), 2 * MOST_CONNS);
    }

    #[tokio::test(start_paused = true)]
    async fn heads_have_a_size_and_a_time() {
        let ready = |fields: String| format!("GET /ready HTTP/1.1\r\n{fields}\r\n");
        let status = |text: String| text.split(' ').nth(1).map(str::to_owned);
        let of = async |fields| status(answered(ready(fields).as_bytes()).await);
        assert_eq!(of(String::new()).await.as_deref(), Some("200"));
        let fields = |count| "a: b\r\n".repeat(count);
        assert_eq!(of(fields(MOST_HEADERS)).await.as_deref(), Some("200"));
        assert_eq!(of(fields(MOST_HEADERS + 1)).await.as_deref(), Some("431"));
        let long = |size| format!("a: {}\r\n", "x".repeat(size));
        assert_eq!(of(long(LARGEST_HEAD / 2)).await.as_deref(), Some("200"));
        assert_eq!(of(long(LARGEST_HEAD)).await.as_deref(), Some("431"));
        // Half a head is not waited for longer than a whole one.
        let began = Instant::now();
        answered(b"GET /rea").await;
        assert!(began.elapsed() <= ANSWER_WITHIN);
    }

    #[tokio::test]
    async fn who_cannot_reload_says_so() {
        let text = answered(b"POST /reload HTTP/1.1\r\n\r\n").await;
        assert!(text.starts_with("HTTP/1.1 422 "), "{text}");
        assert!(text.contains("nobody reads settings files"), "{text}");
    }
}
