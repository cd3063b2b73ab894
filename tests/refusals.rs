//! The promise: whoever refuses a call, and whatever protocol it came by, the caller sees what
//! clients of that protocol look for.
//!
//! Each row is a refusal by a layer, a driver or a handler, and its exact face in each protocol. A
//! row brings the refusal about in front of a real service; nothing here makes a face by hand.

#![cfg(target_os = "linux")]
// A helper that fails fails its test.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, time::Duration};

use oneport::{
    proto::{Code, Denial, Refusal, Retry, status_of},
    services::drpc,
};
use tonic_types::StatusExt;

#[path = "support/refusals/mod.rs"]
mod refusals;

use refusals::{
    Setup,
    setups::{self, ACCESSOR},
};

/// What refuses, how, and what each protocol shows of it.
struct Row {
    name: &'static str,
    setup: fn() -> Setup,
    netrpc: NetRpc,
    grpc: Grpc,
    drpc: drpc::Status,
}

/// DAOS has one word for all of them, and no text beside it.
const FAILURE: drpc::Status = drpc::Status::FAILURE;

/// The error text of the answer, and whether the session ends behind it.
struct NetRpc {
    text: String,
    ends: bool,
}

/// The status of the answer, and after how long the caller is told to come back.
struct Grpc {
    code: Code,
    message: String,
    retry: Option<Duration>,
}

/// A session that goes on, and one that ends.
fn open(text: impl Into<String>) -> NetRpc {
    NetRpc {
        text: text.into(),
        ends: false,
    }
}

fn ends(text: impl Into<String>) -> NetRpc {
    NetRpc {
        text: text.into(),
        ends: true,
    }
}

fn grpc(code: Code, message: impl Into<String>) -> Grpc {
    Grpc {
        code,
        message: message.into(),
        retry: None,
    }
}

/// Consul's `structs.IsErrRPCRateExceeded` looks for this.
const SLOWER: &str = "RPC rate limit exceeded";
/// The two texts of `request_limits`, of Consul 1.15 and later.
const ELSEWHERE: &str = "rate limit exceeded, try again later or against a different server";
const LATER: &str = "rate limit exceeded for operation that can only be performed by the leader, \
                     try again later";
/// Consul's `acl.IsErrPermissionDenied` looks for this.
const DENIED: &str = "Permission denied";

/// The buckets of the set-ups get one token a second.
const SECOND: Duration = Duration::from_secs(1);

/// A refusal by a rate limit.
fn limited(
    name: &'static str,
    setup: fn() -> Setup,
    netrpc: fn(&'static str) -> NetRpc,
    code: Code,
    text: &'static str,
) -> Row {
    let grpc = Grpc {
        retry: Some(SECOND),
        ..grpc(code, text)
    };
    let netrpc = netrpc(text);
    Row {
        name,
        setup,
        netrpc,
        grpc,
        drpc: FAILURE,
    }
}

/// A refusal whose text is the same everywhere.
fn same(name: &'static str, setup: fn() -> Setup, code: Code, text: impl Into<String>) -> Row {
    let text = text.into();
    Row {
        name,
        setup,
        netrpc: open(text.clone()),
        grpc: grpc(code, text),
        drpc: FAILURE,
    }
}

fn lacks(accessor: &str, permission: &str, on: &str) -> String {
    format!(
        "Permission denied: token with AccessorID '{accessor}' lacks permission '{permission}' on \
         \"{on}\""
    )
}

fn rows() -> Vec<Row> {
    let anonymous = "00000000-0000-0000-0000-000000000002";
    vec![
        limited(
            "rate limit, rpc_rate",
            setups::rpc_rate,
            open,
            Code::ResourceExhausted,
            SLOWER,
        ),
        limited(
            "rate limit, reads",
            setups::read_rate,
            ends,
            Code::ResourceExhausted,
            ELSEWHERE,
        ),
        limited(
            "rate limit, writes, not the leader",
            setups::write_rate,
            ends,
            Code::ResourceExhausted,
            ELSEWHERE,
        ),
        limited(
            "rate limit, writes, the leader",
            setups::leaders_write_rate,
            ends,
            Code::Unavailable,
            LATER,
        ),
        limited(
            "rate limit, source",
            setups::source_rate,
            ends,
            Code::ResourceExhausted,
            ELSEWHERE,
        ),
        limited(
            "rate limit, identity",
            setups::identity_rate,
            ends,
            Code::ResourceExhausted,
            ELSEWHERE,
        ),
        limited(
            "rate limit, an unknown method is a read",
            setups::unknown_method_rate,
            ends,
            Code::ResourceExhausted,
            ELSEWHERE,
        ),
        Row {
            name: "in flight, in all",
            setup: setups::in_flight,
            netrpc: open(ELSEWHERE),
            grpc: grpc(Code::ResourceExhausted, "too many calls in flight"),
            drpc: FAILURE,
        },
        Row {
            name: "in flight, of a connection",
            setup: setups::in_flight_of_connection,
            netrpc: open(ELSEWHERE),
            grpc: grpc(Code::ResourceExhausted, "too many calls in flight"),
            drpc: FAILURE,
        },
        Row {
            name: "timeout",
            setup: setups::timeout,
            netrpc: open("rpc: the call timed out"),
            grpc: grpc(Code::DeadlineExceeded, "the call took longer than it may"),
            drpc: FAILURE,
        },
        same(
            "auth, unknown token",
            setups::unknown_token,
            Code::Unauthenticated,
            "ACL not found",
        ),
        same(
            "auth, a key that is not for reading",
            setups::key_read,
            Code::PermissionDenied,
            lacks(ACCESSOR, "key:read", "foo/x"),
        ),
        same(
            "auth, a key that is not for writing",
            setups::key_write,
            Code::PermissionDenied,
            lacks(ACCESSOR, "key:write", "ro/x"),
        ),
        same(
            "auth, a tree that is not all for writing",
            setups::key_tree,
            Code::PermissionDenied,
            lacks(ACCESSOR, "key:write", "rw/"),
        ),
        same(
            "auth, a key, without a token",
            setups::anonymous_key,
            Code::PermissionDenied,
            lacks(anonymous, "key:read", "foo/x"),
        ),
        same(
            "auth, a method that is not granted",
            setups::method,
            Code::PermissionDenied,
            lacks(ACCESSOR, "method:write", "Refusals.Write"),
        ),
        same(
            "auth, no certificate",
            setups::no_certificate,
            Code::PermissionDenied,
            DENIED,
        ),
        same(
            "auth, a stranger's certificate",
            setups::certificate,
            Code::PermissionDenied,
            DENIED,
        ),
        same(
            "auth, a key, by certificate",
            setups::certificate_key,
            Code::PermissionDenied,
            "Permission denied: provided token lacks permission 'key:read' on \"foo/x\"",
        ),
        same(
            "auth, another user",
            setups::unix_user,
            Code::PermissionDenied,
            DENIED,
        ),
        same(
            "auth, no user",
            setups::no_unix_user,
            Code::PermissionDenied,
            DENIED,
        ),
        same(
            "auth, another network",
            setups::network,
            Code::PermissionDenied,
            DENIED,
        ),
        same(
            "auth, nobody asked who calls",
            setups::no_identity,
            Code::PermissionDenied,
            DENIED,
        ),
        same(
            "auth, two layers say who calls",
            setups::two_identities,
            Code::Internal,
            "two layers say who the caller is",
        ),
        Row {
            name: "handler, draining",
            setup: setups::draining,
            // Consul's structs.IsErrNoLeader looks for this: its clients go elsewhere.
            netrpc: open("No cluster leader"),
            grpc: grpc(Code::Unavailable, "the server is draining"),
            drpc: FAILURE,
        },
        Row {
            name: "handler, not found",
            setup: setups::not_found,
            netrpc: open("rpc: not found"),
            grpc: grpc(Code::NotFound, "not found"),
            drpc: FAILURE,
        },
        Row {
            name: "handler, too large",
            setup: setups::too_large,
            netrpc: ends("request body of 9 bytes exceeds 8"),
            grpc: grpc(Code::ResourceExhausted, "request body of 9 bytes exceeds 8"),
            drpc: FAILURE,
        },
        Row {
            name: "handler, panicked",
            setup: setups::panicked,
            netrpc: ends("rpc: the handler panicked"),
            grpc: grpc(Code::Internal, "the handler panicked"),
            drpc: FAILURE,
        },
    ]
}

#[tokio::test(start_paused = true)]
async fn on_netrpc_every_refusal_has_its_text() {
    for row in rows() {
        let (bytes, expected) = (row.setup)()
            .netrpc(&row.netrpc.text, row.netrpc.ends)
            .await;
        assert_eq!(
            bytes.escape_ascii().to_string(),
            expected.escape_ascii().to_string(),
            "{}",
            row.name
        );
    }
}

/// The status is what gRPC sends: code and message as they are, details and trailers as encoded.
#[tokio::test(start_paused = true)]
async fn on_grpc_every_refusal_has_its_status() {
    for row in rows() {
        let status = status_of((row.setup)().refused().await);
        assert_eq!(status.code(), row.grpc.code, "{}", row.name);
        assert_eq!(status.message(), row.grpc.message, "{}", row.name);
        let told = status.get_details_retry_info();
        assert_eq!(
            told.and_then(|info| info.retry_delay),
            row.grpc.retry,
            "{}",
            row.name
        );
        let pushback = status.metadata().get("grpc-retry-pushback-ms");
        assert_eq!(
            pushback.map(|millis| millis.to_str().unwrap().to_owned()),
            row.grpc.retry.map(|delay| delay.as_millis().to_string()),
            "{}",
            row.name
        );
    }
}

#[tokio::test(start_paused = true)]
async fn on_drpc_every_refusal_has_its_status() {
    for row in rows() {
        let setup = (row.setup)();
        let mut expected = vec![drpc::Status::SUCCESS; setup.served.into()];
        expected.push(row.drpc);
        assert_eq!(setup.drpc().await, expected, "{}", row.name);
    }
}

/// All refusals there are: a new one does not compile until it has a name here, and does not pass
/// until a row shows its faces.
const ALL: [&str; 12] = [
    "denied, with a reason",
    "denied, without",
    "draining",
    "in flight",
    "not found",
    "panicked",
    "rate limited, elsewhere",
    "rate limited, later",
    "rate limited, slower",
    "timeout",
    "too large",
    "unknown token",
];

fn name(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Timeout => "timeout",
        Refusal::RateLimited { retry, .. } => match retry {
            Retry::Slower => "rate limited, slower",
            Retry::Elsewhere => "rate limited, elsewhere",
            Retry::Later => "rate limited, later",
        },
        Refusal::InFlight => "in flight",
        Refusal::Denied(Denial::Plain) => "denied, without",
        Refusal::Denied(Denial::Lacks { .. }) => "denied, with a reason",
        Refusal::UnknownToken => "unknown token",
        Refusal::NotFound => "not found",
        Refusal::Draining => "draining",
        Refusal::TooLarge { .. } => "too large",
        Refusal::Panicked => "panicked",
    }
}

#[tokio::test(start_paused = true)]
async fn every_refusal_has_a_row() {
    let mut shown = BTreeSet::new();
    for row in rows() {
        let status = status_of((row.setup)().refused().await);
        shown.extend(Refusal::of(&status).map(name));
    }
    assert_eq!(shown, BTreeSet::from(ALL));
}
