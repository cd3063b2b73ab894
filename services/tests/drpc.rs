//! The dRPC client and server together, through their public face.
#![cfg(all(feature = "drpc", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod drpc_support;

use drpc_support::*;
use oneport_services::drpc::{CallError, Client, Sent, Status};

#[tokio::test]
async fn a_call_is_answered() {
    let server = serve().await;
    let client = Client::builder(&server.path).build();
    let not_yet = client.call_raw(TEST, ECHO, "x").await.unwrap_err();
    assert!(matches!(not_yet, CallError::NotConnected));
    assert_eq!(not_yet.sent(), Sent::No);

    client.connect().await.unwrap();
    for length in [
        0,
        1,
        64,
        20_000,
        131_037,
        131_038,
        131_039,
        262_087,
        1 << 20,
    ] {
        let body = vec![7; length];
        let reply = client.call_raw(TEST, ECHO, body.clone()).await.unwrap();
        assert_eq!(reply.status, Status::SUCCESS);
        assert!(reply.body == body, "{length}");
    }
    let bob = Hello { name: "Bob".into() };
    let said: HelloResponse = client.call(0, 0, &bob).await.unwrap();
    assert_eq!(said.greeting, "Hello Bob");
}
