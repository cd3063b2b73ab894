//! The server as a whole: bound, built, run and drained.

use std::{future::Future, net::SocketAddr, sync::Arc};

use oneport::{
    ConfigError, ListenError, Listener, Port, PortError, Served,
    services::{
        Drainer, drpc,
        netrpc::{RouteError, Router},
    },
};
use tower::{ServiceExt, service_fn};

use crate::{
    admin::{Admin, AdminError, Doors, Reloads},
    config::Config,
    drpc::Door,
    endpoints,
    live::{CallStack, ChangeError, Live},
    pid_file::{Claim, PidFile, PidFileError},
    server::Server,
    state::Reaper,
    telemetry::Telemetry,
};

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
    listener: Listener,
    server: Arc<Server>,
    router: Router,
    port: Port,
    live: Live,
    admin: Admin,
    door: Option<Door>,
    pid_file: Option<PidFile>,
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
    /// What stands in front of the methods cannot be put together.
    #[error(transparent)]
    Layers(#[from] ChangeError),
    /// The admin socket or the address for metrics cannot be had.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The dRPC socket cannot be had.
    #[error("oneport.drpc.socket: {0}")]
    Drpc(drpc::BindError),
    /// The modules of the dRPC socket cannot be put together.
    #[error(transparent)]
    Modules(#[from] drpc::RouteError),
    /// The pid file cannot be written.
    #[error(transparent)]
    PidFile(#[from] PidFileError),
}

impl Agent {
    /// Binds the addresses, then builds what is served there. Nothing runs yet: connections that
    /// come early wait in the kernel. The pid file is there when this returns.
    ///
    /// # Errors
    /// [`StartError`]: a setting that cannot hold, or an address or a file that cannot be had.
    pub async fn bind(config: Config) -> Result<Agent, StartError> {
        config.validate()?;
        // Before anything is counted.
        let telemetry = Telemetry::wanted(&config);
        let pid_file = config.pid_file.as_deref().map(PidFile::claim).transpose()?;
        let listener = Listener::bind(config.listen_addr(), config.listen.clone()).await?;
        let address = config.advertised(listener.local_addr());
        let server = Arc::new(Server::new(&config, address));
        let router = endpoints::router(Arc::clone(&server))?;
        let doors = Doors::open(&config).await?;
        let live = Live::new(
            config,
            router.clone(),
            Arc::clone(&server),
            listener.control(),
        )?;
        let admin = Admin::new(live.clone(), listener.local_addr(), telemetry, doors);
        let modules = crate::drpc::router(&server, admin.asks())?;
        let (methods, modules) = (modules.methods(), live.behind_layers(modules));
        let door = Door::open(&live.config(), methods, modules).await;
        Ok(Agent {
            pid_file: pid_file.map(Claim::write).transpose()?,
            listener,
            server,
            router,
            port: live.port()?,
            live,
            admin,
            door: door.map_err(StartError::Drpc)?,
        })
    }

    /// The bound address.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Where metrics can be scraped by TCP, if anywhere.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.admin.metrics_addr()
    }

    /// The settings in force.
    pub fn config(&self) -> Arc<Config> {
        self.live.config()
    }

    /// What changes settings while the agent runs.
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// The reloads that the admin socket is asked for. Who takes them has to answer them; as long
    /// as nobody does, they are refused.
    pub fn reloads(&mut self) -> Reloads {
        self.admin.reloads()
    }

    /// The port's table: what is served by which first byte.
    pub fn port(&self) -> &Port {
        &self.port
    }

    /// The methods behind all layers, for callers in this process: what holds for the port holds
    /// for them.
    pub fn stack(&self) -> &CallStack {
        self.live.stack()
    }

    /// The methods alone, for hosts that put layers of their own before them. Somebody has to say
    /// who calls, or little is granted.
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
    ///
    /// Connections to the dRPC socket are drained alike; those that are cut are counted, too.
    /// The admin socket answers to the end, and then it is gone, and the pid file with it.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Served {
        let Agent {
            listener,
            server,
            live,
            admin,
            door,
            pid_file: _removed_at_the_end,
            ..
        } = self;
        let tombstones = live.config().tombstones.clone();
        let log = Arc::clone(server.log());
        let reaping = Reaper::new(log, tombstones.ttl, tombstones.granularity).run();
        let drainer = Drainer::new();
        let entry = service_fn(move |conn| live.entry().oneshot(conn));
        let serving = listener.serve(entry, drainer.handle());
        let drain = drainer.handle();
        let calls = async {
            match door {
                Some(door) => door.serve(drain).await.cut,
                None => 0,
            }
        };
        let stopping = async {
            shutdown.await;
            server.queries().end();
            drainer.drain();
        };
        tokio::select! {
            (mut served, cut, ()) = async { tokio::join!(serving, calls, stopping) } => {
                served.cut += cut;
                served
            }
            never = reaping => match never {},
            never = admin.serve(drainer.handle()) => match never {},
        }
    }
}
