//! The dialling end: streams are opened here.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use oneport_proto::{BoxError, Session};
use tokio::time::Instant;

use super::{
    config::Config,
    engine::{Engine, Tenants},
    fault::{OpenError, SessionError},
    session::{Role, Shared},
    stream::YamuxStream,
};
use crate::{Conn, Drain};

/// A yamux client over `conn`: the handle that opens streams, and the future that does the work.
///
/// The driver has to be polled for anything to happen: spawn it, and keep the task with whatever
/// keeps the opener. Streams that the peer tries to open are reset.
pub fn client(conn: Conn, config: Config) -> (Opener, Driver) {
    let session = Arc::clone(conn.session());
    let drain = conn.drain().clone();
    let engine = Engine::new(Role::Client, Arc::new(config), conn, Nobody);
    let owner = Owner {
        shared: Arc::clone(engine.shared()),
        session,
        drain,
    };
    (Opener(Arc::new(owner)), Driver { engine })
}

/// Opens streams of one session. Clones open streams of the same session; when the last one and all
/// streams are dropped, the session ends.
#[derive(Clone)]
pub struct Opener(Arc<Owner>);

struct Owner {
    shared: Arc<Shared>,
    session: Arc<Session>,
    drain: Drain,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.with(|session| {
            session.orphaned = true;
            session.effects.nudge = true;
        });
    }
}

impl Opener {
    /// Opens a stream. It can be written to at once; what the peer says to it shows in its reads
    /// and writes.
    ///
    /// Waits while as many streams as [`Config::max_unacked`] have not been accepted by the peer,
    /// first come, first served. Dropping the future while it waits loses nothing.
    ///
    /// # Errors
    /// When the session takes no more streams; this session will not later either, except for
    /// [`OpenError::TooManyStreams`].
    pub async fn open(&self) -> Result<Conn, OpenError> {
        let shared = &self.0.shared;
        let permit = Arc::clone(&shared.syns).acquire_owned().await;
        let Ok(permit) = permit else {
            return Err(self.refusal());
        };
        let key = shared.with(|session| session.open(permit, Instant::now()))?;
        let io = YamuxStream::new(Arc::clone(shared), key);
        let session = Arc::clone(&self.0.session);
        Ok(Conn::new(session, self.0.drain.clone(), io))
    }

    fn refusal(&self) -> OpenError {
        self.0
            .shared
            .with(|session| session.refusal())
            .unwrap_or(OpenError::SessionClosed)
    }

    /// Sends a go-away, opens nothing more and lets the streams that are open finish; then the
    /// session ends.
    pub fn drain(&self) {
        self.0.shared.with(|session| session.go_away());
        self.0.shared.syns.close();
    }

    /// Ends the session and all of its streams now. As in the reference, no go-away is sent.
    pub fn close(&self) {
        self.0.shared.with(|session| {
            session.abandoned = true;
            session.effects.nudge = true;
        });
        self.0.shared.syns.close();
    }

    /// Whether no stream can be opened any more: the session has ended, or one of the ends has
    /// said that it is about to.
    pub fn is_closed(&self) -> bool {
        self.0
            .shared
            .with(|session| !matches!(session.refusal(), None | Some(OpenError::TooManyStreams)))
    }

    /// How many streams are open.
    pub fn streams(&self) -> usize {
        self.0.shared.with(|session| session.table.open())
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener")
            .field("session", &self.0.session.id)
            .field("streams", &self.streams())
            .field("closed", &self.is_closed())
            .finish()
    }
}

/// Does the work of a client session; done when the session is.
///
/// Dropping it ends all streams and closes the connection.
#[must_use = "a session works only while its driver is polled"]
pub struct Driver {
    engine: Engine<Nobody>,
}

impl Future for Driver {
    type Output = Result<(), BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.engine).poll(cx).map_err(BoxError::from)
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

/// A client runs nothing on streams of the peer: it has none.
struct Nobody;

impl Tenants for Nobody {
    fn poll(
        &mut self,
        _: &mut Context<'_>,
        shared: &Arc<Shared>,
        _: &mut usize,
    ) -> Result<(), SessionError> {
        if shared.with(|session| session.told_to_leave) {
            shared.syns.close();
        }
        Ok(())
    }

    fn are_elsewhere(&self) -> bool {
        true
    }

    fn wake_all(&mut self) {}

    fn is_empty(&self) -> bool {
        true
    }

    fn clear(&mut self) {}
}
