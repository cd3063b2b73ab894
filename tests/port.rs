//! The table of a port: printing, taken rows, and who gets which byte.

// A helper that fails fails its test.
#![allow(clippy::unwrap_used)]

use oneport::{
    Mark, Port, PortError, Sniff, Unrouted,
    proto::{BoxError, Session, code_of, wire::alpn},
    services::{BoxProtocol, Conn, Drainer, Protocol},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tower::{ServiceExt, service_fn};

/// A protocol that answers with its name and the first bytes that it sees.
fn named(name: &'static str) -> impl Protocol {
    service_fn(move |mut conn: Conn| async move {
        let seen = conn.chunk().await?;
        conn.write_all(name.as_bytes()).await?;
        conn.write_all(&seen).await?;
        Ok::<_, BoxError>(())
    })
}

/// What a peer that sends `bytes` gets.
async fn said(port: &Port, bytes: &[u8]) -> String {
    let (near, mut far) = duplex(64);
    let conn = Conn::stream(Session::in_process(), Drainer::new().handle(), near);
    far.write_all(bytes).await.unwrap();
    let _refused = Sniff::new(port.clone()).oneshot(conn).await;
    let mut said = String::new();
    far.read_to_string(&mut said).await.unwrap();
    said
}

/// A table like a Consul server's, and one row of each kind beside it.
fn table() -> Port {
    Port::builder()
        .tag(0, "net/rpc", named("net/rpc"))
        .unserved(1, "raft")
        .unserved(3, "tls")
        .tag(4, "yamux", named("yamux"))
        .unserved(5, "snapshot")
        .unserved(7, "tls insecure")
        .unserved(8, "grpc")
        .first(0x16, "native tls", named("native tls"))
        .alpn(alpn::RPC_SINGLE, "net/rpc", named("net/rpc"))
        .unserved(alpn::RAFT, "raft")
        .otherwise("echo", named("echo"))
        .build()
        .unwrap()
}

#[test]
fn a_table_prints() {
    let golden = "\
0x00               net/rpc       byte eaten
0x01               raft          not served
0x03               tls           not served
0x04               yamux         byte eaten
0x05               snapshot      not served
0x07               tls insecure  not served
0x08               grpc          not served
0x16               native tls    byte kept
consul/rpc-single  net/rpc       by name
consul/raft        raft          not served
otherwise          echo          byte kept
";
    assert_eq!(table().to_string(), golden);
    assert_eq!(Port::builder().build().unwrap().to_string(), "");
}

#[test]
fn a_name_from_nowhere_prints_escaped() {
    assert_eq!(Mark::from(&b"a\n\xff"[..]).to_string(), "a\\n\\xff");
}

#[test]
fn alpn_names_are_offered_in_the_order_of_the_table() {
    let names: Vec<_> = table().alpn_names().map(<[u8]>::to_vec).collect();
    assert_eq!(names, [alpn::RPC_SINGLE, alpn::RAFT]);
}

#[test]
fn a_taken_row_is_an_error_that_names_both() {
    let error = Port::builder()
        .tag(4, "yamux", named(""))
        .first(4, "mine", named(""))
        .unserved(4, "the first error holds")
        .build()
        .unwrap_err();
    assert_eq!(error.to_string(), "row mine: 0x04 is taken by row yamux");

    let error = Port::builder()
        .unserved(alpn::RAFT, "raft")
        .alpn(alpn::RAFT, "mine", named(""))
        .build()
        .unwrap_err();
    let mark = Mark::from(alpn::RAFT);
    let (name, by) = ("mine", "raft");
    assert_eq!(error, PortError::Taken { mark, name, by });

    let error = Port::builder()
        .otherwise("a", named(""))
        .otherwise("b", named(""))
        .build()
        .unwrap_err();
    assert_eq!(error, PortError::OtherwiseTaken { name: "b", by: "a" });
}

#[test]
fn an_alpn_name_has_to_fit_a_handshake() {
    let built = |len: usize| {
        Port::builder()
            .alpn(&vec![b'a'; len], "long", named(""))
            .build()
            .map(|_| ())
    };
    let refused = |len| Err(PortError::AlpnLength { name: "long", len });
    assert_eq!(built(0), refused(0));
    assert_eq!(built(1), Ok(()));
    assert_eq!(built(255), Ok(()));
    assert_eq!(built(256), refused(256));
}

#[tokio::test]
async fn the_byte_is_eaten_or_kept_as_the_row_says() {
    let port = table();
    assert_eq!(said(&port, b"\x00abc").await, "net/rpcabc");
    assert_eq!(said(&port, b"\x16abc").await, "native tls\x16abc");
    assert_eq!(said(&port, b"\x03abc").await, "");
    assert_eq!(said(&port, b"GET /").await, "echoGET /");
}

#[tokio::test]
async fn a_strangers_byte_is_one_more_row() {
    let port = Port::builder()
        .tag(0, "net/rpc", named("net/rpc"))
        .tag(0x7f, "stranger", named("stranger"))
        .build()
        .unwrap();
    assert_eq!(said(&port, b"\x7f!").await, "stranger!");
    assert_eq!(said(&port, b"\x7e!").await, "");
}

#[tokio::test]
async fn a_mark_that_leads_nowhere_is_not_found() {
    let port = Port::builder().unserved(8, "grpc").build().unwrap();
    let refused = async |mark: Mark| -> Unrouted {
        let routed: Result<BoxProtocol, _> = port.clone().oneshot(mark).await;
        routed.unwrap_err()
    };
    let unserved = refused(Mark::First(8)).await;
    assert_eq!(unserved.to_string(), "grpc (0x08) is not served here");
    assert_eq!(code_of(&unserved.into()), tonic::Code::NotFound);
    let unknown = refused(Mark::from(&b"h2"[..])).await;
    assert_eq!(unknown, Unrouted::Unknown(Mark::Alpn(b"h2".to_vec())));
    assert_eq!(unknown.to_string(), "no protocol begins with h2");
}
