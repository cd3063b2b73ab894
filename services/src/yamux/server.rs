//! The accepting end: every stream is a connection for a protocol.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use oneport_proto::{BoxError, Session};
use tokio::task::{AbortHandle, JoinSet, coop};
use tower::Service;

use super::{
    config::Config,
    engine::{Engine, Tenants},
    fault::SessionError,
    meter,
    ready::Bell,
    session::{Outcome, Role, Shared},
    stream::YamuxStream,
    table::Key,
};
use crate::{Conn, Drain, Protocol};

/// A yamux server: each stream of the connection is handed to a protocol as a [`Conn`].
///
/// The streams' futures are polled inside the session's task, which reads what the socket holds,
/// polls all streams that became ready, and writes their answers at once. A protocol must not block
/// in there; one that burns CPU moves itself off, or asks for
/// [tasks of its own](Yamux::spawn_streams).
///
/// A stream is acknowledged when the protocol takes it. It ends with FIN when the protocol's future
/// completes, whatever the outcome, and with RST when the future panics or drops the `Conn`
/// unfinished. When the peer resets the stream, the future is dropped.
#[derive(Clone, Debug)]
pub struct Yamux<P> {
    protocol: P,
    config: Arc<Config>,
    spawn: Option<Drain>,
}

impl<P: Protocol> Yamux<P> {
    /// A server that speaks `protocol` on its streams, with the default limits.
    pub fn new(protocol: P) -> Yamux<P> {
        Yamux {
            protocol,
            config: Arc::new(Config::default()),
            spawn: None,
        }
    }

    /// Other limits.
    #[must_use]
    pub fn config(self, config: Config) -> Yamux<P> {
        Yamux {
            config: Arc::new(config),
            ..self
        }
    }

    /// Gives each stream a task of its own, for protocols that cannot share one. The session owns
    /// the tasks: they end when it ends. `drain` is what the streams see of the way down.
    #[must_use]
    pub fn spawn_streams(self, drain: Drain) -> Yamux<P> {
        Yamux {
            spawn: Some(drain),
            ..self
        }
    }
}

impl<P: Protocol> Service<Conn> for Yamux<P> {
    type Response = ();
    type Error = BoxError;
    type Future = Serve<P>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // Readiness of the protocol is asked for stream by stream.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, conn: Conn) -> Serve<P> {
        let tenants = Tenancy {
            protocol: self.protocol.clone(),
            session: Arc::clone(conn.session()),
            drain: match &self.spawn {
                Some(drain) => drain.clone(),
                None => conn.drain().relayed(),
            },
            running: Vec::new(),
            count: 0,
            tasks: self.spawn.is_some().then(JoinSet::new),
        };
        Serve {
            engine: Engine::new(Role::Server, Arc::clone(&self.config), conn, tenants),
        }
    }
}

/// A session being served; done when the session is.
///
/// Dropping it ends all streams and closes the connection.
#[must_use = "a session is served only while its future is polled"]
pub struct Serve<P: Protocol> {
    engine: Engine<Tenancy<P>>,
}

impl<P: Protocol> Future for Serve<P> {
    type Output = Result<(), BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.engine).poll(cx).map_err(BoxError::from)
    }
}

impl<P: Protocol> std::fmt::Debug for Serve<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Serve").finish_non_exhaustive()
    }
}

/// The protocol and the streams that it runs on.
struct Tenancy<P: Protocol> {
    protocol: P,
    session: Arc<Session>,
    drain: Drain,
    /// By the slot of the stream.
    running: Vec<Option<Tenant<P::Future>>>,
    count: usize,
    tasks: Option<JoinSet<()>>,
}

/// One stream's future, or its task.
enum Tenant<F> {
    Inside(Inside<F>),
    Task { serial: u32, handle: AbortHandle },
}

struct Inside<F> {
    key: Key,
    future: Pin<Box<F>>,
    bell: Arc<Bell>,
    waker: Waker,
}

impl<F> Tenant<F> {
    fn serial(&self) -> u32 {
        match self {
            Tenant::Inside(inside) => inside.key.serial,
            Tenant::Task { serial, .. } => *serial,
        }
    }
}

impl<P: Protocol> Tenants for Tenancy<P> {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        shared: &Arc<Shared>,
        polls: &mut usize,
    ) -> Result<(), SessionError> {
        let (cancelled, can_accept) = shared.with(|session| {
            let cancelled = std::mem::take(&mut session.cancelled);
            (cancelled, session.can_accept())
        });
        for key in cancelled {
            self.evict(key);
        }
        if can_accept {
            self.begin(cx, shared)?;
        }
        self.reap(cx);
        while *polls > 0
            && let Some(key) = shared.ready.pop()
        {
            *polls -= 1;
            self.poll_stream(key, shared);
        }
        Ok(())
    }

    fn are_elsewhere(&self) -> bool {
        self.tasks.is_some()
    }

    fn wake_all(&mut self) {
        for tenant in self.running.iter().flatten() {
            if let Tenant::Inside(inside) = tenant {
                inside.bell.ring();
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn clear(&mut self) {
        for tenant in std::mem::take(&mut self.running).into_iter().flatten() {
            discard(tenant);
        }
        self.count = 0;
        self.tasks = None;
    }
}

impl<P: Protocol> Tenancy<P> {
    /// Gives waiting streams to the protocol as long as it is ready for them.
    fn begin(&mut self, cx: &mut Context<'_>, shared: &Arc<Shared>) -> Result<(), SessionError> {
        loop {
            match self.protocol.poll_ready(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(err)) => return Err(SessionError::Protocol(err)),
                Poll::Ready(Ok(())) => {}
            }
            let Some(key) = shared.with(|session| session.accept()) else {
                return Ok(());
            };
            let io = YamuxStream::new(Arc::clone(shared), key);
            let conn = Conn::new(Arc::clone(&self.session), self.drain.clone(), io);
            match catch_unwind(AssertUnwindSafe(|| self.protocol.call(conn))) {
                Ok(future) => self.settle(key, future, shared),
                Err(_) => panicked(key, shared),
            }
            if !shared.with(|session| session.can_accept()) {
                return Ok(());
            }
        }
    }

    fn settle(&mut self, key: Key, future: P::Future, shared: &Arc<Shared>) {
        let tenant = match &mut self.tasks {
            None => {
                let bell = Bell::new(key, Arc::clone(&shared.ready));
                bell.ring();
                Tenant::Inside(Inside {
                    key,
                    future: Box::pin(future),
                    waker: Waker::from(Arc::clone(&bell)),
                    bell,
                })
            }
            Some(tasks) => Tenant::Task {
                serial: key.serial,
                handle: tasks.spawn(Lodger {
                    key,
                    shared: Arc::clone(shared),
                    future: Some(Box::pin(future)),
                }),
            },
        };
        let index = key.index();
        if self.running.len() <= index {
            self.running.resize_with(index + 1, || None);
        }
        match self.running[index].replace(tenant) {
            Some(old) => discard(old),
            None => self.count += 1,
        }
    }

    fn poll_stream(&mut self, key: Key, shared: &Arc<Shared>) {
        let Some(Some(Tenant::Inside(inside))) = self.running.get_mut(key.index()) else {
            return;
        };
        if inside.key != key {
            return;
        }
        inside.bell.reset();
        let mut cx = Context::from_waker(&inside.waker);
        match poll_guarded(inside.future.as_mut(), &mut cx) {
            Outcome::Pending => shared.with(|session| session.polled(key, Outcome::Pending)),
            Outcome::Done => {
                self.evict(key);
                shared.with(|session| session.polled(key, Outcome::Done));
            }
            Outcome::Panicked => {
                // Not before: what the drop of a broken future says does not count.
                panicked(key, shared);
                self.evict(key);
            }
        }
    }

    /// Drops the future of a stream.
    fn evict(&mut self, key: Key) {
        let Some(place) = self.running.get_mut(key.index()) else {
            return;
        };
        if place
            .as_ref()
            .is_none_or(|tenant| tenant.serial() != key.serial)
        {
            return;
        }
        if let Some(tenant) = place.take() {
            discard(tenant);
            self.count -= 1;
        }
        if self.count == 0 {
            self.running = Vec::new();
        }
    }

    /// Collects the tasks that have ended.
    fn reap(&mut self, cx: &mut Context<'_>) {
        let Some(tasks) = &mut self.tasks else {
            return;
        };
        let mut ended = false;
        while let Poll::Ready(Some(_)) = tasks.poll_join_next(cx) {
            ended = true;
        }
        if ended {
            for place in &mut self.running {
                if let Some(Tenant::Task { handle, .. }) = place
                    && handle.is_finished()
                {
                    *place = None;
                    self.count -= 1;
                }
            }
        }
    }
}

/// One stream in a task of its own.
struct Lodger<F> {
    key: Key,
    shared: Arc<Shared>,
    future: Option<Pin<Box<F>>>,
}

impl<F: Future> Future for Lodger<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(future) = &mut self.future else {
            return Poll::Ready(());
        };
        let outcome = poll_guarded(future.as_mut(), cx);
        match outcome {
            Outcome::Pending => {}
            Outcome::Done => drop_quietly(self.future.take()),
            Outcome::Panicked => {
                panicked(self.key, &self.shared);
                drop_quietly(self.future.take());
                return Poll::Ready(());
            }
        }
        self.shared
            .with(|session| session.polled(self.key, outcome));
        match outcome {
            Outcome::Pending => Poll::Pending,
            _ => Poll::Ready(()),
        }
    }
}

/// Polls a stream's future: it can neither use up the task's budget nor bring the task down.
fn poll_guarded<F: Future>(future: Pin<&mut F>, cx: &mut Context<'_>) -> Outcome {
    let poll = || pin!(coop::unconstrained(future)).poll(cx);
    match catch_unwind(AssertUnwindSafe(poll)) {
        Ok(Poll::Pending) => Outcome::Pending,
        Ok(Poll::Ready(_)) => Outcome::Done,
        Err(_) => Outcome::Panicked,
    }
}

fn panicked(key: Key, shared: &Shared) {
    meter::panicked();
    shared.with(|session| session.polled(key, Outcome::Panicked));
}

fn discard<F>(tenant: Tenant<F>) {
    match tenant {
        Tenant::Inside(inside) => drop_quietly(inside),
        Tenant::Task { handle, .. } => handle.abort(),
    }
}

/// Drops what belongs to a stream; a panic in there is the stream's own affair too.
fn drop_quietly<T>(value: T) {
    if catch_unwind(AssertUnwindSafe(|| drop(value))).is_err() {
        meter::panicked();
    }
}
