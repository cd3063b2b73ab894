//! Starting programs as children: they die with their guard, and every wait
//! has an end.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

/// How long a server may take until it says where it listens.
const START: Duration = Duration::from_secs(30);

/// The `oneport` program of this workspace, up to date.
///
/// Cargo tells an integration test only about the programs of its own package,
/// so this asks it to build the one of the agent's. A test target is named too,
/// because then the dependencies get the features that the tests already built
/// them with, and little or nothing is compiled twice. `ONEPORT_BIN` names
/// another program to use instead.
pub(crate) fn oneport_binary() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY
        .get_or_init(|| match std::env::var_os("ONEPORT_BIN") {
            Some(path) => PathBuf::from(path),
            None => build_oneport(),
        })
        .clone()
}

fn build_oneport() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([
            "build",
            "--workspace",
            "--bin",
            "oneport",
            "--test",
            env!("CARGO_CRATE_NAME"),
        ])
        .args(["--message-format", "json-render-diagnostics"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let output = cargo
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo can be started");
    assert!(
        output.status.success(),
        "cargo could not build the oneport program"
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find(|message| {
            message["reason"] == "compiler-artifact"
                && message["target"]["name"] == "oneport"
                && message["target"]["kind"][0] == "bin"
        })
        .and_then(|message| message["executable"].as_str().map(PathBuf::from))
        .expect("cargo says where the program is")
}

/// A child process that does not outlive this value.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    said: Arc<Mutex<String>>,
}

impl Running {
    /// Starts the program with its output caught.
    pub(crate) fn start<A: AsRef<OsStr>>(program: &OsStr, args: &[A]) -> Running {
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|err| panic!("{} cannot be started: {err}", program.to_string_lossy()));
        let said = Arc::new(Mutex::new(String::new()));
        let (to, lines) = mpsc::channel();
        follow(
            child.stdout.take().expect("stdout is piped"),
            said.clone(),
            Some(to),
        );
        follow(
            child.stderr.take().expect("stderr is piped"),
            said.clone(),
            None,
        );
        Running { child, lines, said }
    }

    /// The next line of standard output for which `wanted` has an answer.
    pub(crate) fn wait_for<T>(&mut self, what: &str, wanted: impl Fn(&str) -> Option<T>) -> T {
        let until = Instant::now() + START;
        loop {
            match self
                .lines
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    if let Some(found) = wanted(&line) {
                        return found;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!(
                        "no {what} within {START:?}; process {} said:\n{}",
                        self.pid(),
                        self.said()
                    )
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!(
                        "process {} ended before {what}; it said:\n{}",
                        self.pid(),
                        self.said()
                    )
                }
            }
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything that the program has written so far.
    pub(crate) fn said(&self) -> String {
        self.said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An error means that it has ended already, which is what we want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a pipe to its end, so that the child never waits for us.
fn follow(
    pipe: impl Read + Send + 'static,
    said: Arc<Mutex<String>>,
    to: Option<mpsc::Sender<String>>,
) {
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while matches!(pipe.read_until(b'\n', &mut line), Ok(n) if n > 0) {
            let text = String::from_utf8_lossy(&line).into_owned();
            said.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_str(&text);
            if let Some(to) = &to {
                // Nobody has to listen.
                let _ = to.send(text);
            }
            line.clear();
        }
    });
}

/// A development server of ours on a port of its own.
pub(crate) struct Agent {
    pub(crate) running: Running,
    addr: SocketAddr,
}

impl Agent {
    /// Starts it and waits until it listens.
    pub(crate) fn start() -> Agent {
        let args = [
            "agent",
            "--dev",
            "--bind",
            "127.0.0.1",
            "--server-port",
            "0",
        ];
        let mut running = Running::start(oneport_binary().as_os_str(), &args);
        let addr = running.wait_for("line with \"listening on\"", |line| {
            let (_, rest) = line.split_once("listening on ")?;
            let end = rest
                .find(|c: char| !(c.is_ascii_hexdigit() || ".:[]".contains(c)))
                .unwrap_or(rest.len());
            rest[..end].parse().ok()
        });
        Agent { running, addr }
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Everything that it has written so far.
    pub(crate) fn said(&self) -> String {
        self.running.said()
    }
}
