//! One yamux session to one server, and the task that drives it.

use oneport_services::{
    Conn,
    yamux::{self, Config, OpenError, Opener},
};
use tokio::task::JoinSet;

/// A yamux session to a server. It owns the task that drives the session: dropping the `Mux` ends
/// the session and all of its streams at once, [`close`](Mux::close) lets them finish.
///
/// ```no_run
/// use oneport::client::{Dial, Endpoint, Mux};
/// use oneport::proto::{BoxError, structs::Empty, wire::byte};
/// use oneport::services::{Drainer, netrpc, yamux};
/// use tower::Service;
///
/// # async fn example() -> Result<(), BoxError> {
/// let drainer = Drainer::new();
/// let server = Endpoint::new("127.0.0.1:8300").tag(byte::RPC_MULTI);
/// let conn = Dial::new(drainer.handle()).call(server).await?;
/// let mux = Mux::new(conn, yamux::Config::default());
/// let mut client = netrpc::Client::new(netrpc::Channel::new(mux.open().await?));
/// let leader: String = client.call("Status.Leader", &Empty::default()).await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Mux {
    opener: Opener,
    driver: JoinSet<()>,
}

impl Mux {
    /// Begins a session on a connection whose protocol byte is written already. Must be called
    /// within a tokio runtime.
    pub fn new(conn: Conn, config: Config) -> Mux {
        let (opener, session) = yamux::client(conn, config);
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // Whoever opens or uses a stream hears of it in its own words.
            if let Err(error) = session.await {
                tracing::debug!(%error, "a yamux session ended");
            }
        });
        Mux { opener, driver }
    }

    /// Opens a stream.
    ///
    /// # Errors
    /// As [`Opener::open`].
    pub async fn open(&self) -> Result<Conn, OpenError> {
        self.opener.open().await
    }

    /// Whether no stream can be opened any more.
    pub fn is_closed(&self) -> bool {
        self.opener.is_closed()
    }

    /// Opens nothing more and waits until the streams that are open have finished.
    pub async fn close(mut self) {
        self.opener.drain();
        while self.driver.join_next().await.is_some() {}
    }
}
