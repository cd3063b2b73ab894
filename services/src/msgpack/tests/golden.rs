//! What a Consul server of version 1.13.9 received and sent, read and written again.

use std::fmt::Debug;

use oneport_proto::structs::{
    DCSpecificRequest, Empty, GoString, IndexedDirEntries, IndexedKeyList, KVSRequest,
    KeyListRequest, KeyRequest, RaftStats,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Limits, Scanner, decode, encoded, hex};

/// A line is a name, the type and the bytes.
const CASES: &str = include_str!("golden.txt");

fn same<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, bytes: &[u8]) {
    let value: T = decode(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(encoded(&value), bytes, "{name}: {value:?}");
    let json = serde_json::to_string(&value).expect("JSON");
    let back: T = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(back, value, "{name}: {json}");
}

#[test]
fn every_recorded_body_is_read_and_written_again() {
    let mut count = 0;
    for line in CASES.lines() {
        let mut words = line.split(' ');
        let (Some(name), Some(kind), Some(bytes)) = (words.next(), words.next(), words.next())
        else {
            panic!("a broken line: {line}");
        };
        let bytes = hex(bytes);
        match kind {
            "Empty" => same::<Empty>(name, &bytes),
            "DCSpecificRequest" => same::<DCSpecificRequest>(name, &bytes),
            "GoString" => same::<GoString>(name, &bytes),
            "List" => same::<Vec<GoString>>(name, &bytes),
            "RaftStats" => same::<RaftStats>(name, &bytes),
            "KVSRequest" => same::<KVSRequest>(name, &bytes),
            "KeyRequest" => same::<KeyRequest>(name, &bytes),
            "KeyListRequest" => same::<KeyListRequest>(name, &bytes),
            "IndexedDirEntries" => same::<IndexedDirEntries>(name, &bytes),
            "IndexedKeyList" => same::<IndexedKeyList>(name, &bytes),
            "bool" => same::<bool>(name, &bytes),
            other => panic!("{name}: unknown type {other}"),
        }
        let mut scanner = Scanner::new(Limits::new(bytes.len()));
        assert_eq!(scanner.scan(&bytes), Ok(Some(bytes.len())), "{name}");
        count += 1;
    }
    assert_eq!(count, 40);
}

#[test]
fn a_recorded_request_means_what_it_should() {
    let line = CASES
        .lines()
        .find(|line| line.starts_with("kvs-apply-set/request"));
    let bytes = hex(line.and_then(|line| line.split(' ').nth(2)).expect("bytes"));
    let request: KVSRequest = decode(&bytes).expect("a request");
    assert_eq!(request.datacenter, "dc1");
    assert_eq!(request.op, "set");
    assert_eq!(request.dir_ent.key, "foo/bar");
    assert_eq!(request.dir_ent.flags, 42);
    assert_eq!(request.dir_ent.value, Some("hello".into()));
}
