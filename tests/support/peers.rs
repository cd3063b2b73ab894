//! The programs at the other end, which are built with Go: Consul, the probe that uses its client,
//! and small ones on single libraries.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

use crate::process::Running;

/// A program that has run longer than this hangs. The probes take a few seconds and give up on a
/// check themselves after two minutes; the first build of Consul takes minutes, and has no limit
/// here.
const RUN: Duration = Duration::from_secs(300);

/// What a program printed, and whether it was content.
pub(crate) struct Said {
    pub(crate) good: bool,
    pub(crate) out: String,
    err: String,
}

impl Said {
    /// Both outputs, for a message.
    pub(crate) fn all(&self) -> String {
        format!("{}{}", self.out, self.err)
    }
}

/// Runs a program to its end, which must come.
pub(crate) fn run(program: &OsStr, args: &[&str]) -> Said {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|err| panic!("{} cannot be started: {err}", program.to_string_lossy()));
    let (done, both) = mpsc::channel();
    let out = read_all(child.stdout.take().expect("stdout is piped"), done.clone());
    let err = read_all(child.stderr.take().expect("stderr is piped"), done);
    // A program that has closed both is at its end.
    let until = Instant::now() + RUN;
    let closed = || {
        both.recv_timeout(until.saturating_duration_since(Instant::now()))
            .is_ok()
    };
    if !(closed() && closed()) {
        let _ = child.kill();
        let _ = child.wait();
        panic!(
            "{} {} did not end within {RUN:?}",
            program.to_string_lossy(),
            args.join(" ")
        );
    }
    let good = child.wait().expect("a child can be waited for").success();
    let text = |reader: thread::JoinHandle<Vec<u8>>| {
        String::from_utf8_lossy(&reader.join().expect("reading does not panic")).into_owned()
    };
    Said {
        good,
        out: text(out),
        err: text(err),
    }
}

/// Reads a pipe to its end, and says when that has come.
fn read_all(
    mut pipe: impl Read + Send + 'static,
    done: mpsc::Sender<()>,
) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is worth showing.
        let _ = pipe.read_to_end(&mut bytes);
        // Whoever waited may have given up.
        let _ = done.send(());
        bytes
    })
}

/// The Go tool.
#[derive(Clone, Copy)]
pub(crate) struct Go;

impl Go {
    /// Finds Go; says so and gives nothing where there is none.
    pub(crate) fn find() -> Option<Go> {
        static THERE: OnceLock<bool> = OnceLock::new();
        let there = *THERE.get_or_init(|| {
            Command::new("go")
                .arg("version")
                .output()
                .is_ok_and(|output| output.status.success())
        });
        if !there {
            assert!(
                std::env::var("ONEPORT_REQUIRE_PEERS").as_deref() != Ok("1"),
                "Go is not installed, and ONEPORT_REQUIRE_PEERS=1 asks for it"
            );
            crate::tell::tell("skipped: Go is not installed, and the other end is built with it");
            return None;
        }
        Some(Go)
    }

    /// A program of a module of `tests/interop/go`, built once.
    pub(crate) fn build(self, module: &str, package: &str) -> PathBuf {
        static BUILT: Mutex<BTreeMap<PathBuf, PathBuf>> = Mutex::new(BTreeMap::new());
        // Held while Go works: what two tests want at once is built by the first.
        let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
        let name = Path::new(module).join(Path::new(package).file_name().expect("a package"));
        built
            .entry(name)
            .or_insert_with_key(|name| {
                let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go").join(name);
                let folder = to.parent().expect("it is in its module's folder");
                std::fs::create_dir_all(folder).expect("a folder for what Go builds");
                go_build(module, &to, package);
                to
            })
            .clone()
    }

    /// Consul's own client: see `tests/interop/README.md` for what it takes.
    pub(crate) fn run_probe(self, args: &[&str]) -> Said {
        let probe = self.build("consul", "./cmd/probe");
        run(probe.as_os_str(), args)
    }
}

fn go_build(module: &str, to: &Path, package: &str) {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/go");
    let output = Command::new("go")
        .current_dir(modules.join(module))
        // A checkout without its version control still builds.
        .args(["build", "-buildvcs=false", "-o"])
        .arg(to)
        .arg(package)
        .output()
        .expect("Go was there a moment ago");
    assert!(
        output.status.success(),
        "go build {package} in {module}:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A real Consul server in development mode with nothing but its RPC port.
pub(crate) struct Consul {
    running: Running,
    addr: String,
}

impl Consul {
    /// Starts it and waits until it has a leader.
    pub(crate) fn start(go: Go) -> Consul {
        Consul::start_with(go, "")
    }

    /// The same with more of its configuration, in its own language.
    pub(crate) fn start_with(go: Go, hcl: &str) -> Consul {
        let program = go.build("consul", "github.com/hashicorp/consul");
        // A port that was free may be taken when Consul comes to it.
        for _ in 0..4 {
            let (rpc, serf) = (free_port(), free_port());
            let addr = format!("127.0.0.1:{rpc}");
            let (rpc, serf) = (rpc.to_string(), serf.to_string());
            let args = [
                ["agent", "-dev"].as_slice(),
                &["-node", "srv1", "-bind", "127.0.0.1"],
                &["-server-port", &rpc, "-serf-lan-port", &serf],
                &[
                    "-serf-wan-port",
                    "-1",
                    "-http-port",
                    "-1",
                    "-grpc-port",
                    "-1",
                    "-dns-port",
                    "-1",
                    "-hcl",
                    hcl,
                ],
            ]
            .concat();
            let running = Running::start(program.as_os_str(), &args);
            let ready = go.run_probe(&["-addr", &addr, "-ready", "-wait", "20s"]);
            if ready.good {
                return Consul { running, addr };
            }
            println!(
                "Consul did not become ready on {addr}: {}\n{}",
                ready.all(),
                running.said()
            );
        }
        panic!("Consul cannot be started, see above");
    }

    pub(crate) fn addr(&self) -> &str {
        &self.addr
    }

    /// Everything that it has written so far.
    pub(crate) fn said(&self) -> String {
        self.running.said()
    }
}

/// A port that is free for TCP and UDP at this moment: gossip needs both.
fn free_port() -> u16 {
    for _ in 0..100 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("some port is free");
        let addr = listener.local_addr().expect("it is bound");
        if UdpSocket::bind(addr).is_ok() {
            return addr.port();
        }
    }
    panic!("no port is free for both TCP and UDP");
}
