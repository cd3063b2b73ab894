//! The programs at the other end: Consul, and the probe that uses its client.

use std::ffi::OsStr;
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

use crate::process::Running;

/// A program that has run longer than this hangs. The probe itself takes a few
/// seconds; the first build of Consul takes minutes, and has no limit here.
const RUN: Duration = Duration::from_secs(180);

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

/// The Go tool, and what it built.
pub(crate) struct Go {
    built: PathBuf,
}

impl Go {
    /// Finds Go and builds the probe; says so and gives nothing where there is
    /// no Go.
    pub(crate) fn find() -> Option<Go> {
        static PROBE: OnceLock<bool> = OnceLock::new();
        let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("consul-peer");
        let there = *PROBE.get_or_init(|| {
            let there = Command::new("go")
                .arg("version")
                .output()
                .is_ok_and(|output| output.status.success());
            if there {
                std::fs::create_dir_all(&built).expect("a folder for what Go builds");
                go_build(&built.join("probe"), "./cmd/probe");
            }
            there
        });
        if !there {
            assert!(
                std::env::var("ONEPORT_REQUIRE_PEERS").as_deref() != Ok("1"),
                "Go is not installed, and ONEPORT_REQUIRE_PEERS=1 asks for it"
            );
            crate::tell::tell("skipped: Go is not installed, and Consul is built with it");
            return None;
        }
        Some(Go { built })
    }

    /// All checks of the probe against a server.
    pub(crate) fn probe(&self, addr: &str) -> Said {
        self.run_probe(&["-addr", addr, "-dc", "dc1", "-node", "srv1"])
    }

    pub(crate) fn run_probe(&self, args: &[&str]) -> Said {
        run(self.built.join("probe").as_os_str(), args)
    }

    /// The real Consul, built once.
    fn consul(&self) -> &'static Path {
        static CONSUL: OnceLock<PathBuf> = OnceLock::new();
        CONSUL.get_or_init(|| {
            let to = self.built.join("consul");
            go_build(&to, "github.com/hashicorp/consul");
            to
        })
    }
}

fn go_build(to: &Path, package: &str) {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/go/consul");
    let output = Command::new("go")
        .current_dir(&module)
        // A checkout without its version control still builds.
        .args(["build", "-buildvcs=false", "-o"])
        .arg(to)
        .arg(package)
        .output()
        .expect("Go was there a moment ago");
    assert!(
        output.status.success(),
        "go build {package}:\n{}",
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
    pub(crate) fn start(go: &Go) -> Consul {
        Consul::start_with(go, "")
    }

    /// The same with more of its configuration, in its own language.
    pub(crate) fn start_with(go: &Go, hcl: &str) -> Consul {
        let program = go.consul();
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
