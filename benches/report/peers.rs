//! The servers that are compared, as children of this process.

use std::{
    fs,
    io::{self, BufRead, BufReader},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use oneport::{ListenConfig, Listener, services::Drainer};
use tokio::{runtime::Builder, time::Instant};

use crate::{Failure, bulk, burden::Direction, calls, floor, limited};

/// A server that this program can be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Server {
    /// The agent's methods behind its port, without a layer, and without limits on the connections
    /// of an address: here one address makes them all.
    Oneport,
    /// The agent as the command line runs it, but for those limits: with all layers, each of which
    /// has a limit that is too high to be met.
    Layered,
    /// Bytes for bytes.
    Bare { request: usize, answer: usize },
    /// Much data, over yamux or bare.
    Bulk { yamux: bool, direction: Direction },
}

impl Server {
    /// Serves until it is killed.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let runtime = Builder::new_multi_thread().enable_all().build()?;
        match self {
            Server::Oneport => runtime.block_on(oneport()),
            Server::Layered => runtime.block_on(layered()),
            Server::Bare { request, answer } => runtime.block_on(floor::serve(request, answer)),
            Server::Bulk { yamux, direction } => runtime.block_on(bulk::serve(yamux, direction)),
        }
    }

    fn words(self) -> Vec<String> {
        let words = match self {
            Server::Oneport => "server oneport".to_owned(),
            Server::Layered => "server layered".to_owned(),
            Server::Bare { request, answer } => format!("server bare {request} {answer}"),
            Server::Bulk { yamux, direction } => {
                let how = if yamux { "yamux" } else { "bare" };
                let direction = if direction == Direction::Up {
                    "up"
                } else {
                    "down"
                };
                format!("server bulk {how} {direction}")
            }
        };
        words.split(' ').map(str::to_owned).collect()
    }

    pub(crate) fn start(self) -> Result<Running, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(self.words());
        Running::start(command, "ready ")
    }
}

async fn oneport() -> Result<(), Failure> {
    let agent = calls::agent().await;
    let listener = Listener::bind(LOOPBACK, unlimited()).await?;
    println!("ready {}", listener.local_addr());
    let drainer = Drainer::new();
    listener
        .serve(calls::protocol(&agent), drainer.handle())
        .await;
    Ok(())
}

async fn layered() -> Result<(), Failure> {
    let agent = limited::agent().await;
    println!("ready {}", agent.local_addr());
    agent.run(std::future::pending()).await;
    Ok(())
}

/// Any free port.
pub(crate) const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// As many connections from one address as come.
pub(crate) fn unlimited() -> ListenConfig {
    ListenConfig {
        max_conns_per_source: 0,
        conns_per_second: 0,
        ..ListenConfig::default()
    }
}

/// A server at work; it ends with this value.
pub(crate) struct Running {
    child: Child,
    pub(crate) addr: SocketAddr,
    began: Instant,
}

impl Running {
    /// Starts a server that prints its address behind these words.
    pub(crate) fn start(mut command: Command, words: &str) -> Result<Running, Failure> {
        let began = Instant::now();
        let mut child = spawn(&mut command)?;
        let out = child.stdout.take().ok_or("stdout is piped")?;
        let mut out = BufReader::new(out);
        let mut line = String::new();
        let mut found = None;
        while found.is_none() && out.read_line(&mut line)? > 0 {
            found = line
                .strip_prefix(words)
                .and_then(|addr| addr.trim().parse().ok());
            line.clear();
        }
        // What it says from now on goes nowhere, but it must not wait for us.
        thread::spawn(move || io::copy(&mut out, &mut io::sink()));
        let Some(addr) = found else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("{command:?} did not say where it listens").into());
        };
        Ok(Running { child, addr, began })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it names a leader, which is what clients of a new server wait for, and tells how
    /// long that was after its start.
    pub(crate) fn ready(&self) -> Result<Duration, Failure> {
        const ASK: &[u8] =
            b"\0\x82\xa3Seq\x01\xadServiceMethod\xadStatus.Leader\x81\xaaDatacenter\xa0";
        const PATIENCE: Duration = Duration::from_secs(30);
        while self.began.elapsed() < PATIENCE {
            // No connection yet is no answer yet.
            if answers(self.addr, ASK, b":").unwrap_or(false) {
                return Ok(self.began.elapsed());
            }
            thread::park_timeout(Duration::from_millis(2));
        }
        Err(format!("no leader at {} within {PATIENCE:?}", self.addr).into())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(command: &mut Command) -> Result<Child, Failure> {
    let started = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    started.map_err(|error| format!("{command:?} cannot be started: {error}").into())
}

/// The programs of others, built once; and ours.
pub(crate) struct Programs {
    pub(crate) oneport: PathBuf,
    /// Consul and the Go server, where there is Go.
    pub(crate) go: Option<(PathBuf, PathBuf)>,
}

impl Programs {
    pub(crate) fn build() -> Result<Programs, Failure> {
        Ok(Programs {
            oneport: match std::env::var_os("ONEPORT_BIN") {
                Some(path) => PathBuf::from(path),
                None => build_oneport()?,
            },
            go: build_go()?,
        })
    }

    /// Consul with nothing but its RPC port, and no limit on the connections of an address.
    pub(crate) fn consul(&self) -> Result<Option<Running>, Failure> {
        let Some((consul, _)) = &self.go else {
            return Ok(None);
        };
        let (rpc, serf) = (free_port()?, free_port()?);
        let mut command = Command::new(consul);
        command
            .args(["agent", "-dev", "-node", "srv1", "-bind", "127.0.0.1"])
            .args([
                "-server-port",
                &rpc.to_string(),
                "-serf-lan-port",
                &serf.to_string(),
            ])
            .args([
                "-serf-wan-port",
                "-1",
                "-http-port",
                "-1",
                "-grpc-port",
                "-1",
            ])
            .args(["-dns-port", "-1", "-log-level", "error", "-hcl"])
            .arg("disable_update_check = true limits { rpc_max_conns_per_client = 1000000 }");
        let began = Instant::now();
        let child = spawn(&mut command)?;
        let addr = SocketAddr::from(([127, 0, 0, 1], rpc));
        let mut running = Running { child, addr, began };
        drain(&mut running.child);
        Ok(Some(running))
    }

    /// The Go server.
    pub(crate) fn go(&self) -> Result<Option<Running>, Failure> {
        let Some((_, server)) = &self.go else {
            return Ok(None);
        };
        Running::start(Command::new(server), "ready ").map(Some)
    }

    /// The program itself, as anybody starts it.
    pub(crate) fn agent(&self) -> Result<Running, Failure> {
        let mut command = Command::new(&self.oneport);
        command.args(["agent", "--dev", "--server-port", "0"]);
        Running::start(command, "listening on ")
    }
}

/// Reads what a child says, so that it never waits for us.
fn drain(child: &mut Child) {
    if let Some(mut out) = child.stdout.take() {
        thread::spawn(move || io::copy(&mut out, &mut io::sink()));
    }
}

/// Whether what comes first has these bytes in it.
fn answers(addr: SocketAddr, ask: &[u8], wanted: &[u8]) -> io::Result<bool> {
    use std::io::{Read, Write};
    let mut socket = TcpStream::connect(addr)?;
    socket.set_read_timeout(Some(Duration::from_secs(8)))?;
    socket.write_all(ask)?;
    let mut answer = [0; 256];
    let n = socket.read(&mut answer)?;
    Ok(answer[..n]
        .windows(wanted.len())
        .any(|bytes| bytes == wanted))
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn build_oneport() -> Result<PathBuf, Failure> {
    eprintln!("building oneport");
    let output = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([
            "build",
            "--release",
            "-p",
            "oneport-agent",
            "--bin",
            "oneport",
        ])
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err("cargo could not build oneport".into());
    }
    let built = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "oneport")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    built.ok_or_else(|| "cargo does not say where oneport is".into())
}

/// Builds the two Go programs; nothing where there is no Go.
fn build_go() -> Result<Option<(PathBuf, PathBuf)>, Failure> {
    if Command::new("go").arg("version").output().is_err() {
        eprintln!("Go is not installed: there will be no Consul and no Go server");
        return Ok(None);
    }
    // Where the tests put it: it is built once for both.
    let consul = go_build(
        "consul-peer",
        "consul",
        "consul",
        "github.com/hashicorp/consul",
    )?;
    let server = go_build("go-peer", "server", "yamux-2020", "./cmd/server")?;
    Ok(Some((consul, server)))
}

fn go_build(folder: &str, name: &str, module: &str, package: &str) -> Result<PathBuf, Failure> {
    eprintln!("building {package} of tests/interop/go/{module}; the first time that takes long");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    fs::create_dir_all(&folder)?;
    let to = folder.join(name);
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/go");
    let status = Command::new("go")
        .current_dir(modules.join(module))
        .args(["build", "-buildvcs=false", "-o"])
        .args([to.as_os_str(), package.as_ref()])
        .status()?;
    if !status.success() {
        return Err(format!("go build {package}: {status}").into());
    }
    Ok(to)
}
