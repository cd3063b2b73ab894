//! `oneport bench`, against an agent, and against servers that are not what they seem.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod program;

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use oneport::{
    ListenConfig, Listener, Port, Sniff,
    proto::{
        Class, Head, Status,
        structs::{DirEntry, Empty, IndexedDirEntries, KVSRequest, KeyRequest, kv::op},
        wire::byte,
    },
    services::{Drainer, netrpc, yamux::Yamux},
};
use program::{Agent, Ended, alone, signal};
use serde_json::{Value, json};

/// Short, and the same on any machine.
const FEW: [&str; 4] = ["--calls", "60", "--warm-up", "0"];

#[track_caller]
fn bench(agent: &Agent, args: &[&str]) -> Value {
    let ended = agent.run(&[&["bench"], args, &FEW].concat());
    let report = ended.json();
    assert_eq!(report["Calls"], json!(60), "{args:?}: {report}");
    let errors = json!({"Wrong": 0, "Refused": 0, "Connection": 0, "Late": 0, "Described": []});
    assert_eq!(report["Errors"], errors, "{args:?}");
    report
}

/// No run leaves a key behind.
#[track_caller]
fn assert_clean(agent: &Agent) {
    assert_eq!(agent.run(&["kv", "list", "--keys"]).json(), json!([]));
}

#[test]
fn every_mode_asks_and_is_answered_rightly() {
    let agent = Agent::start();
    let yamux = ["--transport", "yamux"];
    for args in [
        &["--connections", "3"] as &[&str],
        &["--transport", "plain", "--in-flight", "8"],
        &["--connect-per-call", "--connections", "2"],
        &[&yamux[..], &["--streams", "4", "--connections", "2"]].concat(),
        &[&yamux[..], &["--streams", "2", "--in-flight", "4"]].concat(),
        &[&yamux[..], &["--streams", "700"]].concat(),
        &[&yamux[..], &["--streams", "4", "--stream-per-call"]].concat(),
        &[&yamux[..], &["--connect-per-call"]].concat(),
        &["--rate", "100000", "--connections", "2", "--in-flight", "2"],
    ] {
        let report = bench(&agent, args);
        assert!(report["CallsPerSecond"].as_f64().unwrap() > 0.0);
        let latency = &report["Latency"];
        let order = ["P50", "P90", "P99", "P999", "Max"].map(|q| latency[q].as_f64().unwrap());
        assert!(order.is_sorted() && order[0] > 0.0, "{latency}");
    }
    assert_clean(&agent);
}

#[test]
fn every_method_is_asked_and_its_keys_are_deleted() {
    let agent = Agent::start();
    let small = ["--list-size", "3", "--keys", "2"];
    for method in [
        "Status.Ping",
        "Status.Leader",
        "KVS.Get",
        "KVS.Apply",
        "KVS.List",
        "KVS.ListKeys",
    ] {
        for size in ["0", "1", "70000"] {
            let args = [&["--method", method, "--value-size", size], &small[..]].concat();
            let report = bench(&agent, &args);
            let asked = json!([{"Method": method, "Weight": 1}]);
            assert_eq!(report["Load"]["Mix"], asked);
        }
    }
    let mix = "Status.Ping=1,KVS.Get=8,KVS.Apply=1";
    let report = bench(&agent, &["--mix", mix, "--transport", "yamux"]);
    let calls = |n: usize| report["Methods"][n]["Calls"].as_u64();
    assert_eq!((calls(0), calls(1), calls(2)), (Some(6), Some(48), Some(6)));
    assert_clean(&agent);
}

#[test]
fn the_servers_processor_and_memory_are_looked_at() {
    let agent = Agent::start();
    let pid = agent.child.id().to_string();
    let report = bench(&agent, &["--server-pid", &pid]);
    assert!(report["Server"]["CpuPerCall"].as_f64().is_some());
    assert!(report["Client"]["CpuPerCall"].as_f64().is_some());

    let idle = |args: &[&str]| {
        let all = ["bench", "--server-pid", &pid, "--calls", "0", "--idle", "3"];
        agent.run(&[&all[..], args].concat()).json()
    };
    let plain = idle(&[])["Idle"].clone();
    assert_eq!(
        (&plain["Connections"], &plain["Streams"]),
        (&json!(3), &json!(0))
    );
    assert!(plain["ResidentBefore"].as_u64() > Some(100_000));
    assert_eq!(plain["BytesPerStream"], Value::Null);
    let yamux = idle(&["--transport", "yamux", "--streams", "5"])["Idle"].clone();
    assert_eq!(yamux["Streams"], json!(15));
    assert!(yamux["BytesPerStream"].as_f64().is_some());
}

#[test]
fn two_servers_are_compared_in_turns() {
    let (one, two) = (Agent::start(), Agent::start());
    let target = |name: &str, agent: &Agent| format!("{name}={}@{}", agent.addr, agent.child.id());
    let (a, b) = (target("a", &one), target("b", &two));
    let args = [
        "bench", "compare", &a, &b, "--rounds", "2", "--method", "KVS.Get",
    ];
    let found = one.run(&[&args[..], &FEW].concat()).json();
    assert_eq!(
        (&found["Rounds"], &found["Stopped"]),
        (&json!(2), &json!(false))
    );
    for (n, name) in ["a", "b"].iter().enumerate() {
        let server = &found["Servers"][n];
        assert_eq!(
            (&server["Name"], &server["Calls"]),
            (&json!(name), &json!(120))
        );
        assert_eq!(server["Rounds"].as_array().unwrap().len(), 2);
    }
    let share = &found["Shares"][0];
    assert_eq!((&share["Name"], &share["Over"]), (&json!("a"), &json!("b")));
    let of = |n: usize| found["Servers"][n]["CallsPerSecond"].as_f64().unwrap();
    let ratio = share["CallsPerSecond"].as_f64().unwrap();
    assert!((ratio - of(0) / of(1)).abs() < 1e-6 * ratio, "{share}");
    assert_clean(&one);
    assert_clean(&two);
}

#[test]
fn a_signal_ends_the_load_and_what_was_measured_is_printed() {
    let agent = Agent::start();
    let mut command = agent.command(&["bench", "--mix", "KVS.Get=1,KVS.Apply=1", "--progress"]);
    command.args(["--duration", "60m", "--warm-up", "0"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first line comes after a second: it shows progress, and that the load is on.
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert!(line.starts_with("load: 1 s of "), "{line}");
    signal(&child, "-INT");
    let mut out = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut out)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{out}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["Stopped"], json!(true));
    assert!(report["Calls"].as_u64() > Some(0));
    assert_clean(&agent);
}

#[test]
fn a_server_that_dies_is_an_error_and_no_loss_of_what_was_measured() {
    let mut agent = Agent::start();
    let mut command = agent.command(&["bench", "--mix", "KVS.Get=1,KVS.Apply=1", "--progress"]);
    command.args([
        "--duration",
        "60m",
        "--warm-up",
        "0",
        "--transport",
        "yamux",
    ]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    // As above: the load is on.
    stderr.read_line(&mut String::new()).unwrap();
    agent.child.kill().unwrap();
    let mut line = String::new();
    while line.is_empty() || line.ends_with(", 0 errors\n") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0);
    }
    signal(&child, "-INT");
    let mut out = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut out)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3), "{out}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert!(report["Calls"].as_u64() > Some(0), "{report}");
    assert!(
        report["Errors"]["Connection"].as_u64() > Some(0),
        "{report}"
    );
}

#[test]
fn bad_loads_name_flag_value_and_limit() {
    for (args, text) in [
        (
            &["--connections", "0"] as &[&str],
            "'0' for '--connections <N>': 0 is not in 1..=10000",
        ),
        (
            &["--streams", "4097"],
            "'4097' for '--streams <N>': 4097 is not in 1..=4096",
        ),
        (&["--streams", "2"], "--streams is 2, but"),
        (
            &["--stream-per-call"],
            "--stream-per-call needs --transport yamux",
        ),
        (&["--in-flight", "1025"], "1025 is not in 1..=1024"),
        (
            &["--connections", "1000", "--in-flight", "101"],
            "at most 100000",
        ),
        (
            &["--value-size", "1048577"],
            "1048577 is not in 0..=1048576",
        ),
        (
            &["--value-size", "1048576", "--list-size", "65"],
            "at most 67108864",
        ),
        (
            &["--method", "KVS.Nope"],
            "'KVS.Nope' for '--method <METHOD>'",
        ),
        (
            &["--mix", "KVS.Get=0"],
            "the weight of KVS.Get is \"0\", but it must be 1 to 1000",
        ),
        (&["--rate", "1000001"], "1000001 is not in 1..=1000000"),
        (&["--duration", "0"], "1ms to 60m"),
        (&["--warm-up", "2h"], "1ms to 60m, or 0"),
        (&["--calls", "0"], "--calls is 0, but"),
        (&["--calls", "1", "--duration", "1s"], "cannot be used with"),
        (
            &["--method", "KVS.Get", "--mix", "KVS.Get=1"],
            "cannot be used with",
        ),
        (&["--idle", "5"], "--server-pid <PID>"),
        (
            &["--server-pid", "4294967295"],
            "--server-pid is 4294967295, but",
        ),
        (&["nowhere"], "'nowhere' for '[HOST:PORT]'"),
        (&["compare", "a=127.0.0.1:1"], "2 values required"),
        (
            &["compare", "a=127.0.0.1:1", "a=127.0.0.1:2"],
            "two servers are called \"a\"",
        ),
        (
            &["compare", "a=127.0.0.1:1", "b=127.0.0.1:2@x"],
            "\"x\" is no process id",
        ),
    ] {
        alone(&[&["bench"], args].concat()).fails(2, text);
    }
    // Nobody listens at a port that was just given back.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = gone.local_addr().unwrap().to_string();
    drop(gone);
    alone(&["bench", &addr]).fails(3, "cannot connect to 127.0.0.1:");
}

/// How a server is not what it seems.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Lie {
    None,
    Value,
    Key,
    Nothing,
    Forgets,
    Refuses,
    Hangs,
}

struct Liar {
    lie: Lie,
    entries: Mutex<Vec<DirEntry>>,
    pings: Mutex<u32>,
}

async fn apply(liar: Arc<Liar>, _: Head, request: KVSRequest) -> Result<bool, Status> {
    let mut entries = liar.entries.lock().unwrap();
    let DirEntry { key, .. } = &request.dir_ent;
    let read = !key.to_string().contains("/put/");
    if request.op != op::SET {
        entries.clear();
    } else if liar.lie != Lie::Forgets || read {
        entries.push(request.dir_ent);
    }
    Ok(false)
}

async fn get(liar: Arc<Liar>, _: Head, request: KeyRequest) -> Result<IndexedDirEntries, Status> {
    let entries = liar.entries.lock().unwrap();
    let mut entry = entries
        .iter()
        .find(|entry| entry.key == request.key)
        .unwrap()
        .clone();
    match liar.lie {
        Lie::Value => entry.value = Some("another value".into()),
        Lie::Key => entry.key = "another".into(),
        Lie::Refuses => return Err(Status::unavailable("not today")),
        Lie::None | Lie::Nothing | Lie::Forgets | Lie::Hangs => {}
    }
    Ok(IndexedDirEntries {
        entries: (liar.lie != Lie::Nothing).then(|| vec![entry]),
        ..IndexedDirEntries::default()
    })
}

async fn list(liar: Arc<Liar>, _: Head, _: KeyRequest) -> Result<IndexedDirEntries, Status> {
    let entries = liar.entries.lock().unwrap().clone();
    Ok(IndexedDirEntries {
        entries: (!entries.is_empty()).then_some(entries),
        ..IndexedDirEntries::default()
    })
}

/// Holds the first call back for longer than all the others are due in.
const STALL: Duration = Duration::from_millis(200);

async fn ping(liar: Arc<Liar>, _: Head, _: Empty) -> Result<Empty, Status> {
    let first = {
        let mut pings = liar.pings.lock().unwrap();
        *pings += 1;
        *pings == 1
    };
    if first && liar.lie == Lie::Hangs {
        std::future::pending::<()>().await;
    }
    if first {
        // Real time, for a program of its own measures it. A slow machine only makes it longer.
        tokio::time::sleep(STALL).await;
    }
    Ok(Empty::default())
}

/// Runs the program against a server that lies.
async fn against(lie: Lie, args: &'static [&'static str]) -> (Ended, SocketAddr) {
    let liar = Arc::new(Liar {
        lie,
        entries: Mutex::default(),
        pings: Mutex::default(),
    });
    let router = netrpc::Router::builder(liar)
        .method("KVS.Apply", Class::Write, apply)
        .method("KVS.Get", Class::Read, get)
        .method("KVS.List", Class::Read, list)
        .method("Status.Ping", Class::Read, ping)
        .build()
        .unwrap();
    let server = netrpc::Server::new(router.methods(), router);
    let port = Port::builder()
        .tag(byte::RPC_SINGLE, "net/rpc", server.clone())
        .tag(byte::RPC_MULTI, "net/rpc over yamux", Yamux::new(server))
        .build()
        .unwrap();
    let addr = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind(addr, ListenConfig::default()).await.unwrap();
    let addr = listener.local_addr();
    let drainer = Drainer::new();
    let serving = tokio::spawn(listener.serve(Sniff::new(port), drainer.handle()));
    let ended = tokio::task::spawn_blocking(move || {
        let target = addr.to_string();
        alone(&[&["bench", &target, "--warm-up", "0", "--keys", "3"], args].concat())
    });
    let ended = ended.await.unwrap();
    // A call that hangs is not waited for.
    serving.abort();
    (ended, addr)
}

#[tokio::test]
async fn a_lie_is_counted_described_and_fails() {
    for (lie, args, what) in [
        (
            Lie::Value,
            &["--calls", "20", "--method", "KVS.Get"] as &[_],
            "13 bytes of value instead of 128",
        ),
        (
            Lie::Key,
            &["--calls", "20", "--method", "KVS.Get", "--in-flight", "4"],
            "key another instead of oneport-bench/",
        ),
        (
            Lie::Nothing,
            &[
                "--calls",
                "20",
                "--method",
                "KVS.Get",
                "--transport",
                "yamux",
            ],
            "0 keys instead of 1",
        ),
    ] {
        let (ended, addr) = against(lie, args).await;
        ended.fails(1, &format!("{addr}: 20 of 20 calls failed: KVS.Get: "));
        ended.fails(1, what);
        let report: Value = serde_json::from_slice(&ended.out).unwrap();
        assert_eq!(
            (&report["Calls"], &report["Errors"]["Wrong"]),
            (&json!(0), &json!(20))
        );
        let described = report["Errors"]["Described"][0].as_str().unwrap();
        assert!(described.contains(what), "{described}");
    }
}

#[tokio::test]
async fn an_honest_server_of_the_same_make_passes() {
    let args = &["--calls", "20", "--mix", "KVS.Get=1,KVS.Apply=1"];
    let (ended, _) = against(Lie::None, args).await;
    assert_eq!(ended.json()["Calls"], json!(20));
}

#[tokio::test]
async fn a_write_that_is_forgotten_is_found_out() {
    let args = &["--calls", "20", "--method", "KVS.Apply"];
    let (ended, _) = against(Lie::Forgets, args).await;
    ended.fails(1, "is not there");
    let report: Value = serde_json::from_slice(&ended.out).unwrap();
    assert_eq!(
        report["Errors"]["Wrong"],
        json!(3),
        "each key is looked for"
    );
}

#[tokio::test]
async fn an_error_of_the_server_is_no_wrong_answer() {
    let args = &["--calls", "20", "--method", "KVS.Get"];
    let (ended, _) = against(Lie::Refuses, args).await;
    ended.fails(
        1,
        "20 of 20 calls failed: KVS.Get: the server answered: not today",
    );
    let report: Value = serde_json::from_slice(&ended.out).unwrap();
    assert_eq!(report["Errors"]["Refused"], json!(20));
}

#[tokio::test]
async fn a_fixed_rate_counts_from_when_a_call_was_due() {
    // A hundred calls are due within the first 99 ms and the first one takes 200: each of them
    // has waited for at least the rest, although all but one were answered at once.
    let (ended, _) = against(Lie::None, &["--calls", "100", "--rate", "1000"]).await;
    let report = ended.json();
    assert_eq!(report["Calls"], json!(100));
    let p50 = report["Latency"]["P50"].as_f64().unwrap();
    assert!(p50 >= 100_000.0, "{report}");
}

#[tokio::test]
async fn a_call_that_hangs_is_late_and_the_next_one_has_a_new_connection() {
    let args = &["--calls", "20", "--timeout", "1s"];
    let (ended, _) = against(Lie::Hangs, args).await;
    let report: Value = serde_json::from_slice(&ended.out).unwrap();
    assert!(report["Errors"]["Late"].as_u64() >= Some(1), "{report}");
    ended.fails(5, "no answer in time");
}
