//! What a request says about its caller and about waiting, before it is let in.

use std::time::Duration;

use bytes::Bytes;
use oneport::{
    proto::Token,
    services::{drpc::Request, netrpc},
};
use prost::Message;

/// The fields that mean the same in every request: see `proto/drpc/agent.proto`.
#[derive(Clone, PartialEq, Eq, Message)]
struct Asked {
    #[prost(bytes = "bytes", tag = "2")]
    token: Bytes,
    #[prost(uint64, tag = "3")]
    min_query_index: u64,
    #[prost(uint64, tag = "4")]
    max_query_time_ms: u64,
}

/// Tells the layers what `request` asks for. A body that makes no sense asks for nothing; its method
/// refuses it.
pub(super) fn stamp(mut request: Request, limits: &netrpc::Config) -> Request {
    if let Ok(asked) = Asked::decode(request.body.clone()) {
        let time = Duration::from_millis(asked.max_query_time_ms);
        request.head.token = Token::new(&asked.token);
        request.head.wait = (asked.min_query_index > 0).then(|| limits.longest_wait(time));
    }
    request
}
