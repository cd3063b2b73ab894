//! The promise: what Consul answered, oneport answers.
//!
//! Recorded calls of the real Consul 1.13.9 (and of a 1.10 development build)
//! are made again, in their order, over both transports, and every reply is
//! compared with the recorded one. `tests/golden/README.md` has the rules, and
//! `tests/golden/left-out.txt` names the calls that are not made, with reasons.
//!
//! With `ONEPORT_GOLDEN_ADDR=127.0.0.1:8300` the calls go to the server there,
//! whose keys are deleted first. Against a real Consul 1.13.9 this must pass:
//! that is how this replay itself is tested.

#[path = "support/golden/mod.rs"]
mod golden;
#[path = "support/process.rs"]
mod process;
#[path = "support/tell.rs"]
mod tell;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use golden::compare::{Comparison, How, RECORDED_SERVER};
use golden::fake::{self, Fault};
use golden::msgpack::{self, Value};
use golden::record::{self, Call, Set, Version};
use golden::replay::{self, Outcome};
use process::Agent;

#[test]
fn recorded_calls_get_the_recorded_answers() {
    let left_out = record::left_out();
    let sets = record::sets();
    let elsewhere: Option<SocketAddr> = std::env::var("ONEPORT_GOLDEN_ADDR").ok().map(|addr| {
        addr.parse()
            .expect("ONEPORT_GOLDEN_ADDR is an address and a port")
    });

    let mut total = Outcome::default();
    for set in &sets {
        // A set of which nothing is replayed needs no server.
        if set
            .calls
            .iter()
            .all(|call| left_out.contains(&set.full_name(call)))
        {
            total.recorded += set.calls.len();
            total.left_out += set.calls.len();
            continue;
        }
        // Each set was recorded on a server that had just started.
        let agent = elsewhere.is_none().then(Agent::start);
        let server = match (&agent, elsewhere) {
            (Some(agent), _) => agent.addr(),
            (None, Some(addr)) => addr,
            (None, None) => unreachable!("without another server there is an agent"),
        };
        delete_all(server);
        let outcome = replay::replay(set, server, &left_out);
        if let (Some(agent), false) = (&agent, outcome.differences.is_empty()) {
            println!("the agent said:\n{}", agent.said());
        }
        total.recorded += outcome.recorded;
        total.bytes += outcome.bytes;
        total.decoded += outcome.decoded;
        total.left_out += outcome.left_out;
        total.differences.extend(outcome.differences);
    }

    let replayed = total.bytes + total.decoded;
    tell::tell(&format!(
        "golden: {} recorded, {replayed} replayed, {} compared byte for byte, {} compared decoded, {} left out",
        total.recorded, total.bytes, total.decoded, total.left_out
    ));
    for difference in &total.differences {
        println!("{difference}");
    }
    assert!(
        total.differences.is_empty(),
        "{} differences, see above",
        total.differences.len()
    );
    assert!(
        total.bytes > 0 && total.decoded > 0,
        "something was compared in both ways"
    );
    assert_eq!(
        replayed + total.left_out,
        total.recorded,
        "every call is replayed or left out"
    );
}

/// Deletes every key, so that a server of somebody else starts as a new one.
fn delete_all(server: SocketAddr) {
    let text = |text: &str| Value::Raw(text.as_bytes().to_vec());
    let map = |entries: Vec<(&str, Value)>| {
        Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| (text(key), value))
                .collect(),
        )
    };
    let header = map(vec![
        ("Seq", Value::UInt(1)),
        ("ServiceMethod", text("KVS.Apply")),
    ]);
    let body = map(vec![
        ("Datacenter", text("dc1")),
        ("DirEnt", map(vec![("Key", text(""))])),
        ("Op", text("delete-tree")),
    ]);
    let reply = replay::send(server, &[header.encode(), body.encode()].concat()).expect("a reply");
    let (header, ..) = msgpack::decode_pair(&reply).expect("a reply");
    assert_eq!(
        header.at("Error"),
        Some(&text("")),
        "all keys can be deleted"
    );
}

#[test]
fn the_list_of_calls_left_out_names_calls_that_exist() {
    let sets = record::sets();
    let recorded: BTreeSet<String> = sets
        .iter()
        .flat_map(|set| set.calls.iter().map(|call| set.full_name(call)))
        .collect();
    let calls: usize = sets.iter().map(|set| set.calls.len()).sum();
    assert_eq!(recorded.len(), calls, "no two calls share a name");
    let unknown: Vec<_> = record::left_out()
        .into_iter()
        .filter(|name| !recorded.contains(name))
        .collect();
    assert!(
        unknown.is_empty(),
        "left out, but never recorded: {unknown:?}"
    );
}

#[test]
fn no_replayed_call_needs_one_that_is_left_out() {
    let left_out = record::left_out();
    for set in record::sets() {
        for call in set
            .calls
            .iter()
            .filter(|call| !left_out.contains(&set.full_name(call)))
        {
            for part in &call.uses {
                let from = set.calls.iter().find(|other| other.name == part.from);
                let replayed = from.is_some_and(|from| !left_out.contains(&set.full_name(from)));
                assert!(
                    replayed,
                    "{} needs {}, which is not replayed",
                    set.full_name(call),
                    part.from
                );
            }
        }
    }
}

// From here: can this replay see a difference at all?

fn find<'a>(sets: &'a [Set], name: &str) -> &'a Call {
    let mut calls = sets
        .iter()
        .filter(|set| set.version == Version::V1_13)
        .flat_map(|set| &set.calls);
    calls
        .find(|call| call.name == name)
        .expect("it was recorded")
}

/// How many differences one changed reply makes.
fn differences(call: &Call, live: &[u8]) -> usize {
    let mut comparison = Comparison::new(Version::V1_13, RECORDED_SERVER.to_owned());
    comparison.reply("negative control", call, &call.reply, live);
    comparison.finish().len()
}

#[test]
fn a_recording_does_not_differ_from_itself() {
    for set in record::sets() {
        let mut comparison = Comparison::new(set.version, RECORDED_SERVER.to_owned());
        let mut ways = BTreeSet::new();
        for call in &set.calls {
            ways.insert(comparison.reply(&call.name, call, &call.reply, &call.reply));
        }
        let found = comparison.finish();
        assert!(found.is_empty(), "{}: {}", set.name, found[0]);
        assert!(ways.contains(&How::Decoded), "{}", set.name);
    }
}

/// A reply as if its index were 1.
fn without_index(reply: &[u8]) -> Option<(Value, Value)> {
    let (header, mut body, _) = msgpack::decode_pair(reply).ok()?;
    *body.at_mut("Index")? = Value::UInt(1);
    Some((header, body))
}

#[test]
fn every_flipped_byte_is_a_difference() {
    let sets = record::sets();
    // Bytes, a list with three places for one index, a text, an error.
    for name in [
        "kvs-apply-set",
        "kvs-get",
        "x-kvs-listkeys-all",
        "status-leader",
        "kvs-apply-nokey",
    ] {
        let call = find(&sets, name);
        assert_eq!(differences(call, &call.reply), 0, "{name}");
        for at in 0..call.reply.len() {
            for bit in [0x01, 0x10, 0x80] {
                let mut live = call.reply.clone();
                live[at] ^= bit;
                // A lone index can be any number: it means something only
                // beside others.
                let lone_index = call.method == "KVS.ListKeys"
                    && without_index(&live).is_some()
                    && without_index(&live) == without_index(&call.reply);
                assert!(
                    differences(call, &live) > 0 || lone_index,
                    "{name}: bit {bit:#x} of byte {at} changed and nobody saw it"
                );
            }
        }
        assert!(
            differences(call, &[&call.reply[..], &[0xc0]].concat()) > 0,
            "{name}: a byte more"
        );
        assert!(
            differences(call, &call.reply[..call.reply.len() - 1]) > 0,
            "{name}: a byte less"
        );
    }
}

/// The reply of a call with its body changed.
fn changed(call: &Call, change: impl FnOnce(&mut Vec<(Value, Value)>)) -> Vec<u8> {
    let (header, mut body, _) = msgpack::decode_pair(&call.reply).expect("a recorded reply");
    match &mut body {
        Value::Map(entries) => change(entries),
        other => panic!("no map: {other:?}"),
    }
    [header.encode(), body.encode()].concat()
}

#[test]
fn keys_that_are_missing_added_renamed_or_moved_are_differences() {
    let sets = record::sets();
    let call = find(&sets, "kvs-get");
    let new = || (Value::Raw(b"New".to_vec()), Value::Nil);
    assert!(
        differences(call, &changed(call, |body| drop(body.pop()))) > 0,
        "missing"
    );
    assert!(
        differences(call, &changed(call, |body| body.push(new()))) > 0,
        "added"
    );
    assert!(
        differences(call, &changed(call, |body| body[0].0 = new().0)) > 0,
        "renamed"
    );
    assert!(
        differences(call, &changed(call, |body| body.swap(0, 1))) > 0,
        "moved"
    );
}

#[test]
fn an_index_that_became_zero_or_changed_sides_is_a_difference() {
    let sets = record::sets();
    let call = find(&sets, "kvs-get");
    let with = |index: u64| {
        changed(call, |body| {
            let entry = body
                .iter_mut()
                .find(|(key, _)| key.is_text("Index"))
                .expect("it has an index");
            entry.1 = Value::UInt(index);
        })
    };
    assert!(differences(call, &with(0)) > 0, "zero");
    assert!(
        differences(call, &with(1)) > 0,
        "no longer the index of its entry"
    );
    // All of them moved together is what another server does.
    let (header, mut body, _) = msgpack::decode_pair(&call.reply).expect("a recorded reply");
    for path in ["Index", "Entries[0].CreateIndex", "Entries[0].ModifyIndex"] {
        *body.at_mut(path).expect("it has it") = Value::UInt(70_000);
    }
    assert_eq!(
        differences(call, &[header.encode(), body.encode()].concat()),
        0
    );
}

#[test]
fn another_encoding_of_the_same_value_is_a_difference() {
    let sets = record::sets();
    let call = find(&sets, "kvs-get");
    // The key "Index" with a one-byte length in front, as newer msgpack has it.
    let at = call
        .reply
        .windows(6)
        .position(|bytes| bytes == b"\xa5Index")
        .expect("it has an index");
    let mut live = call.reply.clone();
    live.splice(at..=at, [0xd9, 5]);
    assert!(msgpack::decode_pair(&live).is_ok());
    assert!(differences(call, &live) > 0);
}

#[test]
fn only_the_older_recording_may_lack_the_younger_key() {
    let older = record::sets()
        .into_iter()
        .find(|set| set.version == Version::V1_10)
        .expect("1.10 was recorded");
    let newer = record::sets();
    let old = older
        .calls
        .iter()
        .find(|call| call.name == "kvs-get")
        .expect("it was recorded");
    let new = find(&newer, "kvs-get");
    let count = |version, recorded: &Call, live: &[u8]| {
        let mut comparison = Comparison::new(version, RECORDED_SERVER.to_owned());
        comparison.reply("negative control", recorded, &recorded.reply, live);
        comparison.finish().len()
    };
    let grown = changed(old, |body| {
        body.push((
            Value::Raw(b"ResultsFilteredByACLs".to_vec()),
            Value::Bool(false),
        ));
    });
    assert_eq!(count(Version::V1_10, old, &grown), 0);
    assert!(
        count(Version::V1_10, new, &old.reply) > 0,
        "a key that was recorded must come"
    );
    assert!(count(Version::V1_13, new, &old.reply) > 0);
}

/// Replays one call against a server that plays its recording, with a fault.
fn played_back(name: &str, fault: Fault) -> Vec<String> {
    let mut set = record::sets()
        .into_iter()
        .find(|set| set.calls.iter().any(|call| call.name == name))
        .expect("it was recorded");
    set.calls.retain(|call| call.name == name);
    set.calls[0].uses.clear();
    let server = fake::serve(&set.calls[0], fault);
    let outcome = replay::replay(&set, server, &BTreeSet::new());
    outcome
        .differences
        .into_iter()
        .map(|difference| difference.at)
        .collect()
}

#[test]
fn a_server_that_plays_the_recording_back_passes() {
    for name in [
        "status-ping",
        "kvs-apply-nokey",
        "err-unknown-method",
        "x-err-body-int",
    ] {
        assert_eq!(played_back(name, Fault::Nothing), [""; 0], "{name}");
    }
}

#[test]
fn a_server_that_ends_connections_otherwise_is_noticed() {
    for name in ["status-ping", "kvs-apply-nokey", "err-unknown-method"] {
        assert_eq!(
            played_back(name, Fault::EndsOtherwise),
            ["the connection's end"],
            "{name}"
        );
    }
}

#[test]
fn a_server_that_says_more_is_noticed() {
    let found = played_back("status-ping", Fault::SaysMore);
    assert!(found.iter().any(|at| at == "byte 40"), "{found:?}");
}

#[test]
fn a_session_with_other_frames_is_noticed() {
    for fault in [Fault::NoAcknowledgement, Fault::ClosesFirst] {
        let found = played_back("status-ping", fault);
        assert!(
            found.iter().any(|at| at == "the frames"),
            "{fault:?}: {found:?}"
        );
    }
}

#[test]
fn a_query_that_is_answered_too_early_is_noticed() {
    assert_eq!(
        played_back("x-blk-get-timeout-1s", Fault::Nothing),
        ["its time"]
    );
}
