//! What the bodies of a method mean, from a `.proto` file.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde_json::Value as Json;

use crate::cli::exit::{Exit, Failure};

/// The file, and the messages in it.
#[derive(Debug, clap::Args)]
pub(super) struct Source {
    /// The .proto file with the messages; what it imports is looked for beside it and in
    /// --proto-path.
    #[arg(long, value_name = "FILE", requires = "message")]
    proto: Option<PathBuf>,
    /// A further directory that imports are looked for in; may be given more than once.
    #[arg(long, value_name = "DIR", requires = "proto")]
    proto_path: Vec<PathBuf>,
    /// The message that the method takes, with its package or, where that is clear, without.
    #[arg(long, value_name = "NAME", requires = "proto")]
    message: Option<String>,
    /// The message of the answer [default: NAMEResponse, NAMEReply or NAMEResp, whichever there
    /// is, for NAME, NAMERequest or NAMEReq].
    #[arg(long, value_name = "NAME", requires = "proto")]
    answer: Option<String>,
}

/// The two messages of a method.
#[derive(Debug)]
pub(super) struct Schema {
    request: MessageDescriptor,
    answer: MessageDescriptor,
}

impl Source {
    /// Reads the file, if there is one.
    ///
    /// # Errors
    /// What is wrong with it, or that it has no such message.
    pub(super) fn read(&self) -> Result<Option<Schema>, Failure> {
        let (Some(file), Some(name)) = (&self.proto, &self.message) else {
            return Ok(None);
        };
        let pool = self.compile(file)?;
        let request = find(&pool, name).ok_or_else(|| unknown("--message", name, &pool))?;
        let answer = match &self.answer {
            Some(name) => find(&pool, name).ok_or_else(|| unknown("--answer", name, &pool))?,
            None => answer_to(&pool, &request).ok_or_else(|| {
                let message = format!(
                    "--answer is missing: {} has no answer by its name; there are {}",
                    request.full_name(),
                    names(&pool),
                );
                Failure::new(Exit::Usage, message)
            })?,
        };
        Ok(Some(Schema { request, answer }))
    }

    fn compile(&self, file: &Path) -> Result<DescriptorPool, Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            let message = format!("--proto {}: {error}", file.display());
            Failure::new(Exit::Usage, message)
        };
        let beside = file.parent().filter(|dir| !dir.as_os_str().is_empty());
        let beside = beside.unwrap_or(Path::new("."));
        // The directories that were named come first: they are what the names in imports are in.
        let includes = self.proto_path.iter().map(PathBuf::as_path).chain([beside]);
        let files = protox::compile([file], includes).map_err(|error| failed(&error))?;
        DescriptorPool::from_file_descriptor_set(files).map_err(|error| failed(&error))
    }
}

impl Schema {
    /// A body from JSON.
    pub(super) fn encode(&self, json: &[u8]) -> Result<Bytes, Failure> {
        let refuse = |error: &serde_json::Error| {
            let message = format!("--json is no {}: {error}", self.request.full_name());
            Failure::new(Exit::Usage, message)
        };
        let mut json = serde_json::Deserializer::from_slice(json);
        let message = DynamicMessage::deserialize(self.request.clone(), &mut json);
        let message = message.map_err(|error| refuse(&error))?;
        json.end().map_err(|error| refuse(&error))?;
        Ok(message.encode_to_vec().into())
    }

    /// JSON from a body.
    pub(super) fn decode(&self, body: &[u8]) -> Result<Json, Failure> {
        let bad = |error: &dyn std::fmt::Display| {
            let message = format!("the answer is no {}: {error}", self.answer.full_name());
            Failure::new(Exit::Unreachable, message)
        };
        let message = DynamicMessage::decode(self.answer.clone(), body);
        let message = message.map_err(|error| bad(&error))?;
        serde_json::to_value(&message).map_err(|error| bad(&error))
    }
}

/// The message of this name: the full one, or one that ends a single full name.
fn find(pool: &DescriptorPool, name: &str) -> Option<MessageDescriptor> {
    if let Some(message) = pool.get_message_by_name(name) {
        return Some(message);
    }
    let mut ending = pool.all_messages().filter(|message| message.name() == name);
    let first = ending.next()?;
    ending.next().is_none().then_some(first)
}

/// The answer as people name it, in the request's package.
fn answer_to(pool: &DescriptorPool, request: &MessageDescriptor) -> Option<MessageDescriptor> {
    let name = request.full_name();
    let stem = ["Request", "Req"]
        .iter()
        .find_map(|end| name.strip_suffix(end));
    let stem = stem.unwrap_or(name);
    ["Response", "Reply", "Resp"]
        .iter()
        .find_map(|end| pool.get_message_by_name(&format!("{stem}{end}")))
}

fn unknown(flag: &str, name: &str, pool: &DescriptorPool) -> Failure {
    let message = format!(
        "{flag} is {name:?}, but it must be one message of the file: {}",
        names(pool)
    );
    Failure::new(Exit::Usage, message)
}

fn names(pool: &DescriptorPool) -> String {
    let names: Vec<_> = pool
        .all_messages()
        .map(|message| message.full_name().to_owned())
        .collect();
    names.join(", ")
}
