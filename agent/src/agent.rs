//! The server as a whole: bound, built, run and drained.

use std::{future::Future, net::SocketAddr, sync::Arc};

use oneport::{
    ConfigError, ListenError, Listener, Port, PortError, Served, Sniff,
    proto::wire::byte,
    services::{
        Drainer,
        netrpc::{self, RouteError, Router},
        yamux::Yamux,
    },
};

use crate::{config::Config, endpoints, server::Server, state::Reaper};

/// A server whose address is bound and that serves when it is [run](Agent::run).
///
/// ```
/// use oneport_agent::{Agent, Config};
/// use oneport::{client::{Dial, Endpoint}, proto::structs::Empty};
/// use oneport::services::{Drainer, netrpc};
/// use tower::Service;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let config = Config { server_port: 0, ..Config::default() };
/// let agent = Agent::bind(config).await?;
/// let addr = agent.local_addr();
/// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
/// let serving = agent.run(async { _ = stopped.await });
///
/// let calling = async {
///     let drainer = Drainer::new();
///     let conn = Dial::new(drainer.handle()).call(Endpoint::from(addr).tag(0)).await?;
///     let mut client = netrpc::Client::new(netrpc::Channel::new(conn));
///     let leader: String = client.call("Status.Leader", &Empty::default()).await?;
///     assert_eq!(leader, addr.to_string());
///     drop(client);
///     stop.send(()).ok();
///     Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
/// };
/// let (served, called) = tokio::join!(serving, calling);
/// assert_eq!(served.cut, 0);
/// called
/// # }
/// ```
#[derive(Debug)]
pub struct Agent {
    config: Config,
    listener: Listener,
    server: Arc<Server>,
    router: Router,
    port: Port,
}

/// Why there is no agent.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting cannot hold.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address cannot be bound.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The methods cannot be put together.
    #[error(transparent)]
    Methods(#[from] RouteError),
    /// The port's table cannot be put together.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl Agent {
    /// Binds the address, then builds what is served there. Nothing runs yet: connections that come
    /// early wait in the kernel.
    ///
    /// # Errors
    /// [`StartError`]: a setting that cannot hold, or an address that cannot be bound.
    pub async fn bind(config: Config) -> Result<Agent, StartError> {
        config.validate()?;
        let listener = Listener::bind(config.listen_addr(), config.listen.clone()).await?;
        let address = config.advertised(listener.local_addr());
        let server = Arc::new(Server::new(&config, address));
        let router = endpoints::router(Arc::clone(&server))?;
        Ok(Agent {
            port: port(&config, &router)?,
            config,
            listener,
            server,
            router,
        })
    }

    /// The bound address.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The port's table: what is served by which first byte.
    pub fn port(&self) -> &Port {
        &self.port
    }

    /// The methods, for callers in this process.
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// What the methods stand on.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// Serves until `shutdown`, then drains: queries that wait are answered at once, nothing new is
    /// accepted, and connections have the listener's grace time to finish. Dropping the future ends
    /// everything at once.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Served {
        let Agent {
            config,
            listener,
            server,
            port,
            ..
        } = self;
        let tombstones = &config.tombstones;
        let log = Arc::clone(server.log());
        let reaping = Reaper::new(log, tombstones.ttl, tombstones.granularity).run();
        let drainer = Drainer::new();
        let sniff = Sniff::new(port).within(config.first_byte);
        let serving = listener.serve(sniff, drainer.handle());
        let stopping = async {
            shutdown.await;
            server.queries().end();
            drainer.drain();
        };
        tokio::select! {
            (served, ()) = async { tokio::join!(serving, stopping) } => served,
            never = reaping => match never {},
        }
    }
}

/// What is served by which first byte, in the order of the bytes. What Consul serves and we do not
/// yet is named; every other byte is closed as an unknown one.
fn port(config: &Config, router: &Router) -> Result<Port, PortError> {
    let netrpc = netrpc::Server::new(router.methods(), router.clone());
    let settings = netrpc::Config {
        default_wait: config.queries.default_time,
        max_wait: config.queries.max_time,
        ..config.netrpc.clone()
    };
    let single = netrpc.clone().config(settings.clone());
    // On a stream silence and stalled writes are the session's to bound.
    let stream = netrpc.config(netrpc::Config {
        first_request: None,
        write_stall: None,
        ..settings
    });
    let multi = Yamux::new(stream).config(config.yamux.clone());
    Port::builder()
        .tag(byte::RPC_SINGLE, "net/rpc", single)
        .unserved(byte::RAFT, "raft")
        .unserved(byte::TLS, "tls")
        .tag(byte::RPC_MULTI, "net/rpc over yamux", multi)
        .unserved(byte::SNAPSHOT, "snapshot")
        .unserved(byte::TLS_INSECURE, "tls without certificate")
        .unserved(byte::GRPC, "grpc")
        .build()
}
