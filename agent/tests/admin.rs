//! The agent while it runs: asked by HTTP, told to read its settings again, watched.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_oneport");
/// Only a broken agent takes as long.
const SOON: Duration = Duration::from_secs(60);

/// An agent with a settings file, an admin socket, an address for metrics and a pid file.
struct Agent {
    dir: TempDir,
    child: Child,
    stdout: BufReader<ChildStdout>,
    addr: String,
    metrics: String,
}

impl Agent {
    fn start(settings: &str) -> Agent {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.json"), settings).unwrap();
        let mut child = Agent::command(&dir)
            .stdout(Stdio::piped())
            .stderr(fs::File::create(dir.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let (mut addr, mut metrics) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            let read = stdout.read_line(&mut line).unwrap();
            assert!(
                read > 0,
                "{}",
                fs::read_to_string(dir.path().join("log")).unwrap()
            );
            let line = line.trim_end();
            if let Some(at) = line.strip_prefix("listening on ") {
                addr = at.to_owned();
            } else if let Some(at) = line.strip_prefix("metrics at http://") {
                metrics = at.strip_suffix("/metrics").unwrap().to_owned();
            } else if line.starts_with("0x08") {
                break;
            }
        }
        Agent {
            dir,
            child,
            stdout,
            addr,
            metrics,
        }
    }

    fn command(dir: &TempDir) -> Command {
        Agent::with_pid_file(dir, "pid")
    }

    fn with_pid_file(dir: &TempDir, name: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        let args = "agent --dev --server-port 0 --config-file a.json --admin-socket admin.sock \
                    --metrics-addr 127.0.0.1:0 --log-level info --pid-file";
        command.args(args.split_whitespace()).arg(name);
        command.current_dir(dir.path());
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn set(&self, settings: &str) {
        fs::write(self.path("a.json"), settings).unwrap();
    }

    fn oneport(&self, line: &str) -> Output {
        self.command_for(line).output().unwrap()
    }

    /// A command line that finds this agent.
    fn command_for(&self, line: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(line.split_whitespace())
            .current_dir(self.dir.path());
        command.env("ONEPORT_ADDR", &self.addr);
        command.env("ONEPORT_ADMIN_SOCKET", "admin.sock");
        command
    }

    fn reload(&self) -> Output {
        self.oneport("agent reload")
    }

    fn state(&self) -> Value {
        let (status, body) = self.ask("GET", "/state");
        assert_eq!(status, 200);
        serde_json::from_str(&body).unwrap()
    }

    fn ask(&self, method: &str, path: &str) -> (u16, String) {
        // In a directory of a short name, so that the path fits.
        ask(
            UnixStream::connect(self.path("admin.sock")).unwrap(),
            method,
            path,
        )
    }

    fn ask_tcp(&self, method: &str, path: &str) -> (u16, String) {
        ask(TcpStream::connect(&self.metrics).unwrap(), method, path)
    }

    /// Sends a signal and waits for the end.
    fn end(&mut self) -> (Option<i32>, String) {
        signal(&self.child, "-TERM");
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args([name, &id])
            .status()
            .unwrap()
            .success()
    );
}

/// One request; the connection is closed after the answer.
fn ask(mut stream: impl Read + Write, method: &str, path: &str) -> (u16, String) {
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: oneport\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A net/rpc connection that is held open.
struct Held(TcpStream);

impl Held {
    fn open(agent: &Agent) -> Held {
        let stream = TcpStream::connect(&agent.addr).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut held = Held(stream);
        held.0.write_all(&[0]).unwrap();
        held
    }

    /// Calls Status.Ping and takes the answer, which is always as long.
    fn ping(&mut self) -> std::io::Result<()> {
        let call = b"\x82\xa3Seq\x01\xadServiceMethod\xabStatus.Ping\x80";
        self.0.write_all(call)?;
        let mut first = [0; 1];
        self.0.read_exact(&mut first)?;
        assert_eq!(first[0] & 0xf0, 0x80, "a map");
        // The rest of the answer: it has come with the first byte.
        let mut rest = [0; 256];
        let _read = self.0.read(&mut rest)?;
        Ok(())
    }
}

#[test]
fn the_socket_tells_everything_and_tcp_only_what_is_for_scraping() {
    let agent = Agent::start("{}");
    let mode = fs::metadata(agent.path("admin.sock"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(agent.oneport("kv put a b").status.success());

    assert_eq!(agent.ask("GET", "/ready"), (200, "ready\n".to_owned()));
    assert_eq!(agent.ask_tcp("GET", "/ready"), (200, "ready\n".to_owned()));
    for (status, metrics) in [
        agent.ask("GET", "/metrics"),
        agent.ask_tcp("GET", "/metrics"),
    ] {
        assert_eq!(status, 200);
        assert!(
            metrics.contains("\nconsul_rpc_accept_conn 1\n"),
            "{metrics}"
        );
        let calls = "oneport_calls{protocol=\"netrpc\",method=\"KVS.Apply\"} 1";
        assert!(metrics.contains(calls), "{metrics}");
    }
    assert_eq!(agent.ask("GET", "/nothing").0, 404);
    assert_eq!(agent.ask_tcp("GET", "/state").0, 404);
    assert_eq!(agent.ask_tcp("POST", "/reload").0, 404);
    assert_eq!(agent.ask("GET", "/reload").0, 405);
    assert_eq!(agent.ask("POST", "/state").0, 405);

    let state = agent.state();
    assert_eq!(state["address"], agent.addr);
    assert_eq!(state["draining"], false);
    assert_eq!(state["connections"]["routes"][0]["name"], "net/rpc");
    assert_eq!(state["calls"][0]["method"], "KVS.Apply");
    assert_eq!(state["calls"][0]["calls"], 1);
    assert_eq!(state["settings"]["limits"]["rpc_max_conns_per_client"], 100);
}

#[test]
fn a_head_that_is_too_large_or_nonsense_is_refused() {
    let agent = Agent::start("{}");
    let long = format!("/{}", "x".repeat(64 * 1024));
    let mut stream = TcpStream::connect(&agent.metrics).unwrap();
    // It may close before all of it is written.
    let _written = write!(stream, "GET {long} HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut answer = Vec::new();
    let _read = stream.read_to_end(&mut answer);
    assert!(
        !text(&answer).starts_with("HTTP/1.1 200"),
        "{}",
        text(&answer)
    );
    let mut stream = TcpStream::connect(&agent.metrics).unwrap();
    stream.write_all(b"\x16\x03\x01 hello\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(agent.ask_tcp("GET", "/ready").0, 200);
}

#[test]
fn a_reload_changes_limits_and_drops_no_connection() {
    let mut agent = Agent::start(r#"{"limits": {"rpc_max_conns_per_client": 2}}"#);
    let mut held = Held::open(&agent);
    held.ping().unwrap();
    agent.set(
        r#"{"limits": {"rpc_max_conns_per_client": 1, "rpc_rate": 100000},
                  "oneport": {"timeouts": {"read": "5s"}}, "datacenter": "dc9"}"#,
    );
    let reloaded = agent.reload();
    assert_eq!(
        reloaded.status.code(),
        Some(0),
        "{}",
        text(&reloaded.stderr)
    );
    assert_eq!(
        text(&reloaded.stdout),
        "changed limits.rpc_max_conns_per_client\n\
         changed limits.rpc_rate\n\
         changed oneport.timeouts.read\n\
         waits for a restart: datacenter\n"
    );
    // The connection stays, and the new limit holds for the next.
    held.ping().unwrap();
    let mut second = TcpStream::connect(&agent.addr).unwrap();
    let mut nothing = Vec::new();
    let _closed = second.read_to_end(&mut nothing);
    assert_eq!(nothing, b"");
    let state = agent.state();
    assert_eq!(state["settings"]["limits"]["rpc_max_conns_per_client"], 1);
    assert_eq!(state["settings"]["datacenter"], "dc1");
    assert_eq!(state["restart"], serde_json::json!(["datacenter"]));
    drop(held);
    assert_eq!(agent.end().0, Some(0));
}

#[test]
fn calls_go_on_through_many_reloads() {
    const RELOADS: usize = 20;
    const BURST: usize = 1_000_000;
    let settings = |burst: usize| {
        format!(
            r#"{{"limits": {{"rpc_rate": 1e8, "rpc_max_burst": {burst},
                "rpc_max_conns_per_client": {burst}}}}}"#
        )
    };
    let mut agent = Agent::start(&settings(BURST));
    let line = "bench --transport yamux --streams 4 --mix KVS.Get=1,KVS.Apply=1 --duration 60m \
                --warm-up 0 --progress --json";
    let mut load = agent.command_for(line);
    let mut load = load
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first line tells that the load is on.
    let mut first = String::new();
    let mut stderr = BufReader::new(load.stderr.take().unwrap());
    stderr.read_line(&mut first).unwrap();
    assert!(first.starts_with("load: "), "{first}");
    for n in 1..=RELOADS {
        agent.set(&settings(BURST + n));
        let reloaded = agent.reload();
        let (out, err) = (text(&reloaded.stdout), text(&reloaded.stderr));
        assert!(out.contains("changed limits.rpc_max_burst\n"), "{out}{err}");
    }
    signal(&load, "-INT");
    let mut out = String::new();
    load.stdout
        .take()
        .unwrap()
        .read_to_string(&mut out)
        .unwrap();
    assert_eq!(load.wait().unwrap().code(), Some(0), "{out}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert!(report["Calls"].as_u64() > Some(0), "{out}");
    let none = serde_json::json!(
        {"Wrong": 0, "Refused": 0, "Connection": 0, "Late": 0, "Described": []}
    );
    assert_eq!(report["Errors"], none);
    // Neither did the load open a connection for another that it lost.
    let accepted = agent.state()["connections"]["accepted"].as_u64();
    assert!(accepted <= Some(4), "{accepted:?}");
    assert_eq!(agent.end().0, Some(0));
}

#[test]
fn a_reload_changes_tokens_for_connections_that_are_open() {
    let agent = Agent::start("{}");
    assert!(agent.oneport("kv put a b").status.success());
    agent.set(
        r#"{"acl": {"enabled": true, "default_policy": "deny"}, "oneport": {"acl": {"tokens": [
        {"accessor": "a-1", "secret": "12345678", "rules": {"key": {"a": "read"}}}]}}}"#,
    );
    let said = text(&agent.reload().stdout).to_owned();
    assert_eq!(
        said,
        "changed acl.enabled\nchanged acl.default_policy\nchanged oneport.acl.tokens\n"
    );
    let denied = agent.oneport("kv get a");
    assert_eq!(denied.status.code(), Some(1));
    assert!(
        text(&denied.stderr).contains("Permission denied"),
        "{}",
        text(&denied.stderr)
    );
    assert!(agent.oneport("kv get a --token 12345678").status.success());
    let write = agent.oneport("kv put a c --token 12345678");
    assert!(text(&write.stderr).contains("lacks permission 'key:write' on \"a\""));
    let unknown = agent.oneport("kv get a --token 87654321");
    assert!(
        text(&unknown.stderr).contains("ACL not found"),
        "{}",
        text(&unknown.stderr)
    );
    assert!(!agent.ask("GET", "/state").1.contains("12345678"));
    // Another secret for the same token counts at once.
    agent.set(
        r#"{"acl": {"enabled": true, "default_policy": "deny"}, "oneport": {"acl": {"tokens": [
        {"accessor": "a-1", "secret": "abcdefgh", "rules": {"key": {"a": "read"}}}]}}}"#,
    );
    assert_eq!(text(&agent.reload().stdout), "changed oneport.acl.tokens\n");
    assert!(!agent.oneport("kv get a --token 12345678").status.success());
    assert!(agent.oneport("kv get a --token abcdefgh").status.success());
}

#[test]
fn a_bad_file_changes_nothing_and_says_why() {
    let agent = Agent::start(r#"{"limits": {"rpc_max_conns_per_client": 7}}"#);
    agent.set(r#"{"limits": {"rpc_max_conns_per_client": 8, "rpc_max_burst": 0}, "x": 1}"#);
    let refused = agent.reload();
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(
        text(&refused.stderr),
        "error: a.json:1:61: limits.rpc_max_burst is 0, but it must be a whole number from 1 to 4294967295\n\
         error: a.json:1:65: there is no setting x\n\
         error: the agent's settings stay as they were\n"
    );
    assert!(
        agent
            .log()
            .contains("settings stay as they were: a.json:1:65: there is no setting x")
    );
    assert_eq!(
        agent.state()["settings"]["limits"]["rpc_max_conns_per_client"],
        7
    );
    assert_eq!(text(&agent.reload().stdout), "");
    agent.set(r#"{"limits": {"rpc_max_conns_per_client": 7}}"#);
    assert_eq!(text(&agent.reload().stdout), "nothing changed\n");
}

#[test]
fn a_hangup_reads_the_files_again() {
    let agent = Agent::start("{}");
    agent.set(r#"{"limits": {"rpc_max_conns_per_client": 9}}"#);
    let sent = agent.oneport("agent reload --pid-file pid");
    let id = agent.child.id();
    let said = format!("sent SIGHUP to process {id}; its log says what became of it\n");
    assert_eq!(text(&sent.stdout), said);
    // The next reload waits for that one, and finds nothing to do.
    let began = std::time::SystemTime::now();
    while agent.state()["settings"]["limits"]["rpc_max_conns_per_client"] != 9 {
        assert!(began.elapsed().unwrap() < SOON);
        std::thread::yield_now();
    }
    assert_eq!(text(&agent.reload().stdout), "nothing changed\n");
}

#[test]
fn pid_file_and_socket_are_there_as_long_as_the_agent() {
    let mut agent = Agent::start("{}");
    let id = agent.child.id();
    assert_eq!(
        fs::read_to_string(agent.path("pid")).unwrap(),
        format!("{id}\n")
    );
    // A second agent takes neither from it.
    let second = Agent::command(&agent.dir).output().unwrap();
    assert_eq!(second.status.code(), Some(2));
    let said = format!("pid_file pid names process {id}, which is running");
    assert!(
        text(&second.stderr).contains(&said),
        "{}",
        text(&second.stderr)
    );
    let third = Agent::with_pid_file(&agent.dir, "other").output().unwrap();
    assert_eq!(third.status.code(), Some(2));
    let said = "oneport.admin_socket admin.sock is in use by a running process";
    assert!(
        text(&third.stderr).contains(said),
        "{}",
        text(&third.stderr)
    );
    assert!(!agent.path("other").exists());
    assert_eq!(agent.ask("GET", "/ready").0, 200);

    assert_eq!(agent.end(), (Some(0), "drained\n".to_owned()));
    assert!(!agent.path("pid").exists());
    assert!(!agent.path("admin.sock").exists());
}

#[test]
fn what_a_killed_agent_left_is_taken_over() {
    let mut agent = Agent::start("{}");
    agent.child.kill().unwrap();
    agent.child.wait().unwrap();
    assert!(agent.path("admin.sock").exists());
    let mut child = Agent::command(&agent.dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("0x08") {
        line.clear();
        assert!(stdout.read_line(&mut line).unwrap() > 0);
    }
    assert_eq!(agent.ask("GET", "/ready").0, 200);
    signal(&child, "-TERM");
    assert!(child.wait().unwrap().success());
    assert!(!agent.path("admin.sock").exists());
}

#[test]
fn while_it_drains_the_agent_is_not_ready_and_still_answers() {
    let mut agent = Agent::start(r#"{"performance": {"leave_drain_time": "1h"}}"#);
    // A call that has begun and does not end: a drain waits for it.
    let mut held = Held::open(&agent);
    held.0.write_all(b"\x82\xa3Seq").unwrap();
    let began = std::time::SystemTime::now();
    while agent.state()["connections"]["routes"][0]["open"] != 1 {
        assert!(began.elapsed().unwrap() < SOON);
        std::thread::yield_now();
    }
    signal(&agent.child, "-TERM");
    while agent.ask("GET", "/ready") != (503, "draining\n".to_owned()) {
        assert!(began.elapsed().unwrap() < SOON);
        std::thread::yield_now();
    }
    assert_eq!(agent.state()["draining"], true);
    drop(held);
    assert!(agent.child.wait().unwrap().success());
}

#[test]
fn top_prints_one_picture_where_there_is_no_terminal() {
    let agent = Agent::start("{}");
    for _ in 0..3 {
        assert!(agent.oneport("kv get --recurse a").status.code().is_some());
        assert!(agent.oneport("kv put a b").status.success());
    }
    for line in ["top", "top --once"] {
        let top = agent.oneport(line);
        assert_eq!(top.status.code(), Some(0), "{}", text(&top.stderr));
        let picture = text(&top.stdout);
        assert!(picture.starts_with(&format!("oneport {}", env!("CARGO_PKG_VERSION"))));
        let calls = picture
            .lines()
            .find(|line| line.starts_with("KVS.Apply"))
            .unwrap();
        let words: Vec<_> = calls.split_whitespace().collect();
        assert_eq!(words[1..3], ["0", "3"], "{picture}");
        assert!(
            picture.lines().any(|line| line.starts_with("net/rpc ")),
            "{picture}"
        );
    }
}

#[test]
fn nobody_behind_a_socket_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let oneport = |line: &str| {
        let mut command = Command::new(PROGRAM);
        command
            .args(line.split_whitespace())
            .current_dir(dir.path());
        command
            .env_remove("ONEPORT_ADMIN_SOCKET")
            .env_remove("XDG_RUNTIME_DIR");
        command.output().unwrap()
    };
    for command in ["top", "agent reload"] {
        let output = oneport(&format!("{command} --admin-socket none"));
        assert_eq!(output.status.code(), Some(3));
        assert!(text(&output.stderr).starts_with("error: admin socket none: cannot connect: "));
        let output = oneport(command);
        assert_eq!(output.status.code(), Some(2));
        assert!(
            text(&output.stderr).contains("--admin-socket PATH"),
            "{}",
            text(&output.stderr)
        );
    }
    let output = oneport("agent reload --pid-file none");
    assert_eq!(output.status.code(), Some(2));
    fs::write(dir.path().join("pid"), "2147483647").unwrap();
    assert_eq!(
        oneport("agent reload --pid-file pid").status.code(),
        Some(3)
    );
}
