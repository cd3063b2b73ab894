//! What clients say in net/rpc sessions.

use super::{
    Case,
    answer::unhex,
    ask::{call, map, ping, plain, request, set, text, waits},
    file::Recording,
    msgpack::Value,
};

/// An extension of four bytes, as newer encoders write it.
const EXTENSION: &[u8] = b"\xd6\xff\0\0\0\0";
/// A float, which the decoder of the tests does not write.
const FLOAT: &[u8] = b"\xcb\x40\x08\0\0\0\0\0\0";
const BINARY: &[u8] = b"\xc4\x07foo/bar";

/// What was there: one key that was changed later.
pub(crate) fn setup() -> Vec<Case> {
    let one = |value: &[u8]| Case::new("setup", plain([set("foo/bar", value)]));
    vec![one(b"first"), one(b"cas1")]
}

/// A body with values as they are.
fn raw_body(entries: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut body = vec![0x80 | u8::try_from(entries.len()).expect("few entries")];
    for (key, value) in entries {
        body.extend_from_slice(key);
        body.extend_from_slice(value);
    }
    body
}

/// A read of this key with one more field, whose value is as it is.
fn get_with(key: &str, field: &str, value: &[u8]) -> Vec<u8> {
    let (name, key) = (text("Key").encode(), text(key).encode());
    let (dc, dc1) = (text("Datacenter").encode(), text("dc1").encode());
    let field = text(field).encode();
    let body = raw_body(&[(&dc, &dc1), (&name, &key), (&field, value)]);
    plain([request(1, "KVS.Get", &body)])
}

/// A read whose key is as it is.
fn get_raw(key: &[u8]) -> Vec<u8> {
    let (dc, dc1) = (text("Datacenter").encode(), text("dc1").encode());
    let name = text("Key").encode();
    plain([request(
        1,
        "KVS.Get",
        &raw_body(&[(&dc, &dc1), (&name, key)]),
    )])
}

/// A call with one entry whose key is as it is.
fn leader_raw(key: &[u8]) -> Vec<u8> {
    plain([request(1, "Status.Leader", &raw_body(&[(key, b"\xa3dc1")]))])
}

fn twice(key: &str) -> Vec<u8> {
    let (name, key) = (text("Key").encode(), text(key).encode());
    let (dc, dc1) = (text("Datacenter").encode(), text("dc1").encode());
    let none = text("none").encode();
    let body = raw_body(&[(&dc, &dc1), (&name, &none), (&name, &key)]);
    plain([request(1, "KVS.Get", &body)])
}

/// A read whose name of the datacenter's field is not one.
fn lower_case(key: &str) -> Vec<u8> {
    plain([call(
        "KVS.Get",
        [("datacenter", text("dc1")), ("Key", text(key))],
    )])
}

fn positional_header() -> Vec<u8> {
    let header = Value::Array(vec![text("Status.Ping"), Value::UInt(5)]);
    plain([[header.encode(), vec![0x80]].concat()])
}

fn extra_header() -> Vec<u8> {
    let header = map([("Extra", text("x")), ("ServiceMethod", text("Status.Ping"))]);
    plain([[header.encode(), vec![0x80]].concat()])
}

fn negative_seq() -> Vec<u8> {
    plain([b"\x82\xa3Seq\xff\xadServiceMethod\xabStatus.Ping\x80".to_vec()])
}

fn pipelined() -> Vec<u8> {
    let leader = map([("Datacenter", text("dc1"))]).encode();
    plain([
        waits(7, "none", 1),
        ping(9),
        request(3, "Status.Leader", &leader),
    ])
}

/// An error of a method, and a call behind it.
fn application_error() -> Vec<u8> {
    plain([set("", b"x"), ping(2)])
}

const MAX: [u8; 9] = [0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

/// The section of the 1.13 file.
pub(crate) fn newer(foreign: Vec<u8>) -> Vec<Case> {
    let key = "foo/bar";
    let none: [(&str, Value); 0] = [];
    vec![
        Case::new("pipelined reply", pipelined()),
        Case::new("application error then ping", application_error()),
        Case::new(
            "unknown service then ping",
            plain([call("Nope.X", none.clone()), ping(2)]),
        ),
        Case::new(
            "unknown method then ping",
            plain([call("KVS.X", none.clone()), ping(2)]),
        ),
        Case::new("header is a string", b"\0\xa5hello".to_vec()),
        Case::new("header as array [method,seq]", positional_header()),
        Case::new("header missing Seq + extra key", extra_header()),
        Case::new("str8 method and bin value", plain([foreign])),
        Case::new("string field as bin", get_raw(BINARY)),
        Case::new("int key map", leader_raw(&[1])),
        Case::new("nil key map", leader_raw(&[0xc0])),
        Case::new(
            "body array []",
            plain([request(1, "Status.Leader", &[0x90])]),
        ),
        Case::new("negative Seq", negative_seq()),
        Case::new("Seq max", plain([ping(u64::MAX)])),
        Case::new("float in int field", get_with(key, "MinQueryIndex", FLOAT)),
        Case::new(
            "u64 max into MaxQueryTime",
            get_with(key, "MaxQueryTime", &MAX),
        ),
        Case::new(
            "negative into MinQueryIndex",
            get_with(key, "MinQueryIndex", &[0xff]),
        ),
        Case::new("ext in string field", get_raw(EXTENSION)),
        Case::new("bool as 1", get_with(key, "AllowStale", &[1])),
        Case::new("bool as 2", get_with(key, "AllowStale", &[2])),
        Case::new("duplicate key", twice(key)),
        Case::new("lower case key name", lower_case(key)),
        Case::new("header cut", plain([b"\x82\xa3Seq\x01\xadServ".to_vec()])),
        Case::new(
            "legacy ACL.Get",
            plain([call("ACL.Get", none.clone()), ping(2)]),
        )
        .ours(
            "D21",
            r#"EOF(FIN) [("rpc: can't find service ACL.Get", 1, '{}')]"#,
        ),
        Case::new(
            "ACL.TokenList with ACLs off",
            plain([call("ACL.TokenList", none)]),
        )
        .ours(
            "D21",
            r#"EOF(FIN) [("rpc: can't find service ACL.TokenList", 1, '{}')]"#,
        ),
    ]
}

/// The file about msgpack.
pub(crate) fn leniency() -> Vec<Case> {
    let positional = Value::Array(vec![text("dc1"), text("foo/bar")]).encode();
    let none: [(&str, Value); 0] = [];
    vec![
        Case::new("int key map", leader_raw(&[1])),
        Case::new("nil key map", leader_raw(&[0xc0])),
        Case::new("int key 0x10 map", leader_raw(&[0x10])),
        Case::new(
            "body array[] for DCSpecific",
            plain([request(1, "Status.Leader", &[0x90])]),
        ),
        Case::new(
            "body array pos KeyRequest",
            plain([request(1, "KVS.Get", &positional)]),
        ),
        Case::new("str8", get_raw(b"\xd9\x07foo/bar")),
        Case::new("bin key", get_raw(BINARY)),
        Case::new("bin value ok", plain([binary_value()])),
        Case::new(
            "missing fields",
            plain([call(
                "KVS.Get",
                [("Datacenter", text("dc1")), ("Key", text("q/bin"))],
            )]),
        ),
        Case::new("seq max", plain([ping(u64::MAX)])),
        Case::new("seq neg", negative_seq()),
        Case::new("two dots", plain([call("A.B.Ping", none)])),
        Case::new("float in int", get_with("q/bin", "MinQueryIndex", FLOAT)),
        Case::new(
            "uint for int overflow",
            get_with("q/bin", "MaxQueryTime", &MAX),
        ),
        Case::new("negative uint", get_with("q/bin", "MinQueryIndex", &[0xff])),
        Case::new(
            "ext timestamp for time n/a; ext in string",
            get_raw(EXTENSION),
        ),
        Case::new("dup key last wins?", twice("q/bin")),
        Case::new("bool as int1", get_with("q/bin", "AllowStale", &[1])),
        Case::new("bool as int2", get_with("q/bin", "AllowStale", &[2])),
    ]
}

/// A write whose value is of the newer type for bytes.
fn binary_value() -> Vec<u8> {
    let entry = raw_body(&[
        (b"\xa3Key", b"\xa5q/bin"),
        (b"\xa5Value", b"\xc4\x02\x00\xff"),
    ]);
    let body = raw_body(&[
        (b"\xaaDatacenter", b"\xa3dc1"),
        (b"\xa6DirEnt", &entry),
        (b"\xa2Op", b"\xa3set"),
    ]);
    request(1, "KVS.Apply", &body)
}

/// The request that a file has in full.
pub(crate) fn sent(recordings: &[Recording]) -> Vec<u8> {
    let mut lines = recordings.iter().flat_map(|recording| &recording.lines);
    let sent = lines.find_map(|line| line.strip_prefix("sent "));
    unhex(sent.expect("what was sent"))
}

/// The 1.10 file.
pub(crate) fn older(foreign: Vec<u8>) -> Vec<Case> {
    let none: [(&str, Value); 0] = [];
    // The recorded answer shows that no float was refused, so none was in the fields that are read.
    let odd = raw_body(&[
        (b"\xaaDatacenter", b"\xa3dc1"),
        (b"\xa3Key", b"\xa7foo/bar"),
        (b"\xaaAllowStale", &[1]),
        (b"\xb1RequireConsistent", &[0]),
        (b"\xacMaxQueryTime", &[0xff]),
    ]);
    vec![
        Case::new(
            "pipelining on one net/rpc connection (mode byte 0)",
            pipelined(),
        ),
        Case::new(
            "application error, then another call on the same connection",
            application_error(),
        ),
        Case::new(
            "unknown method, then another call on the same connection",
            plain([call("Nope.X", none), ping(2)]),
        ),
        Case::new(
            "garbage header (string instead of map)",
            b"\0\xa5hello".to_vec(),
        ),
        Case::new(
            "header as positional array [Seq? ...] (struct declaration order ServiceMethod, Seq)",
            positional_header(),
        ),
        Case::new("header with missing Seq and an extra key", extra_header()),
        Case::new(
            "str8 (d9) and bin8 (c4) markers sent by a foreign encoder: ServiceMethod as d9, Key as d9, Value as c4",
            plain([foreign]),
        ),
        Case::new("string field sent as bin8 (Key = c4)", get_raw(BINARY)),
        Case::new(
            "uint64 field sent as float, bool sent as 0/1, duration as negative",
            plain([request(1, "KVS.Get", &odd)]),
        ),
    ]
}
