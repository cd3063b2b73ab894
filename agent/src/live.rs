//! What a running agent can change.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use oneport::{
    ConfigError, Layers, ListenControl, Port, PortError, Sniff, Stack,
    proto::wire::byte,
    services::{
        drpc,
        netrpc::{self, Methods, Router},
        yamux::Yamux,
    },
};

use crate::{
    config::{Change, Config, settings::SETTINGS},
    counted::Counted,
    gate::Gate,
    server::Server,
};

/// All methods behind all layers.
pub type CallStack = Stack<netrpc::Request, netrpc::Reply>;

/// The settings of a running agent, and the way to change them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Live(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The settings in force: a setting that waits for a restart has its old value here.
    config: ArcSwap<Config>,
    /// What new connections get.
    entry: ArcSwap<Sniff<Port>>,
    listener: ListenControl,
    layers: Layers<Arc<Gate>>,
    gate: Arc<Gate>,
    methods: Methods,
    stack: CallStack,
    server: Arc<Server>,
    /// What waits for a restart; held while a change is made, so that there is one at a time.
    waiting: Mutex<Vec<&'static str>>,
}

/// What a change came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Settings that have new values, by key.
    pub changed: Vec<&'static str>,
    /// Settings that are asked to have other values than they have: they wait for a restart.
    pub restart: Vec<&'static str>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// A setting cannot hold.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The port's table cannot be put together.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl Live {
    pub(crate) fn new(
        config: Config,
        router: Router,
        server: Arc<Server>,
        listener: ListenControl,
    ) -> Result<Live, ChangeError> {
        let gate = Arc::new(Gate::new(&config)?);
        let layers = Layers::new(&config.stack, Arc::clone(&gate));
        // This server is its own cluster.
        layers.set_leader(true);
        let methods = router.methods();
        let stack = layers.stack(router);
        let port = port(&config, &methods, &stack)?;
        Ok(Live(Arc::new(Shared {
            entry: ArcSwap::from_pointee(entry(&config, port)),
            config: ArcSwap::from_pointee(config),
            listener,
            layers,
            gate,
            methods,
            stack,
            server,
            waiting: Mutex::default(),
        })))
    }

    /// The methods behind all layers, for callers in this process: what holds for the port holds
    /// for them.
    pub fn stack(&self) -> &CallStack {
        &self.0.stack
    }

    /// The modules of the dRPC socket behind the same layers.
    pub(crate) fn behind_layers(&self, modules: drpc::Router) -> Stack<drpc::Request, drpc::Reply> {
        self.0.layers.stack(modules)
    }

    /// The port's table, as new connections meet it.
    pub(crate) fn port(&self) -> Result<Port, PortError> {
        port(&self.config(), &self.0.methods, &self.0.stack)
    }

    /// The settings in force.
    pub fn config(&self) -> Arc<Config> {
        self.0.config.load_full()
    }

    /// The settings that wait for a restart, by key.
    pub fn waiting(&self) -> Vec<&'static str> {
        self.waiting_now().clone()
    }

    /// What a connection that has just come in is served by.
    pub(crate) fn entry(&self) -> Sniff<Port> {
        Sniff::clone(&self.0.entry.load())
    }

    /// Changes everything that `wanted` has otherwise and that can be changed while the agent runs.
    /// No connection is dropped: limits hold at once for all, and what belongs to a connection
    /// holds for new ones.
    ///
    /// # Errors
    /// [`ChangeError`]: then everything stays as it is.
    pub fn change(&self, wanted: &Config) -> Result<Changed, ChangeError> {
        let mut waiting = self.waiting_now();
        let (next, changed) = merge(&self.config(), wanted);
        next.validate()?;
        let port = port(&next, &self.0.methods, &self.0.stack)?;
        self.0.gate.set(&next)?;
        self.0.listener.set(next.listen.clone())?;
        self.0.layers.set(&next.stack);
        self.0.server.queries().set(next.queries.clone());
        self.0.entry.store(Arc::new(entry(&next, port)));
        self.0.config.store(Arc::new(next));
        waiting.clone_from(&changed.restart);
        Ok(changed)
    }

    fn waiting_now(&self) -> std::sync::MutexGuard<'_, Vec<&'static str>> {
        // What waits is replaced as a whole, so a panic cannot have left half of it.
        let waiting = self.0.waiting.lock();
        waiting.unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is in force after a change from `held` to `wanted`: all of it but what needs a restart.
fn merge(held: &Config, wanted: &Config) -> (Config, Changed) {
    let (mut next, mut changed) = (wanted.clone(), Changed::default());
    for setting in SETTINGS {
        if setting.field.same(held, wanted) {
            continue;
        }
        if setting.change == Change::Restart {
            changed.restart.push(setting.key);
            setting.field.copy(held, &mut next);
        } else {
            changed.changed.push(setting.key);
        }
    }
    (next, changed)
}

/// What new connections get: the port's table behind the look at the first byte.
fn entry(config: &Config, port: Port) -> Sniff<Port> {
    Sniff::new(port).within(config.first_byte)
}

/// What is served by which first byte, in the order of the bytes. What Consul serves and we do not
/// yet is named; every other byte is closed as an unknown one.
fn port(config: &Config, methods: &Methods, stack: &CallStack) -> Result<Port, PortError> {
    let netrpc = netrpc::Server::new(methods.clone(), stack.clone());
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
        .tag(byte::RPC_SINGLE, "net/rpc", Counted::new("net/rpc", single))
        .unserved(byte::RAFT, "raft")
        .unserved(byte::TLS, "tls")
        .tag(
            byte::RPC_MULTI,
            "net/rpc over yamux",
            Counted::new("net/rpc over yamux", multi),
        )
        .unserved(byte::SNAPSHOT, "snapshot")
        .unserved(byte::TLS_INSECURE, "tls without certificate")
        .unserved(byte::GRPC, "grpc")
        .build()
}
