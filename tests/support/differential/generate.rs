//! Random programs.

use super::dice::Dice;
use super::item::Item;
use super::odd;
use super::step::{Calls, Header, Request, Step, Waits};
use super::talk::Transport;
use crate::matrix::msgpack::Value;

/// Ends of keys: behind the prefix of the run, so that every run has its own.
const TAILS: [&[u8]; 24] = [
    b"",
    b"a",
    b"b",
    b"a/",
    b"a/b",
    b"a/b/",
    b"a/b/c",
    b"a/b/d",
    b"a//b",
    b"ab",
    b"/lead",
    b"//",
    b"a%2Fb",
    b"%",
    b"sp ace",
    b" ",
    b"\0",
    b"a\0b",
    b"\xff\xfe",
    b"\xff",
    "\u{e9}\u{1f980}".as_bytes(),
    b"z-last",
    b"quote\"\\\n",
    b"A",
];
const OPS: [&str; 7] = [
    "set",
    "cas",
    "delete",
    "delete-cas",
    "delete-tree",
    "lock",
    "unlock",
];
const OTHER_OPS: [&str; 10] = [
    "get",
    "get-tree",
    "check-index",
    "check-session",
    "check-not-exists",
    "",
    "SET",
    "set ",
    "it's",
    "\u{e9}\n\"",
];
const SESSIONS: [&[u8]; 8] = [
    b"",
    b"d5a8d9b4-0000-4000-8000-000000000001",
    b"no uuid",
    b"q\"\\\n\x01\x7f",
    b"\xff\xfe",
    "\u{e9}\u{200b}\u{1f980}".as_bytes(),
    "\u{7}\u{8}\u{b}\u{c}\r\t'`".as_bytes(),
    b"D5A8D9B4-0000-4000-8000-000000000001",
];
const DATACENTERS: [&str; 6] = ["", "dc2", "DC1", "dc1 ", "dc", "\u{e9}"];
const NUMBERS: [u64; 12] = [
    0,
    1,
    42,
    127,
    128,
    255,
    256,
    65_535,
    65_536,
    u32::MAX as u64,
    1 << 32,
    u64::MAX,
];
const SIZES: [usize; 12] = [0, 1, 15, 31, 32, 33, 255, 256, 4_000, 4_096, 65_535, 65_536];
const LARGE: [usize; 6] = [131_072, 262_144, 300_000, 524_288, 524_289, 1 << 20];
const SEPARATORS: [&[u8]; 8] = [b"", b"/", b"a", b"//", b"b/", b"\0", b"\xff", b"nowhere"];
const MILLISECOND: u64 = 1_000_000;

/// A program of this seed with about so many calls.
pub(crate) fn program(seed: u64, calls: usize) -> Vec<Step> {
    let mut dice = Dice::new(seed);
    let mut steps = Vec::new();
    let mut made = 0;
    while made < calls {
        let step = step(&mut dice);
        if step.requests().iter().any(|request| request.is_deadly()) {
            continue;
        }
        made += step.calls();
        steps.push(step);
    }
    steps
}

fn step(dice: &mut Dice) -> Step {
    match dice.below(100) {
        0..66 => Step::Calls(calls(dice)),
        66..71 => Step::Waits(waits(dice)),
        71..90 => Step::Odd(odd::odd(dice)),
        90..93 => Step::Port(odd::port(dice)),
        93..97 => Step::Frames(odd::frames(dice)),
        _ => Step::Case(odd::case(dice)),
    }
}

pub(crate) fn transport(dice: &mut Dice) -> Transport {
    *dice.pick(&[Transport::Plain, Transport::Yamux])
}

fn calls(dice: &mut Dice) -> Calls {
    let count = if dice.percent(15) {
        dice.between(2, 6)
    } else {
        1
    };
    let cuts = if dice.percent(12) {
        dice.between(1, 3)
    } else {
        0
    };
    Calls {
        on: transport(dice),
        fresh: dice.percent(8),
        requests: (0..count).map(|_| request(dice)).collect(),
        cuts: (0..cuts).map(|_| dice.below(4096)).collect(),
    }
}

/// A request that is answered at once.
pub(crate) fn request(dice: &mut Dice) -> Request {
    let mut request = match dice.below(100) {
        0..40 => write(dice),
        40..92 => {
            let mut request = read(dice);
            options(dice, &mut request.body);
            no_long_wait(dice, &mut request.body);
            request
        }
        _ => status(dice),
    };
    datacenter(dice, &mut request.body);
    request.seq = seq(dice);
    if dice.percent(6) {
        request.header = *dice.pick(&[
            Header::Swapped,
            Header::Positional,
            Header::Extra,
            Header::NoSeq,
        ]);
    }
    request
}

pub(crate) fn seq(dice: &mut Dice) -> u64 {
    if dice.percent(20) {
        *dice.pick(&NUMBERS)
    } else {
        dice.number() % 10_000
    }
}

pub(crate) fn tail(dice: &mut Dice) -> Vec<u8> {
    match dice.below(100) {
        0..3 => b"long/".repeat(120),
        3..6 => {
            let count = dice.between(1, 40);
            dice.bytes(count)
        }
        _ => dice.pick(&TAILS).to_vec(),
    }
}

fn key(dice: &mut Dice) -> Item {
    if dice.percent(3) {
        Item::text("")
    } else {
        Item::Own(tail(dice))
    }
}

fn prefix(dice: &mut Dice) -> Item {
    match dice.below(20) {
        0 => Item::text(""),
        1 => Item::text("df-"),
        _ => Item::Own(tail(dice)),
    }
}

fn value(dice: &mut Dice) -> Item {
    let size = match dice.below(1000) {
        0..150 => return Item::Value(Value::Nil),
        150..156 => *dice.pick(&LARGE),
        156..500 => *dice.pick(&SIZES[..8]),
        500..530 => *dice.pick(&SIZES),
        _ => dice.below(24),
    };
    // Few bytes of chance, or shrinking and printing would drown in them.
    let few = dice.bytes(7);
    Item::Value(Value::Raw(few.into_iter().cycle().take(size).collect()))
}

pub(crate) fn write(dice: &mut Dice) -> Request {
    let op = if dice.percent(6) {
        *dice.pick(&OTHER_OPS)
    } else {
        *dice.pick(&OPS)
    };
    // Half of what is written are plain sets, or there would be nothing to read.
    let op = if dice.percent(45) { "set" } else { op };
    let tail = tail(dice);
    let mut entry = Item::fields([("Key", Item::Own(tail.clone()))]);
    if dice.percent(3) {
        entry.set("Key", Item::text(""));
    }
    let is_checked = op.ends_with("cas");
    if !op.starts_with("delete") || dice.percent(10) {
        let value = value(dice);
        entry.set("Value", value);
    }
    if is_checked || dice.percent(10) {
        let index = match dice.below(10) {
            0..2 => Item::uint(0),
            2..7 => Item::ModifyIndex(tail, 0),
            7 => Item::ModifyIndex(tail, 1),
            8 => Item::ModifyIndex(tail, -1),
            _ => Item::uint(*dice.pick(&NUMBERS)),
        };
        entry.set("ModifyIndex", index);
    }
    if dice.percent(25) {
        let flags = if dice.percent(60) {
            *dice.pick(&NUMBERS)
        } else {
            dice.number()
        };
        entry.set("Flags", Item::uint(flags));
    }
    if dice.percent(8) {
        entry.set("LockIndex", Item::uint(*dice.pick(&NUMBERS)));
    }
    if dice.percent(5) {
        entry.set("CreateIndex", Item::uint(*dice.pick(&NUMBERS)));
    }
    if op.ends_with("lock") || dice.percent(5) {
        let session = Value::Raw(dice.pick(&SESSIONS).to_vec());
        entry.set("Session", Item::Value(session));
    }
    let mut body = Item::fields([("DirEnt", entry), ("Op", Item::text(op))]);
    if dice.percent(10) {
        token(dice, &mut body);
    }
    Request::new(1, "KVS.Apply", body)
}

fn token(dice: &mut Dice, body: &mut Item) {
    let tokens = ["", "anonymous", "6f2a7c5e-0000-4000-8000-00000000000f"];
    body.set("Token", Item::text(dice.pick::<&str>(&tokens)));
}

pub(crate) fn read(dice: &mut Dice) -> Request {
    match dice.below(10) {
        0..5 => Request::new(1, "KVS.Get", Item::fields([("Key", key(dice))])),
        5..7 => Request::new(1, "KVS.List", Item::fields([("Key", prefix(dice))])),
        _ => {
            let mut body = Item::fields([("Prefix", prefix(dice))]);
            if dice.percent(75) {
                let separator = Value::Raw(dice.pick(&SEPARATORS).to_vec());
                body.set("Seperator", Item::Value(separator));
            }
            Request::new(1, "KVS.ListKeys", body)
        }
    }
}

fn status(dice: &mut Dice) -> Request {
    let method = *dice.pick(&[
        "Status.Ping",
        "Status.Leader",
        "Status.Peers",
        "Status.RaftStats",
    ]);
    let mut body = Item::fields([]);
    if dice.percent(20) {
        options(dice, &mut body);
        no_long_wait(dice, &mut body);
    }
    Request::new(1, method, body)
}

/// Ours, mostly.
pub(crate) fn datacenter(dice: &mut Dice, body: &mut Item) {
    match dice.below(100) {
        0..80 => body.set("Datacenter", Item::text("dc1")),
        80..90 => body.set("Datacenter", Item::text(dice.pick::<&str>(&DATACENTERS))),
        _ => {}
    }
}

/// Each of the query options, sometimes.
fn options(dice: &mut Dice, body: &mut Item) {
    for name in [
        "AllowStale",
        "RequireConsistent",
        "UseCache",
        "MustRevalidate",
    ] {
        if dice.percent(8) {
            let value = dice.percent(70);
            body.set(name, Item::Value(Value::Bool(value)));
        }
    }
    for name in ["MaxAge", "MaxStaleDuration", "StaleIfError"] {
        if dice.percent(5) {
            let value = if dice.percent(20) {
                Value::Int(-1_000_000)
            } else {
                Value::UInt(*dice.pick(&NUMBERS))
            };
            body.set(name, Item::Value(value));
        }
    }
    if dice.percent(4) {
        let filters = ["", "Key == a", "not a filter ((", "Flags == 1"];
        body.set("Filter", Item::text(dice.pick::<&str>(&filters)));
    }
    if dice.percent(4) {
        body.set("AllowNotModifiedResponse", Item::Value(Value::Bool(true)));
    }
    if dice.percent(8) {
        token(dice, body);
    }
    if dice.percent(4) {
        body.set("Unknown", Item::uint(7));
    }
    if dice.percent(6) {
        let time = if dice.percent(50) {
            dice.number()
        } else {
            10 * MILLISECOND
        };
        body.set("MaxQueryTime", Item::uint(time));
    }
}

/// An index that does not wait, or waits for a moment.
fn no_long_wait(dice: &mut Dice, body: &mut Item) {
    if !dice.percent(14) {
        return;
    }
    let (index, time) = match dice.below(6) {
        0 => (Item::uint(0), dice.number() >> 1),
        1 => (Item::uint(1), MILLISECOND),
        2 => (Item::Now(-1), MILLISECOND),
        3 => (Item::Now(0), dice.number() % (3 * MILLISECOND) + 1),
        4 => (Item::Now(1), MILLISECOND),
        _ => (Item::uint(*dice.pick(&NUMBERS)), MILLISECOND),
    };
    body.set("MinQueryIndex", index);
    body.set("MaxQueryTime", Item::uint(time));
}

/// A few queries, of which some wait for their time and some for the write.
fn waits(dice: &mut Dice) -> Waits {
    let write = dice.percent(75).then(|| {
        let mut write = write(dice);
        datacenter(dice, &mut write.body);
        write
    });
    let about = match &write {
        Some(write) => write
            .body
            .field("DirEnt")
            .and_then(|entry| entry.field("Key"))
            .cloned(),
        None => None,
    };
    let mut queries = Vec::new();
    for _ in 0..dice.between(1, 4) {
        let on = transport(dice);
        let mut query = read(dice);
        // Mostly about what is written.
        if let (Some(about), true) = (&about, dice.percent(70)) {
            let name = if query.method.ends_with(b"Keys") {
                "Prefix"
            } else {
                "Key"
            };
            query.body.set(name, about.clone());
        }
        query.body.set("Datacenter", Item::text("dc1"));
        let is_short = write.is_none() || dice.percent(40);
        let index = match dice.below(10) {
            0 => Item::Now(1),
            // Nothing wakes this one.
            1 if is_short => Item::uint(u64::MAX),
            _ => Item::Now(0),
        };
        query.body.set("MinQueryIndex", index);
        let time = if is_short {
            Item::uint((1 + dice.number() % 25) * MILLISECOND)
        } else {
            let long = [
                Value::UInt(60_000 * MILLISECOND),
                Value::UInt(0),
                Value::Int(-5),
                Value::UInt(u64::MAX),
                Value::UInt(900_000 * MILLISECOND),
            ];
            Item::Value(dice.pick(&long).clone())
        };
        query.body.set("MaxQueryTime", time);
        for name in ["AllowStale", "RequireConsistent"] {
            if dice.percent(10) {
                query.body.set(name, Item::Value(Value::Bool(true)));
            }
        }
        query.seq = seq(dice);
        queries.push((on, query));
    }
    Waits { queries, write }
}
