//! `oneport rpc`.

use std::time::Duration;

use bytes::Bytes;
use oneport::{
    proto::MethodInfo,
    services::netrpc::{DEFAULT_METHOD_LIMIT, asked},
};

use serde_json::Value as Json;

use super::{
    block_on,
    exit::{Exit, Failure},
    json, output,
    remote::Remote,
    token::Token,
    value::Value,
};

/// Call any net/rpc method of a server.
///
/// The body is JSON and is sent as msgpack, just as it is: what a server does not find in it is
/// zero there. A token goes into it as Token, unless it has one. The reply is printed as JSON, in lines on a terminal and in one line elsewhere.
/// Bytes that are not UTF-8 are {"$raw_base64": "…"}, in the body as well as in the reply.
#[derive(Debug, clap::Args)]
#[command(after_help = r#"
Examples:
  oneport rpc Status.Leader
  oneport rpc KVS.Get --body '{"Key":"color/sky"}'
  oneport rpc KVS.Apply --body '{"Op":"set","DirEnt":{"Key":"bin","Value":{"$raw_base64":"//4="}}}'
  oneport rpc KVS.Get --body '{"Key":"color/sky","MinQueryIndex":42,"MaxQueryTime":60000000000}'
  oneport rpc Catalog.ListNodes --addr consul:8300 --body @request.json | jq .Nodes"#)]
pub(super) struct Args {
    /// The method, as Service.Method.
    #[arg(value_name = "METHOD", value_parser = method)]
    method: String,
    /// The request: JSON, @FILE, or - for stdin.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    body: String,
    /// Goes into the body as its Token, unless there is one.
    #[command(flatten)]
    token: Token,
    #[command(flatten)]
    remote: Remote,
}

/// Only what no server would answer is refused here.
fn method(name: &str) -> Result<String, String> {
    if (1..=DEFAULT_METHOD_LIMIT).contains(&name.len()) {
        return Ok(name.to_owned());
    }
    Err(format!("it must be 1 to {DEFAULT_METHOD_LIMIT} bytes long"))
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let text = Value::from(self.body).read("--body")?;
        let body = json::parse(&text, "--body")?;
        let body = json::to_msgpack(&with_token(body, self.token.secret()), "--body")?;
        let reply = block_on(call(&self.remote, &self.method, body))?;
        let reply = json::from_msgpack(&reply)
            .map_err(|error| Failure::new(Exit::Unreachable, format!("bad answer: {error}")))?;
        output::json(&reply)
    }
}

/// Consul's requests carry the token in their body, all under the same key.
fn with_token(mut body: Json, token: &str) -> Json {
    if let Json::Object(keys) = &mut body
        && !token.is_empty()
    {
        keys.entry("Token").or_insert_with(|| token.into());
    }
    body
}

async fn call(remote: &Remote, method: &str, body: Bytes) -> Result<Bytes, Failure> {
    // A blocking query takes as long as it asks for.
    let wait = asked(MethodInfo::accept(), &body).wait;
    let mut connection = remote.connect().await?;
    let wait = wait.unwrap_or(Duration::ZERO);
    connection.call_raw(method, body, wait).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_where_there_is_none() {
        let body = || serde_json::json!({"Key": "k"});
        assert_eq!(with_token(body(), ""), body());
        assert_eq!(with_token(body(), "s")["Token"], "s");
        let own = serde_json::json!({"Token": "own"});
        assert_eq!(with_token(own.clone(), "s"), own);
        assert_eq!(with_token(1.into(), "s"), 1);
    }

    #[test]
    fn a_method_has_a_length() {
        assert_eq!(method("Status.Ping").as_deref(), Ok("Status.Ping"));
        assert!(method(&"x".repeat(DEFAULT_METHOD_LIMIT)).is_ok());
        assert_eq!(
            method(&"x".repeat(DEFAULT_METHOD_LIMIT + 1)).unwrap_err(),
            "it must be 1 to 512 bytes long"
        );
        assert!(method("").is_err());
    }
}
