//! The socket, bound, and what is behind it.

use oneport::{
    Stack,
    services::{
        Drain,
        drpc::{self, BindError, Listener, Methods, Reply, Request, Served},
        netrpc,
    },
};
use tower::ServiceExt;

use super::asked::stamp;
use crate::config::Config;

/// The agent's dRPC socket. Connections that come early wait in the kernel.
#[derive(Debug)]
pub(crate) struct Door {
    listener: Listener,
    server: drpc::Server<Stack<Request, Reply>>,
}

impl Door {
    /// Binds the socket, if there is to be one.
    ///
    /// # Errors
    /// The path is in use, is no socket, or cannot be had.
    pub(crate) async fn open(
        config: &Config,
        methods: Methods,
        stack: Stack<Request, Reply>,
    ) -> Result<Option<Door>, BindError> {
        let Some(path) = &config.drpc.socket else {
            return Ok(None);
        };
        let limits = drpc::ListenLimits {
            grace: config.listen.grace,
            ..config.drpc.listen
        };
        let listener = Listener::builder(path)
            .mode(config.drpc.mode)
            .limits(limits)
            .bind()
            .await?;
        let waits = netrpc::Config {
            default_wait: config.queries.default_time,
            max_wait: config.queries.max_time,
            ..netrpc::Config::default()
        };
        let stamped = stack.map_request(move |request| stamp(request, &waits));
        let server = drpc::Server::new(methods, Stack::new(stamped));
        Ok(Some(Door {
            listener,
            server: server.config(config.drpc.messages.clone()),
        }))
    }

    /// Serves until the drain is over.
    pub(crate) async fn serve(self, drain: Drain) -> Served {
        self.listener.serve(self.server, drain).await
    }
}
