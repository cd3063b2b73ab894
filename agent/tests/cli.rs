//! The program itself: what it prints and how it ends, against a server of its own.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod program;

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use program::{Agent, Ended, PROGRAM, alone, signal};

#[test]
fn the_agent_says_where_it_is_and_drains() {
    let mut agent = Agent::start();
    assert_eq!(
        agent.greeting[0],
        concat!("oneport ", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(agent.greeting[2..4], ["node n1", "datacenter dc1"]);
    assert!(agent.greeting[4].starts_with("0x00  net/rpc "));
    assert_eq!(
        agent.run(&["rpc", "Status.Leader"]).json(),
        json!(agent.addr)
    );
    agent.signal("-TERM");
    assert_eq!(agent.ended(), (Some(0), "drained\n".to_owned()));
}

#[test]
fn keys_are_written_read_listed_and_deleted() {
    let agent = Agent::start();
    let put = agent.run(&["kv", "put", "a/b", "1", "--flags", "42"]);
    assert_eq!(put.json(), json!({"Key": "a/b", "Applied": true}));
    let got = agent.run(&["kv", "get", "a/b"]).json();
    assert_eq!((&got["Value"], &got["Flags"]), (&json!("1"), &json!(42)));
    assert_eq!(agent.run(&["kv", "get", "a/b", "--raw"]).out, b"1");

    let index = got["ModifyIndex"].to_string();
    let again = agent.run(&["kv", "put", "a/b", "2", "--cas", &index]);
    assert_eq!(again.json()["Applied"], json!(true));
    let stale = agent.run(&["kv", "put", "a/b", "3", "--cas", &index]);
    stale.fails(4, &format!("the ModifyIndex of \"a/b\" is not {index}"));
    assert_eq!(stale.out, b"{\"Applied\":false,\"Key\":\"a/b\"}\n");
    agent
        .run(&["kv", "delete", "a/b", "--cas", "1"])
        .fails(4, "is not 1");

    agent.run(&["kv", "put", "a/c/d", "-1"]).json();
    let keys = |args: &[&str]| agent.run(&[&["kv", "list"], args].concat()).json();
    assert_eq!(keys(&["--keys"]), json!(["a/b", "a/c/d"]));
    assert_eq!(keys(&["a/", "--separator", "/"]), json!(["a/b", "a/c/"]));
    assert_eq!(keys(&["a/c", "--stale"])[0]["Value"], json!("-1"));
    assert_eq!(keys(&["zzz"]), json!([]));

    agent.run(&["kv", "delete", "a/", "--recurse"]).json();
    agent.run(&["kv", "get", "a/b"]).fails(4, "no key \"a/b\"");
}

#[test]
fn any_bytes_pass_through() {
    let agent = Agent::start();
    let bytes: Vec<u8> = (0..=255).collect();
    let mut put = agent
        .command(&["kv", "put", "bin", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    put.stdin.take().unwrap().write_all(&bytes).unwrap();
    assert!(put.wait().unwrap().success());
    assert_eq!(agent.run(&["kv", "get", "bin", "--raw"]).out, bytes);
    let shown = agent
        .run(&["rpc", "KVS.Get", "--body", r#"{"Key":"bin"}"#])
        .json();
    let value = shown["Entries"][0]["Value"].clone();
    assert!(value["$raw_base64"].is_string());

    let copy = json!({"Op": "set", "DirEnt": {"Key": "copy", "Value": value}}).to_string();
    assert_eq!(
        agent.run(&["rpc", "KVS.Apply", "--body", &copy]).json(),
        json!(false)
    );
    assert_eq!(agent.run(&["kv", "get", "copy", "--raw"]).out, bytes);
}

#[test]
fn a_watch_prints_a_line_for_each_change() {
    let agent = Agent::start();
    agent.run(&["kv", "put", "w/a", "1"]).json();
    let mut watch = agent
        .command(&["kv", "watch", "--prefix", "w/"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["Entry"]["Value"], json!("1"));
    agent.run(&["kv", "put", "w/b", "2"]).json();
    let set = next();
    assert_eq!(
        (&set["Key"], &set["Entry"]["Value"]),
        (&json!("w/b"), &json!("2"))
    );
    agent.run(&["kv", "delete", "w/a"]).json();
    let gone = next();
    assert_eq!(
        (&gone["Key"], &gone["Entry"]),
        (&json!("w/a"), &Value::Null)
    );
    assert!(gone["Index"].as_u64() > set["Index"].as_u64());
    signal(&watch, "-INT");
    assert_eq!(watch.wait().unwrap().code(), Some(0));
}

#[test]
fn every_kind_of_failure_has_its_exit_code() {
    let agent = Agent::start();
    let lock = r#"{"Op":"lock","DirEnt":{"Key":"a","Session":"x"}}"#;
    agent
        .run(&["rpc", "KVS.Apply", "--body", lock])
        .fails(1, "raft apply failed: invalid session \"x\"");
    agent
        .run(&["rpc", "KVS.Nope"])
        .fails(1, "rpc: can't find method KVS.Nope");
    agent
        .run(&["kv", "get", "a", "--datacenter", "dc9"])
        .fails(1, "No path to datacenter");
    agent
        .run(&["rpc", "Status.Ping", "--body", "{"])
        .fails(2, "--body: EOF");
    agent
        .run(&["rpc", "Status.Ping", "--body", "@/nowhere"])
        .fails(2, "--body: cannot read /nowhere");
    let port = agent.addr.rsplit_once(':').unwrap().1;
    alone(&["agent", "--dev", "--server-port", port]).fails(3, "cannot listen on 127.0.0.1:");

    // A server that takes connections and never answers: the kernel's queue is enough.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = silent.local_addr().unwrap().to_string();
    let asked = ["kv", "get", "a", "--addr", &addr, "--timeout", "20ms"];
    alone(&asked).fails(5, "no answer from 127.0.0.1:");
    drop(silent);
    alone(&["kv", "get", "a", "--addr", &addr]).fails(3, "cannot connect to 127.0.0.1:");
}

#[test]
fn bad_usage_names_flag_value_and_limit() {
    alone(&["agent"]).fails(2, "only --dev exists yet");
    alone(&["agent", "--dev", "--data-dir", "/d"]).fails(2, "--data-dir is /d, but");
    alone(&["agent", "--dev", "--node", "a b"])
        .fails(2, "--node is \"a b\", but it must be 1 to 128");
    let port = alone(&["agent", "--dev", "--server-port", "65536"]);
    port.fails(
        2,
        "'65536' for '--server-port <PORT>': 65536 is not in 0..=65535",
    );
    alone(&["kv", "get", "a", "--addr", "x"]).fails(2, "'x' for '--addr <HOST:PORT>'");
    alone(&["kv", "get", "a", "--timeout", "2h"]).fails(2, "1ms to 60m");
    alone(&["kv", "get", "a", "--stale", "--consistent"]).fails(2, "cannot be used with");
    alone(&["kv", "watch"]).fails(2, "<KEY|--prefix <PREFIX>>");
}

#[test]
fn help_version_completions_and_man_pages_are_printed() {
    let printed = |args: &[&str]| {
        let ended = alone(args);
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{args:?}");
        String::from_utf8(ended.out).unwrap()
    };
    assert_eq!(
        printed(&["--version"]),
        concat!("oneport ", env!("CARGO_PKG_VERSION"), "\n")
    );
    assert!(printed(&["--help"]).contains("4  no such key"));
    assert!(printed(&["kv", "put", "--help"]).contains("oneport kv put color/sky blue"));
    assert!(printed(&["completions", "bash"]).contains("_oneport()"));
    let man = printed(&["man"]);
    assert!(man.contains(".TH oneport 1") && man.contains("4  no such key"));
    assert!(
        !man.contains("oneport\\-help"),
        "a page that does not exist"
    );
    let dir = env!("CARGO_TARGET_TMPDIR").to_owned() + "/man";
    printed(&["man", "--out", &dir]);
    let page = std::fs::read_to_string(dir + "/oneport-kv-get.1").unwrap();
    assert!(page.contains("Read a key"));
}

#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    let mut child = Command::new(PROGRAM)
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
}
