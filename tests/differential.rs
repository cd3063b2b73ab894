//! The promise: nobody can tell oneport from the released Consul.
//!
//! A random program of calls goes in lockstep to a real Consul 1.13.9 and to our program, over both
//! transports, frame by frame and byte by byte, and so do the inputs of the recorded matrices.
//! Replies, errors and ends are compared; indexes only by their order, and the servers' own addresses
//! by their role. Whatever else differs is explained by a row of `docs/deviations.md`, or the test
//! stops there, makes the program small and shows both sides.
//!
//! All of a program follows from its seed. `ONEPORT_SEED=7` runs that seed alone, `ONEPORT_SEEDS=200`
//! as many seeds, `ONEPORT_CALLS=2000` longer programs; `tests/interop/README.md` has more.
//!
//! A comparison that sees nothing would pass too: a proxy in front of ours changes one byte, key,
//! width or text, which has to be noticed each time.

#[path = "support/differential/mod.rs"]
mod differential;
#[path = "support/matrix/mod.rs"]
#[allow(dead_code, reason = "what is played at pipes is another test's")]
mod matrix;
#[path = "support/peers.rs"]
#[allow(dead_code, reason = "Consul's client is another test's")]
mod peers;
#[path = "support/process.rs"]
mod process;
#[path = "support/tell.rs"]
mod tell;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use differential::both::Both;
use differential::case::play;
use differential::difference::Difference;
use differential::proxy::{Fault, Proxy};
use differential::runner::Runner;
use differential::step::Step;
use differential::{generate, mask, odd, shrink};
use peers::{Consul, Go};
use process::Agent;
use tell::tell;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The seeds that always run, with one more that nobody has seen.
const SEEDS: u64 = 20;
/// The calls of a program.
const CALLS: usize = 500;
const TABLE: &str = include_str!("../docs/deviations.md");

/// Both servers; they end with this value.
struct Servers {
    consul: Consul,
    ours: Agent,
}

impl Servers {
    fn start(go: Go) -> Servers {
        Servers {
            consul: Consul::start(go),
            ours: Agent::start(),
        }
    }

    fn addrs(&self) -> Both<SocketAddr> {
        let consul = self.consul.addr().parse().expect("an address and a port");
        Both::new(consul, self.ours.addr())
    }
}

/// A setting from the environment, which has to be a number.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    match text.parse() {
        Ok(number) => Some(number),
        Err(_) => panic!("{name} is a number from 0 to {}, not {text:?}", u64::MAX),
    }
}

fn calls() -> usize {
    number("ONEPORT_CALLS").map_or(CALLS, |calls| {
        usize::try_from(calls).expect("ONEPORT_CALLS is a size")
    })
}

/// The seeds to run: one that was asked for, or the known ones and a fresh one.
fn seeds() -> Vec<u64> {
    if let Some(seed) = number("ONEPORT_SEED") {
        return vec![seed];
    }
    let known = number("ONEPORT_SEEDS").unwrap_or(SEEDS);
    let fresh = RandomState::new().build_hasher().finish();
    (1..=known).chain([fresh]).collect()
}

#[tokio::test]
async fn random_programs_get_the_same_answers() {
    let Some(go) = Go::find() else { return };
    let servers = Servers::start(go);
    let mut runner = Runner::new(servers.addrs());
    let (seeds, began) = (seeds(), Instant::now());
    let mut shown = began;
    for (done, seed) in seeds.iter().enumerate() {
        let steps = generate::program(*seed, calls());
        if let Err(found) = runner.run(&steps).await {
            let told = report(&servers, *seed, steps, found).await;
            panic!("{told}");
        }
        if shown.elapsed() >= Duration::from_secs(20) {
            shown = Instant::now();
            tell(&format!(
                "differential: {} of {} seeds",
                done + 1,
                seeds.len()
            ));
        }
    }
    tell(&format!(
        "differential: {} seeds (the last {}), {} calls in {} s, 0 differences outside docs/deviations.md; {}",
        seeds.len(),
        seeds.last().expect("one at least"),
        runner.calls,
        began.elapsed().as_secs(),
        uses(&runner.masked)
    ));
    assert!(
        runner.calls >= seeds.len() * calls(),
        "calls that were made"
    );
}

/// How often each row was needed.
fn uses(masked: &BTreeMap<&'static str, usize>) -> String {
    let one = |(id, times): (&&str, &usize)| format!("{id} masked {times} times");
    let all: Vec<String> = masked.iter().map(one).collect();
    if all.is_empty() {
        return "nothing masked".to_owned();
    }
    all.join(", ")
}

/// So many steps of a program that could not be made small are shown.
const SHOWN: usize = 30;

/// The difference, in the smallest program that shows it.
async fn report(servers: &Servers, seed: u64, steps: Vec<Step>, found: Difference) -> String {
    tell(&format!(
        "differential: seed {seed} differs, making it small"
    ));
    let mut runner = Runner::new(servers.addrs()).hurried();
    let count = steps.len();
    let (steps, small) = shrink::shrink(&mut runner, steps, found).await;
    let mut told = String::new();
    let front = steps.len().saturating_sub(SHOWN);
    if front > 0 {
        _ = writeln!(told, "  ({front} steps before these)");
    }
    for (number, step) in steps.iter().enumerate().skip(front) {
        _ = writeln!(told, "  {}. {step}", number + 1);
    }
    format!(
        "seed {seed} differs; {} of its {count} steps are enough:\n{told}{small}\n\
         again: ONEPORT_SEED={seed} ONEPORT_CALLS={} cargo test --test differential random\n\
         the agent said:\n{}",
        steps.len(),
        calls(),
        last_lines(&servers.ours.said())
    )
}

fn last_lines(said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// So many cases are played beside each other; the servers count the connections of one source.
const BESIDE: usize = 24;

#[tokio::test]
async fn the_recorded_inputs_get_the_same_answers_from_both() {
    let Some(go) = Go::find() else { return };
    let servers = Servers::start(go);
    let addrs = servers.addrs();
    let (setup, cases) = odd::all_cases();
    // Whatever a case writes is there before any reads it.
    let writes = |case: &&matrix::Case| {
        let apply = b"KVS.Apply";
        let mut said = case.turns.iter().map(|turn| &turn.say);
        said.any(|say| say.windows(apply.len()).any(|window| window == apply))
    };
    for case in setup.iter().chain(cases.iter().filter(writes)) {
        let quickly = case.clone().listen(Duration::from_millis(100));
        let (_, compared) = play(&addrs, &quickly).await;
        assert!(
            compared.is_ok() || case.mask.is_some(),
            "{}: {compared:?}",
            case.name
        );
    }
    let beside = Arc::new(Semaphore::new(BESIDE));
    let mut playing = JoinSet::new();
    let count = cases.len();
    for case in cases {
        let (beside, addrs) = (Arc::clone(&beside), addrs.clone());
        playing.spawn(async move {
            let _place = beside.acquire().await;
            let (seen, compared) = play(&addrs, &case).await;
            (case, seen, compared)
        });
    }
    let mut masked = BTreeMap::new();
    let mut differences = Vec::new();
    for (case, seen, compared) in playing.join_all().await {
        match (compared, case.mask) {
            (Ok(()), _) => {}
            (Err(_), Some((id, _))) => *masked.entry(id).or_default() += 1,
            (Err(place), None) => differences.push(format!(
                "{:?} differs in {place}\n  Consul:\n{}\n  ours:\n{}",
                case.name, seen.consul, seen.ours
            )),
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    tell(&format!(
        "differential: {count} recorded inputs to both, 0 differences outside docs/deviations.md; {}",
        uses(&masked)
    ));
}

/// What the negative control runs.
const CONTROL_SEEDS: std::ops::RangeInclusive<u64> = 101..=106;
const CONTROL_CALLS: usize = 150;

#[tokio::test]
async fn whatever_a_proxy_changes_is_noticed() {
    let Some(go) = Go::find() else { return };
    let servers = Servers::start(go);
    let addrs = servers.addrs();
    let mut noticed = 0;
    for seed in CONTROL_SEEDS {
        // The proxy itself makes no difference, and what a row explains is no control.
        let proxy = Proxy::start(addrs.ours, Fault::Nothing, seed).await;
        let mut runner = Runner::new(Both::new(addrs.consul, proxy.addr()));
        runner.call_ours(addrs.ours);
        let mut steps = generate::program(seed, CONTROL_CALLS);
        if let Err(found) = runner.run(&steps).await {
            panic!("seed {seed}, unchanged: {}\n{found}", steps[found.at]);
        }
        let mut number = 0;
        steps.retain(|_| {
            number += 1;
            !runner.masked_at.contains(&(number - 1))
        });
        for fault in [Fault::Byte, Fault::Key, Fault::Width, Fault::Text] {
            let proxy = Proxy::start(addrs.ours, fault, seed).await;
            let mut runner = Runner::new(Both::new(addrs.consul, proxy.addr())).hurried();
            runner.call_ours(addrs.ours);
            let found = runner.run(&steps).await;
            assert_eq!(
                proxy.changed(),
                1,
                "seed {seed}, {fault:?}: replies changed"
            );
            assert!(found.is_err(), "seed {seed}: nobody noticed {fault:?}");
            noticed += 1;
        }
    }
    tell(&format!(
        "differential: {noticed} of {noticed} changes by a proxy noticed: bytes, keys, widths and texts"
    ));
}

#[tokio::test]
async fn a_difference_is_made_small() {
    let (one, other) = (Agent::start(), Agent::start());
    let proxy = Proxy::start(other.addr(), Fault::Flags, 0).await;
    let mut runner = Runner::new(Both::new(one.addr(), proxy.addr())).hurried();
    runner.call_ours(other.addr());
    for seed in 1..20 {
        let steps = generate::program(seed, 300);
        let Err(found) = runner.run(&steps).await else {
            continue;
        };
        assert!(found.at > 1, "a difference that is small from the start");
        let (steps, found) = shrink::shrink(&mut runner, steps, found).await;
        let requests: Vec<_> = steps.iter().flat_map(Step::requests).collect();
        let text: Vec<String> = steps.iter().map(Step::to_string).collect();
        // What sets the flags, and what reads them.
        assert_eq!(requests.len(), 2, "{text:#?}\n{found}");
        assert!(
            text[0].contains("Flags\": 18446744073709551615"),
            "{text:#?}"
        );
        assert!(found.place.ends_with("Flags"), "{found}");
        return;
    }
    panic!("no program sets all flags and reads them");
}

#[test]
fn every_mask_is_a_row() {
    let cases = odd::all_cases().1;
    let of_cases = cases.iter().filter_map(|case| case.mask.map(|(id, _)| id));
    for id in mask::ids().chain(of_cases) {
        assert!(TABLE.contains(&format!("\n| {id} |")), "no row {id}");
    }
}

#[test]
fn a_program_is_its_seed() {
    assert!(generate::program(7, 300) == generate::program(7, 300));
    assert!(generate::program(7, 300) != generate::program(8, 300));
}
