//! Accepting connections, owning them, and the way down.

use std::{
    collections::HashMap,
    io,
    os::{fd::OwnedFd, unix::net::UnixListener as StdUnixListener},
    path::{Path, PathBuf},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use metrics::{counter, gauge};
use oneport_proto::{BoxError, Peer};
use rustix::net::{SocketType, sockopt};
use tokio::{
    net::{UnixListener, UnixStream},
    select,
    task::{Id, JoinError, JoinSet},
    time::{Instant, sleep_until, timeout},
};
use tower::{Service, ServiceExt};

use super::{
    bind::{BindError, SocketFile, bind_at},
    packet::Packets,
    socket::Socket,
};
use crate::{AcceptFailure, Backoff, Drain};

/// Who may connect unless told otherwise: the server's user and group.
pub const DEFAULT_MODE: u32 = 0o660;
/// Most sessions at once, unless configured otherwise.
pub const DEFAULT_MAX_SESSIONS: usize = 1024;
/// Most sessions of one user at once, unless configured otherwise.
pub const DEFAULT_MAX_SESSIONS_PER_USER: usize = 256;
/// How long sessions have to finish when a drain begins, unless configured otherwise.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);

/// Connections that were accepted, refused ones among them.
const ACCEPTED: &str = "oneport.drpc.accepted";
/// Connections that were closed unread, by the limit that they were over.
const REFUSED: &str = "oneport.drpc.refused";
/// Sessions that are open.
const OPEN: &str = "oneport.drpc.sessions";
/// Failed accepts.
const ACCEPT_ERRORS: &str = "oneport.drpc.accept_errors";

/// What bounds a [`Listener`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenLimits {
    /// Most sessions at once; the default is [`DEFAULT_MAX_SESSIONS`]. One more is closed unread.
    pub max_sessions: usize,
    /// Most sessions of one user; the default is [`DEFAULT_MAX_SESSIONS_PER_USER`].
    pub max_sessions_per_user: usize,
    /// How long sessions have to finish when a drain begins; then they are cut. The default is
    /// [`DEFAULT_GRACE`].
    pub grace: Duration,
}

impl Default for ListenLimits {
    fn default() -> Self {
        ListenLimits {
            max_sessions: DEFAULT_MAX_SESSIONS,
            max_sessions_per_user: DEFAULT_MAX_SESSIONS_PER_USER,
            grace: DEFAULT_GRACE,
        }
    }
}

/// A path, its mode, its limits: see [`Listener::builder`].
#[derive(Clone, Debug)]
pub struct ListenerBuilder {
    path: PathBuf,
    mode: u32,
    limits: ListenLimits,
}

impl ListenerBuilder {
    /// Who may connect, as the mode of the socket's file, 0o001 to 0o777: whoever may write. It is
    /// exact, whatever the umask is. The default is [`DEFAULT_MODE`].
    #[must_use]
    pub fn mode(self, mode: u32) -> ListenerBuilder {
        ListenerBuilder { mode, ..self }
    }

    /// Other limits.
    #[must_use]
    pub fn limits(self, limits: ListenLimits) -> ListenerBuilder {
        ListenerBuilder { limits, ..self }
    }

    /// Binds the path. From now on clients can connect; they wait until the listener serves.
    ///
    /// What an earlier server left is replaced. Anything else stays where it is and is an error.
    ///
    /// # Errors
    /// [`BindError`]; [`BindError::InUse`] if somebody listens there.
    pub async fn bind(self) -> Result<Listener, BindError> {
        let ListenerBuilder { path, mode, limits } = self;
        let (socket, file) = bind_at(&path, mode).await?;
        let socket = listening(socket).map_err(|source| BindError::Io {
            what: "listen on",
            path: path.clone(),
            source,
        })?;
        Ok(Listener::with(socket, path, Some(file), limits))
    }
}

/// Accepts dRPC connections and serves them until it is told to drain.
///
/// Bind first, build what is served second, serve third.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    path: Arc<PathBuf>,
    /// `None` if the socket was inherited: then its file is whoever's who made it.
    file: Option<SocketFile>,
    limits: ListenLimits,
    sessions: Sessions,
}

/// What a listener did in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Connections accepted, those refused afterwards included.
    pub accepted: u64,
    /// Connections closed unread because a limit was reached.
    pub refused: u64,
    /// Connections cut because they were still open after the grace time.
    pub cut: u64,
}

/// How many sessions a listener has open: a handle that can be asked while it serves.
#[derive(Clone, Debug, Default)]
pub struct Sessions(Arc<AtomicUsize>);

impl Sessions {
    /// How many there are now.
    pub fn open(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Listener {
    /// A listener to be bound to `path`, which has at most [`MAX_PATH`](super::MAX_PATH) bytes.
    pub fn builder(path: impl Into<PathBuf>) -> ListenerBuilder {
        ListenerBuilder {
            path: path.into(),
            mode: DEFAULT_MODE,
            limits: ListenLimits::default(),
        }
    }

    /// A listener on a socket that somebody else has bound and set to listen, as systemd does for a
    /// unit with `ListenSequentialPacket=`. Its file is not removed at the end.
    ///
    /// # Errors
    /// If it is not a listening `SOCK_SEQPACKET` socket, or the runtime does not take it.
    pub fn inherited(socket: OwnedFd, limits: ListenLimits) -> io::Result<Listener> {
        let wrong = |text| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        if sockopt::socket_type(&socket)? != SocketType::SEQPACKET {
            return wrong("the inherited socket is not of the type SOCK_SEQPACKET");
        }
        if !sockopt::socket_acceptconn(&socket)? {
            return wrong("the inherited socket does not listen");
        }
        let socket = listening(socket)?;
        let address = socket.local_addr()?;
        let path = address.as_pathname().unwrap_or(Path::new("")).to_owned();
        Ok(Listener::with(socket, path, None, limits))
    }

    fn with(
        socket: UnixListener,
        path: PathBuf,
        file: Option<SocketFile>,
        limits: ListenLimits,
    ) -> Listener {
        Listener {
            socket,
            path: Arc::new(path),
            file,
            limits,
            sessions: Sessions::default(),
        }
    }

    /// Where it listens; empty if an inherited socket has no path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many sessions are open, now and later.
    pub fn sessions(&self) -> Sessions {
        self.sessions.clone()
    }

    /// Serves every connection with a clone of `server`, each in a task that this future owns.
    ///
    /// It returns when `drain` has begun and all sessions are over or were cut: when the drain
    /// begins the file is removed and nothing more is accepted, idle sessions end, those with a call
    /// under way have [`grace`](ListenLimits::grace) to answer it, and what is left then is aborted.
    /// Dropping the future aborts all of them at once. No error of accepting and no panic of a
    /// session ends it.
    pub async fn serve<S>(self, server: S, drain: Drain) -> Served
    where
        S: Service<Socket, Response = (), Error = BoxError, Future: Send + 'static>
            + Clone
            + Send
            + 'static,
    {
        let Listener {
            socket,
            path,
            file,
            limits,
            sessions,
        } = self;
        let mut serving = Serving::new(server, path, limits, sessions, drain.clone());
        let mut draining = pin!(drain.draining());
        loop {
            select! {
                // The drain first; then places are given back before they are asked for.
                biased;
                () = &mut draining => break,
                Some(ended) = serving.tasks.join_next_with_id() => serving.ended(ended),
                accepted = next(&socket, serving.pause_until) => serving.accepted(accepted),
            }
        }
        drop(file);
        drop(socket);
        serving.finish().await
    }
}

/// A bound socket for the runtime.
fn listening(socket: OwnedFd) -> io::Result<UnixListener> {
    let socket = StdUnixListener::from(socket);
    socket.set_nonblocking(true)?;
    UnixListener::from_std(socket)
}

/// The next connection, not before the end of a pause.
async fn next(socket: &UnixListener, pause_until: Option<Instant>) -> io::Result<UnixStream> {
    if let Some(until) = pause_until {
        sleep_until(until).await;
    }
    let (accepted, _nameless) = socket.accept().await?;
    Ok(accepted)
}

/// A listener at work.
struct Serving<S> {
    server: S,
    path: Arc<PathBuf>,
    limits: ListenLimits,
    drain: Drain,
    tasks: JoinSet<Result<(), BoxError>>,
    /// Whose session each task is; also when it panics, hence not the task's own result.
    users: HashMap<Id, u32>,
    /// The sessions of each user who has any.
    open: HashMap<u32, usize>,
    sessions: Sessions,
    backoff: Backoff,
    pause_until: Option<Instant>,
    served: Served,
}

impl<S> Serving<S>
where
    S: Service<Socket, Response = (), Error = BoxError, Future: Send + 'static>
        + Clone
        + Send
        + 'static,
{
    fn new(
        server: S,
        path: Arc<PathBuf>,
        limits: ListenLimits,
        sessions: Sessions,
        drain: Drain,
    ) -> Serving<S> {
        Serving {
            server,
            path,
            limits,
            drain,
            tasks: JoinSet::new(),
            users: HashMap::new(),
            open: HashMap::new(),
            sessions,
            backoff: Backoff::default(),
            pause_until: None,
            served: Served::default(),
        }
    }

    fn accepted(&mut self, accepted: io::Result<UnixStream>) {
        match accepted {
            Ok(stream) => {
                self.pause_until = None;
                self.backoff.reset();
                self.admit(stream);
            }
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&mut self, error: &io::Error) {
        let failure = AcceptFailure::of(error);
        counter!(ACCEPT_ERRORS, "kind" => failure.label()).increment(1);
        if failure == AcceptFailure::Connection {
            return;
        }
        let pause = self.backoff.wait();
        tracing::warn!(%error, ?pause, path = %self.path.display(), "accepting failed");
        self.pause_until = Some(Instant::now() + pause);
    }

    /// Serves a connection, or closes it unread.
    fn admit(&mut self, stream: UnixStream) {
        self.served.accepted += 1;
        counter!(ACCEPTED).increment(1);
        let packets = Packets::accepted(stream);
        let socket = Socket::accepted(packets, Arc::clone(&self.path), self.drain.clone());
        let socket = match socket {
            Ok(socket) => socket,
            Err(error) => {
                tracing::debug!(%error, "a dRPC connection was gone before it was served");
                return;
            }
        };
        let user = match &socket.session().peer {
            Peer::Unix(peer) => peer.uid,
            Peer::Tcp(_) | Peer::Local => return,
        };
        if let Some(limit) = self.full(user) {
            self.served.refused += 1;
            counter!(REFUSED, "limit" => limit).increment(1);
            tracing::warn!(user, limit, "dRPC connection refused: too many sessions");
            return;
        }
        *self.open.entry(user).or_default() += 1;
        let task = self.tasks.spawn(self.server.clone().oneshot(socket));
        self.users.insert(task.id(), user);
        self.count();
    }

    /// The limit that one more session of `user` would be over.
    fn full(&self, user: u32) -> Option<&'static str> {
        let of_user = self.open.get(&user).copied().unwrap_or(0);
        if self.tasks.len() >= self.limits.max_sessions {
            Some("total")
        } else if of_user >= self.limits.max_sessions_per_user {
            Some("user")
        } else {
            None
        }
    }

    fn ended(&mut self, ended: Result<(Id, Result<(), BoxError>), JoinError>) {
        let id = match ended {
            Ok((id, _logged)) => id,
            Err(error) => {
                if error.is_panic() {
                    tracing::error!("a dRPC session panicked");
                } else {
                    self.served.cut += 1;
                }
                error.id()
            }
        };
        if let Some(user) = self.users.remove(&id)
            && let Some(open) = self.open.get_mut(&user)
        {
            *open = open.saturating_sub(1);
            if *open == 0 {
                self.open.remove(&user);
            }
        }
        self.count();
    }

    fn count(&self) {
        let open = self.users.len();
        self.sessions.0.store(open, Ordering::Relaxed);
        gauge!(OPEN).set(f64::from(u32::try_from(open).unwrap_or(u32::MAX)));
    }

    /// Waits for the sessions that are left, then cuts them.
    async fn finish(mut self) -> Served {
        if timeout(self.limits.grace, self.all_ended()).await.is_err() {
            self.tasks.abort_all();
            self.all_ended().await;
        }
        self.served
    }

    async fn all_ended(&mut self) {
        while let Some(ended) = self.tasks.join_next_with_id().await {
            self.ended(ended);
        }
    }
}

/// A listener that is dropped takes its sessions with it.
impl<S> Drop for Serving<S> {
    fn drop(&mut self) {
        self.sessions.0.store(0, Ordering::Relaxed);
        gauge!(OPEN).set(0.0);
    }
}
