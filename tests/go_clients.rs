//! The promise: programs on HashiCorp's libraries do not notice that the server is oneport.
//!
//! Each module of `tests/interop/go` but `consul` has one version of yamux or of the msgpack codec,
//! and a probe that calls a server with it. The same probes also call the real Consul and a small
//! Go server, which shows that they ask for nothing that those do not do.
//!
//! This needs Go. Without it the tests say so and pass; with `ONEPORT_REQUIRE_PEERS=1` they fail
//! instead.

#[path = "support/peers.rs"]
mod peers;
#[path = "support/process.rs"]
mod process;
#[path = "support/tell.rs"]
mod tell;
#[path = "support/verdict.rs"]
mod verdict;

use std::net::TcpListener;

use peers::{Consul, Go, Said};
use process::{Agent, Running};

/// The modules with a codec alone.
const PLAIN: [&str; 2] = ["msgpackrpc-v1", "msgpackrpc-v2"];
/// Those with yamux too.
const YAMUX: [&str; 2] = ["yamux-2020", "yamux-v0.1.2"];
/// The least number of checks that are for every server.
const LEAST_PLAIN: u32 = 16;
/// The same with yamux.
const LEAST_YAMUX: u32 = 43;

#[test]
fn the_codec_of_2015_works_with_us() {
    plain_works_with_us(PLAIN[0]);
}

#[test]
fn the_newest_codec_works_with_us() {
    plain_works_with_us(PLAIN[1]);
}

#[test]
fn yamux_of_2020_works_with_us() {
    yamux_works_with_us(YAMUX[0]);
}

#[test]
fn the_newest_yamux_works_with_us() {
    yamux_works_with_us(YAMUX[1]);
}

fn plain_works_with_us(module: &str) {
    let Some(go) = Go::find() else { return };
    let agent = Agent::start();
    let addr = agent.addr().to_string();
    let probe = probe(go, module, &["-addr", &addr]);
    assert_good(module, "oneport", &probe, &agent.said(), LEAST_PLAIN + 2);
}

/// The last check tells the agent to drain, with calls in flight.
fn yamux_works_with_us(module: &str) {
    let Some(go) = Go::find() else { return };
    let mut agent = Agent::start();
    let (addr, pid) = (agent.addr().to_string(), agent.running.pid().to_string());
    let probe = probe(go, module, &["-addr", &addr, "-drain", &pid]);
    assert_good(module, "oneport", &probe, &agent.said(), LEAST_YAMUX + 6);
    let farewell = agent.running.wait_for("farewell", |line| {
        line.starts_with("drained").then(|| line.trim().to_owned())
    });
    assert_eq!(farewell, "drained", "no connection is cut");
}

#[test]
fn the_probes_find_nothing_wrong_with_consul() {
    let Some(go) = Go::find() else { return };
    let consul = Consul::start(go);
    for (module, least) in modules() {
        let probe = probe(go, module, &["-addr", consul.addr(), "-server", "consul"]);
        assert!(
            probe.good,
            "{}\nConsul said:\n{}",
            probe.all(),
            consul.said()
        );
        verdict::assert_passed(&format!("{module} with Consul"), &probe.out, least + 1);
    }
}

#[test]
fn the_probes_find_nothing_wrong_with_their_own_servers() {
    let Some(go) = Go::find() else { return };
    for (module, least) in modules() {
        let (server, addr) = small_server(go, module);
        let probe = probe(go, module, &["-addr", &addr, "-server", "small"]);
        assert_good(module, "its own server", &probe, &server.said(), least);
    }
}

/// The small server has no limits and answers other texts: that it is taken for oneport must show.
#[test]
fn the_probes_notice_a_server_without_limits() {
    let Some(go) = Go::find() else { return };
    for module in YAMUX {
        let (_server, addr) = small_server(go, module);
        let probe = probe(go, module, &["-addr", &addr, "-only", "body"]);
        assert!(!probe.good, "{}", probe.all());
        for name in [
            "plain-body-too-large",
            "stream-body-too-large",
            "session-refuses-one-body-only",
        ] {
            assert!(
                probe.out.contains(&format!("FAIL {name}: ")),
                "{}",
                probe.all()
            );
        }
        assert!(probe.out.contains(" checks failed, "), "{}", probe.all());
    }
}

#[test]
fn the_probes_notice_a_server_that_is_none() {
    let Some(go) = Go::find() else { return };
    // A server that accepts and closes, for as long as the probes live.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("it is bound").to_string();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    for (module, _) in modules() {
        let probe = probe(go, module, &["-addr", &addr]);
        assert!(!probe.good, "{}", probe.all());
        assert!(probe.out.starts_with("FAIL start: "), "{}", probe.all());
    }
}

fn modules() -> impl Iterator<Item = (&'static str, u32)> {
    let plain = PLAIN.into_iter().map(|module| (module, LEAST_PLAIN));
    plain.chain(YAMUX.into_iter().map(|module| (module, LEAST_YAMUX)))
}

fn probe(go: Go, module: &str, args: &[&str]) -> Said {
    peers::run(go.build(module, "./cmd/probe").as_os_str(), args)
}

/// A small Go server, and where it listens.
fn small_server(go: Go, module: &str) -> (Running, String) {
    let program = go.build(module, "./cmd/server");
    let mut server = Running::start::<&str>(program.as_os_str(), &[]);
    let addr = server.wait_for("line with \"ready\"", |line| {
        line.strip_prefix("ready ")
            .map(|addr| addr.trim().to_owned())
    });
    (server, addr)
}

#[track_caller]
fn assert_good(module: &str, with: &str, probe: &Said, server_said: &str, least: u32) {
    assert!(
        probe.good,
        "{module} said:\n{}\n{with} said:\n{server_said}",
        probe.all()
    );
    verdict::assert_passed(&format!("{module} with {with}"), &probe.out, least);
}
