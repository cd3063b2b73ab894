//! `oneport drpc`, and the agent's dRPC socket.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod program;

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use oneport::services::drpc::{CallError, Client, Status};
use oneport_agent::drpc::{KV, RELOAD, STATUS, messages};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Value, json};

use program::{Ended, PROGRAM, alone, signal};

const PROTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto/drpc");

/// A child whose first line says that it is there; killed when it is dropped.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    fn start(args: &[&str]) -> Running {
        let mut child = Command::new(PROGRAM)
            .args(args)
            .env_remove("XDG_RUNTIME_DIR")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Running { child, stdout }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.stdout.read_line(&mut line).unwrap() > 0, "it ended");
        line.trim_end().to_owned()
    }

    /// Waits for a line that begins so.
    fn until(&mut self, start: &str) -> String {
        loop {
            let line = self.line();
            if line.starts_with(start) {
                return line;
            }
        }
    }

    /// Drains it and gives the exit code and the rest of what it said.
    fn drained(&mut self) -> (Option<i32>, String) {
        signal(&self.child, "-INT");
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Dir {
        Dir(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
}

/// What `oneport drpc serve` serves at a path of its own.
fn served(dir: &Dir) -> (Running, String) {
    let path = dir.path("hello.sock");
    let mut server = Running::start(&["drpc", "serve", &path]);
    assert_eq!(server.line(), format!("serving dRPC at {path}"));
    (server, path)
}

fn call(path: &str, args: &[&str]) -> Ended {
    alone(&[&["drpc", "call", path], args].concat())
}

fn file(name: &str) -> String {
    format!("{PROTO}/{name}")
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn bytes_are_called_and_answered_in_hex() {
    let dir = Dir::new();
    let (mut server, path) = served(&dir);
    assert_eq!(mode(&path), 0o660);
    let said = call(&path, &["0", "0", "--hex", "0a03426f62"]).json();
    let answer = json!({"status": "SUCCESS", "hex": "0a0948656c6c6f20426f62"});
    assert_eq!(said, answer);
    let empty = call(&path, &["1", "0"]).json();
    assert_eq!(empty, json!({"status": "SUCCESS", "hex": ""}));
    let waited = call(&path, &["1", "2", "--hex", "01000000"]).json();
    assert_eq!(waited["status"], "SUCCESS");
    // More than one packet, from a file, as it is.
    let body = vec![7; 300_000];
    fs::write(dir.path("body"), &body).unwrap();
    let from = format!("@{}", dir.path("body"));
    let echoed = call(&path, &["1", "0", "--hex", &from]).json();
    assert_eq!(echoed["hex"].as_str().unwrap(), "07".repeat(300_000));
    let (code, rest) = server.drained();
    assert_eq!(code, Some(0));
    assert!(rest.ends_with("drained\n"), "{rest}");
    assert!(!PathBuf::from(path).exists());
}

#[test]
fn json_goes_by_the_proto_file() {
    let dir = Dir::new();
    let (_server, path) = served(&dir);
    let proto = file("hello.proto");
    let hello = ["0", "0", "--proto", &proto, "--message"];
    let with = |more: &[&str]| call(&path, &[&hello[..], more].concat());
    let said = with(&["Hello", "--json", r#"{"name":"Bob"}"#]).json();
    let body = json!({"greeting": "Hello Bob"});
    assert_eq!(said, json!({"status": "SUCCESS", "body": body}));
    let whole = with(&["hello.Hello", "--answer", "hello.HelloResponse"]).json();
    assert_eq!(whole["body"], json!({"greeting": "Hello "}));

    with(&["Helo"]).fails(
        2,
        "--message is \"Helo\", but it must be one message of the file: hello.Hello,",
    );
    with(&["Hello", "--json", r#"{"nme":"Bob"}"#]).fails(2, "--json is no hello.Hello: ");
    with(&["HelloResponse"]).fails(2, "--answer is missing: hello.HelloResponse has no answer");
    let missing = ["0", "0", "--proto", "/nowhere.proto", "--message", "A"];
    call(&path, &missing).fails(2, "--proto /nowhere.proto: ");
}

#[test]
fn every_end_of_a_call_has_its_exit_code() {
    let dir = Dir::new();
    let (_server, path) = served(&dir);
    for (args, status) in [
        (&["1", "1"][..], "FAILURE"),
        (&["7", "0"], "UNKNOWN_MODULE"),
        (&["-1", "-1"], "UNKNOWN_MODULE"),
        (&["1", "9"], "UNKNOWN_METHOD"),
        (&["1", "2", "--hex", "01"], "FAILED_UNMARSHAL_PAYLOAD"),
        (&["0", "0", "--hex", "ff"], "FAILED_UNMARSHAL_PAYLOAD"),
    ] {
        let ended = call(&path, args);
        ended.fails(1, &format!("({status})"));
        let said: Value = serde_json::from_slice(&ended.out).unwrap();
        assert_eq!(said, json!({"status": status, "hex": ""}));
    }
    let late = ["1", "2", "--hex", "ffffffff", "--timeout", "20ms"];
    call(&path, &late).fails(5, "no answer in time");
    let nobody = dir.path("nobody.sock");
    call(&nobody, &["0", "0"]).fails(3, "cannot connect to ");
    alone(&["drpc", "serve", &path]).fails(3, "is in use: another server listens on it");
    fs::write(dir.path("precious"), "data").unwrap();
    let precious = dir.path("precious");
    alone(&["drpc", "serve", &precious]).fails(2, "and no socket: it is left alone");
}

#[test]
fn bad_usage_names_flag_value_and_limit() {
    let bad = |args: &[&str], text: &str| alone(&[&["drpc"], args].concat()).fails(2, text);
    bad(
        &["call", "s", "0", "0", "--hex", "0g"],
        "--hex \"0g\" is not two",
    );
    bad(
        &["call", "s", "0", "0", "--hex", "0"],
        "--hex \"0\" is not two",
    );
    bad(
        &["call", "s", "2147483648", "0"],
        "'2147483648' for '<MODULE>'",
    );
    bad(&["call", "s", "0", "0", "--json", "{}"], "--proto <FILE>");
    bad(&["call", "s", "0", "0", "--proto", "f"], "--message <NAME>");
    bad(
        &["serve", "s", "--mode", "999"],
        "'999' for '--mode <MODE>': it must be octal digits like 0660, 0001 to 0777",
    );
    let long = "p".repeat(108);
    bad(&["serve", &long], "the path of a socket has at most 107");
    bad(
        &["tap", "s", "--listen", "s"],
        "--listen is s, but it must be another path",
    );
    bad(
        &["tap", "s", "--listen", "t", "--bytes", "1048577"],
        "1048577 is not in 0..=1048576",
    );
    let agent = [
        "agent",
        "--dev",
        "--server-port",
        "0",
        "--drpc-mode",
        "1777",
    ];
    alone(&agent).fails(2, "'1777' for '--drpc-mode <MODE>': it must be octal");
    let agent = [
        "agent",
        "--dev",
        "--server-port",
        "0",
        "--drpc-socket",
        &long,
    ];
    alone(&agent).fails(2, "but it must be a path of at most 107 bytes");
}

#[test]
fn a_tap_prints_what_passes() {
    let dir = Dir::new();
    let (mut server, path) = served(&dir);
    let near = dir.path("tap.sock");
    let mut tap = Running::start(&["drpc", "tap", &path, "--listen", &near, "--bytes", "3"]);
    // It says nothing to programs before there is something to say: its socket is its sign of life.
    while !Path::new(&near).exists() {
        assert_eq!(tap.child.try_wait().unwrap(), None, "the tap ended");
        std::thread::yield_now();
    }
    let said = call(&near, &["0", "0", "--hex", "0a03426f62"]).json();
    assert_eq!(said["hex"], "0a0948656c6c6f20426f62");
    let mut line = || -> Value { serde_json::from_str(&tap.line()).unwrap() };
    let passed = line();
    let keys = ["module", "method", "sequence", "bytes", "hex", "status"];
    let values = keys.map(|key| passed[key].clone());
    let expected = [json!(0), json!(0), json!(1), json!(5), json!("0a0342")];
    assert_eq!(values[..5], expected);
    assert_eq!(values[5], json!("SUCCESS"));
    assert_eq!(passed["answer_bytes"], json!(11));
    assert_eq!(passed["answer_hex"], json!("0a0948"));
    assert!(passed["pid"].is_number() && passed["took"].is_number());

    call(&near, &["1", "1"]).fails(1, "(FAILURE)");
    let failed = line();
    assert_eq!(
        (&failed["status"], &failed["error"]),
        (&json!("FAILURE"), &Value::Null)
    );
    call(&near, &["9", "0"]).fails(1, "(UNKNOWN_MODULE)");
    assert_eq!(line()["status"], json!("UNKNOWN_MODULE"));

    server.drained();
    call(&near, &["1", "0"]).fails(1, "(FAILURE)");
    assert!(line()["error"].as_str().unwrap().contains("cannot connect"));
    assert_eq!(tap.drained(), (Some(0), "drained\n".to_owned()));
    assert!(!PathBuf::from(near).exists());
}

/// An agent with a dRPC socket, and a settings file.
fn agent(dir: &Dir, settings: &Value) -> (Running, String) {
    let (path, settings_file) = (dir.path("agent.sock"), dir.path("settings.json"));
    fs::write(&settings_file, settings.to_string()).unwrap();
    let mut agent = Running::start(&[
        "agent",
        "--dev",
        "--server-port",
        "0",
        "--log-level",
        "error",
        "--drpc-socket",
        &path,
        "--config-file",
        &settings_file,
    ]);
    assert_eq!(agent.until("drpc socket "), format!("drpc socket {path}"));
    (agent, path)
}

fn failed(error: &CallError) -> Option<Status> {
    match error {
        CallError::Failed(failure) => Some(failure.status()),
        _ => None,
    }
}

#[tokio::test]
async fn the_agent_answers_status_keys_and_reloads() {
    let dir = Dir::new();
    let (mut agent, path) = agent(&dir, &json!({"oneport": {"drpc": {"mode": "0600"}}}));
    assert_eq!(mode(&path), 0o600);
    let client = Client::builder(&path).build();
    client.connect().await.unwrap();

    let asked = messages::StatusRequest::default();
    let leader: messages::LeaderResponse = client.call(STATUS, 1602, &asked).await.unwrap();
    let peers: messages::PeersResponse = client.call(STATUS, 1603, &asked).await.unwrap();
    assert_eq!(peers.addresses, [leader.address]);
    let _: messages::PingResponse = client.call(STATUS, 1601, &asked).await.unwrap();
    let stats: messages::RaftStatsResponse = client.call(STATUS, 1604, &asked).await.unwrap();
    assert!(stats.last_index > 0);

    let set = |key: &'static str| messages::ApplyRequest {
        op: "set".into(),
        entry: Some(messages::Entry {
            key: key.into(),
            value: "1".into(),
            flags: 42,
            ..messages::Entry::default()
        }),
        ..messages::ApplyRequest::default()
    };
    for key in ["a/b", "a/c/d"] {
        let applied: messages::ApplyResponse = client.call(KV, 1701, &set(key)).await.unwrap();
        assert!(!applied.decided);
    }
    let key = messages::KeyRequest {
        key: "a/b".into(),
        ..messages::KeyRequest::default()
    };
    let got: messages::KeyResponse = client.call(KV, 1702, &key).await.unwrap();
    assert_eq!(
        (&got.entries[0].value[..], got.entries[0].flags),
        (&b"1"[..], 42)
    );
    let meta = got.meta.unwrap();
    assert_eq!(meta.index, got.entries[0].modify_index);
    let below = messages::KeyRequest {
        key: "a/".into(),
        ..messages::KeyRequest::default()
    };
    let listed: messages::KeyResponse = client.call(KV, 1703, &below).await.unwrap();
    assert_eq!(listed.entries.len(), 2);
    let names = messages::KeyListRequest {
        prefix: "a/".into(),
        separator: "/".into(),
        ..messages::KeyListRequest::default()
    };
    let names: messages::KeyListResponse = client.call(KV, 1704, &names).await.unwrap();
    assert_eq!(names.keys, ["a/b", "a/c/"]);

    // A query waits for news, and a change on another connection is news.
    let waiting = messages::KeyRequest {
        min_query_index: meta.index,
        max_query_time_ms: 600_000,
        ..key.clone()
    };
    let mut change = set("a/b");
    change.entry.as_mut().unwrap().value = "2".into();
    let other = Client::builder(&path).build();
    let (changed, news) = tokio::join!(
        other.connect_call_close::<_, messages::ApplyResponse>(KV, 1701, &change),
        client.call::<_, messages::KeyResponse>(KV, 1702, &waiting),
    );
    changed.unwrap();
    assert_eq!(&news.unwrap().entries[0].value[..], b"2");

    let elsewhere = messages::StatusRequest {
        datacenter: "dc9".into(),
        ..asked
    };
    let error = client
        .call::<_, messages::LeaderResponse>(STATUS, 1602, &elsewhere)
        .await
        .unwrap_err();
    assert_eq!(failed(&error), Some(Status::FAILURE));

    let reload = messages::ReloadRequest::default();
    let settings = json!({"limits": {"rpc_rate": 1000}, "datacenter": "dc2"});
    fs::write(dir.path("settings.json"), settings.to_string()).unwrap();
    let reloaded: messages::ReloadResponse = client.call(RELOAD, 1801, &reload).await.unwrap();
    assert_eq!(reloaded.changed, ["limits.rpc_rate"]);
    assert_eq!(reloaded.restart, ["datacenter", "oneport.drpc.mode"]);
    fs::write(dir.path("settings.json"), "{").unwrap();
    let reloaded: messages::ReloadResponse = client.call(RELOAD, 1801, &reload).await.unwrap();
    assert!(reloaded.changed.is_empty() && reloaded.errors.len() == 1);

    let (code, rest) = agent.drained();
    assert_eq!(code, Some(0));
    assert!(rest.ends_with("drained\n"), "{rest}");
    assert!(!PathBuf::from(path).exists());
}

#[tokio::test]
async fn the_layers_hold_for_the_socket_too() {
    let dir = Dir::new();
    let token = json!({
        "accessor": "web", "secret": "8bd9d5e6-3f1a",
        "rules": {"key_prefix": {"web/": "write"}},
    });
    let settings = json!({
        "acl": {"enabled": true, "default_policy": "deny"},
        "oneport": {"acl": {"tokens": [token]}},
    });
    let (_agent, path) = agent(&dir, &settings);
    let client = Client::builder(&path).build();
    client.connect().await.unwrap();
    let set = |key: &'static str, token: &'static str| messages::ApplyRequest {
        op: "set".into(),
        token: token.into(),
        entry: Some(messages::Entry {
            key: key.into(),
            ..messages::Entry::default()
        }),
        ..messages::ApplyRequest::default()
    };
    for (key, token, granted) in [
        ("web/a", "", false),
        ("web/a", "8bd9d5e6-3f1a", true),
        ("else", "8bd9d5e6-3f1a", false),
        ("web/a", "nobody's", false),
    ] {
        let request = set(key, token);
        let applied = client.call::<_, messages::ApplyResponse>(KV, 1701, &request);
        match applied.await {
            Ok(_) => assert!(granted, "{key} {token}"),
            Err(error) => assert_eq!((granted, failed(&error)), (false, Some(Status::FAILURE))),
        }
    }
}

/// Everything that a message can hold, as its file has it, and nothing that it has not.
fn holds(pool: &DescriptorPool, name: &str, encoded: &[u8], fields: &[&str]) {
    let descriptor = pool.get_message_by_name(name).unwrap();
    let written = DynamicMessage::decode(descriptor.clone(), encoded).unwrap();
    assert_eq!(written.unknown_fields().count(), 0, "{name}");
    let set: Vec<_> = written
        .fields()
        .map(|(field, _)| field.name().to_owned())
        .collect();
    assert_eq!(set, fields, "{name}");
    assert_eq!(descriptor.fields().count(), fields.len(), "{name}");
}

#[test]
fn the_messages_are_the_files() {
    let files = protox::compile(["agent.proto"], [PROTO]).unwrap();
    let pool = DescriptorPool::from_file_descriptor_set(files).unwrap();
    let entry = messages::Entry {
        key: "k".into(),
        value: "v".into(),
        flags: 1,
        lock_index: 2,
        session: "s".into(),
        create_index: 3,
        modify_index: 4,
    };
    let meta = messages::Meta {
        index: 1,
        known_leader: true,
        filtered: true,
    };
    let holds = |name: &str, message: &dyn Fn() -> Vec<u8>, fields: &[&str]| {
        holds(&pool, &format!("oneport.agent.{name}"), &message(), fields);
    };
    let status = messages::StatusRequest {
        datacenter: "d".into(),
        token: "t".into(),
    };
    holds(
        "StatusRequest",
        &|| status.encode_to_vec(),
        &["datacenter", "token"],
    );
    holds(
        "PingResponse",
        &|| messages::PingResponse {}.encode_to_vec(),
        &[],
    );
    let leader = messages::LeaderResponse {
        address: "a".into(),
    };
    holds("LeaderResponse", &|| leader.encode_to_vec(), &["address"]);
    let peers = messages::PeersResponse {
        addresses: vec!["a".into()],
    };
    holds("PeersResponse", &|| peers.encode_to_vec(), &["addresses"]);
    let stats = messages::RaftStatsResponse {
        last_contact: "0".into(),
        last_term: 1,
        last_index: 2,
    };
    let fields = ["last_contact", "last_term", "last_index"];
    holds("RaftStatsResponse", &|| stats.encode_to_vec(), &fields);
    let fields = [
        "key",
        "value",
        "flags",
        "lock_index",
        "session",
        "create_index",
        "modify_index",
    ];
    holds("Entry", &|| entry.encode_to_vec(), &fields);
    let apply = messages::ApplyRequest {
        datacenter: "d".into(),
        token: "t".into(),
        op: "set".into(),
        entry: Some(entry.clone()),
    };
    let fields = ["datacenter", "token", "op", "entry"];
    holds("ApplyRequest", &|| apply.encode_to_vec(), &fields);
    let applied = messages::ApplyResponse { decided: true };
    holds("ApplyResponse", &|| applied.encode_to_vec(), &["decided"]);
    let key = messages::KeyRequest {
        datacenter: "d".into(),
        token: "t".into(),
        min_query_index: 1,
        max_query_time_ms: 2,
        key: "k".into(),
    };
    let query = [
        "datacenter",
        "token",
        "min_query_index",
        "max_query_time_ms",
    ];
    holds(
        "KeyRequest",
        &|| key.encode_to_vec(),
        &[&query[..], &["key"]].concat(),
    );
    holds(
        "Meta",
        &|| meta.encode_to_vec(),
        &["index", "known_leader", "filtered"],
    );
    let found = messages::KeyResponse {
        meta: Some(meta),
        entries: vec![entry.clone()],
    };
    holds(
        "KeyResponse",
        &|| found.encode_to_vec(),
        &["meta", "entries"],
    );
    let list = messages::KeyListRequest {
        datacenter: "d".into(),
        token: "t".into(),
        min_query_index: 1,
        max_query_time_ms: 2,
        prefix: "p".into(),
        separator: "/".into(),
    };
    let fields = [&query[..], &["prefix", "separator"]].concat();
    holds("KeyListRequest", &|| list.encode_to_vec(), &fields);
    let keys = messages::KeyListResponse {
        meta: Some(meta),
        keys: vec!["k".into()],
    };
    holds(
        "KeyListResponse",
        &|| keys.encode_to_vec(),
        &["meta", "keys"],
    );
    let reload = messages::ReloadRequest { token: "t".into() };
    holds("ReloadRequest", &|| reload.encode_to_vec(), &["token"]);
    let reloaded = messages::ReloadResponse {
        changed: vec!["c".into()],
        restart: vec!["r".into()],
        errors: vec!["e".into()],
    };
    let fields = ["changed", "restart", "errors"];
    holds("ReloadResponse", &|| reloaded.encode_to_vec(), &fields);
}

const README: &str = include_str!("../../README.md");

#[test]
fn the_readme_works_as_pasted() {
    let dir = Dir::new();
    let (mut server, path) = served(&dir);
    let at = |text: &str| text.replace("/tmp/hello.sock", &path);
    let shown = at(README);
    assert!(shown.contains(&format!("drpc serve {path}\n")));
    let table: Vec<_> = (0..4).map(|_| server.line()).collect();
    assert!(shown.contains(&table.join("\n")), "{table:?}");
    let commands = README
        .lines()
        .filter(|line| line.contains(" -- drpc call "));
    let ends: Vec<_> = commands
        .map(|line| {
            let line = at(line).replace("cargo run --release -q --", PROGRAM);
            let mut shell = Command::new("sh");
            let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
            shell.args(["-c", &line]).current_dir(root);
            Ended::from(shell.output().unwrap()).json()
        })
        .collect();
    let body = serde_json::to_string_pretty(&ends[0]["body"]).unwrap();
    let hex = ends[1]["hex"].as_str().unwrap();
    let printed = format!("SUCCESS\n{body}\nSUCCESS\n{hex}\n");
    assert!(README.contains(&printed), "README.md shows not\n{printed}");
}

#[test]
fn the_page_for_go_users_has_no_empty_cell() {
    let page = include_str!("../../docs/coming-from-go-drpc.md");
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 40);
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert!((2..=3).contains(&cells.len()), "{row}");
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{row}");
    }
    for item in [
        "MaxChunkSize",
        "Call{",
        "Response{",
        "Status",
        "DomainSocketClient",
        "NewClientConnection",
        "IsConnected",
        "SendMsg",
        "GetSocketPath",
        "Unlock",
        "NewDomainSocketServer",
        "RegisterRPCModule",
        "Start(ctx)",
        "Listen(ctx)",
        "GetNumSessions",
        "NewSession",
        "ProcessIncomingMessage",
        "HandleCall",
        "GetMethod",
        "NewModuleService",
        "RegisterModule",
        "GetModule",
        "ProcessMessage",
        "Marshal(proto)",
        "GetStatus",
        "NewFailure(status)",
        "NewFailureWithMessage",
        "UnknownModuleFailure",
        "UnknownMethodFailure",
        "UnmarshalingCallFailure",
        "UnmarshalingPayloadFailure",
        "MarshalingFailure",
        "ErrorToStatus",
        "FaultSocketFileInUse",
        "logging.Logger",
    ] {
        let named = page.lines().any(|row| {
            let mut cells = row.split(" | ");
            cells.next().is_some_and(|cell| cell.contains(item))
        });
        assert!(named, "{item}");
    }
}
