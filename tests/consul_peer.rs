//! The promise: a real Consul does not notice that its other end is oneport.
//!
//! Consul's own client library calls our agent, and our command line calls a
//! real Consul server. The same client library also calls that server, which
//! shows that its checks ask for nothing that Consul does not do.
//!
//! This needs Go: the programs of `tests/interop/go/consul` are built with it.
//! Without Go the tests say so and pass; with `ONEPORT_REQUIRE_PEERS=1` they
//! fail instead.

#[path = "support/peers.rs"]
mod peers;
#[path = "support/process.rs"]
mod process;
#[path = "support/refusing.rs"]
mod refusing;
#[path = "support/tell.rs"]
mod tell;

use std::sync::Arc;

use oneport::layers::{
    RateLimitLayer,
    auth::{AuthLayer, Level, Rules, TokenEntry, TokenTable, Tokens},
    bucket::{LOWEST_RATE, Limit, Rate},
    rate_limit::{Limiter, Limits, Mode},
};
use oneport::proto::Token;
use peers::{Consul, Go, Said};
use process::{Agent, oneport_binary};
use refusing::{Endpoints, Refusing};

#[test]
fn consuls_client_finds_nothing_wrong_with_our_agent() {
    let Some(go) = Go::find() else { return };
    let agent = Agent::start();
    let probe = go.probe(&agent.addr().to_string());
    assert!(
        probe.good,
        "the probe said:\n{}\nthe agent said:\n{}",
        probe.all(),
        agent.said()
    );
    assert_passed(&probe);
}

#[test]
fn consuls_client_finds_nothing_wrong_with_consul() {
    let Some(go) = Go::find() else { return };
    let consul = Consul::start(&go);
    let probe = go.probe(consul.addr());
    assert!(
        probe.good,
        "the probe said:\n{}\nConsul said:\n{}",
        probe.all(),
        consul.said()
    );
    assert_passed(&probe);
}

/// A probe that checks nothing would pass too.
fn assert_passed(probe: &Said) {
    let last = probe.out.lines().last().unwrap_or_default();
    let passed: Option<u32> = last
        .strip_suffix(" checks passed")
        .and_then(|n| n.parse().ok());
    assert!(
        passed.is_some_and(|n| n >= 50),
        "the probe's last line is {last:?}"
    );
    tell::tell(&format!("Consul's own client: {last}"));
}

#[test]
fn consuls_client_notices_a_server_that_is_not_consul() {
    let Some(go) = Go::find() else { return };
    // A server that accepts and closes, for as long as the probe lives.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("it is bound").to_string();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let probe = go.run_probe(&["-addr", &addr, "-wait", "1s"]);
    assert!(!probe.good, "{}", probe.all());
    assert!(probe.out.contains("FAIL ready"), "{}", probe.all());
}

/// What our command line prints about a real Consul: all expectations of its
/// output are here.
#[test]
fn our_command_line_works_against_consul() {
    let Some(go) = Go::find() else { return };
    let consul = Consul::start(&go);
    let addr = consul.addr();
    let cli = |args: &[&str]| oneport(&[args, &["--addr", addr]].concat());

    for transport in ["single", "yamux"] {
        let rpc = |method: &str, body: Option<serde_json::Value>| {
            let body = body.map(|body| body.to_string());
            let mut args = vec!["rpc", method, "--transport", transport];
            if let Some(body) = &body {
                args.extend(["--body", body]);
            }
            json(&cli(&args))
        };
        assert_eq!(rpc("Status.Leader", None), addr, "over {transport}");
        assert_eq!(
            rpc("Status.Peers", None),
            serde_json::json!([addr]),
            "over {transport}"
        );

        let set = serde_json::json!({
            "Datacenter": "dc1",
            "Op": "set",
            "DirEnt": {"Key": format!("rpc/{transport}"), "Value": "written by rpc", "Flags": 42},
        });
        assert_eq!(
            rpc("KVS.Apply", Some(set)),
            false,
            "a set answers false, over {transport}"
        );
        let get = serde_json::json!({"Datacenter": "dc1", "Key": format!("rpc/{transport}")});
        let reply = rpc("KVS.Get", Some(get));
        assert_eq!(
            reply["Entries"][0]["Key"],
            format!("rpc/{transport}"),
            "{reply}"
        );
        assert_eq!(reply["Entries"][0]["Flags"], 42, "{reply}");
        assert_eq!(reply["KnownLeader"], true, "{reply}");
    }

    let unknown = cli(&["rpc", "KVS.Nope"]);
    assert!(!unknown.good, "{}", unknown.all());
    assert!(
        unknown.all().contains("rpc: can't find method KVS.Nope"),
        "{}",
        unknown.all()
    );
    let elsewhere = cli(&[
        "rpc",
        "Status.Leader",
        "--body",
        r#"{"Datacenter": "elsewhere"}"#,
    ]);
    assert!(!elsewhere.good, "{}", elsewhere.all());
    assert!(
        elsewhere.all().contains("No path to datacenter"),
        "{}",
        elsewhere.all()
    );

    good(&cli(&["kv", "put", "cli/one", "first"]));
    good(&cli(&["kv", "put", "cli/two", "second"]));
    let entry = json(&cli(&["kv", "get", "cli/one"]));
    assert_eq!(entry["Value"], "first", "{entry}");
    assert_eq!(good(&cli(&["kv", "get", "cli/one", "--raw"])), "first");
    let list = good(&cli(&["kv", "list", "cli/"]));
    assert!(
        list.contains("cli/one") && list.contains("cli/two"),
        "{list}"
    );
    good(&cli(&["kv", "delete", "cli/one"]));
    let list = good(&cli(&["kv", "list", "cli/"]));
    assert!(
        !list.contains("cli/one") && list.contains("cli/two"),
        "{list}"
    );

    // Consul's own client sees what ours wrote.
    let probe = go.run_probe(&["-addr", addr, "-get", "cli/two"]);
    assert_eq!(good(&probe), "second");
}

/// The text of the refusal that a server answers with in the end, which Consul's own code
/// recognises as one of this kind and of no other.
#[track_caller]
fn refused(go: &Go, addr: &str, kind: &str, args: &[&str]) -> String {
    let said = go.run_probe(&[&["-addr", addr, "-refused", kind], args].concat());
    good(&said).trim_end().to_owned()
}

#[test]
fn consuls_client_recognises_our_rate_limits() {
    let Some(go) = Go::find() else { return };
    let limit = Limit {
        rate: Rate::per_second(LOWEST_RATE).expect("it is one"),
        burst: 2,
    };
    let off = Limits {
        mode: Mode::Enforcing,
        ..Limits::default()
    };
    let server = |leader, limits| {
        let limiter = Limiter::new(limits);
        limiter.set_leader(leader);
        Refusing::start(RateLimitLayer::new(Arc::new(limiter)), Endpoints::Serve)
    };
    let rpc = server(true, Limits { rpc: limit, ..off });
    refused(&go, &rpc.addr(), "rate", &[]);
    let requests = Limits {
        read: limit,
        write: limit,
        ..off
    };
    let leader = server(true, requests);
    refused(&go, &leader.addr(), "elsewhere", &[]);
    refused(&go, &leader.addr(), "later", &["-write"]);
    let follower = server(false, requests);
    refused(&go, &follower.addr(), "elsewhere", &["-write"]);
    let source = server(
        true,
        Limits {
            source: limit,
            ..off
        },
    );
    refused(&go, &source.addr(), "elsewhere", &[]);
}

#[test]
fn consuls_client_recognises_a_server_that_drains() {
    let Some(go) = Go::find() else { return };
    let server = Refusing::start(tower::layer::util::Identity::new(), Endpoints::Drain);
    refused(&go, &server.addr(), "leader", &[]);
}

/// What both servers are told of tokens.
const SECRET: &str = "3f0c5ee4-97a5-4f7e-a4c9-b1c4b0a5d1e2";
const ACLS: &str = r#"acl { enabled = true default_policy = "deny" tokens {
    initial_management = "3f0c5ee4-97a5-4f7e-a4c9-b1c4b0a5d1e2" } }"#;

/// Ours and the real one refuse in the same words, which are those that Consul's client knows.
#[test]
fn consuls_client_recognises_our_acls_as_consuls() {
    let Some(go) = Go::find() else { return };
    let consul = Consul::start_with(&go, ACLS);
    let tokens = Tokens::new(TokenTable {
        tokens: vec![TokenEntry {
            secret: Token::new(SECRET.as_bytes()).expect("it is not empty"),
            accessor: "6a1253d2-1785-24fd-91c2-f8e78c745511".into(),
            name: "management".into(),
            rules: Rules::management(),
        }],
        default: Level::Deny,
        ..TokenTable::default()
    });
    let tokens = tokens.expect("the table is sound");
    let ours = Refusing::start(AuthLayer::new(tokens), Endpoints::Ask);
    for (kind, args) in [
        ("denied", ["-key", "foo/x"].as_slice()),
        ("denied", &["-key", "foo/x", "-write"]),
        ("not-found", &["-token", "guess"]),
        ("not-found", &["-token", "guess", "-write"]),
    ] {
        let [theirs, ours] =
            [consul.addr(), &ours.addr()].map(|addr| refused(&go, addr, kind, args));
        assert_eq!(ours, theirs, "{kind}, {args:?}");
    }
    // Whoever may is served by both.
    for addr in [consul.addr(), &ours.addr()] {
        let args = ["-addr", addr, "-refused", "denied", "-token", SECRET];
        let said = go.run_probe(&args);
        assert!(said.out.contains("got  8 answers"), "{}", said.all());
    }
}

fn oneport(args: &[&str]) -> Said {
    peers::run(oneport_binary().as_os_str(), args)
}

#[track_caller]
fn good(said: &Said) -> String {
    assert!(said.good, "{}", said.all());
    said.out.clone()
}

#[track_caller]
fn json(said: &Said) -> serde_json::Value {
    serde_json::from_str(&good(said))
        .unwrap_or_else(|err| panic!("no JSON ({err}): {}", said.all()))
}
