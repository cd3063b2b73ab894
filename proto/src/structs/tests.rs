//! What the structs look like from outside, with JSON for a wire.

use std::time::{Duration, SystemTime};

use serde_json::{from_value, json, to_string, to_value};

use super::*;

crate::wire_struct! {
    /// The innermost of three.
    struct Inner {
        /// Sorts last.
        zeta: u64 = "Zeta",
        /// Sorts first.
        alpha: u64 = "Alpha",
    }
}

crate::wire_struct! {
    /// Embeds one.
    struct Middle {
        /// Stands in front of what is embedded.
        mid: u64 = "Mid",
        /// Embedded.
        inner: Inner => embed,
        /// Lower case sorts behind upper case.
        tail: u64 = "aTail",
    }
}

crate::wire_struct! {
    /// Embeds one that embeds one.
    struct Outer {
        /// Embedded.
        middle: Middle => embed,
        /// Nothing is embedded.
        nothing: Empty => embed,
        /// The last to be declared.
        last: Option<Vec<Inner>> = "Beta",
    }
}

#[test]
fn embedded_structs_merge_at_any_depth() {
    assert_eq!(Outer::DECLARED, ["Mid", "Zeta", "Alpha", "aTail", "Beta"]);
    let sorted: Vec<&str> = Outer::SORTED.iter().map(|key| key.name).collect();
    assert_eq!(sorted, ["Alpha", "Beta", "Mid", "Zeta", "aTail"]);
    let value = Outer {
        middle: Middle {
            mid: 1,
            inner: Inner { zeta: 2, alpha: 3 },
            tail: 4,
        },
        nothing: Empty {},
        last: Some(vec![Inner { zeta: 5, alpha: 6 }]),
    };
    let text = r#"{"Alpha":3,"Beta":[{"Alpha":6,"Zeta":5}],"Mid":1,"Zeta":2,"aTail":4}"#;
    assert_eq!(to_string(&value).expect("JSON"), text);
    assert_eq!(serde_json::from_str::<Outer>(text).expect("Outer"), value);
    let array = json!([1, 2, 3, 4, [[5, 6]], "more"]);
    assert_eq!(from_value::<Outer>(array).expect("Outer"), value);
}

#[test]
fn reading_forgives_what_go_forgives() {
    let read = |value| from_value::<Inner>(value).expect("Inner");
    assert_eq!(read(json!(null)), Inner::default());
    assert_eq!(read(json!([])), Inner::default());
    assert_eq!(
        read(json!({"alpha": 1, "?": {"Alpha": 2}})),
        Inner::default()
    );
    assert_eq!(read(json!({"Zeta": 1})), Inner { zeta: 1, alpha: 0 });
    let twice: Inner = serde_json::from_str(r#"{"Zeta":1,"Alpha":2,"Zeta":3}"#).expect("Inner");
    assert_eq!(twice, Inner { zeta: 3, alpha: 2 });
}

#[test]
fn the_keys_are_those_of_consul() {
    fn keys<T: Fields>(expected: &str) {
        let keys: Vec<&str> = T::SORTED.iter().map(|key| key.name).collect();
        assert_eq!(keys.join(" "), expected, "{}", T::NAME);
        assert_eq!(T::COUNT, keys.len());
    }
    keys::<Empty>("");
    keys::<QueryOptions>(
        "AllowNotModifiedResponse AllowStale Filter MaxAge MaxQueryTime MaxStaleDuration \
         MinQueryIndex MustRevalidate RequireConsistent StaleIfError Token UseCache",
    );
    keys::<QueryMeta>(
        "Backend ConsistencyLevel Index KnownLeader LastContact NotModified ResultsFilteredByACLs",
    );
    keys::<DCSpecificRequest>(
        "AllowNotModifiedResponse AllowStale Datacenter Filter MaxAge MaxQueryTime \
         MaxStaleDuration MinQueryIndex MustRevalidate NodeMetaFilters PeerName RequireConsistent \
         Source StaleIfError Token UseCache",
    );
    keys::<QuerySource>("Datacenter Ip Node NodePartition Segment");
    keys::<RaftStats>("LastContact LastIndex LastTerm");
    keys::<KVSRequest>("Datacenter DirEnt Op Token");
    keys::<DirEntry>("CreateIndex Flags Key LockIndex ModifyIndex Session Value");
    keys::<IndexedDirEntries>(
        "Backend ConsistencyLevel Entries Index KnownLeader LastContact NotModified \
         ResultsFilteredByACLs",
    );
    assert!(KeyListRequest::DECLARED.starts_with(&["Datacenter", "Prefix", "Seperator", "Token"]));
    assert!(DirEntry::DECLARED.ends_with(&["Session", "CreateIndex", "ModifyIndex"]));
}

#[test]
fn bytes_are_text_in_json_if_they_can_be() {
    let entry = DirEntry {
        key: GoString::from(&b"\xff"[..]),
        value: Some("text".into()),
        ..DirEntry::default()
    };
    let value = to_value(&entry).expect("JSON");
    assert_eq!(value["Key"], json!({"$raw_base64": "/w=="}));
    assert_eq!(value["Value"], json!("text"));
    assert_eq!(from_value::<DirEntry>(value).expect("an entry"), entry);
    assert_eq!(from_value::<GoString>(json!(null)).expect("nothing"), "");
    assert_eq!(from_value::<Option<Blob>>(json!(null)).expect("nil"), None);
    for bad in [json!({"$raw_base64": "?"}), json!({"other": 1}), json!(1)] {
        assert!(from_value::<GoString>(bad.clone()).is_err(), "{bad}");
    }
    assert_eq!(
        format!("{:?} {}", entry.key, entry.key),
        "\"\\xff\" \u{fffd}"
    );
}

#[test]
fn times_are_those_of_go() {
    assert_eq!(
        GoTime::ZERO.to_bytes(),
        *b"\x01\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff"
    );
    let epoch = GoTime::from(SystemTime::UNIX_EPOCH);
    assert_eq!(
        (epoch.seconds, epoch.nanos, epoch.zone),
        (62_135_596_800, 0, -1)
    );
    for (sign, nanos) in [
        (1, 1),
        (1, 999_999_999),
        (-1, 1),
        (-1, 1_500_000_000),
        (-1, 2_000_000_000),
    ] {
        let span = Duration::from_nanos(nanos);
        let time = if sign > 0 {
            SystemTime::UNIX_EPOCH + span
        } else {
            SystemTime::UNIX_EPOCH - span
        };
        let go = GoTime::from(time);
        assert!(go.nanos < 1_000_000_000);
        assert_eq!(go.to_system(), Some(time), "{sign} {nanos}");
        assert_eq!(GoTime::from_bytes(&go.to_bytes()), Ok(go));
        let value = to_value(go).expect("JSON");
        assert_eq!(from_value::<GoTime>(value).expect("a time"), go);
    }
    assert_eq!(GoTime::from_bytes(b""), Err(TimeError::Empty));
    assert_eq!(GoTime::from_bytes(&[2; 15]), Err(TimeError::Version));
    assert_eq!(GoTime::from_bytes(&[1; 14]), Err(TimeError::Length));
    assert_eq!(GoTime::from_bytes(&[1; 16]), Err(TimeError::Length));
    assert_eq!(
        GoTime {
            seconds: i64::MIN,
            ..GoTime::ZERO
        }
        .to_system(),
        None
    );
    assert!(
        GoTime {
            zone: 60,
            ..GoTime::ZERO
        }
        .is_zero()
    );
}

#[test]
fn durations_show_and_saturate() {
    assert_eq!(GoDuration(1_500_000_000).to_string(), "1.5s");
    assert_eq!(GoDuration(-2_000_000).to_string(), "-2ms");
    assert_eq!(GoDuration::from(Duration::MAX), GoDuration(i64::MAX));
    assert_eq!(GoDuration(i64::MIN).to_std(), None);
}
