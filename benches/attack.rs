//! What an attacker costs everybody else, with limits on and off.
//!
//! A server on one core answers two clients. One behaves: it calls 100 times a second, well within
//! the limit of its address, from the server's own core. The other, on the other core, calls at 20
//! times its limit over yamux, with as many calls at once as it takes. Printed is how long the
//! good client's calls took, counted from when each was due, in runs by turns without and with the
//! limits, and the medians of both. The attacker is there in both.
//!
//! `cargo bench --bench attack`, on Linux with two cores and `taskset`.

use std::{
    collections::VecDeque,
    env,
    io::{BufRead, BufReader},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use oneport::{
    Everybody, Layers, ListenConfig, Listener, Port, Sniff, StackConfig,
    client::Mux,
    layers::{
        bucket::{Limit, Rate},
        rate_limit::{Limits, Mode},
    },
    proto::{
        BoxError, Class, Head, Local, Peer, Session, Status,
        structs::{DirEntry, IndexedDirEntries, KeyRequest},
        wire::byte,
    },
    services::{
        Conn, Drainer,
        netrpc::{Channel, Client, Router, Server},
        yamux::{self, Yamux},
    },
};
use tokio::{
    net::TcpSocket,
    sync::Semaphore,
    time::{Instant, interval, sleep_until},
};

/// What an address may call in a second.
const LIMIT: u32 = 500;
/// How much of it the attacker calls.
const TIMES: u32 = 20;
/// How many calls the attacker has under way at most, on [`SESSIONS`] sessions.
const AT_ONCE: usize = 512;
const SESSIONS: usize = 4;
/// The attacker's calls come due in lots, so often.
const LOT: Duration = Duration::from_millis(1);
/// How often the good client calls, and for how long it is measured.
const EVERY: Duration = Duration::from_millis(10);
const CALLS: u32 = 300;
/// How many keys a call looks through: some hundred microseconds of the server's time, and of
/// nobody else's.
const KEYS: usize = 2000;
/// Runs of each kind.
const RUNS: usize = 5;

const GOOD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const BAD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

const METHOD: &str = "KVS.List";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["server", limits] => block_on(serve(*limits == "on")),
        ["attacker", addr] => block_on(attack(addr)),
        ["client", addr] => block_on(behave(addr)),
        // What cargo passes on.
        _ => compare(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("attack: {error}");
            ExitCode::FAILURE
        }
    }
}

fn block_on(work: impl Future<Output = Result<(), BoxError>>) -> Result<(), BoxError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

/// Runs by turns, and what came out.
fn compare() -> Result<(), BoxError> {
    println!(
        "{LIMIT} calls a second are an address's limit; the attacker makes {}, {AT_ONCE} at once",
        LIMIT * TIMES
    );
    let (mut off, mut on) = (Vec::new(), Vec::new());
    for run in 1..=RUNS {
        for (limits, all) in [("off", &mut off), ("on", &mut on)] {
            let result = once(limits)?;
            println!(
                "run {run}, limits {limits:3}: good client p50 {:>9.3?} p99 {:>9.3?}, {} of {CALLS} \
                 calls failed; attacker {}",
                result.p50, result.p99, result.failed, result.attacker
            );
            all.push(result);
        }
    }
    let (without, with) = (median(&off), median(&on));
    let share = with.as_secs_f64() / without.as_secs_f64();
    let failed: u32 = on.iter().map(|result| result.failed).sum();
    println!("median p99: limits off {without:.3?}, limits on {with:.3?}, share {share:.3}");
    println!("calls of the good client that failed with limits on: {failed}");
    Ok(())
}

/// One run's outcome.
struct Outcome {
    p50: Duration,
    p99: Duration,
    failed: u32,
    attacker: String,
}

fn median(runs: &[Outcome]) -> Duration {
    let mut all: Vec<_> = runs.iter().map(|run| run.p99).collect();
    all.sort();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

fn once(limits: &str) -> Result<Outcome, BoxError> {
    let mut server = Part::start("0", &["server", limits])?;
    let addr = server.line()?;
    let mut attacker = Part::start("1", &["attacker", &addr])?;
    // It says so once it is at full speed.
    attacker.line()?;
    let mut client = Part::start("0", &["client", &addr])?;
    let line = client.line()?;
    let attacker = attacker.latest()?;
    let numbers: Vec<u64> = line
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    let [p50, p99, failed] = numbers.as_slice() else {
        return Err(format!("the client said {line:?}").into());
    };
    Ok(Outcome {
        p50: Duration::from_nanos(*p50),
        p99: Duration::from_nanos(*p99),
        failed: u32::try_from(*failed)?,
        attacker,
    })
}

/// This program in another role, on a core of its own. It ends with this value.
struct Part {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
}

impl Part {
    fn start(core: &str, args: &[&str]) -> Result<Part, BoxError> {
        let mut child = Command::new("taskset")
            .args(["-c", core])
            .arg(env::current_exe()?)
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("taskset, which pins to a core: {error}"))?;
        let out = child.stdout.take().ok_or("no standard output")?;
        Ok(Part {
            child,
            out: BufReader::new(out),
        })
    }

    fn line(&mut self) -> Result<String, BoxError> {
        let mut line = String::new();
        if self.out.read_line(&mut line)? == 0 {
            return Err("a part of the measurement ended early".into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// The last line until now of a part that writes one a second.
    fn latest(&mut self) -> Result<String, BoxError> {
        let mut line = self.line()?;
        while self.out.buffer().contains(&b'\n') {
            line = self.line()?;
        }
        Ok(line)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

async fn serve(limited: bool) -> Result<(), BoxError> {
    let entry = |n| DirEntry {
        key: format!("service/web-{n:04}/leader").into(),
        value: Some(vec![7; 16].into()),
        ..DirEntry::default()
    };
    let listed = Arc::new((0..KEYS).map(entry).collect::<Vec<_>>());
    let router = Router::builder(listed)
        .method(METHOD, Class::Read, list)
        .build()?;
    let mut config = StackConfig::default();
    if limited {
        config.rates = Limits {
            mode: Mode::Enforcing,
            source: Limit {
                rate: Rate::per_second(f64::from(LIMIT))?,
                burst: LIMIT / 10,
            },
            ..Limits::default()
        };
    }
    let layers = Layers::new(&config, Everybody::new());
    let server = Server::new(router.methods(), layers.stack(router));
    let port = Port::builder()
        .tag(byte::RPC_MULTI, "net/rpc over yamux", Yamux::new(server))
        .build()?;
    let listener = Listener::bind((GOOD, 0).into(), ListenConfig::default()).await?;
    // Both loopback addresses lead there.
    println!("{}", listener.local_addr());
    let drainer = Drainer::new();
    listener.serve(Sniff::new(port), drainer.handle()).await;
    Ok(())
}

/// Looks for a word in all keys, and answers with the few that have it.
async fn list(
    listed: Arc<Vec<DirEntry>>,
    _: Head,
    request: KeyRequest,
) -> Result<IndexedDirEntries, Status> {
    let word = request.key.as_bytes();
    let has = |key: &[u8]| key.windows(word.len().max(1)).any(|part| part == word);
    let found = listed.iter().filter(|entry| has(entry.key.as_bytes()));
    Ok(IndexedDirEntries {
        entries: Some(found.cloned().collect()),
        ..IndexedDirEntries::default()
    })
}

/// Opens a session that comes from `source`.
async fn open(addr: &str, source: Ipv4Addr, drainer: &Drainer) -> Result<Mux, BoxError> {
    let addr: SocketAddr = addr.parse()?;
    let socket = TcpSocket::new_v4()?;
    socket.bind((IpAddr::V4(source), 0).into())?;
    let stream = socket.connect(addr).await?;
    stream.set_nodelay(true)?;
    let session = Session::new(Peer::Tcp(addr), Local::InProcess);
    let mut conn = Conn::tcp(session, drainer.handle(), stream);
    conn.put(&mut |out| out.extend_from_slice(&[byte::RPC_MULTI]));
    Ok(Mux::new(conn, yamux::Config::default()))
}

fn request() -> KeyRequest {
    KeyRequest {
        datacenter: "dc1".into(),
        key: "web-1234/".into(),
        ..KeyRequest::default()
    }
}

/// What became of the attacker's calls.
#[derive(Default)]
struct Tally {
    served: AtomicU64,
    refused: AtomicU64,
}

async fn attack(addr: &str) -> Result<(), BoxError> {
    let drainer = Drainer::new();
    let tally = Arc::new(Tally::default());
    let due = Arc::new(Semaphore::new(0));
    for _ in 0..SESSIONS {
        let session = Arc::new(open(addr, BAD, &drainer).await?);
        for _ in 0..AT_ONCE / SESSIONS {
            let (session, due, tally) = (session.clone(), due.clone(), tally.clone());
            tokio::spawn(call_when_due(session, due, tally));
        }
    }
    let lot = usize::try_from(LIMIT * TIMES / 1000)?;
    let mut ticks = interval(LOT);
    let mut said = Instant::now();
    let mut before = VecDeque::from([(0, 0)]);
    loop {
        ticks.tick().await;
        // What it cannot send in time is not owed for ever.
        if due.available_permits() < AT_ONCE {
            due.add_permits(lot);
        }
        if said.elapsed() >= Duration::from_secs(1) {
            said += Duration::from_secs(1);
            let now = (tally.served.load(Relaxed), tally.refused.load(Relaxed));
            if let Some(last) = before.pop_front() {
                let (served, refused) = (now.0 - last.0, now.1 - last.1);
                println!("{served}/s served, {refused}/s refused");
            }
            before.push_back(now);
        }
    }
}

/// Calls on a stream of its own, and takes a new one after a refusal, as Consul's client does.
async fn call_when_due(session: Arc<Mux>, due: Arc<Semaphore>, tally: Arc<Tally>) {
    let mut client = None;
    while let Ok(permit) = due.acquire().await {
        permit.forget();
        let mut calling = match client.take() {
            Some(calling) => calling,
            None => match session.open().await {
                Ok(stream) => Client::new(Channel::new(stream)),
                Err(_) => return,
            },
        };
        // Read raw: the attacker has no use for what it asked for.
        let answer: Result<serde::de::IgnoredAny, _> = calling.call(METHOD, &request()).await;
        if answer.is_ok() {
            tally.served.fetch_add(1, Relaxed);
            client = Some(calling);
        } else {
            tally.refused.fetch_add(1, Relaxed);
        }
    }
}

async fn behave(addr: &str) -> Result<(), BoxError> {
    let drainer = Drainer::new();
    let session = open(addr, GOOD, &drainer).await?;
    let mut client = Client::new(Channel::new(session.open().await?));
    let (mut took, mut failed) = (Vec::new(), 0_u32);
    let mut due = Instant::now();
    for _ in 0..CALLS {
        sleep_until(due).await;
        let answer = client
            .call::<_, IndexedDirEntries>(METHOD, &request())
            .await;
        failed += u32::from(answer.is_err());
        took.push(due.elapsed().as_nanos());
        due += EVERY;
    }
    took.sort_unstable();
    let at = |percent: usize| {
        took.get(took.len() * percent / 100)
            .copied()
            .unwrap_or_default()
    };
    println!("{} {} {failed}", at(50), at(99));
    Ok(())
}
