//! The server that a command talks to.

use std::time::Duration;

use bytes::Bytes;
use clap::ValueEnum;
use oneport::{
    client::{Dial, DialError, Endpoint, Mux},
    proto::{BoxError, wire::byte},
    services::{
        Conn, Drain, Drainer,
        netrpc::{CallError, Channel, Client},
        yamux,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;
use tower::Service;

use super::{
    duration,
    exit::{Exit, Failure},
};

/// Where the server is and how to talk to it.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Remote {
    /// The server's RPC address.
    #[arg(long, value_name = "HOST:PORT", env = "ONEPORT_ADDR")]
    #[arg(default_value = "127.0.0.1:8300", value_parser = address)]
    addr: String,
    #[command(flatten)]
    way: Way,
}

/// How to talk to a server.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Way {
    /// How calls travel: a connection of their own, or a stream of a yamux session.
    #[arg(long, value_enum, default_value_t = Transport::Single)]
    pub(super) transport: Transport,
    /// How long connecting may take, and then an answer: 500ms, 10s, 5m. A query that waits for a
    /// change has the time that it asks for on top.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::parse)]
    pub(super) timeout: Duration,
}

/// How calls travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Transport {
    /// A connection of their own (first byte 0); "plain" is another word for it.
    #[value(alias = "plain")]
    Single,
    /// A stream of a yamux session (first byte 4), as Consul's own agents talk.
    Yamux,
}

/// `HOST:PORT`, as far as it can be seen without asking anybody.
pub(super) fn address(text: &str) -> Result<String, String> {
    let limit = "it must be HOST:PORT with a port from 1 to 65535, as in 127.0.0.1:8300";
    let (host, port) = text.rsplit_once(':').ok_or(limit)?;
    // A bare IPv6 address has colons and no port.
    let whole = !host.contains(':') || (host.starts_with('[') && host.ends_with(']'));
    match port.parse::<u16>() {
        Ok(1..) if whole && !host.is_empty() => Ok(text.to_owned()),
        _ => Err(limit.to_owned()),
    }
}

/// A connection to a server.
pub(super) struct Connection {
    client: Client<Channel>,
    timeout: Duration,
    addr: String,
    // The yamux session that the calls travel in, if there is one; it ends with us.
    _mux: Option<Mux>,
    // Our connections would take the owner's loss for a drain.
    _drainer: Drainer,
}

impl Remote {
    /// Connects.
    pub(super) async fn connect(&self) -> Result<Connection, Failure> {
        self.way.connect(&self.addr).await
    }
}

impl Way {
    /// Connects to the server at `addr` for one call after the other.
    pub(super) async fn connect(&self, addr: &str) -> Result<Connection, Failure> {
        let drainer = Drainer::new();
        let conn = self.dial(addr, drainer.handle()).await?;
        let (conn, mux) = match self.transport {
            Transport::Single => (conn, None),
            Transport::Yamux => {
                let mux = Mux::new(conn, yamux::Config::default());
                (open(addr, &mux).await?, Some(mux))
            }
        };
        Ok(Connection {
            client: Client::new(Channel::new(conn)),
            timeout: self.timeout,
            addr: addr.to_owned(),
            _mux: mux,
            _drainer: drainer,
        })
    }

    /// Opens a connection and says the transport's byte.
    pub(super) async fn dial(&self, addr: &str, drain: Drain) -> Result<Conn, Failure> {
        let first = match self.transport {
            Transport::Single => byte::RPC_SINGLE,
            Transport::Yamux => byte::RPC_MULTI,
        };
        let endpoint = Endpoint::new(addr).tag(first).within(self.timeout);
        let conn = Dial::new(drain).call(endpoint).await;
        conn.map_err(|error| refuse_dial(&error))
    }
}

/// Opens a stream of a session with the server at `addr`.
pub(super) async fn open(addr: &str, mux: &Mux) -> Result<Conn, Failure> {
    let opened = mux.open().await;
    opened.map_err(|error| Failure::new(Exit::Unreachable, format!("{addr}: {error}")))
}

impl Connection {
    /// Calls a method and waits for its result.
    pub(super) async fn call<Req, Rsp>(
        &mut self,
        method: &str,
        request: &Req,
    ) -> Result<Rsp, Failure>
    where
        Req: Serialize,
        Rsp: DeserializeOwned,
    {
        let called = self.client.call(method, request);
        within(&self.addr, self.timeout, called).await
    }

    /// Calls a method that may make us wait so long on purpose.
    pub(super) async fn call_waiting<Req, Rsp>(
        &mut self,
        method: &str,
        request: &Req,
        wait: Duration,
    ) -> Result<Rsp, Failure>
    where
        Req: Serialize,
        Rsp: DeserializeOwned,
    {
        let called = self.client.call(method, request);
        within(&self.addr, longest(self.timeout, wait), called).await
    }

    /// Calls a method with a msgpack body.
    pub(super) async fn call_raw(
        &mut self,
        method: &str,
        body: Bytes,
        wait: Duration,
    ) -> Result<Bytes, Failure> {
        let called = self.client.call_raw(method, body);
        within(&self.addr, longest(self.timeout, wait), called).await
    }
}

/// A server adds up to a sixteenth to the time that a query asked for.
fn longest(timeout: Duration, wait: Duration) -> Duration {
    timeout + wait + wait / 16
}

async fn within<T>(
    addr: &str,
    time: Duration,
    called: impl Future<Output = Result<T, CallError>>,
) -> Result<T, Failure> {
    match timeout(time, called).await {
        Ok(answered) => answered.map_err(|error| refuse_call(addr, &error)),
        Err(_elapsed) => {
            let message = format!("no answer from {addr} within {time:?}");
            Err(Failure::new(Exit::Late, message))
        }
    }
}

fn refuse_dial(error: &BoxError) -> Failure {
    let exit = match error.downcast_ref() {
        Some(DialError::Late { .. }) => Exit::Late,
        _ => Exit::Unreachable,
    };
    Failure::caused(exit, error.as_ref())
}

fn refuse_call(addr: &str, error: &CallError) -> Failure {
    let exit = match error {
        CallError::Remote(text) => {
            return Failure::new(Exit::Refused, format!("the server answered: {text}"));
        }
        CallError::TimedOut => Exit::Late,
        CallError::Encode(_) => Exit::Usage,
        _ => Exit::Unreachable,
    };
    Failure::new(exit, format!("{addr}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for good in ["127.0.0.1:8300", "localhost:1", "[::1]:65535"] {
            assert_eq!(address(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "localhost",
            ":8300",
            "a:0",
            "a:65536",
            "a:b",
            "::1",
            "::1:8300",
        ] {
            assert!(address(bad).unwrap_err().contains("HOST:PORT"), "{bad}");
        }
    }

    #[test]
    fn every_error_has_its_exit_code() {
        let exit = |error| refuse_call("a:1", &error).exit();
        assert_eq!(exit(CallError::Remote("x".into())), Exit::Refused);
        assert_eq!(exit(CallError::TimedOut), Exit::Late);
        assert_eq!(exit(CallError::Closed), Exit::Unreachable);
        let refused = refuse_call("a:1", &CallError::Remote("Must provide key".into()));
        assert_eq!(refused.message(), "the server answered: Must provide key");
    }
}
