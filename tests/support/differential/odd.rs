//! Random things that no client of Consul says, but that strangers do.

use super::dice::Dice;
use super::generate::{datacenter, read, request, seq, tail, transport, write};
use super::item::Item;
use super::mask::TEXTS;
use super::step::{Damage, Header, Move, Named, Odd, Request, Then};

use crate::matrix::{
    Case,
    ask::{ping, text},
    file,
    msgpack::Value,
    netrpc, port as first, yamux,
};

/// Methods that nobody has.
const UNKNOWN: [&[u8]; 24] = [
    b"",
    b".",
    b"..",
    b"KVS",
    b"KVS.",
    b".Get",
    b"KVS..Get",
    b"A.KVS.Get",
    b"KVS.Get.X",
    b"kvs.Get",
    b"KVS.get",
    b"KVS.Get ",
    b" KVS.Get",
    b"KVS.Nope",
    b"Nope.Get",
    b"Status.",
    b"Status.Ping.",
    b"Status.Nope",
    b"KVS.\0Get",
    b"KVS.\xff\xfe",
    b"K\xc3\xa9.Get",
    b"KVS/Get",
    b"%s.%d",
    b"KVS.Get\n",
];
/// Methods that Consul has and ours has not (D21), which only read.
const ELSEWHERE: [&str; 8] = [
    "Catalog.ListNodes",
    "Catalog.ListServices",
    "Catalog.ListDatacenters",
    "Session.List",
    "ACL.TokenList",
    "ACL.Get",
    "Coordinate.ListNodes",
    "Internal.NodeDump",
];
/// Bytes that may be put anywhere: none claims a large length, and none is a negative number (D18).
const HARMLESS: [u8; 26] = [
    0x00, 0x01, 0x02, 0x0f, 0x20, 0x41, 0x7f, 0x80, 0x81, 0x83, 0x8f, 0x90, 0x91, 0x9f, 0xa0, 0xa3,
    0xbf, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xca, 0xcc, 0xd4, 0xd9,
];

pub(crate) fn odd(dice: &mut Dice) -> Odd {
    let (requests, damage) = match dice.below(100) {
        0..25 => (vec![unknown(dice)], Damage::None),
        25..30 => (vec![unknown(dice), request(dice)], Damage::None),
        30..65 => (vec![malformed(dice)], Damage::None),
        65..80 => {
            let flip = Damage::Flip(dice.below(512), *dice.pick(&HARMLESS));
            (vec![simple(dice)], flip)
        }
        80..96 => {
            let thens = [Then::Silence, Then::Finish, Then::Reset, Then::HangUp];
            let cut = Damage::Cut(dice.below(512), *dice.pick(&thens));
            (vec![simple(dice)], cut)
        }
        _ => (vec![elsewhere(dice)], Damage::None),
    };
    Odd {
        on: transport(dice),
        requests,
        damage,
    }
}

fn unknown(dice: &mut Dice) -> Request {
    let mut unknown = request(dice);
    match dice.below(12) {
        0 => unknown.header = Header::NoMethod,
        1 => unknown.header = Header::NilMethod,
        2 => unknown.method = b"KVS.".iter().chain(&[b'x'; 508]).copied().collect(),
        3 => unknown.method = vec![b'n'; dice.between(500, 600)],
        _ => unknown.method = dice.pick(&UNKNOWN).to_vec(),
    }
    unknown
}

fn elsewhere(dice: &mut Dice) -> Request {
    let method = *dice.pick(&ELSEWHERE);
    let body = Item::fields([("Datacenter", Item::text("dc1"))]);
    Request::new(seq(dice), method, body)
}

/// A request whose bytes mean little wherever they are read.
fn simple(dice: &mut Dice) -> Request {
    let key = Item::Own(b"flip/k".to_vec());
    let (method, mut body) = match dice.below(6) {
        0 => ("KVS.Get", Item::fields([("Key", key)])),
        1 => ("KVS.List", Item::fields([("Key", key)])),
        2 => ("KVS.ListKeys", Item::fields([("Prefix", key)])),
        3 => ("Status.Leader", Item::fields([])),
        4 => ("Status.Ping", Item::fields([])),
        _ => {
            let entry = Item::fields([
                ("Flags", Item::uint(5)),
                ("Key", key),
                ("Value", Item::text("v")),
            ]);
            (
                "KVS.Apply",
                Item::fields([("DirEnt", entry), ("Op", Item::text("set"))]),
            )
        }
    };
    body.set("Datacenter", Item::text("dc1"));
    if dice.percent(30) && method != "KVS.Apply" {
        body.set("AllowStale", Item::Value(Value::Bool(true)));
    }
    Request::new(1, method, body)
}

/// Values that fit few fields.
fn strange(dice: &mut Dice) -> Item {
    let bytes = |bytes: &[u8]| Item::Bytes(bytes.to_vec());
    match dice.below(26) {
        0 => bytes(b"\xc0"),
        1 => bytes(b"\xc2"),
        2 => bytes(b"\xc3"),
        3 => Item::uint(0),
        4 => Item::uint(1),
        5 => Item::uint(7),
        6 => Item::uint(300),
        7 => Item::Value(Value::Int(-1)),
        8 => Item::Value(Value::Int(-33)),
        9 => Item::Value(Value::Int(i64::MIN)),
        10 => bytes(b"\xcb\x40\x08\0\0\0\0\0\0"),
        11 => bytes(b"\xca\x40\x40\0\0"),
        12 => Item::text("text"),
        13 => Item::text(""),
        14 => bytes(b"\x90"),
        15 => bytes(b"\x93\x01\x02\x03"),
        16 => bytes(b"\x80"),
        17 => bytes(b"\x81\xa1a\xa1b"),
        18 => bytes(b"\xc4\x02ab"),
        19 => bytes(b"\xd9\x02ab"),
        20 => bytes(b"\xd6\xff\0\0\0\0"),
        21 => bytes(b"\xc7\x01\x05\0"),
        22 => bytes(b"\xd4\x01\0"),
        23 => bytes(b"\xc1"),
        24 => bytes(b"\xda\0\x01x"),
        _ => bytes(b"\xd3\xff\xff\xff\xff\xff\xff\xff\xff"),
    }
}

/// All fields of the requests, to be given strange values.
const READ_FIELDS: [&str; 15] = [
    "Datacenter",
    "Key",
    "Prefix",
    "Seperator",
    "Token",
    "Filter",
    "AllowStale",
    "RequireConsistent",
    "UseCache",
    "MustRevalidate",
    "AllowNotModifiedResponse",
    "MaxAge",
    "MaxStaleDuration",
    "MaxQueryTime",
    "MinQueryIndex",
];
const ENTRY_FIELDS: [&str; 7] = [
    "Key",
    "Value",
    "Flags",
    "LockIndex",
    "Session",
    "CreateIndex",
    "ModifyIndex",
];

fn malformed(dice: &mut Dice) -> Request {
    let mut request = if dice.percent(45) {
        write(dice)
    } else {
        read(dice)
    };
    datacenter(dice, &mut request.body);
    request.seq = seq(dice);
    match dice.below(10) {
        0 => request.body = strange(dice),
        1 => request.body = positional(dice, &request),
        2 => twice(dice, &mut request.body),
        3 => strange_key(dice, &mut request.body),
        _ if request.method == b"KVS.Apply" => strange_in_write(dice, &mut request.body),
        _ => strange_in_read(dice, &mut request.body),
    }
    request
}

fn strange_in_read(dice: &mut Dice, body: &mut Item) {
    let name = *dice.pick(&READ_FIELDS);
    let value = strange(dice);
    body.set(name, value);
    if name == "MinQueryIndex" {
        body.set("MaxQueryTime", Item::uint(1_000_000));
    }
}

fn strange_in_write(dice: &mut Dice, body: &mut Item) {
    let outer = ["Datacenter", "DirEnt", "Op", "Token"];
    let is_outer = dice.percent(35);
    let name = if is_outer {
        *dice.pick(&outer)
    } else {
        *dice.pick(&ENTRY_FIELDS)
    };
    let mut value = strange(dice);
    // Read as the length of a text (D18), it would leave another key with each of them.
    while TEXTS.contains(&name) && matches!(value, Item::Value(Value::Int(-32..=-1))) {
        value = strange(dice);
    }
    if is_outer {
        return body.set(name, value);
    }
    if let Some(mut entry) = body.field("DirEnt").cloned() {
        entry.set(name, value);
        body.set("DirEnt", entry);
    }
}

/// A struct as a list of its fields.
fn positional(dice: &mut Dice, request: &Request) -> Item {
    let dc = Item::text("dc1");
    let own = Item::Own(tail(dice));
    let items = match request.method.as_slice() {
        b"KVS.Apply" => {
            let entry = Item::fields([("Key", own)]);
            vec![dc, Item::text("set"), entry]
        }
        _ => vec![dc, own],
    };
    let count = dice.between(0, items.len());
    Item::List(items.into_iter().take(count).collect())
}

/// A field that comes twice.
fn twice(dice: &mut Dice, body: &mut Item) {
    let is_entry = body.field("DirEnt").is_some() && dice.percent(30);
    if let Item::Struct(fields) = body {
        if is_entry {
            // Nothing is written: what is left of the first differs (D30).
            let key = Item::fields([("Key", Item::Own(b"twice".to_vec()))]);
            let value = Item::fields([("Value", Item::text("v"))]);
            *fields = vec![
                (text("DirEnt"), key),
                (text("DirEnt"), value),
                (text("Op"), Item::text("get")),
            ];
            return;
        }
        let again = fields[dice.below(fields.len())].clone();
        if !again.0.is_text("DirEnt") {
            fields.push(again);
        }
    }
}

/// A key that is no name of a field.
fn strange_key(dice: &mut Dice, body: &mut Item) {
    let keys = [
        Value::Nil,
        Value::UInt(1),
        Value::Bool(true),
        text(""),
        text("key"),
        text("KEY"),
        text("Nested"),
        Value::Array(Vec::new()),
        Value::Raw(b"\xff".to_vec()),
    ];
    let key = dice.pick(&keys).clone();
    let value = strange(dice);
    if let Item::Struct(fields) = body {
        let at = dice.below(fields.len() + 1);
        fields.insert(at, (key, value));
    }
}

/// A first byte, and perhaps a call behind it.
pub(crate) fn port(dice: &mut Dice) -> Vec<u8> {
    let first = if dice.percent(40) {
        *dice.pick(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0x16])
    } else {
        dice.bytes(1)[0]
    };
    let behind = match (first, dice.below(4)) {
        // A Raft or a snapshot request is for their own suites.
        (1 | 5, _) | (_, 0..2) => Vec::new(),
        (4, _) => Vec::new(),
        _ => ping(1),
    };
    [vec![first], behind].concat()
}

/// Frames of a session: mostly good ones, and sometimes one that is not.
pub(crate) fn frames(dice: &mut Dice) -> Vec<Move> {
    let mut moves = Vec::new();
    let mut next = 1;
    for _ in 0..dice.between(1, 5) {
        let id = if dice.percent(80) { next } else { id(dice) };
        next = next.max(id).saturating_add(2);
        moves.extend(phrase(dice, id));
    }
    if dice.percent(35) {
        let broken = break_it(dice);
        // What Consul still answers when it is told to go is chance.
        let at = match broken {
            Move::GoAway(_) => 0,
            _ => dice.below(moves.len() + 1),
        };
        moves.insert(at, broken);
    }
    moves
}

/// An id that no library would choose next.
fn id(dice: &mut Dice) -> u32 {
    *dice.pick(&[2, 4, 99, 1 << 16, (1 << 31) - 1, 1 << 31, u32::MAX - 4])
}

/// One call or less, in one of its forms.
fn phrase(dice: &mut Dice, id: u32) -> Vec<Move> {
    let call = ping(seq(dice));
    match dice.below(14) {
        0..3 => vec![Move::Open(id), Move::Data(id, call)],
        3 => vec![Move::First(id, call)],
        4 => {
            let (front, back) = call.split_at(dice.below(call.len() - 1) + 1);
            vec![
                Move::Open(id),
                Move::Data(id, front.to_vec()),
                Move::Data(id, back.to_vec()),
            ]
        }
        5 => vec![Move::Open(id), Move::Data(id, [call, ping(2)].concat())],
        6 => vec![Move::Ping(7), Move::Open(id), Move::Data(id, call)],
        7 => vec![Move::Pong(9), Move::Open(id), Move::Data(id, call)],
        8 => vec![Move::GoAway(0), Move::Open(id), Move::Data(id, call)],
        9 => vec![Move::Data(id, call)],
        10 => vec![Move::Fin(id)],
        11 => vec![Move::Credit(id, 7), Move::Rst(id)],
        12 => vec![
            Move::Open(id),
            Move::Credit(id, 65_536),
            Move::Data(id, call),
        ],
        _ => vec![
            Move::Open(id),
            Move::Data(id, Vec::new()),
            Move::Data(id, call),
        ],
    }
}

/// What a row of the deviations is about, or an end.
fn break_it(dice: &mut Dice) -> Move {
    match dice.below(8) {
        0 => Move::Broken(1, 0),
        1 => Move::Broken(0, 4),
        2 => Move::Broken(0xff, 0xff),
        3 => Move::Open(1),
        4 => Move::Fin(1),
        5 => Move::Rst(1),
        6 => Move::GoAway(*dice.pick(&[1, 2, 9])),
        _ => Move::Open(0),
    }
}

/// A recorded case that needs no time.
pub(crate) fn case(dice: &mut Dice) -> Named {
    let cases = quick_cases();
    Named(dice.pick(&cases).clone())
}

/// What nobody waits in.
fn quick_cases() -> Vec<Case> {
    let recordings = file::read("consul-1.10/mux-netrpc-rules.txt");
    let foreign = netrpc::sent(&recordings);
    let mut cases = first::first_bytes();
    cases.extend(netrpc::leniency());
    cases.extend(netrpc::newer(foreign));
    cases.extend(yamux::cases(true));
    // A query in them asks for a second or more.
    cases.retain(|case| {
        !["pipelined", "0.3 s", "in use"]
            .iter()
            .any(|word| case.name.contains(word))
    });
    cases
}

/// All recorded cases, each with what has to be there before.
pub(crate) fn all_cases() -> (Vec<Case>, Vec<Case>) {
    let recordings = file::read("consul-1.10/mux-netrpc-rules.txt");
    let foreign = || netrpc::sent(&recordings);
    let setup = [yamux::setup(true), netrpc::setup()].concat();
    let cases = [
        first::first_bytes(),
        first::silence(),
        first::keepalive(),
        netrpc::leniency(),
        netrpc::newer(foreign()),
        netrpc::older(foreign()),
        yamux::cases(true),
        yamux::cases(false),
    ];
    (setup, cases.concat())
}
