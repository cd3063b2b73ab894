//! Accepting connections, owning them, and the way down.

use std::{collections::HashMap, future::poll_fn, io, net::SocketAddr, pin::pin, time::Duration};

use metrics::{Counter, Gauge, counter, gauge};
use oneport_layers::Source;
use oneport_proto::{BoxError, Peer, Session};
use oneport_services::{AcceptFailure, Backoff, Conn, Drain, Protocol};
use tokio::{
    select,
    sync::watch,
    task::{Id, JoinError, JoinSet},
    time::{Instant, sleep_until, timeout},
};
use tower::ServiceExt;
use tracing::{debug, error, info, warn};

use crate::{
    accept::{Accept, Accepted, TcpAccept},
    config::{ConfigError, ListenConfig},
    metrics::{ACCEPT_ERRORS, ACCEPTED, CONSUL_ACCEPTED, ENDED, OPEN, REFUSED},
    slots::Slots,
};

/// Accepts connections and serves them until it is told to drain.
///
/// Bind first, build what is served second, serve third: then addresses are known while the rest
/// is put together, and connections that come early wait in the kernel.
#[derive(Debug)]
pub struct Listener<A = TcpAccept> {
    accept: A,
    config: watch::Sender<ListenConfig>,
}

/// Changes the limits of a listener while it serves.
#[derive(Clone, Debug)]
pub struct ListenControl {
    config: watch::Sender<ListenConfig>,
}

impl ListenControl {
    /// Makes these the limits, at once. Connections that are open stay, also where there are more
    /// of them than there may be now. A new [`keepalive`](ListenConfig::keepalive) changes nothing:
    /// the socket has it since it was bound.
    ///
    /// # Errors
    /// [`ConfigError`]: a setting that cannot hold; then nothing is changed.
    pub fn set(&self, config: ListenConfig) -> Result<(), ConfigError> {
        config.validate()?;
        self.config.send_if_modified(|held| {
            let changed = *held != config;
            *held = config;
            changed
        });
        Ok(())
    }

    /// The limits.
    pub fn config(&self) -> ListenConfig {
        self.config.borrow().clone()
    }
}

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// A setting cannot hold.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address cannot be bound.
    #[error("cannot listen on {addr}")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// What the kernel says.
        source: io::Error,
    },
}

/// What a listener did in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Connections accepted, those refused afterwards included.
    pub accepted: u64,
    /// Connections closed unread because a limit was reached.
    pub refused: u64,
    /// Connections whose service panicked.
    pub panicked: u64,
    /// Connections cut because they were still open after the grace time.
    pub cut: u64,
}

impl Listener {
    /// Binds a TCP address; port 0 lets the kernel choose one.
    ///
    /// # Errors
    /// [`ListenError`]: a setting that cannot hold, or what the kernel says.
    pub async fn bind(addr: SocketAddr, config: ListenConfig) -> Result<Listener, ListenError> {
        config.validate()?;
        match TcpAccept::bind(addr, config.keepalive).await {
            Ok(accept) => Listener::new(accept, config).map_err(Into::into),
            Err(source) => Err(ListenError::Bind { addr, source }),
        }
    }

    /// The bound address.
    pub fn local_addr(&self) -> SocketAddr {
        self.accept.local_addr()
    }
}

impl<A: Accept> Listener<A> {
    /// A listener over any source of connections.
    ///
    /// # Errors
    /// [`ConfigError`]: a setting that cannot hold.
    pub fn new(accept: A, config: ListenConfig) -> Result<Listener<A>, ConfigError> {
        config.validate()?;
        Ok(Listener {
            accept,
            config: watch::Sender::new(config),
        })
    }

    /// What changes the limits later.
    pub fn control(&self) -> ListenControl {
        ListenControl {
            config: self.config.clone(),
        }
    }

    /// Serves every connection with a clone of `protocol`, each in a task that this future owns.
    ///
    /// It returns when `drain` has begun and all connections are over or were cut: when the drain
    /// begins nothing more is accepted, connections have
    /// [`grace`](ListenConfig::grace) to finish, and what is left then is aborted. Dropping the
    /// future aborts all connections at once. No error of accepting and no panic of a connection
    /// ends it.
    pub async fn serve(self, protocol: impl Protocol, drain: Drain) -> Served {
        let Listener { mut accept, config } = self;
        let mut changes = config.subscribe();
        let mut serving = Serving::new(protocol, drain.clone(), &changes.borrow_and_update());
        let mut draining = pin!(drain.draining());
        loop {
            select! {
                // The drain first; then places are given back before they are asked for.
                biased;
                () = &mut draining => break,
                // The sender is here, so this is never an error.
                Ok(()) = changes.changed() => serving.slots.set(&changes.borrow_and_update()),
                Some(ended) = serving.tasks.join_next_with_id() => serving.ended(ended),
                accepted = next(&mut accept, serving.pause_until) => serving.accepted(accepted),
            }
        }
        drop(accept);
        let grace = changes.borrow().grace;
        serving.finish(grace).await
    }
}

/// The next connection, not before the end of a pause.
async fn next<A: Accept>(
    accept: &mut A,
    pause_until: Option<Instant>,
) -> io::Result<Accepted<A::Io>> {
    if let Some(until) = pause_until {
        sleep_until(until).await;
    }
    poll_fn(|cx| accept.poll_accept(cx)).await
}

/// A listener at work.
struct Serving<P> {
    protocol: P,
    drain: Drain,
    slots: Slots,
    tasks: JoinSet<Result<(), BoxError>>,
    /// Who each task serves; also when it panics, hence not the task's own result.
    peers: HashMap<Id, Peer>,
    backoff: Backoff,
    pause_until: Option<Instant>,
    served: Served,
    meters: Meters,
}

/// How a connection ends when nothing is wrong, as a metric label.
const DONE: &str = "done";

/// The metric handles of what every connection does.
struct Meters {
    accepted: Counter,
    consul_accepted: Counter,
    open: Gauge,
    done: Counter,
}

impl Meters {
    fn new() -> Meters {
        Meters {
            accepted: counter!(ACCEPTED),
            consul_accepted: counter!(CONSUL_ACCEPTED),
            open: gauge!(OPEN),
            done: counter!(ENDED, "how" => DONE),
        }
    }
}

impl<P: Protocol> Serving<P> {
    fn new(protocol: P, drain: Drain, config: &ListenConfig) -> Serving<P> {
        Serving {
            protocol,
            drain,
            slots: Slots::new(config),
            tasks: JoinSet::new(),
            peers: HashMap::new(),
            backoff: Backoff::default(),
            pause_until: None,
            served: Served::default(),
            meters: Meters::new(),
        }
    }

    fn accepted<I>(&mut self, accepted: io::Result<Accepted<I>>)
    where
        I: oneport_services::Io + 'static,
    {
        match accepted {
            Ok(accepted) => {
                self.pause_until = None;
                self.backoff.reset();
                self.admit(accepted);
            }
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&mut self, error: &io::Error) {
        let failure = AcceptFailure::of(error);
        counter!(ACCEPT_ERRORS, "kind" => failure.label()).increment(1);
        if failure == AcceptFailure::Connection {
            debug!(%error, "a connection was gone before it was accepted");
            return;
        }
        let pause = self.backoff.wait();
        warn!(%error, ?pause, "accepting failed");
        self.pause_until = Some(Instant::now() + pause);
    }

    /// Serves a connection, or drops it unread: the kernel then sends FIN, or RST if the peer has
    /// spoken, as a Consul over its limit does.
    fn admit<I>(&mut self, accepted: Accepted<I>)
    where
        I: oneport_services::Io + 'static,
    {
        let Accepted { io, peer, local } = accepted;
        self.served.accepted += 1;
        self.meters.accepted.increment(1);
        self.meters.consul_accepted.increment(1);
        if let Err(full) = self.slots.take(Source::of(&peer), Instant::now()) {
            self.served.refused += 1;
            counter!(REFUSED, "limit" => full.label()).increment(1);
            debug!(%peer, limit = full.label(), "connection refused");
            return;
        }
        let conn = Conn::new(Session::new(peer.clone(), local), self.drain.clone(), io);
        // Boxed, for spawning moves a future nine times.
        let serving = Box::pin(self.protocol.clone().oneshot(conn));
        let task = self.tasks.spawn(serving);
        self.peers.insert(task.id(), peer);
        self.meters.open.increment(1);
    }

    fn ended(&mut self, ended: Result<(Id, Result<(), BoxError>), JoinError>) {
        let (id, result) = match ended {
            Ok((id, result)) => (id, Ok(result)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some(peer) = self.peers.remove(&id) else {
            return;
        };
        self.slots.free(Source::of(&peer));
        self.meters.open.decrement(1);
        match self.how(&peer, result) {
            DONE => self.meters.done.increment(1),
            how => counter!(ENDED, "how" => how).increment(1),
        }
    }

    /// How a connection ended, as a metric label.
    fn how(
        &mut self,
        peer: &Peer,
        result: Result<Result<(), BoxError>, JoinError>,
    ) -> &'static str {
        match result {
            Ok(Ok(())) => DONE,
            Ok(Err(error)) => {
                debug!(%peer, error, "connection ended");
                "error"
            }
            Err(panic) if panic.is_panic() => {
                self.served.panicked += 1;
                error!(%peer, "the service of a connection panicked");
                "panic"
            }
            Err(_cancelled) => {
                self.served.cut += 1;
                "cut"
            }
        }
    }

    /// Waits for the connections that are left, then cuts them.
    async fn finish(mut self, grace: Duration) -> Served {
        if timeout(grace, self.all_ended()).await.is_err() {
            self.tasks.abort_all();
            self.all_ended().await;
        }
        info!(cut = self.served.cut, "listener drained");
        self.served
    }

    async fn all_ended(&mut self) {
        while let Some(ended) = self.tasks.join_next_with_id().await {
            self.ended(ended);
        }
    }
}
