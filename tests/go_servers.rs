//! The promise: our client works with servers that are not ours.
//!
//! One list of checks, by the public API alone, against the real Consul 1.13.9, against small Go
//! servers on two versions of yamux and two of the msgpack codec, and against our own agent, over
//! plain connections and over yamux. The small servers can also be told to misbehave.
//!
//! This needs Go, but for our own agent. Without it the tests say so and pass; with
//! `ONEPORT_REQUIRE_PEERS=1` they fail instead.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[path = "support/peers.rs"]
mod peers;
#[path = "support/process.rs"]
mod process;
#[path = "support/servers/mod.rs"]
mod servers;
#[path = "support/tell.rs"]
mod tell;

use peers::{Consul, Go};
use process::Agent;
use servers::{Far, SmallServer, Steps, calls, misbehaving, sessions};

#[test]
fn our_client_works_with_consul() {
    let Some(go) = Go::find() else { return };
    let consul = Consul::start(go);
    let far = Far::new("Consul", consul.addr());
    check(async |steps| {
        calls::over_plain(steps, &far).await;
        calls::over_yamux(steps, &far).await;
        sessions::all(steps, &far).await;
        assert!(!consul.said().contains("panic"), "{}", consul.said());
        sessions::death(steps, &far, || drop(consul)).await;
    });
}

#[test]
fn our_client_works_with_the_codec_of_2015() {
    plain("msgpackrpc-v1");
}

#[test]
fn our_client_works_with_the_newest_codec() {
    plain("msgpackrpc-v2");
}

fn plain(module: &'static str) {
    let Some(go) = Go::find() else { return };
    let server = SmallServer::start(go, module);
    let far = Far::new(module, server.addr());
    check(async |steps| calls::over_plain(steps, &far).await);
}

#[test]
fn our_client_works_with_yamux_of_2020() {
    yamux("yamux-2020");
}

#[test]
fn our_client_works_with_the_newest_yamux() {
    yamux("yamux-v0.1.2");
}

fn yamux(module: &'static str) {
    let Some(go) = Go::find() else { return };
    let server = SmallServer::start(go, module);
    let far = Far::new(module, server.addr());
    check(async |steps| {
        calls::over_plain(steps, &far).await;
        calls::over_yamux(steps, &far).await;
        sessions::all(steps, &far).await;
        misbehaving::all(steps, &far).await;
        sessions::death(steps, &far, || drop(server)).await;
    });
}

/// What holds with strangers holds at home.
#[test]
fn our_client_works_with_our_agent() {
    let agent = Agent::start();
    let far = Far::new("oneport", &agent.addr().to_string());
    check(async |steps| {
        calls::over_plain(steps, &far).await;
        calls::over_yamux(steps, &far).await;
        sessions::all(steps, &far).await;
        assert!(!agent.said().contains("panicked"), "{}", agent.said());
        sessions::death(steps, &far, || drop(agent)).await;
    });
}

/// Runs checks to their end, on one thread: what a check does between two awaits happens before the
/// session does anything.
fn check(checks: impl AsyncFnOnce(&mut Steps)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let mut steps = Steps::default();
        checks(&mut steps).await;
        steps.close();
    });
}
