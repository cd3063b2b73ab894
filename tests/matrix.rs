//! The matrices of a real Consul: odd first bytes, silences, yamux frames and msgpack values.
//!
//! Every case of the files `tests/golden/consul-*/mux-*.txt` is made again, and what comes back is
//! compared with what the file says. What clients say is in `tests/support/matrix`, under the name
//! that the case has in the file. A case that differs on purpose names the row of
//! `docs/deviations.md`, and then ours must be what the case says, and must differ.
//!
//! Most connections are pipes with a clock that is moved, because the cases are about time and
//! silence. What ends there at once is made once more at the agent's own port: only sockets tell a
//! FIN from a RST.
//!
//! May differ: times by 10 ms, indexes where they are not zero and stand in the same order, the
//! server's address, which stream of two is answered first, which frame carries a flag, how much
//! more than half a window a credit is, and the key that 1.10 lacks.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    net::Shutdown,
    time::Duration,
};

use support::{
    Case,
    answer::{Answer, End},
    ask, file,
    file::{FILES, Form, Recording},
    netrpc,
    peer::{self, Piped, Played, Ported},
    port, yamux,
};

#[path = "support/matrix/mod.rs"]
mod support;
#[path = "support/tell.rs"]
mod tell;

/// Cases that are not made: file, name, reason.
const LEFT_OUT: &[(&str, &str, &str)] = &[
    (RULES, "snapshot: save", SNAPSHOT),
    (RULES, "snapshot: unknown dc", SNAPSHOT),
    (RULES, "snapshot: empty dc", SNAPSHOT),
    (RULES, "snapshot: bad op", SNAPSHOT),
    (
        RULES,
        "gRPC byte 8: PING frames every 50 ms without a stream",
        GRPC,
    ),
    (RULES, "external gRPC port: same", GRPC),
    (
        "consul-1.10/mux-msgpack-leniency.txt",
        "lowercase field",
        "1.10 refuses an empty datacenter; 1.13.9, the reference, takes it as its own",
    ),
];
const RULES: &str = "consul-1.13/mux-yamux-netrpc-snapshot.txt";
const SNAPSHOT: &str = "byte 5 is not served yet (D10)";
const GRPC: &str = "gRPC is not served yet (D10)";

/// Who is closed later than this is closed for being silent, has nothing unread, and would have the
/// test wait at a socket.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Differences that no row explains: file, name, reason. To be empty.
const KNOWN_DIFFERENCES: &[(&str, &str, &str)] = &[];

/// What clients say in each file, and what has to be there before.
fn cases(file: &str, recordings: &[Recording]) -> (Vec<Case>, Vec<Case>) {
    match file {
        "consul-1.13/mux-first-bytes-plain.txt" => (Vec::new(), port::first_bytes()),
        "consul-1.13/mux-timeouts.txt" => (Vec::new(), port::silence()),
        "consul-1.13/mux-connlimit.txt" => (Vec::new(), Vec::new()),
        "consul-1.13/mux-yamux-keepalive.txt" => (Vec::new(), port::keepalive()),
        RULES => {
            let foreign = file::read("consul-1.10/mux-netrpc-rules.txt");
            let mut cases = yamux::cases(true);
            cases.extend(netrpc::newer(netrpc::sent(&foreign)));
            ([yamux::setup(true), netrpc::setup()].concat(), cases)
        }
        "consul-1.10/mux-msgpack-leniency.txt" => (netrpc::setup(), netrpc::leniency()),
        "consul-1.10/mux-netrpc-rules.txt" => {
            let cases = netrpc::older(netrpc::sent(recordings));
            (netrpc::setup(), cases)
        }
        "consul-1.10/mux-yamux-rules.txt" => (yamux::setup(false), yamux::cases(false)),
        other => panic!("no cases for {other}"),
    }
}

#[derive(Default)]
struct Outcome {
    compared: usize,
    left_out: usize,
    masked: usize,
    differences: Vec<String>,
}

#[test]
fn recorded_inputs_get_the_recorded_answers() {
    let mut outcome = Outcome::default();
    for file in FILES {
        if file.ends_with("connlimit.txt") {
            outcome.compared += connection_limit(file);
        } else {
            compare(file, &mut outcome);
        }
    }
    for difference in &outcome.differences {
        println!("{difference}");
    }
    tell::tell(&format!(
        "matrix: {} cases compared, {} left out by name, {} masked by deviations",
        outcome.compared, outcome.left_out, outcome.masked
    ));
    let count = outcome.differences.len();
    assert_eq!(count, 0, "differences, see above");
}

fn compare(file: &'static str, outcome: &mut Outcome) {
    let recordings = file::read(file);
    let (setup, cases) = cases(file, &recordings);
    let cases: BTreeMap<&str, &Case> = cases.iter().map(|case| (&*case.name, case)).collect();
    let piped = Piped::start();
    let mut ported = Ported::bind();
    ported.serve();
    for case in &setup {
        assert!(!piped.play(&case.turns).all().is_empty(), "nothing was set");
    }
    for recording in &recordings {
        let name = recording.name.as_str();
        if is_listed(LEFT_OUT, file, name) {
            outcome.left_out += 1;
            continue;
        }
        let case = cases[name];
        outcome.compared += 1;
        outcome.masked += usize::from(case.mask.is_some());
        let found = differences(recording, case, &piped, &ported);
        match (is_listed(KNOWN_DIFFERENCES, file, name), found.is_empty()) {
            (false, _) => outcome.differences.extend(found),
            (true, true) => outcome
                .differences
                .push(format!("{file}: {name}: equal by now")),
            (true, false) => {}
        }
    }
}

fn is_listed(list: &[(&str, &str, &str)], file: &str, name: &str) -> bool {
    list.iter()
        .any(|listed| (listed.0, listed.1) == (file, name))
}

fn differences(recording: &Recording, case: &Case, piped: &Piped, ported: &Ported) -> Vec<String> {
    let recorded = recording.told(&recording.lines);
    let played = piped.play(&case.turns);
    let apart: Vec<bool> = case.turns.iter().map(|turn| turn.apart).collect();
    let answer = |played: &Played| recording.live(played, &apart, piped.addr(), &recorded);
    let live = if played.end == End::Open || played.after > AT_ONCE {
        answer(&played)
    } else {
        answer(&ported.play(&case.turns, &played))
    };
    let label = format!("{}: {}", recording.file, recording.name);
    let Some((id, ours)) = case.mask else {
        return unequal(&label, &recorded, &live);
    };
    let lines: Vec<String> = ours.lines().map(str::to_owned).collect();
    let ours = recording.told(&lines);
    let mut found = unequal(&format!("{label}, as {id} says"), &ours, &live);
    // However data is cut, it is as much.
    if recording.totals(&recorded) != live.totals() {
        found.push(format!("{label}: {recorded:?} of data, but {live:?}"));
    }
    if ours == recorded {
        found.push(format!("{label}: {id} makes no difference"));
    }
    found
}

fn unequal(label: &str, wanted: &Answer, live: &Answer) -> Vec<String> {
    if wanted == live {
        return Vec::new();
    }
    vec![format!(
        "{label}\n    wanted {wanted:?}\n    live   {live:?}"
    )]
}

/// More connections than one source may have, all of which have spoken before the first is let in.
fn connection_limit(file: &'static str) -> usize {
    let recordings = file::read(file);
    let [recording] = recordings.as_slice() else {
        panic!("one case, not {}", recordings.len())
    };
    let [limit, after] = recording.lines.as_slice() else {
        panic!("two lines, not {:?}", recording.lines)
    };
    let number = |mark: &str| {
        let (_, rest) = limit.split_once(mark).expect("a number");
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
        digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
    };
    let (tried, open): (usize, usize) = (110, number("open="));
    assert!(limit.starts_with(&format!("{tried} connections tried")));
    assert_eq!(number("read: connection reset by peer:"), tried - open);
    // The recorded server had two connections to itself.
    let open = open + 2;

    let mut ported = Ported::bind();
    let ping = ask::plain([ask::ping(1)]);
    let mut conns: Vec<_> = (0..tried).map(|_| ported.connect()).collect();
    for conn in &mut conns {
        conn.write_all(&ping).expect("room in the kernel");
    }
    ported.serve();
    let (reply, wanted) = {
        let (_, hex) = after.rsplit_once(' ').expect("a reply");
        let wanted = support::answer::unhex(hex);
        (vec![0; wanted.len()], wanted)
    };
    for (n, conn) in conns.iter_mut().enumerate() {
        if n < open {
            let mut reply = reply.clone();
            conn.read_exact(&mut reply).expect("a connection let in");
            assert_eq!(reply, wanted);
        } else {
            assert_eq!(peer::end(conn, &mut Vec::new()), End::Rst, "connection {n}");
        }
    }
    // Closed from this side, and read to the other side's end: then their places are free.
    for mut conn in conns.drain(..open) {
        conn.shutdown(Shutdown::Write)
            .expect("a half-closed connection");
        assert_eq!(peer::end(&mut conn, &mut Vec::new()), End::Fin);
    }
    assert!(after.starts_with("after closing them: 00 + ping -> still-open"));
    let mut conn = ported.connect();
    conn.write_all(&ping).expect("a connection let in");
    let mut said = reply;
    conn.read_exact(&mut said).expect("a free place");
    assert_eq!(said, wanted);
    1
}

#[test]
fn every_case_has_a_client_and_every_client_a_case() {
    let on_disk: BTreeSet<String> = file::on_disk().into_iter().collect();
    let known: BTreeSet<String> = FILES.iter().map(|&file| file.to_owned()).collect();
    assert_eq!(on_disk, known, "files on disk, and files that are read");
    let mut names = BTreeSet::new();
    for &file in FILES.iter().filter(|file| !file.ends_with("connlimit.txt")) {
        let recordings = file::read(file);
        let recorded: BTreeSet<&str> = recordings.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(recorded.len(), recordings.len(), "{file}: two of one name");
        let left_out = LEFT_OUT
            .iter()
            .filter(|left| left.0 == file)
            .map(|left| left.1);
        let (_, cases) = cases(file, &recordings);
        let mut clients: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        clients.extend(left_out);
        let unique: BTreeSet<&str> = clients.iter().copied().collect();
        assert_eq!(
            unique.len(),
            clients.len(),
            "{file}: two clients of one name"
        );
        assert_eq!(unique, recorded, "{file}: clients, and cases of the file");
        names.extend(recorded.iter().map(|name| format!("{file} {name}")));
        for recording in &recordings {
            let case = cases.iter().find(|case| case.name == recording.name);
            stated_sizes(recording, case);
        }
    }
    for (file, name, _) in LEFT_OUT.iter().chain(KNOWN_DIFFERENCES) {
        assert!(names.contains(&format!("{file} {name}")), "{file}: {name}");
    }
}

/// Where a file says how large a request was, the client's has that size.
fn stated_sizes(recording: &Recording, case: Option<&Case>) {
    for line in recording
        .lines
        .iter()
        .filter(|line| line.starts_with("request "))
    {
        let size = line.split(' ').nth(1).expect("a size");
        let size: u32 = size.parse().expect("a size");
        let said = &case.expect("a client").turns[0].say;
        let mut words = said.windows(4);
        assert!(words.any(|word| word == size.to_be_bytes()), "{line}");
    }
}

#[test]
fn every_mask_is_a_row() {
    let table = include_str!("../docs/deviations.md");
    for &file in FILES {
        let recordings = file::read(file);
        for case in cases(file, &recordings).1 {
            if let Some((id, _)) = case.mask {
                let is_row = table.contains(&format!("\n| {id} |"));
                assert!(is_row, "{file}: {}: no row {id}", case.name);
            }
        }
    }
}

/// The recordings with one line changed.
fn changes(lines: &[String]) -> Vec<Vec<String>> {
    let ends = [
        ("still-open", "EOF(FIN)"),
        ("EOF", "still-open"),
        ("open |", "closed(FIN) |"),
        ("closed(FIN) |", "open |"),
    ];
    let mut changes = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        let mut changed = lines.to_vec();
        if let Some((from, to)) = ends.iter().find(|(from, _)| line.contains(from)) {
            changed[n] = line.replace(from, to);
            changes.push(changed);
        } else if line.starts_with("s2c ") {
            changed.remove(n);
            changes.push(changed);
        }
    }
    changes
}

#[test]
fn another_end_or_a_missing_frame_is_another_answer() {
    let mut seen = 0;
    for &file in FILES {
        for recording in file::read(file) {
            if matches!(recording.form, Form::Limit | Form::Foreign | Form::Heads) {
                continue;
            }
            let recorded = recording.told(&recording.lines);
            for lines in changes(&recording.lines) {
                // An acknowledgement of a list of sizes is not told.
                if recording.form == Form::Sizes && lines.len() < recording.lines.len() {
                    continue;
                }
                assert_ne!(recording.told(&lines), recorded, "{}", recording.name);
                seen += 1;
            }
        }
    }
    assert!(seen > 400, "{seen} changes");
}
