//! `oneport drpc call`.

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use oneport::services::drpc::{CallError, Client, Failure as Refused, Reply, Status};
use serde_json::{Map, Value as Json, json};

use super::schema::{Schema, Source};
use crate::cli::{
    block_on, duration,
    exit::{Exit, Failure},
    output::{self, Format},
    value::Value,
};

/// Call a method of a dRPC server.
///
/// The body is given as bytes, or as JSON with the .proto file that says what it means; the status
/// and the answer are printed in the same form. Without either the body is empty and the answer is
/// bytes. Any status but SUCCESS is exit code 1. Servers in C know the modules 0 to 4 only.
#[derive(Debug, clap::Args)]
#[command(after_help = r#"
Examples:
  oneport drpc call /run/hello.sock 0 0 --hex 0a03426f62
  oneport drpc call /run/hello.sock 0 0 --proto hello.proto --message Hello --json '{"name":"Bob"}'
  oneport drpc call /run/daos_agent/daos_agent.sock 2 206 --proto mgmt/svc.proto \
      --message GetAttachInfoReq --json '{"sys":"daos_server"}'
  oneport drpc call /run/oneport.sock 16 1602 --proto agent.proto \
      --message StatusRequest --answer LeaderResponse | jq -r .body.address"#)]
pub(super) struct Args {
    /// The server's socket; a name of the abstract namespace has an @ in front.
    socket: PathBuf,
    /// The module's number.
    #[arg(allow_negative_numbers = true)]
    module: i32,
    /// The method's number.
    #[arg(allow_negative_numbers = true)]
    method: i32,
    /// The body: two hexadecimal digits a byte, or @FILE or - for bytes as they are.
    #[arg(long, value_name = "BYTES", conflicts_with_all = ["proto", "message", "json_body"])]
    hex: Option<String>,
    #[command(flatten)]
    source: Source,
    /// The body: JSON, @FILE, or - for stdin.
    #[arg(
        id = "json_body",
        long = "json",
        value_name = "BODY",
        requires = "proto"
    )]
    json: Option<String>,
    /// How long connecting may take, and then an answer: 500ms, 10s, 5m.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::parse)]
    timeout: Duration,
    /// Print an object, also on a terminal. Everywhere else it is one anyway.
    #[arg(long)]
    object: bool,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let schema = self.source.read()?;
        let body = match (&schema, self.hex) {
            (Some(schema), _) => {
                let text = Value::from(self.json.unwrap_or_else(|| "{}".to_owned()));
                schema.encode(&text.read("--json")?)?
            }
            (None, Some(text)) => bytes(text)?,
            (None, None) => Bytes::new(),
        };
        let client = Client::builder(&self.socket)
            .connect_time(self.timeout)
            .timeout(self.timeout)
            .build();
        let called = async {
            client.connect().await?;
            client.call_raw(self.module, self.method, body).await
        };
        let reply = block_on(async { called.await.map_err(|error| refuse(&error)) })?;
        print(&reply, schema.as_ref(), Format::objects(self.object))?;
        match reply.status {
            Status::SUCCESS => Ok(()),
            status => {
                let message = format!("the server answered: {}", Refused::new(status));
                Err(Failure::new(Exit::Refused, message))
            }
        }
    }
}

/// What stands on the command line, or what a file or stdin has as it is.
fn bytes(text: String) -> Result<Bytes, Failure> {
    match Value::from(text) {
        Value::Here(text) => hex::decode(&text).map(Bytes::from).map_err(|error| {
            let message = format!("--hex {text:?} is not two hexadecimal digits a byte: {error}");
            Failure::new(Exit::Usage, message)
        }),
        elsewhere => elsewhere.read("--hex"),
    }
}

fn print(reply: &Reply, schema: Option<&Schema>, format: Format) -> Result<(), Failure> {
    let body = match schema {
        // A status that is no success has no body, as a rule, and if it has one it is of no type.
        Some(schema) if reply.status == Status::SUCCESS => Some(schema.decode(&reply.body)?),
        _ => None,
    };
    let status = reply.status.to_string();
    if format.is_json() {
        let mut object = Map::from_iter([("status".to_owned(), json!(status))]);
        match body {
            Some(body) => object.insert("body".to_owned(), body),
            None => object.insert("hex".to_owned(), json!(hex::encode(&reply.body))),
        };
        return output::json(&Json::Object(object));
    }
    output::line(&status)?;
    match body {
        Some(body) => output::json(&body),
        None if reply.body.is_empty() => Ok(()),
        None => output::line(&hex::encode(&reply.body)),
    }
}

/// Why there is no answer, with its exit code.
fn refuse(error: &CallError) -> Failure {
    let exit = match error {
        CallError::TimedOut { .. } | CallError::Busy { .. } => Exit::Late,
        CallError::Failed(_) => Exit::Refused,
        _ => Exit::Unreachable,
    };
    Failure::new(exit, error.to_string())
}
