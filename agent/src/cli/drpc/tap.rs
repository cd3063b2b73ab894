//! `oneport drpc tap`.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use oneport::{
    proto::{BoxError, Peer},
    services::{
        Drainer,
        drpc::{Client, ClientConfig, Listener, Methods, Pool, Reply, Request, Server, Status},
    },
};
use serde_json::{Value as Json, json};
use tokio::time::Instant;
use tower::service_fn;

use super::{
    refuse_bind,
    serve::{run, tell},
};
use crate::cli::{
    block_on,
    exit::{Exit, Failure},
    mode,
    output::Format,
    signals::Signals,
};

/// The most calls that pass at once; further ones wait.
const MOST_AT_ONCE: NonZeroUsize = NonZeroUsize::new(64).expect("64 is not zero");

/// Print the calls that pass between dRPC clients and a server.
///
/// The tap is a server at --listen and a client of SOCKET. Either tell the clients to use the path of
/// the tap, or move the server's socket aside and let the tap take its place, as in the examples. A
/// line for each call says who called what and how it ended, with the first bytes of both bodies in
/// hexadecimal digits; away from a terminal it is JSON. The server sees the tap as its caller: its
/// process, user and group, and its own numbers of calls. If the server cannot be reached the caller
/// gets FAILURE, and the line says why. The first SIGINT or SIGTERM drains.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  oneport drpc tap /tmp/hello.sock --listen /tmp/tap.sock
  oneport drpc call /tmp/tap.sock 0 0 --hex 0a03426f62      from another terminal

  mv /run/daos_agent/daos_agent.sock /run/daos_agent/real.sock
  oneport drpc tap /run/daos_agent/real.sock --listen /run/daos_agent/daos_agent.sock --mode 0666
  mv /run/daos_agent/real.sock /run/daos_agent/daos_agent.sock    when it has ended")]
pub(super) struct Args {
    /// The server's socket.
    socket: PathBuf,
    /// Where to put the tap's own socket, in at most 107 bytes.
    #[arg(long, value_name = "PATH")]
    listen: PathBuf,
    /// Who may connect to the tap: whoever may write, in octal.
    #[arg(long, value_name = "MODE", default_value = "0660", value_parser = mode::parse)]
    mode: u32,
    /// How many bytes of each body to print, 0 to 1048576.
    #[arg(long, value_name = "COUNT", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=1_048_576))]
    bytes: u32,
    #[command(flatten)]
    format: Format,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        if self.socket == self.listen {
            let message = format!(
                "--listen is {}, but it must be another path than SOCKET",
                self.listen.display()
            );
            return Err(Failure::new(Exit::Usage, message));
        }
        block_on(self.tap())
    }

    async fn tap(self) -> Result<(), Failure> {
        let mut signals = Signals::install()?;
        let listener = Listener::builder(&self.listen).mode(self.mode).bind();
        let listener = listener.await.map_err(|error| refuse_bind(&error))?;
        if !self.format.is_json() {
            let (near, far) = (self.listen.display(), self.socket.display());
            tell(&format!("{near} leads to {far}"));
        }
        let pool = Pool::new(&self.socket, MOST_AT_ONCE, ClientConfig::default());
        let tap = Tap {
            client: Client::new(pool),
            began: Instant::now(),
            bytes: usize::try_from(self.bytes).unwrap_or(usize::MAX),
            json: self.format.is_json(),
        };
        let service = service_fn(move |request| {
            let tap = tap.clone();
            async move { tap.pass(request).await }
        });
        let drainer = Drainer::new();
        let server = Server::new(Methods::default(), service);
        run(
            listener.serve(server, drainer.handle()),
            &drainer,
            &mut signals,
        )
        .await;
        Ok(())
    }
}

#[derive(Clone)]
struct Tap {
    client: Client<Pool>,
    began: Instant,
    bytes: usize,
    json: bool,
}

/// A call that has passed.
struct Passed<'a> {
    request: &'a Request,
    /// What came back, or why nothing did.
    answer: Result<&'a Reply, String>,
    at: Duration,
    took: Duration,
}

impl Tap {
    async fn pass(&self, request: Request) -> Result<Reply, BoxError> {
        let began = Instant::now();
        let (module, method) = (request.module, request.method);
        let called = self.client.call_raw(module, method, request.body.clone());
        let answer = called.await;
        let passed = Passed {
            request: &request,
            answer: answer.as_ref().map_err(ToString::to_string),
            at: began - self.began,
            took: began.elapsed(),
        };
        tell(&if self.json {
            passed.object(self.bytes).to_string()
        } else {
            passed.lines(self.bytes)
        });
        answer.map_err(Into::into)
    }
}

impl Passed<'_> {
    /// For programs.
    fn object(&self, bytes: usize) -> Json {
        let Request {
            module,
            method,
            sequence,
            body,
            ..
        } = self.request;
        let mut object = json!({
            "at": self.at.as_secs_f64(), "took": self.took.as_secs_f64(),
            "module": module, "method": method, "sequence": sequence,
            "bytes": body.len(), "hex": hex::encode(first(body, bytes)),
        });
        if let Peer::Unix(peer) = &self.request.head.session.peer {
            object["pid"] = json!(peer.pid);
            object["uid"] = json!(peer.uid);
            object["gid"] = json!(peer.gid);
        }
        match &self.answer {
            Ok(Reply { status, body }) => {
                object["status"] = json!(status.to_string());
                object["answer_bytes"] = json!(body.len());
                object["answer_hex"] = json!(hex::encode(first(body, bytes)));
            }
            Err(error) => {
                object["status"] = json!(Status::FAILURE.to_string());
                object["error"] = json!(error);
            }
        }
        object
    }

    /// For people.
    fn lines(&self, bytes: usize) -> String {
        let Request {
            module,
            method,
            sequence,
            body,
            ..
        } = self.request;
        let who = match &self.request.head.session.peer {
            Peer::Unix(peer) => {
                let pid = peer.pid.map_or("?".to_owned(), |pid| pid.to_string());
                format!("pid {pid} uid {} gid {}", peer.uid, peer.gid)
            }
            other => other.to_string(),
        };
        let at = self.at.as_secs_f64();
        let how = match &self.answer {
            Ok(reply) => reply.status.to_string(),
            Err(error) => format!("FAILURE: {error}"),
        };
        let mut text = format!(
            "{at:.3}  {who}  module {module} method {method} sequence {sequence}  {how} in {:?}",
            self.took
        );
        text += &shown("<", body, bytes);
        if let Ok(reply) = &self.answer {
            text += &shown(">", &reply.body, bytes);
        }
        text
    }
}

fn shown(mark: &str, body: &[u8], bytes: usize) -> String {
    let more = if body.len() > bytes { "…" } else { "" };
    let text = hex::encode(first(body, bytes));
    let gap = if text.is_empty() { "" } else { "  " };
    format!("\n    {mark} {} B{gap}{text}{more}", body.len())
}

fn first(body: &[u8], bytes: usize) -> &[u8] {
    &body[..body.len().min(bytes)]
}
